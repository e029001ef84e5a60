"""The option for a key in a PKCS#11 token."""

from __future__ import annotations

from acmectl.config.options import OptionRow

ROWS = (
    OptionRow(
        names=("--key",),
        metavar="URI",
        help="a private key that stays in a PKCS#11 token, by its URI (RFC 7512), such as "
        "'pkcs11:token=hsm;object=web?pin-source=env:PIN'; '' is a file again",
        topics=("security",),
        verbs=("certonly", "renew", "reconfigure", "revoke"),
        own="key",
        certbot=False,
        in_files=False,
    ),
)
