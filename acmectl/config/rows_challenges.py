"""Options that say how control is proved: which authenticator, which challenge, which hooks."""

from __future__ import annotations

from acmectl.config.options import OptionRow

_ISSUING = ("certonly", "renew", "reconfigure")

_SELECTORS = (
    ("webroot", "put the answers into the document root of a running web server"),
    ("standalone", "answer on port 80 with a web server of its own"),
    ("manual", "show what to do, or let hooks do it"),
)
# certbot's plugins whose flags exist in its parser whether or not they are installed.
DNS_PLUGINS = (
    "cloudflare", "digitalocean", "dnsimple", "dnsmadeeasy", "gehirn", "google", "linode", "luadns", "nsone", "ovh",
    "rfc2136", "route53", "sakuracloud",
)  # fmt: skip

ROWS = (
    OptionRow(
        names=("-a", "--authenticator"),
        metavar="NAME",
        help="authenticator: webroot, standalone, manual, or the name of an installed plugin",
        topics=("plugins",),
        verbs=_ISSUING,
        stored="authenticator",
    ),
    *(
        OptionRow(
            names=(f"--{name}",),
            kind="flag",
            default=False,
            help=text,
            topics=("plugins", name),
            verbs=_ISSUING,
            selects=name,
        )
        for name, text in _SELECTORS
    ),
    *(
        OptionRow(
            names=(f"--dns-{name}",),
            kind="flag",
            default=False,
            help=f"short for --authenticator dns-{name}",
            topics=(f"dns-{name}",),
            verbs=(),
            selects=f"dns-{name}",
        )
        for name in DNS_PLUGINS
    ),
    *(
        OptionRow(
            names=(f"--{name}",),
            kind="flag",
            default=False,
            help=f"short for --configurator {name}",
            topics=("installers",),
            verbs=(),
            selects=name,
            hidden=True,
        )
        for name in ("nginx", "apache")
    ),
    OptionRow(
        names=("-i", "--installer"),
        metavar="NAME",
        help="installer; null is the only one there is",
        topics=("installers",),
        verbs=(),
        stored="installer",
    ),
    OptionRow(
        names=("--configurator",),
        metavar="NAME",
        help="plugin that is both authenticator and installer",
        topics=("installers",),
        verbs=(),
    ),
    OptionRow(
        names=("--preferred-challenges",),
        kind="csv",
        choices=("http", "dns", "http-01", "dns-01"),
        expand=(("http", "http-01"), ("dns", "dns-01")),
        metavar="CHALLENGES",
        help="challenges to use, the best first: http-01 (http), dns-01 (dns)",
        topics=("plugins",),
        verbs=_ISSUING,
        stored="pref_challs",
    ),
    OptionRow(
        names=("--http-01-port",),
        kind="int",
        minimum=1,
        maximum=65535,
        default=80,
        metavar="PORT",
        help="port that standalone listens on; the CA still asks on port 80",
        topics=("standalone", "plugins"),
        verbs=_ISSUING,
        stored="http01_port",
    ),
    OptionRow(
        names=("--http-01-address",),
        default="",
        metavar="ADDRESS",
        help="address that standalone listens on (all)",
        topics=("standalone", "plugins"),
        verbs=_ISSUING,
        stored="http01_address",
    ),
    OptionRow(
        names=("--https-port",),
        kind="int",
        minimum=1,
        maximum=65535,
        default=443,
        metavar="PORT",
        help="no effect; accepted for old scripts",
        topics=("installers",),
        verbs=(),
        hidden=True,
    ),
    OptionRow(
        names=("-w", "--webroot-path"),
        kind="list",
        metavar="DIR",
        help="document root for the names that follow it; repeat it for other names",
        topics=("webroot", "plugins"),
        verbs=_ISSUING,
        stored="webroot_path",
        plugin="webroot",
    ),
    OptionRow(
        names=("--webroot-map",),
        metavar="JSON",
        help="""names and their document roots, such as '{"a.example,b.example":"/srv/www"}'""",
        topics=("webroot", "plugins"),
        verbs=_ISSUING,
        stored="webroot_map",
        plugin="webroot",
    ),
    OptionRow(
        names=("--challenge-dir", "--acme-dir"),
        kind="path",
        metavar="DIR",
        help="put webroot's answers straight into this directory, which the server shows as the challenge path",
        topics=("webroot", "plugins"),
        verbs=_ISSUING,
        own="challenge_dir",
        certbot=False,
        plugin="webroot",
    ),
    OptionRow(
        names=("--manual-auth-hook",),
        metavar="COMMAND",
        help="command that puts manual's answer in place",
        topics=("manual", "plugins"),
        verbs=_ISSUING,
        stored="manual_auth_hook",
        plugin="manual",
    ),
    OptionRow(
        names=("--manual-cleanup-hook",),
        metavar="COMMAND",
        help="command that takes manual's answer away",
        topics=("manual", "plugins"),
        verbs=_ISSUING,
        stored="manual_cleanup_hook",
        plugin="manual",
    ),
    OptionRow(
        names=("--debug-challenges",),
        kind="flag",
        default=False,
        help="wait for Enter once the answers are in place, before the CA is told",
        topics=("testing", "plugins"),
        verbs=_ISSUING,
    ),
    OptionRow(
        names=("--preflight",),
        off=("--no-preflight",),
        kind="flag",
        help="wait for the check of our own http-01 answers and show it; --no-preflight leaves the check out",
        topics=("testing", "plugins"),
        verbs=_ISSUING,
        certbot=False,
    ),
    OptionRow(
        names=("--pre-hook",),
        metavar="COMMAND",
        help="command to run before a certificate is obtained",
        topics=("hooks", "automation", "manage"),
        verbs=_ISSUING,
        stored="pre_hook",
    ),
    OptionRow(
        names=("--post-hook",),
        metavar="COMMAND",
        help="command to run after certificates were obtained or failed",
        topics=("hooks", "automation", "manage"),
        verbs=_ISSUING,
        stored="post_hook",
    ),
    OptionRow(
        names=("--deploy-hook", "--renew-hook"),
        metavar="COMMAND",
        help="command to run once per new certificate; it finds $RENEWED_LINEAGE and $RENEWED_DOMAINS",
        topics=("hooks", "automation", "manage"),
        verbs=_ISSUING,
        stored="renew_hook",
    ),
    OptionRow(
        names=("--disable-hook-validation",),
        kind="flag",
        default=False,
        help="do not look beforehand whether the hooks' commands exist",
        topics=("hooks",),
        verbs=_ISSUING,
    ),
    OptionRow(
        names=(),
        off=("--no-directory-hooks",),
        dest="directory_hooks",
        kind="flag",
        default=True,
        help="do not run the hooks in renewal-hooks/",
        topics=("hooks",),
        verbs=_ISSUING,
    ),
    OptionRow(
        names=("--hook-timeout",),
        kind="int",
        minimum=1,
        default=600,
        metavar="SECONDS",
        help="how long a hook may run before it is ended and counts as failed",
        topics=("hooks",),
        verbs=_ISSUING,
        own="hook_timeout",
        certbot=False,
    ),
)
