"""Options of the account at the CA, and of the commands that only report."""

from __future__ import annotations

from acmectl.config.options import OptionRow

_REGISTERING = ("certonly", "register")
_ACCOUNT = (
    *("certonly", "renew", "reconfigure", "revoke"),
    *("register", "update_account", "unregister", "show_account", "account"),
)

ROWS = (
    OptionRow(
        names=("-m", "--email"),
        kind="csv",
        metavar="ADDRESS",
        help="e-mail address for the account; several are separated by commas",
        topics=("account", "automation"),
        verbs=("certonly", "register", "update_account"),
    ),
    OptionRow(
        names=("--register-unsafely-without-email",),
        kind="flag",
        default=False,
        help="register without an e-mail address and do not ask for one",
        topics=("account", "automation"),
        verbs=_REGISTERING,
        hidden=True,
    ),
    OptionRow(
        names=("--agree-tos",),
        kind="flag",
        default=False,
        help="agree to the CA's terms of service",
        topics=("account", "automation"),
        verbs=_REGISTERING,
    ),
    OptionRow(
        names=("--account",),
        metavar="ID",
        help="which account to use, where there are several for the CA",
        topics=("account", "automation"),
        verbs=_ACCOUNT,
        stored="account",
    ),
    OptionRow(
        names=("--account-key",),
        kind="file",
        metavar="FILE",
        help="with certonly --csr and revoke --cert-path: the account's key (PEM or JWK), which is kept nowhere else; "
        "certonly registers it if the CA does not know it. register: the key to take over",
        topics=("account",),
        verbs=("certonly", "revoke", "register"),
        own="account_key",
        certbot=False,
        in_files=False,
    ),
    OptionRow(
        names=("--account-key-type",),
        kind="choice",
        choices=("rsa2048", "rsa3072", "rsa4096", "ec256", "ec384"),
        metavar="TYPE",
        help="kind of the account's new key: rsa2048, rsa3072, rsa4096, ec256 or ec384; by default the kind it has",
        topics=("account",),
        verbs=("account",),
        certbot=False,
        in_files=False,
    ),
    OptionRow(
        names=("--eab-kid",),
        metavar="ID",
        help="key identifier for external account binding, as the CA gave it",
        topics=("account",),
        verbs=_REGISTERING,
    ),
    OptionRow(
        names=("--eab-hmac-key",),
        metavar="KEY",
        help="HMAC key for external account binding, as the CA gave it (base64url), or where it lies: env:NAME, "
        "file:PATH or systemd:NAME",
        topics=("account",),
        verbs=_REGISTERING,
        secret=True,
    ),
    OptionRow(
        names=("--eab-hmac-alg",),
        metavar="ALG",
        default="HS256",
        help="HMAC algorithm for external account binding: HS256, HS384 or HS512",
        topics=("account",),
        verbs=_REGISTERING,
    ),
    OptionRow(
        names=("--eff-email",),
        off=("--no-eff-email",),
        kind="flag",
        help="no effect: acmectl gives no address to anyone but the CA",
        topics=("account",),
        verbs=(),
        hidden=True,
    ),
    OptionRow(
        names=("--init",),
        kind="flag",
        default=False,
        help="make an instance of each plugin",
        topics=("plugins",),
        verbs=("plugins",),
    ),
    OptionRow(
        names=("--prepare",),
        kind="flag",
        default=False,
        help="make an instance of each plugin and let it check what it needs",
        topics=("plugins",),
        verbs=("plugins",),
    ),
    OptionRow(
        names=("--authenticators",),
        kind="flag",
        default=False,
        help="list authenticators only",
        topics=("plugins",),
        verbs=("plugins",),
    ),
    OptionRow(
        names=("--installers",),
        kind="flag",
        default=False,
        help="list installers only (there are none)",
        topics=("plugins",),
        verbs=("plugins",),
    ),
)
