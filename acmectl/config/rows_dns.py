"""Options of all DNS authenticators, and of several authenticators in one certificate."""

from __future__ import annotations

from acmectl.config.options import OptionRow

_ISSUING = ("certonly", "renew", "reconfigure")

ROWS = (
    OptionRow(
        names=("--authenticator-for",),
        kind="list",
        metavar="PATTERN=NAME",
        help="authenticator for some of the names: PATTERN is a name, or *.x for that wildcard and all names below x; "
        "NAME:CREDENTIALS picks credentials by their name; repeat it, the first that fits counts",
        topics=("plugins", "dns"),
        verbs=_ISSUING,
        own="authenticator_for",
        certbot=False,
    ),
    OptionRow(
        names=("--dns-credentials",),
        kind="list",
        metavar="NAME=FILE",
        help="a credentials file under a name, for --authenticator-for; repeat it for more",
        topics=("dns",),
        verbs=_ISSUING,
        own="dns_credentials",
        certbot=False,
    ),
    OptionRow(
        names=("--dns-propagation-timeout",),
        kind="duration",
        minimum=0,
        default=120,
        metavar="TIME",
        help="how long all name servers are asked for a new record; then it goes on with a warning",
        topics=("dns",),
        verbs=_ISSUING,
        own="dns_propagation_timeout",
        certbot=False,
    ),
    OptionRow(
        names=("--dns-propagation-seconds",),
        kind="int",
        minimum=0,
        metavar="SECONDS",
        help="wait so long at most instead; less once every name server has the record",
        topics=("dns",),
        verbs=_ISSUING,
        own="dns_propagation_seconds",
        certbot=False,
    ),
    OptionRow(
        names=(),
        off=("--no-dns-propagation-check",),
        dest="dns_propagation_check",
        kind="flag",
        default=True,
        help="ask no name server; wait --dns-propagation-seconds, or what is usual for the provider",
        topics=("dns",),
        verbs=_ISSUING,
        own="dns_propagation_check",
        certbot=False,
    ),
    OptionRow(
        names=("--dns-resolver",),
        kind="list",
        metavar="ADDRESS",
        help="resolver that finds zones and name servers, instead of the system's; repeat it for more",
        topics=("dns",),
        verbs=_ISSUING,
        own="dns_resolver",
        certbot=False,
    ),
    OptionRow(
        names=("--dns-alias",),
        kind="list",
        metavar="NAME=RECORD",
        help="the challenge of NAME is answered at RECORD, where its CNAME cannot be looked up from here",
        topics=("dns",),
        verbs=_ISSUING,
        own="dns_alias",
        certbot=False,
    ),
    OptionRow(
        names=("--allow-insecure-credentials",),
        kind="flag",
        default=False,
        help="use credentials files that others can read",
        topics=("dns",),
        verbs=_ISSUING,
        own="allow_insecure_credentials",
        certbot=False,
    ),
)
