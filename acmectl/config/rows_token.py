"""The option for a key in a PKCS#11 token."""

from __future__ import annotations

from acmectl.config.options import OptionRow

ROWS = (
    OptionRow(
        names=("--key",),
        metavar="URI",
        help="a private key that stays in a PKCS#11 token, as a PKCS#11 URI (RFC 7512): "
        "pkcs11:token=NAME;object=LABEL?module-path=/PATH/MODULE.so&pin-source=file:/PATH; '' is a file again",
        topics=("security",),
        verbs=("certonly", "renew", "reconfigure", "revoke"),
        own="key",
        certbot=False,
        in_files=False,
    ),
)
