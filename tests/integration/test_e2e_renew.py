"""renew: what is due, in what order, with which hooks, and how it is told."""

import re
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.cli import KINDS, Acmectl
from tests.integration.hosts import noted, notes, script
from tests.integration.servers.pebble import Pebble, PebbleConfig, Profile
from tests.integration.servers.process import wait_until

# Long enough to be issued on a slow machine, short enough to be due soon: half of it is ten seconds.
BRIEF = 20


@pytest.fixture(scope="module")
def mortal_pebble():
    profiles = {"default": Profile(), "brief": Profile(validity=BRIEF)}
    with Pebble(PebbleConfig(profiles=profiles)) as server:
        yield server


@pytest.fixture
def mortal(mortal_pebble, tmp_path):
    with Acmectl(mortal_pebble, tmp_path) as program:
        yield program


@pytest.fixture(scope="module")
def aging(mortal_pebble, tmp_path_factory):
    """A brief certificate beside a lasting one, made early so that the other tests run while it ages."""
    with Acmectl(mortal_pebble, tmp_path_factory.mktemp("aging")) as program:
        program.certonly("brief.example", options=("--standalone", "--required-profile", "brief"))
        program.certonly("lasting.example", options=LASTING)
        yield program


LASTING = ("--standalone", "--required-profile", "default")


def issue_due(acmectl, *names, options=()):
    """Lineages that the next renew will find due."""
    for name in names:
        acmectl.certonly(name, options=(*LASTING, *options))
        path = acmectl.renewal_path(name)
        path.write_text("renew_before_expiry = 100 years\n" + path.read_text())


@pytest.mark.usefixtures("aging")
def test_what_is_due_is_renewed_and_what_is_not_is_skipped(mortal):
    issue_due(mortal, "due.example")
    mortal.certonly("fresh.example", options=LASTING)
    done = mortal.run("renew").ok()
    assert f"  {mortal.live('due.example', 'fullchain')} (success)" in done.out
    not_after = mortal.certificate("fresh.example").not_valid_after_utc
    path = mortal.live("fresh.example", "fullchain")
    assert f"  {path} expires on {not_after:%Y-%m-%d} (skipped)" in done.out
    assert (mortal.version("due.example"), mortal.version("fresh.example")) == (2, 1)


def test_nothing_due_means_no_hook_no_request_and_success(mortal_pebble, mortal):
    mortal.certonly("fresh.example", options=LASTING)
    log = mortal.folder / "log"
    before = [line for line in mortal_pebble.requests() if line.startswith("POST")]
    done = mortal.run("renew", "--pre-hook", f"echo pre >> {log}", "--post-hook", f"echo post >> {log}").ok()
    assert "No renewals were attempted." in done.out
    assert not log.exists()
    assert [line for line in mortal_pebble.requests() if line.startswith("POST")] == before


def test_without_certificates_renew_does_nothing_and_succeeds(mortal):
    assert "No renewals were attempted." in mortal.run("renew").ok().out
    missing = mortal.run("renew", "--cert-name", "none.example").failed()
    assert "none.example" in missing.err


def test_force_renews_all_and_cert_name_one(mortal):
    for name in ("a.example", "b.example"):
        mortal.certonly(name, options=LASTING)
    mortal.run("renew", "--force-renewal").ok()
    assert [mortal.version(name) for name in ("a.example", "b.example")] == [2, 2]
    mortal.run("renew", "--force-renewal", "--cert-name", "b.example").ok()
    assert [mortal.version(name) for name in ("a.example", "b.example")] == [2, 3]


def test_a_lineage_that_is_not_to_renew_itself_is_left_alone_unless_forced(mortal):
    issue_due(mortal, "manual.example", options=("--no-autorenew",))
    done = mortal.run("renew").ok()
    assert "(skipped)" in done.out
    assert mortal.version("manual.example") == 1
    mortal.run("renew", "--force-renewal").ok()
    assert mortal.version("manual.example") == 2


def test_broken_and_failing_lineages_do_not_stop_the_others(mortal):
    names = ("a-broken.example", "b-failing.example", "c-good.example", "d-empty.example")
    issue_due(mortal, *names, options=("--http-01-address", "127.0.0.1"))
    for version in (mortal.config / "archive" / "a-broken.example").glob("chain*.pem"):
        version.unlink()
    mortal.renewal_path("d-empty.example").write_text("")
    # Pebble may remember that it has validated a name, but never knows this profile.
    failing = mortal.renewal_path("b-failing.example")
    failing.write_text(re.sub(r"required_profile = .*", "required_profile = no-such", failing.read_text()))
    done = mortal.run("renew").failed()
    assert f"{mortal.renewal_path('a-broken.example')} (parsefail)" in done.out
    assert f"{mortal.live('b-failing.example', 'fullchain')} (failure)" in done.err
    assert f"{mortal.live('c-good.example', 'fullchain')} (success)" in done.out
    assert f"{mortal.renewal_path('d-empty.example')} (parsefail)" in done.out
    assert "1 renewal failure(s), 2 invalid renewal file(s)" in done.err
    assert mortal.version("c-good.example") == 2
    result = mortal.run("renew", "--json", "--dry-run", "--cert-name", "c-good.example").ok().json
    assert [one["outcome"] for one in result["lineages"]] == ["success"]


def test_each_hook_command_runs_once_and_deploy_once_per_lineage(mortal):
    issue_due(mortal, "a.example", "b.example")
    log = mortal.folder / "log"
    pre, post = script(mortal.folder / "pre", noted(log, "KIND")), script(mortal.folder / "post", noted(log, "KIND"))
    deploy = script(mortal.folder / "deploy", noted(log, "RENEWED_LINEAGE", "RENEWED_DOMAINS"))
    mortal.run(
        "renew",
        *("--pre-hook", f"KIND=pre {pre}", "--post-hook", f"KIND=post {post}", "--deploy-hook", deploy),
        "--disable-hook-validation",
    ).ok()
    rows = notes(log)
    assert (rows[0], rows[-1]) == ({"KIND": "pre"}, {"KIND": "post"})
    # Lineages are renewed beside each other, so either may be first.
    assert sorted(rows[1:-1], key=lambda row: row["RENEWED_DOMAINS"]) == [
        {"RENEWED_LINEAGE": str(mortal.config / "live" / name), "RENEWED_DOMAINS": name}
        for name in ("a.example", "b.example")
    ]
    # They were given to renew, and are stored for the lineages that were renewed.
    assert mortal.params("b.example")["renew_hook"] == deploy
    log.unlink()
    mortal.run("renew", "--force-renewal").ok()
    assert [row.get("KIND") for row in notes(log)] == ["pre", None, None, "post"]


def test_post_hooks_run_and_name_the_failures_when_every_renewal_failed(mortal_pebble, mortal):
    issue_due(mortal, "bad.example", options=("--http-01-address", "127.0.0.1"))
    log = mortal.folder / "log"
    post = script(mortal.folder / "post", noted(log, "RENEWED_DOMAINS", "FAILED_DOMAINS"))
    mortal_pebble.dns.add_a("bad.example", "127.0.0.9")

    def renew():
        log.unlink(missing_ok=True)
        return mortal.run("renew", "--post-hook", post)

    done = mortal_pebble.authorized_anew(renew).failed()
    mortal_pebble.dns.clear_a("bad.example")
    assert notes(log) == [{"RENEWED_DOMAINS": "", "FAILED_DOMAINS": "bad.example"}]
    assert "All renewals failed:" in done.err
    assert "(failure)" in done.err


def test_a_deploy_hook_that_fails_makes_the_run_fail_and_keeps_the_certificate(mortal):
    issue_due(mortal, "a.example")
    done = mortal.run("renew", "--deploy-hook", "exit 3", "--disable-hook-validation").failed()
    assert "exit status 3" in done.err
    assert mortal.version("a.example") == 2


def test_a_pre_hook_that_fails_stops_the_renewal_and_post_hooks_run(mortal_pebble, mortal):
    issue_due(mortal, "a.example")
    log = mortal.folder / "log"
    before = len(mortal_pebble.requests())
    done = mortal.run("renew", "--pre-hook", "false", "--post-hook", f"echo post >> {log}").failed()
    assert "pre-hook" in done.err
    assert log.read_text() == "post\n"
    assert not [line for line in mortal_pebble.requests()[before:] if line.endswith("/order-plz")]
    assert mortal.version("a.example") == 1


def test_renew_takes_no_names(mortal):
    assert len(mortal.run("renew", "-d", "a.example").failed().errors) == 1


def test_renewed_files_keep_what_a_person_wrote_into_the_renewal_file(mortal):
    mortal.certonly("a.example", options=LASTING)
    path = mortal.renewal_path("a.example")
    text = path.read_text()
    path.write_text(f"# mine\nrenew_before_expiry = 100 years\n{text}")
    path.chmod(0o640)
    # A hundred years before it expires is now.
    done = mortal.run("renew").ok()
    assert "(success)" in done.out
    renewed = path.read_text()
    assert renewed.startswith("# mine\nrenew_before_expiry = 100 years\n")
    assert mortal.renewal("a.example")["renew_before_expiry"] == "100 years"
    assert path.stat().st_mode & 0o777 == 0o640


def test_the_private_key_keeps_the_group_bits_that_somebody_gave_it(mortal):
    mortal.certonly("a.example", options=LASTING)
    (mortal.config / "archive" / "a.example" / "privkey1.pem").chmod(0o640)
    mortal.run("renew", "--force-renewal").ok()
    assert (mortal.config / "archive" / "a.example" / "privkey2.pem").stat().st_mode & 0o777 == 0o640


def test_only_the_newest_versions_stay_in_the_archive(mortal):
    mortal.certonly("a.example", options=LASTING)
    archive = mortal.config / "archive" / "a.example"
    for kind in KINDS:
        for number in range(2, 8):
            shutil.copy(archive / f"{kind}1.pem", archive / f"{kind}{number}.pem")
    mortal.run("renew", "--force-renewal").ok()
    assert {path.name for path in archive.glob("cert*.pem")} == {f"cert{number}.pem" for number in range(3, 9)}


def test_a_short_lived_certificate_is_due_when_half_of_its_life_is_over(aging):
    half = aging.certificate("brief.example").not_valid_before_utc + timedelta(seconds=BRIEF / 2)
    wait_until(lambda: datetime.now(UTC) > half, "half of the life of a brief certificate")
    done = aging.run("renew", "--json").ok().json
    outcomes = {one["name"]: one["outcome"] for one in done["lineages"]}
    assert outcomes == {"brief.example": "success", "lasting.example": "skipped"}
    assert aging.version("brief.example") == 2
