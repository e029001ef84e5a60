"""Certificates asked for: names, keys, authenticators, hooks, requests, and what is there already."""

from tests.integration.differential import steps
from tests.integration.differential.case import case
from tests.integration.differential.machine import Line

TWO = "-d example.com -d www.example.com"

ISSUE = (
    # Verbs and where they stand.
    case("first-run", "certonly -n {standalone} --agree-tos -m me@example.com -d example.com"),
    case("first-run-without-address", "certonly -n {standalone} --agree-tos -d example.com"),
    case("terms-not-agreed", "certonly -n {standalone} -d example.com"),
    case("verb-auth", "auth -n {standalone} -d example.com", start="account"),
    case("verb-in-the-middle", "-n {standalone} certonly -d example.com", start="account"),
    case("run-null-installer", "run -n -a standalone -i null --http-01-port {port} -d example.com", start="account"),
    case("everything-null-installer", "everything -n {standalone} --installer null -d example.com", start="account"),
    case("no-verb", "-n {standalone} -i null -d example.com", start="account"),
    case("run-without-installer", "run -n {standalone} -d example.com", start="account"),
    case("install-null", "install -n -i null --cert-name example.com", start="lineage"),
    case("install-without-installer", "install -n --cert-name example.com", start="lineage"),
    case("enhance", "enhance -n --cert-name example.com --redirect", start="lineage"),
    case("rollback", "rollback -n", start="lineage"),
    case(
        "nginx-not-there", "certonly -n --nginx -d example.com", "certonly -n --apache -d example.com", start="account"
    ),
    case("no-authenticator", "certonly -n -d example.com", start="account"),
    case("two-authenticators", "certonly -n {standalone} --webroot -w {webroot} -d example.com", start="account"),
    case("unknown-authenticator", "certonly -n -a carrier-pigeon -d example.com", start="account"),
    # Names.
    case("no-names", "certonly -n {standalone}", start="account"),
    case("names-tidied", "certonly -n {standalone} -d WWW.Example.com.,example.com -d example.com", start="account"),
    case("name-with-http", "certonly -n {standalone} -d http://example.com", start="account"),
    case("name-is-address", "certonly -n {standalone} -d 127.0.0.1", start="account"),
    case("name-too-long", f"certonly -n {{standalone}} -d {'a' * 64}.example.com", start="account"),
    case("name-much-too-long", f"certonly -n {{standalone}} -d {'a.' * 130}com", start="account"),
    case("name-with-underscore", "certonly -n {standalone} -d a_b.example.com", start="account"),
    case("name-not-ascii", "certonly -n {standalone} -d münchen.example", start="account"),
    case("ip-address", "certonly -n {standalone} --ip-address 127.0.0.1 -d example.com", start="account"),
    case("ip-address-alone", "certonly -n {standalone} --ip-address 127.0.0.1", start="account"),
    case("ip-address-bad", "certonly -n {standalone} --ip-address 127.0.0.300", start="account"),
    case("wildcard-by-http", "certonly -n {standalone} -d *.example.com", start="account"),
    case("cert-name", f"certonly -n {{standalone}} {TWO} --cert-name mine", start="account"),
    case("cert-name-with-slash", "certonly -n {standalone} -d example.com --cert-name a/b", start="account"),
    case("no-autorenew", "certonly -n {standalone} -d example.com --no-autorenew", "renew", start="account"),
    # Keys.
    case("key-rsa", "certonly -n {standalone} -d example.com --key-type rsa --rsa-key-size 3072", start="account"),
    case("key-rsa-default", "certonly -n {standalone} -d example.com --key-type rsa", start="account"),
    case(
        "key-rsa-small", "certonly -n {standalone} -d example.com --key-type rsa --rsa-key-size 1024", start="account"
    ),
    case("key-curve", "certonly -n {standalone} -d example.com --elliptic-curve secp384r1", start="account"),
    case("must-staple", "certonly -n {standalone} -d example.com --must-staple", start="account"),
    case(
        "reuse-key",
        "certonly -n {standalone} -d example.com --reuse-key",
        "renew --force-renewal --no-random-sleep-on-renew",
        "renew --force-renewal --no-random-sleep-on-renew --new-key",
        start="account",
    ),
    case(
        "stored-flags",
        "certonly -n {standalone} -d example.com --preferred-challenges http,dns --preferred-chain X"
        " --allow-subset-of-names --user-agent me/1 --http-01-address 127.0.0.1 --preferred-profile other",
        start="account",
    ),
    # Existing certificates: section 9 of the facts, under -n.
    case("same-kept", f"certonly -n {{standalone}} {TWO}", start="lineage"),
    case("same-keep", "certonly -n {standalone} --keep -d www.example.com -d example.com", start="lineage"),
    case("same-forced", f"certonly -n {{standalone}} --force-renewal {TWO}", start="lineage"),
    case("same-by-cert-name", "certonly -n {standalone} --cert-name example.com", start="lineage"),
    case("same-by-cert-name-forced", "certonly -n {standalone} --cert-name example.com --force-renewal", start="two"),
    case("superset-refused", f"certonly -n {{standalone}} {TWO} -d new.example.com", start="lineage"),
    case("superset-expanded", f"certonly -n {{standalone}} --expand {TWO} -d new.example.com", start="lineage"),
    case("superset-forced", f"certonly -n {{standalone}} --force-renewal {TWO} -d new.example.com", start="lineage"),
    case("subset-is-new", "certonly -n {standalone} -d example.com", start="lineage"),
    case("overlap-is-new", "certonly -n {standalone} -d example.com -d new.example.com", start="lineage"),
    case("different-is-new", "certonly -n {standalone} -d new.example.com", start="lineage"),
    case("duplicate", f"certonly -n {{standalone}} --duplicate {TWO}", start="lineage"),
    case(
        "duplicate-by-cert-name",
        f"certonly -n {{standalone}} --duplicate --cert-name example.com {TWO}",
        start="lineage",
    ),
    case(
        "names-changed-by-cert-name",
        "certonly -n {standalone} --cert-name example.com -d example.com -d new.example.com",
        start="lineage",
    ),
    case(
        "names-changed-with-new-domains",
        "certonly -n {standalone} --cert-name example.com --renew-with-new-domains -d new.example.com",
        start="lineage",
    ),
    case("unknown-cert-name-without-names", "certonly -n {standalone} --cert-name other.example.com", start="lineage"),
    case("options-kept", "certonly -n {standalone} --cert-name other.example.com --force-renewal", start="two"),
    case(
        "type-kept-size-given",
        "certonly -n {standalone} --cert-name other.example.com --force-renewal --rsa-key-size 4096",
        start="two",
    ),
    case(
        "type-changed",
        "certonly -n {standalone} --cert-name other.example.com --force-renewal --key-type ecdsa",
        start="two",
    ),
    case("type-changed-by-names", f"certonly -n {{standalone}} {TWO} --force-renewal --key-type rsa", start="lineage"),
    case(
        "pending-version-kept",
        steps.saved_and_not_live("example.com"),
        f"certonly -n {{standalone}} {TWO}",
        start="lineage",
    ),
    case(
        "directory-in-the-way",
        steps.folder("config/archive/example.com/something"),
        "certonly -n {standalone} -d example.com",
        start="account",
    ),
    # Trials.
    case("dry-run-new", "certonly -n {standalone} --dry-run -d example.com", start="account"),
    case("dry-run-existing", f"certonly -n {{standalone}} --dry-run {TWO}", start="lineage"),
    case("dry-run-without-account", "certonly -n {standalone} --dry-run -d example.com"),
    case("test-cert-conflict", "certonly -n {standalone} --test-cert -d example.com", start="account"),
    case("challenge-fails", "certonly -n --standalone --http-01-port 1 -d example.com", start="account"),
    case("webroot-fails", "certonly -n --webroot -w {webroot} -d example.com -d www.example.com", start="account"),
    case(
        "challenge-not-supported", "certonly -n {standalone} --preferred-challenges dns -d example.com", start="account"
    ),
    case(
        "relative-directories",
        Line(
            text="certonly -n {standalone} -d example.com --config-dir ../config --work-dir ../work --logs-dir ../logs",
            directories=False,
        ),
        start="account",
    ),
    case(
        "verbose", "certonly -n {standalone} -d example.com -vv --max-log-backups 0", start="account", both_streams=True
    ),
    # Webroots.
    case(
        "subset-allowed",
        Line(
            text="certonly -n --allow-subset-of-names --webroot"
            ' --webroot-map \'{"example.com": "{webroot}", "www.example.com": "{cwd}"}\'',
            web=True,
        ),
        start="account",
    ),
    case("subset-with-wildcard", "certonly -n --allow-subset-of-names {standalone} -d *.example.com", start="account"),
    case(
        "webroot-used-already",
        steps.written("webroot/.well-known/acme-challenge/other", "another client's"),
        Line(text="certonly -n --webroot -w {webroot} -d example.com", web=True),
        start="account",
    ),
    case("webroot-missing", "certonly -n --webroot -d example.com", start="account"),
    case("webroot-no-folder", "certonly -n --webroot -w {root}/nowhere -d example.com", start="account"),
    case(
        "webroot-two-folders",
        Line(
            text="certonly -n --webroot -w {webroot}/ -d example.com -w {webroot}/../webroot -d www.example.com",
            web=True,
        ),
        start="account",
    ),
    case(
        "webroot-two-places",
        Line(text="ln -s webroot {root}/second", shell=True),
        Line(text="certonly -n --webroot -w {webroot} -d example.com -w {root}/second -d www.example.com", web=True),
        Line(text="renew --force-renewal --no-random-sleep-on-renew", web=True),
        start="account",
    ),
    case(
        "webroot-name-first",
        Line(text="certonly -n --webroot -d example.com -w {webroot} -d www.example.com", web=True),
        start="account",
    ),
    case(
        "webroot-name-before-two",
        "certonly -n --webroot -d example.com -w {webroot} -d www.example.com -w {cwd} -d b.example.com",
        start="account",
    ),
    case(
        "webroot-map",
        Line(
            text='certonly -n --webroot --webroot-map \'{"example.com,www.example.com": "{webroot}"}\'',
            web=True,
        ),
        start="account",
    ),
    case("webroot-map-no-json", "certonly -n --webroot --webroot-map nonsense", start="account"),
    # Hooks.
    case(
        "hooks",
        "certonly -n {standalone} -d example.com --pre-hook 'echo pre >> {out}/notes'"
        " --post-hook 'echo post >> {out}/notes' --deploy-hook 'echo $RENEWED_DOMAINS >> {out}/notes'",
        start="account",
    ),
    case(
        "hooks-in-folders",
        steps.hook("pre", "b"),
        steps.hook("pre", "a"),
        steps.hook("pre", "a~"),
        steps.hook("deploy", "off", executable=False),
        steps.hook("deploy"),
        steps.hook("post"),
        "certonly -n {standalone} -d example.com",
        start="account",
    ),
    case(
        "hooks-in-folders-off",
        steps.hook("pre"),
        steps.hook("deploy"),
        steps.hook("post"),
        "certonly -n {standalone} -d example.com --no-directory-hooks",
        start="account",
    ),
    case("hook-not-found", "certonly -n {standalone} -d example.com --pre-hook /nowhere/hook", start="account"),
    case(
        "hook-not-validated",
        "certonly -n {standalone} -d example.com --deploy-hook 'nosuchvariable=1 true' --disable-hook-validation",
        start="account",
    ),
    case(
        "hook-fails",
        "certonly -n {standalone} -d example.com --deploy-hook false",
        start="account",
    ),
    case(
        "manual-hooks",
        steps.script("home/auth", "auth"),
        Line(
            text="certonly -n --manual --preferred-challenges http --manual-auth-hook {home}/auth"
            " --manual-cleanup-hook 'echo $CERTBOT_DOMAIN >> {out}/notes' -d example.com"
        ),
        start="account",
        trusting=True,
    ),
    case("manual-without-hooks", "certonly -n --manual -d example.com", start="account"),
    # Requests made elsewhere.
    case(
        "csr",
        steps.request("cwd/a.csr", "example.com", "www.example.com"),
        "certonly -n {standalone} --csr a.csr",
        start="account",
    ),
    case(
        "csr-twice",
        steps.request("cwd/a.csr", "example.com"),
        "certonly -n {standalone} --csr a.csr",
        "certonly -n {standalone} --csr a.csr",
        start="account",
    ),
    case(
        "csr-der",
        steps.request("cwd/a.csr", "example.com", der=True),
        "certonly -n {standalone} --csr a.csr --cert-path c.pem --chain-path d/ch.pem --fullchain-path f.pem",
        start="account",
    ),
    case(
        "csr-other-name",
        steps.request("cwd/a.csr", "example.com"),
        "certonly -n {standalone} --csr a.csr -d other.example.com",
        start="account",
    ),
    case(
        "csr-dry-run",
        steps.request("cwd/a.csr", "example.com"),
        "certonly -n {standalone} --csr a.csr --dry-run",
        start="account",
    ),
    case("csr-no-file", "certonly -n {standalone} --csr nowhere.csr", start="account"),
    case(
        "csr-no-request",
        steps.written("cwd/a.csr", "nonsense\n"),
        "certonly -n {standalone} --csr a.csr",
        start="account",
    ),
    case("csr-renew", steps.request("cwd/a.csr", "example.com"), "renew --csr a.csr", start="lineage"),
    case(
        "csr-run", steps.request("cwd/a.csr", "example.com"), "run -n {standalone} -i null --csr a.csr", start="account"
    ),
    case("run-dry-run", "run -n {standalone} -i null --dry-run -d example.com", start="account"),
    # Several CAs; nothing listens at port 1.
    case(
        "servers-last-gone",
        Line(
            text="certonly -n {standalone} -d example.com --server {server} --server https://localhost:1/dir",
            server=False,
        ),
        start="account",
    ),
    case(
        "servers-first-gone",
        "certonly -n {standalone} -d example.com --server https://localhost:1/dir",
        Line(text="renew --force-renewal --no-random-sleep-on-renew", server=False),
        start="account",
    ),
    # Modes and streams.
    case("umask-077", Line(text="certonly -n {standalone} -d example.com --agree-tos", umask=0o077)),
    case(
        "umask-027-renewed",
        Line(text=f"certonly -n {{standalone}} --force-renewal {TWO}", umask=0o027),
        start="lineage",
    ),
    case("quiet", "certonly -q {standalone} -d example.com", start="account", both_streams=True),
)
