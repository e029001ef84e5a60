"""Options of files that a certificate is written to beside its live links. Each belongs to one certificate alone."""

from __future__ import annotations

from acmectl.config.options import OptionRow

_VERBS = ("certonly", "renew", "reconfigure")

# Nothing of this in files or the environment: it would be for all certificates at once, and a file holds one.
ROWS = (
    OptionRow(
        names=("--pem-out",),
        metavar="PATH",
        help="write private key, certificate and chain into this one file whenever a version goes live; '' ends it",
        topics=("outputs",),
        verbs=_VERBS,
        own="pem_out",
        certbot=False,
        in_files=False,
    ),
    OptionRow(
        names=("--pkcs12-out",),
        metavar="PATH",
        help="write the same as PKCS#12 (.p12, .pfx); '' ends it",
        topics=("outputs",),
        verbs=_VERBS,
        own="pkcs12_out",
        certbot=False,
        in_files=False,
    ),
    OptionRow(
        names=("--pkcs12-password",),
        metavar="WHERE",
        help="where the password of the PKCS#12 file lies: env:NAME, file:PATH, systemd:NAME or cmd:COMMAND "
        "(no password)",
        topics=("outputs",),
        verbs=_VERBS,
        own="pkcs12_password",
        certbot=False,
        in_files=False,
        secret=True,
    ),
    OptionRow(
        names=("--owner",),
        metavar="USER",
        help="who owns the files of --pem-out and --pkcs12-out; without these two, the private key below archive/",
        topics=("outputs",),
        verbs=_VERBS,
        own="owner",
        certbot=False,
        in_files=False,
    ),
    OptionRow(
        names=("--group",),
        metavar="GROUP",
        help="their group",
        topics=("outputs",),
        verbs=_VERBS,
        own="group",
        certbot=False,
        in_files=False,
    ),
    OptionRow(
        names=("--mode",),
        metavar="MODE",
        help="their mode, octal (0600)",
        topics=("outputs",),
        verbs=_VERBS,
        own="mode",
        certbot=False,
        in_files=False,
    ),
)
