"""Verbs, flags and configuration files: what is understood and what is refused, and with which exit code."""

from tests.integration.differential import steps
from tests.integration.differential.case import case
from tests.integration.differential.machine import Line


def alone(text: str) -> Line:
    """A line without the flags for the directories and the CA."""
    return Line(text=text, server=False, directories=False)


USAGE = (
    case(
        "help-of-verbs",
        *(alone(f"{text}") for text in ("help", "help renew", "help run", "-h certonly", "certonly -h")),
    ),
    case(
        "help-of-topics",
        *(alone(f"--help {text}") for text in ("automation", "commands", "paths", "security", "testing", "manage")),
    ),
    case("help-of-plugins", *(alone(f"--help {text}") for text in ("standalone", "manual", "revoke", "reconfigure"))),
    case("help-unknown-topic", alone("--help nonsense")),
    case("version", alone("--version")),
    case("unknown-flag", Line(text="certificates --no-such-flag", server=False)),
    case("unknown-verb", Line(text="renovate", server=False)),
    case("two-verbs", Line(text="certificates renew", server=False)),
    case("verbs-that-are-gone", Line(text="update_symlinks", server=False), Line(text="config_changes", server=False)),
    case("ambiguous-abbreviation", Line(text="certificates --pre x", server=False)),
    case(
        "abbreviations",
        "certonly --non-int --standalo --http-01-port {port} --preferred-challenge http --domains example.com",
        start="account",
    ),
    case("option-without-value", Line(text="certificates --cert-name", server=False)),
    case("bad-key-type", "certonly -n {standalone} -d example.com --key-type dsa"),
    case("bad-curve", "certonly -n {standalone} -d example.com --elliptic-curve secp999"),
    case("bad-preferred-challenges", "certonly -n {standalone} -d example.com --preferred-challenges tls-sni-01"),
    case("challenge-of-ours", Line(text="certificates --preferred-challenges tls-alpn-01", server=False)),
    case("bad-number", "certonly -n {standalone} -d example.com --rsa-key-size many"),
    case("bad-reason", "revoke -n --cert-name example.com --reason boredom", start="lineage"),
    case("bad-comment", "certonly -n {standalone} -d example.com --user-agent-comment (x)"),
    case("removed-flag", "certonly -n {standalone} -d example.com --manual-public-ip-logging-ok"),
    case("missing-config-file", "certificates -c {root}/nowhere.ini"),
    case("quiet-and-interactive", "certificates -n --force-interactive"),
    case("renew-and-interactive", "renew --force-interactive", start="lineage"),
    case("equal-ports", "certonly -n --standalone --http-01-port 443 -d example.com", start="account"),
    case(
        "deprecated-flags",
        "certificates --os-packages-only --no-self-upgrade --no-bootstrap --no-permissions-check",
        both_streams=True,
    ),
    case("dry-run-elsewhere", "certificates --dry-run", "delete --dry-run --cert-name example.com", start="lineage"),
    case("plugins", alone("plugins"), alone("plugins --authenticators"), alone("plugins --installers")),
    case(
        "cli-ini",
        steps.written(
            "home/cli.ini",
            "# a comment\nagree-tos = true\nnon-interactive = yes\nkey-type = rsa\nrsa-key-size = 3072\n"
            "reuse-key = false\n[section]\nauthenticator = standalone\n; another\nmust-staple\n",
        ),
        "certonly -c {home}/cli.ini --http-01-port {port} -d example.com",
        start="account",
    ),
    case(
        "cli-ini-domains",
        steps.written("home/cli.ini", "domains = example.com, www.example.com\nauthenticator = standalone\n"),
        "certonly -n -c {home}/cli.ini --http-01-port {port}",
        "renew -c {home}/cli.ini",
        start="account",
    ),
    case("cli-ini-bad-key", steps.written("home/cli.ini", "no-such-key = 1\n"), "certificates -c {home}/cli.ini"),
    case("cli-ini-bad-value", steps.written("home/cli.ini", "key-type = dsa\n"), "certificates -c {home}/cli.ini"),
    case("cli-ini-bad-boolean", steps.written("home/cli.ini", "reuse-key = maybe\n"), "certificates -c {home}/cli.ini"),
    case("cli-ini-underscore", steps.written("home/cli.ini", "key_type = rsa\n"), "certificates -c {home}/cli.ini"),
    case(
        "cli-ini-leftovers",
        steps.written("home/cli.ini", "max-log-backups = 0\nno-self-upgrade = 0\n"),
        "certificates -c {home}/cli.ini",
    ),
    case(
        "cli-ini-abbreviation",
        steps.written("home/cli.ini", "preferred-challenge = http\nverbose = 2\n"),
        "certificates -c {home}/cli.ini",
    ),
    case("verb-as-value", "-d run certonly -n {standalone}", start="account"),
)
