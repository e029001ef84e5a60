"""Command lines as they stand in people's notes, units and cron tables, with the name and the CA replaced."""

from tests.integration.differential import steps
from tests.integration.differential.case import case
from tests.integration.differential.machine import Line

ENTER = "\n" * 4

FIELD = (
    case(
        "field-manual",
        Line(text="certonly --manual --debug -d www.example.com -d example.com --email me@example.com", typed=ENTER),
        start="account",
        trusting=True,
    ),
    case(
        "field-manual-kept",
        Line(text="certonly --manual --keep-until-expiring -d example.com --email me@example.com", typed=ENTER),
        Line(text="certonly --manual --keep-until-expiring -d example.com --email me@example.com"),
        start="account",
        trusting=True,
    ),
    case(
        "field-manual-renewed",
        Line(text="certonly --manual -d example.com", typed=ENTER),
        Line(text="certonly --manual --renew-by-default -d example.com --email me@example.com", typed=ENTER),
        start="account",
        trusting=True,
    ),
    case(
        "field-webroot",
        Line(
            text="certonly --webroot --webroot-path {webroot} -d example.com,www.example.com --cert-name example.com",
            web=True,
        ),
        start="account",
    ),
    case(
        "field-deploy-hook-in-its-folder",
        steps.hook("deploy"),
        Line(
            text="certonly --webroot --webroot-path {webroot} --deploy-hook {hooks}/deploy/note"
            " -d example.com,www.example.com --cert-name example.com",
            web=True,
        ),
        Line(text="VERBOSE=1 RENEWED_LINEAGE={live}/example.com {hooks}/deploy/note", shell=True),
        start="account",
    ),
    case(
        "field-preferred-challenges-dns",
        Line(text="-d domain.example.com --manual --preferred-challenges dns certonly", typed=ENTER),
        start="account",
        trusting=True,
    ),
    case(
        "field-test-cert-dry-run",
        Line(text="certonly --webroot -w {webroot} -d example.com --test-cert --dry-run", web=True),
        start="account",
    ),
    case(
        "field-webroot-dry-run",
        Line(text="certonly --webroot -w {webroot} -d example.com --dry-run", web=True),
        start="account",
    ),
    case("field-timer", Line(text="renew --quiet", server=False, environ={}), start="webroot", both_streams=True),
    case("field-certificates", Line(text="certificates", server=False), start="two"),
    case("field-delete", Line(text="delete --cert-name example.com", server=False, typed="y\n"), start="two"),
    case("field-delete-without-terminal", Line(text="delete --cert-name example.com", server=False), start="two"),
    case(
        "field-revoke",
        Line(text="revoke --cert-path {live}/example.com/cert.pem --reason superseded -n"),
        start="lineage",
        alone=True,
    ),
    case(
        "field-revoke-at-a-terminal",
        Line(text="revoke --cert-path {live}/example.com/cert.pem --reason superseded", typed="y\ny\n"),
        start="lineage",
        alone=True,
    ),
    case(
        "field-help",
        *(
            Line(text=text, server=False, directories=False)
            for text in ("--help", "--help all", "--help certonly", "--help webroot")
        ),
    ),
)
