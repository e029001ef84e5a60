"""Questions: answered at a terminal, and without one, where nobody is there to answer."""

from tests.integration.differential.case import case
from tests.integration.differential.machine import Line

TWO = "-d example.com -d www.example.com"
OTHER = "certonly {standalone} --cert-name example.com -d new.example.com"

ASKED = (
    case("nobody-same", f"certonly {{standalone}} {TWO}", start="lineage"),
    case("nobody-superset", f"certonly {{standalone}} {TWO} -d new.example.com", start="lineage"),
    case("nobody-names-changed", OTHER, start="lineage"),
    case("nobody-no-names", "certonly {standalone}", start="account"),
    case("nobody-no-authenticator", "certonly -d example.com", start="account"),
    case("nobody-registers", "register"),
    case("nobody-registers-with-terms", "register --agree-tos"),
    case("nobody-first-run", "certonly {standalone} -d example.com --agree-tos -m me@example.com"),
    case("nobody-revokes", "revoke --cert-path {live}/example.com/cert.pem", start="lineage", alone=True),
    case("nobody-unregisters", "unregister", start="account", alone=True),
    case("nobody-two-accounts", "certonly {standalone} -d example.com", start="accounts"),
    case("nobody-reconfigures", "reconfigure", start="lineage"),
    case("nobody-deletes-which", "delete", start="two"),
    case("nobody-manual", "certonly --manual -d example.com", start="account"),
    case("asked-same-keep", Line(text=f"certonly {{standalone}} {TWO}", typed="1\n"), start="lineage"),
    case("asked-same-renew", Line(text=f"certonly {{standalone}} {TWO}", typed="2\n"), start="lineage"),
    case("asked-same-cancel", Line(text=f"certonly {{standalone}} {TWO}", typed="c\n"), start="lineage"),
    case(
        "asked-superset-expand",
        Line(text=f"certonly {{standalone}} {TWO} -d new.example.com", typed="e\n"),
        start="lineage",
    ),
    case(
        "asked-superset-cancel",
        Line(text=f"certonly {{standalone}} {TWO} -d new.example.com", typed="c\n"),
        start="lineage",
    ),
    case("asked-names-update", Line(text=OTHER, typed="u\n"), start="lineage"),
    case("asked-names-cancel", Line(text=OTHER, typed="c\n"), start="lineage"),
    case(
        "asked-for-names", Line(text="certonly {standalone}", typed="a.example.com, b.example.com\n"), start="account"
    ),
    case("asked-for-names-cancel", Line(text="certonly {standalone}", typed="c\n"), start="account"),
    case("asked-to-agree", Line(text="register -m me@example.com --no-eff-email", typed="y\n")),
    case("asked-to-agree-refused", Line(text="register -m me@example.com --no-eff-email", typed="n\n")),
    case("asked-authenticator-cancel", Line(text="certonly -d example.com", typed="c\n"), start="account"),
    case("asked-which-to-delete", Line(text="delete", typed="2\ny\n"), start="two"),
    case("asked-which-to-delete-cancel", Line(text="delete", typed="c\n"), start="two"),
    case(
        "asked-revoke-keep",
        Line(text="revoke --cert-name example.com", typed="n\n"),
        start="lineage",
        alone=True,
    ),
    case("asked-unregister", Line(text="unregister", typed="d\n"), start="account", alone=True),
    case("asked-unregister-abort", Line(text="unregister", typed="a\n"), start="account"),
    case("asked-account-cancel", Line(text="certonly {standalone} -d example.com", typed="c\n"), start="accounts"),
    case("asked-reconfigure-cancel", Line(text="reconfigure", typed="c\n"), start="two"),
)
