"""certbot's options of DNS plugins and of installers: accepted whether or not such a plugin is there."""

from __future__ import annotations

from acmectl.config.options import OptionRow

_NO_INSTALLER = "acmectl does not edit the configuration of web servers"

_WAITING = (
    "cloudflare",
    "digitalocean",
    "dnsimple",
    "dnsmadeeasy",
    "gehirn",
    "google",
    "linode",
    "luadns",
    "nsone",
    "ovh",
    "rfc2136",
    "sakuracloud",
)

_SWITCHES = (
    (("--redirect",), ("--no-redirect",)),
    (("--hsts",), ("--no-hsts",)),
    (("--uir",), ("--no-uir",)),
    (("--staple-ocsp",), ("--no-staple-ocsp",)),
    (("--auto-hsts",), ()),
    (("--disable-renew-updates",), ()),
)

ROWS = (
    *(
        OptionRow(
            names=(f"--dns-{name}-credentials",),
            kind="path",
            metavar="FILE",
            help="file with the credentials of the DNS account",
            topics=(f"dns-{name}",),
            verbs=(),
            stored=f"dns_{name}_credentials",
            plugin=f"dns-{name}",
        )
        for name in _WAITING
    ),
    *(
        OptionRow(
            names=(f"--dns-{name}-propagation-seconds",),
            kind="int",
            minimum=0,
            metavar="SECONDS",
            help="how long to wait at most until all name servers have a new record",
            topics=(f"dns-{name}",),
            verbs=(),
            stored=f"dns_{name}_propagation_seconds",
            plugin=f"dns-{name}",
        )
        for name in _WAITING
    ),
    OptionRow(
        names=("--dns-google-project",),
        metavar="ID",
        help="Google Cloud project that holds the zone, if not the one of the credentials",
        topics=("dns-google",),
        verbs=(),
        stored="dns_google_project",
        plugin="dns-google",
    ),
    OptionRow(
        names=("--dns-route53-propagation-seconds",),
        kind="int",
        metavar="SECONDS",
        help="ignored",
        topics=("dns-route53",),
        verbs=(),
        hidden=True,
        deprecated="Route 53 says itself when a record has spread",
    ),
    OptionRow(
        names=("--checkpoints",),
        kind="int",
        minimum=1,
        default=1,
        metavar="N",
        help="ignored",
        topics=("installers",),
        verbs=(),
        hidden=True,
        deprecated=_NO_INSTALLER,
    ),
    *(
        OptionRow(
            names=names,
            off=off,
            kind="flag",
            help="ignored",
            topics=("installers",),
            verbs=(),
            hidden=True,
            deprecated=_NO_INSTALLER,
        )
        for names, off in _SWITCHES
    ),
)
