"""renew and reconfigure."""

from tests.integration.differential import steps
from tests.integration.differential.case import case
from tests.integration.differential.machine import Line

FORCED = "renew --force-renewal --no-random-sleep-on-renew"
DUE = "renew --no-random-sleep-on-renew"

RENEW = (
    case("renew-empty", "renew"),
    case("renew-nothing-due", "renew", start="two"),
    case("renew-stored-server", Line(text=f"{FORCED} --cert-name other.example.com", server=False), start="two"),
    case("renew-forced", FORCED, start="two"),
    case("renew-due", steps.due("example.com"), Line(text=DUE, server=False), start="two"),
    case("renew-by-name", f"{FORCED} --cert-name example.com", start="two"),
    case("renew-unknown-name", "renew --cert-name nowhere.example.com", start="lineage"),
    case("renew-names-refused", "renew -d example.com", start="lineage"),
    case("renew-quiet", Line(text=f"{FORCED} -q", server=False), start="lineage", both_streams=True),
    case("renew-webroot", Line(text=FORCED, web=True), start="webroot"),
    case("renew-fails", FORCED, start="webroot"),
    case(
        "renew-one-fails",
        steps.conf_line(
            "other.example.com", "authenticator = .*", "authenticator = webroot\nwebroot_path = {root}/nowhere,"
        ),
        FORCED,
        start="two",
    ),
    case("renew-fails-quiet", Line(text=f"{FORCED} -q", server=False), start="webroot", both_streams=True),
    case("renew-conf-empty", steps.emptied("config/renewal/example.com.conf"), FORCED, start="two"),
    case(
        "renew-conf-without-params",
        steps.written("config/renewal/broken.conf", "version = 5.8.0\n"),
        "renew",
        start="lineage",
    ),
    case("renew-link-broken", steps.removed("config/live/example.com/cert.pem"), "renew", start="two"),
    case("renew-link-is-file", steps.plain_copy_for_link("example.com", "privkey"), "renew", start="two"),
    case(
        "renew-no-authenticator",
        steps.conf_line("example.com", "authenticator = .*", "# gone"),
        FORCED,
        start="lineage",
    ),
    case(
        "renew-unknown-authenticator",
        steps.conf_line("example.com", "authenticator = .*", "authenticator = nginx"),
        FORCED,
        start="lineage",
    ),
    case(
        "renew-bad-boolean",
        steps.conf_line("other.example.com", "reuse_key = .*", "reuse_key = perhaps"),
        FORCED,
        start="two",
    ),
    case("renew-without-key-type", steps.conf_line("example.com", "key_type = .*", ""), FORCED, start="lineage"),
    case(
        "renew-removed-options",
        steps.conf_line(
            "example.com",
            "key_type = .*",
            "key_type = ecdsa\nmanual_public_ip_logging_ok = True\nos_packages_only = False\nunheard_of = 1",
        ),
        FORCED,
        start="lineage",
    ),
    case("renew-key-mode-kept", steps.mode("config/archive/example.com/privkey1.pem", 0o640), FORCED, start="lineage"),
    case("renew-key-type-changed", f"{FORCED} --key-type rsa", start="lineage"),
    case(
        "renew-hooks-changed",
        f"{FORCED} --cert-name example.com --deploy-hook 'echo $RENEWED_DOMAINS >> {{out}}/notes'"
        " --pre-hook 'echo pre >> {out}/notes'",
        "renew",
        start="two",
    ),
    case(
        "renew-hooks-once",
        steps.hook("pre"),
        steps.hook("post"),
        steps.hook("deploy"),
        f"{FORCED} --pre-hook 'echo pre >> {{out}}/notes' --post-hook 'echo post >> {{out}}/notes'",
        start="two",
    ),
    case("renew-hooks-not-due", steps.hook("pre"), "renew --post-hook 'echo post >> {out}/notes'", start="lineage"),
    case("renew-dry-run", f"{DUE} --dry-run", start="two"),
    case("renew-dry-run-hooks", steps.hook("deploy"), f"{DUE} --dry-run --run-deploy-hooks", start="lineage"),
    case(
        "renew-no-autorenew",
        steps.conf_line("example.com", "key_type = .*", "key_type = ecdsa\nautorenew = False"),
        steps.due("example.com"),
        "renew",
        start="lineage",
    ),
    case("renew-interrupted", steps.previous_links("example.com"), FORCED, start="lineage"),
    case("renew-many-versions", *([FORCED] * 7), start="lineage"),
    case(
        "renew-pending-version",
        steps.saved_and_not_live("example.com"),
        "renew",
        start="lineage",
    ),
    case(
        "renew-ini-false",
        steps.written("home/cli.ini", "reuse-key = false\n"),
        f"{FORCED} -c {{home}}/cli.ini --cert-name other.example.com",
        start="two",
    ),
    case("renew-webroot-given", Line(text=f"{FORCED} --webroot -w {{webroot}}", web=True), start="lineage"),
    case(
        "renew-quiet-broken",
        steps.emptied("config/renewal/example.com.conf"),
        Line(text="renew -q", server=False),
        start="two",
        both_streams=True,
    ),
    case(
        "renew-manual",
        Line(text="certonly --manual -d example.com", typed="\n"),
        FORCED,
        start="account",
        trusting=True,
    ),
    # reconfigure
    case("reconfigure-nothing", "reconfigure -n --cert-name example.com", start="lineage"),
    case("reconfigure-hook", "reconfigure -n --cert-name example.com --deploy-hook 'echo x'", start="lineage"),
    case(
        "reconfigure-webroot",
        Line(text="reconfigure -n --cert-name example.com --webroot -w {webroot}", web=True),
        start="lineage",
    ),
    case("reconfigure-fails", "reconfigure -n --cert-name example.com --webroot -w {webroot}", start="lineage"),
    case("reconfigure-names-refused", "reconfigure -n --cert-name example.com -d new.example.com", start="lineage"),
    case(
        "reconfigure-server-refused",
        Line(text="reconfigure -n --cert-name example.com --server https://127.0.0.1:1/dir", server=False),
        start="lineage",
    ),
    case("reconfigure-account-refused", "reconfigure -n --cert-name example.com --account 0123", start="lineage"),
    case("reconfigure-unknown", "reconfigure -n --cert-name nowhere.example.com", start="lineage"),
    case("reconfigure-unnamed", "reconfigure -n", start="lineage"),
    case("reconfigure-no-autorenew", "reconfigure -n --cert-name example.com --no-autorenew", start="lineage"),
    case("reconfigure-key", "reconfigure -n --cert-name example.com --key-type rsa --reuse-key", start="lineage"),
)
