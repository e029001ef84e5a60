"""dns-route53 by the real SDK against moto: what it leaves at Route 53, and what it says when something is wrong."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from acmectl.errors import Interrupted, PluginError
from acmectl.plugin.api import DnsSettings
from acmectl.plugin.dns import TxtRecord
from acmectl.plugin.testing import make_context
from acmectl.plugin.testing_dns import DnsProviderContract
from acmectl_plugins import dns_route53
from acmectl_plugins.dns_route53 import Route53
from acmectl_plugins.record_sets import unquoted
from tests.integration.servers.in_front import InFront, Said
from tests.integration.servers.moto import Moto

A, B, OTHERS = "a" * 43, "b" * 43, "put here by somebody else"
NAME = "_acme-challenge.example.org"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@pytest.fixture(scope="module")
def moto() -> Iterator[Moto]:
    with Moto() as server:
        yield server


@pytest.fixture(autouse=True)
def _as_the_sdk_finds_it(moto: Moto, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    moto.clear()
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in moto.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.fixture
def front(moto: Moto, monkeypatch: pytest.MonkeyPatch) -> Iterator[InFront]:
    with InFront(moto.port) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_ROUTE_53", server.url)
        yield server


class Sleepless:
    """A clock for which sleeping takes no time. ``on_sleep`` is what happens meanwhile."""

    def __init__(self, clock) -> None:
        self._clock, self.slept, self.on_sleep = clock, [], lambda: None

    def now(self):
        return self._clock.now()

    def monotonic(self):
        return sum(self.slept)

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.on_sleep()


class Run:
    """A provider, and what it said."""

    def __init__(self, *, options=None, **settings) -> None:
        self.warnings: list[str] = []
        context = make_context(warn=self.warnings.append)
        self.clock = Sleepless(context.clock)
        self.told: list[str] = []
        self.context = replace(
            context,
            clock=self.clock,
            dns=DnsSettings(**settings),
            progress=lambda what, seconds: self.told.append(what),
        )
        self.provider = Route53(options or {}, {}, self.context)

    def add(self, *records: tuple[str, str], zone: str = "example.org") -> None:
        for name, value in records:
            self.provider.add(TxtRecord(name=name, value=value, zone=zone, ttl=self.provider.ttl))
        self.provider.commit()

    def remove(self, *records: tuple[str, str], zone: str = "example.org") -> None:
        for name, value in records:
            self.provider.remove(TxtRecord(name=name, value=value, zone=zone))
        self.provider.commit()


def refusal(action) -> PluginError:
    with pytest.raises(PluginError) as caught:
        action()
    error = caught.value
    for text in (error.message, error.hint or ""):
        assert "\n" not in text
        assert SECRET not in text
    return error


def error_answer(code: str, message: str = "No.", status: int = 400) -> Said:
    text = (
        '<?xml version="1.0"?><ErrorResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Error>'
        f"<Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        "<RequestId>1</RequestId></ErrorResponse>"
    )
    return Said(status, text.encode())


def change_info(status: str) -> Said:
    text = (
        '<?xml version="1.0"?><GetChangeResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ChangeInfo>'
        f"<Id>/change/C1</Id><Status>{status}</Status><SubmittedAt>2026-01-01T00:00:00Z</SubmittedAt>"
        "</ChangeInfo></GetChangeResponse>"
    )
    return Said(200, text.encode())


def pending_for(rounds: float):
    left = [rounds]

    def instead(method: str, path: str, body: bytes) -> Said | None:
        if "/change/" not in path:
            return None
        left[0] -= 1
        return change_info("PENDING" if left[0] >= 0 else "INSYNC")

    return instead


def test_a_value_comes_and_goes(moto):
    zone, run = moto.zone("example.org"), Run()
    run.add((NAME, A))
    assert moto.records(zone) == {(NAME, "TXT"): (10, [f'"{A}"'])}
    run.remove((NAME, A))
    assert moto.records(zone) == {}
    run.remove((NAME, A))
    assert moto.records(zone) == {}
    assert run.warnings == []


def test_two_values_under_one_name_go_one_by_one(moto):
    zone, run = moto.zone("example.org"), Run()
    run.add((NAME, A), (NAME, B))
    assert moto.records(zone) == {(NAME, "TXT"): (10, [f'"{A}"', f'"{B}"'])}
    run.remove((NAME, A))
    assert moto.records(zone) == {(NAME, "TXT"): (10, [f'"{B}"'])}
    run.remove((NAME, B))
    assert moto.records(zone) == {}


def test_what_others_put_there_stays_with_its_ttl(moto):
    zone, run = moto.zone("example.org"), Run()
    moto.put(zone, "TXT", [f'"{OTHERS}"', '"in two" "strings"'], NAME, ttl=3600)
    before = moto.records(zone)
    run.add((NAME, A))
    assert moto.records(zone) == {(NAME, "TXT"): (3600, [f'"{OTHERS}"', '"in two" "strings"', f'"{A}"'])}
    run.remove((NAME, A))
    assert moto.records(zone) == before


def test_another_run_removes_what_this_one_left(moto):
    zone = moto.zone("example.org")
    Run().add((NAME, A), (NAME, B))
    Run().remove((NAME, A), (NAME, B))
    assert moto.records(zone) == {}


def test_adding_what_is_there_sends_no_change(moto, front):
    moto.zone("example.org")
    Run().add((NAME, A))
    front.seen.clear()
    Run().add((NAME, A))
    assert not [request for request in front.seen if request.startswith("POST")]


def test_two_zones_get_what_is_theirs(moto):
    outer, inner, run = moto.zone("example.org"), moto.zone("sub.example.org"), Run()
    assert run.provider.find_zone("_acme-challenge.www.example.org") == "example.org"
    assert run.provider.find_zone("_acme-challenge.www.sub.example.org") == "sub.example.org"
    assert run.provider.find_zone("_acme-challenge.sub.example.org") == "sub.example.org"
    run.provider.add(TxtRecord(name="_acme-challenge.example.org", value=A, zone="example.org", ttl=10))
    run.provider.add(TxtRecord(name="_acme-challenge.sub.example.org", value=B, zone="sub.example.org", ttl=10))
    run.provider.commit()
    assert moto.records(outer) == {("_acme-challenge.example.org", "TXT"): (10, [f'"{A}"'])}
    assert moto.records(inner) == {("_acme-challenge.sub.example.org", "TXT"): (10, [f'"{B}"'])}


def test_private_zones_are_left_alone(moto):
    private, public, run = moto.zone("example.org", private=True), moto.zone("example.org"), Run()
    moto.zone("inside.example.org", private=True)
    assert run.provider.find_zone("_acme-challenge.a.inside.example.org") == "example.org"
    run.add((NAME, A))
    assert moto.records(private) == {}
    assert moto.records(public) == {(NAME, "TXT"): (10, [f'"{A}"'])}


def test_a_hundred_zones_take_more_than_one_page(moto, front):
    for number in range(101):
        moto.zone(f"z{number}.test")
    run = Run()
    assert {run.provider.find_zone(f"_acme-challenge.z{number}.test") for number in range(101)} == {
        f"z{number}.test" for number in range(101)
    }
    assert len(front.seen) == 2  # and never asked again


def test_a_hundred_names_are_one_batch(moto, front):
    zone, run = moto.zone("example.org"), Run()
    names = [f"_acme-challenge.n{number}.example.org" for number in range(100)]
    run.add(*((name, A) for name in names))
    assert moto.records(zone) == {(name, "TXT"): (10, [f'"{A}"']) for name in names}
    assert len([request for request in front.seen if request.startswith("POST")]) == 1
    run.remove(*((name, A) for name in names))
    assert moto.records(zone) == {}
    assert len([request for request in front.seen if request.startswith("POST")]) == 2


def test_more_than_a_batch_may_hold_goes_in_several(moto, front):
    zone, run = moto.zone("example.org"), Run()
    names = [f"_acme-challenge.n{number}.example.org" for number in range(450)]
    run.add(*((name, A) for name in names))
    assert len(moto.records(zone)) == 450
    assert len([request for request in front.seen if request.startswith("POST")]) == 2


def test_names_are_found_in_a_zone_of_many_pages(moto):
    zone = moto.zone("example.org")
    run = Run()
    names = [f"_acme-challenge.{label}.example.org" for label in ("a", "a-b", "a0", "*x", "zz", "m.a-b", "m.a")]
    moto.put(zone, "TXT", [f'"{OTHERS}"'], *names)
    for first in (0, 350):  # a batch holds no more
        moto.put(zone, "A", ["192.0.2.1"], *(f"h{number}.example.org" for number in range(first, first + 350)))
    run.add(*((name, A) for name in names))
    found = moto.records(zone)
    assert {name: found[name, "TXT"][1] for name in names} == {name: [f'"{OTHERS}"', f'"{A}"'] for name in names}


def test_it_waits_until_every_server_has_it(moto, front):
    moto.zone("example.org")
    front.instead = pending_for(3)
    run = Run()
    run.add((NAME, A))
    assert len(run.clock.slept) == 3
    assert run.told == ["Route 53 to tell its name servers"] * 3
    assert len([request for request in front.seen if "/change/" in request]) == 4
    assert run.warnings == []


def test_removing_waits_for_nobody(moto, front):
    moto.zone("example.org")
    run = Run()
    run.add((NAME, A))
    front.seen.clear()
    run.remove((NAME, A))
    assert not [request for request in front.seen if "/change/" in request]


@pytest.mark.parametrize(("settings", "seconds"), [({"timeout": 30.0}, 30), ({"fixed": 7.0}, 7)])
def test_it_goes_on_after_a_while(moto, front, settings, seconds):
    zone = moto.zone("example.org")
    front.instead = pending_for(1e9)
    run = Run(**settings)
    run.add((NAME, A))
    assert sum(run.clock.slept) == pytest.approx(seconds)
    assert moto.records(zone)
    assert len(run.warnings) == 1
    assert "--dns-propagation-timeout" in run.warnings[0]


def test_a_signal_ends_the_wait(moto, front):
    moto.zone("example.org")
    front.instead = pending_for(1e9)
    run = Run()
    run.clock.on_sleep = lambda: (run.context.interrupts.request(15), run.context.interrupts.check())
    with pytest.raises(Interrupted):
        run.add((NAME, A))


def test_a_role_that_may_not_ask_for_changes_is_told_so(moto, front):
    zone = moto.zone("example.org")
    front.instead = lambda method, path, body: error_answer("AccessDenied", status=403) if "/change/" in path else None
    run = Run()
    run.add((NAME, A))
    assert moto.records(zone)
    assert "route53:GetChange" in run.warnings[0]


def test_values_that_another_program_overwrote_are_put_back(moto, front):
    zone = moto.zone("example.org")
    overwritten = []

    def after(method: str, path: str, body: bytes) -> None:
        if method == "POST" and not overwritten:
            overwritten.append(True)
            moto.put(zone, "TXT", [f'"{OTHERS}"'], NAME, ttl=10)

    front.after = after
    run = Run()
    run.add((NAME, A))
    assert overwritten
    assert moto.records(zone) == {(NAME, "TXT"): (10, [f'"{OTHERS}"', f'"{A}"'])}


def test_values_that_change_under_its_hands_are_read_again(moto, front):
    """Another program adds a value between our look and our removal; the batch is refused, and made anew."""
    zone = moto.zone("example.org")
    run = Run()
    run.add((NAME, A))
    looked = []

    def after(method: str, path: str, body: bytes) -> None:
        if "/rrset?" in path and not looked:
            looked.append(True)
            moto.put(zone, "TXT", [f'"{A}"', f'"{OTHERS}"'], NAME, ttl=10)

    def instead(method: str, path: str, body: bytes) -> Said | None:
        # moto compares a deletion with what was ever there; Route 53 with what is there now.
        if method == "POST" and b"<Action>DELETE</Action>" in body and len(moto.records(zone)[NAME, "TXT"][1]) == 2:
            return error_answer("InvalidChangeBatch", "the values provided do not match the current values")
        return None

    front.after, front.instead = after, instead
    run.remove((NAME, A))
    assert looked
    assert moto.records(zone) == {(NAME, "TXT"): (10, [f'"{OTHERS}"'])}


def test_a_batch_that_is_refused_for_good_says_why(moto, front):
    moto.zone("example.org")
    why = "RRSet of type TXT with DNS name x. conflicts with a CNAME"
    front.instead = lambda method, path, body: error_answer("InvalidChangeBatch", why) if method == "POST" else None
    error = refusal(lambda: Run().add((NAME, A)))
    assert why in error.message
    assert len([request for request in front.seen if request.startswith("POST")]) == 2


def test_no_zone(moto):
    moto.zone("example.org")
    error = refusal(lambda: Run().provider.find_zone("_acme-challenge.example.net"))
    assert "no public zone for _acme-challenge.example.net" in error.message
    assert "example.org" in error.hint


def test_two_zones_of_one_name(moto):
    keys = [moto.zone("example.org"), moto.zone("example.org")]
    error = refusal(lambda: Run().provider.find_zone(NAME))
    assert "2 public zones are called example.org" in error.message
    assert all(key in error.message for key in keys)


def test_a_zone_that_is_gone_meanwhile(moto):
    zone, run = moto.zone("example.org"), Run()
    assert run.provider.find_zone(NAME) == "example.org"
    moto.client.delete_hosted_zone(Id=zone)
    error = refusal(lambda: run.add((NAME, A)))
    assert f"no longer the zone example.org ({zone})" in error.message


def test_one_zone_that_fails_does_not_keep_the_others_from_their_records(moto):
    zone, run = moto.zone("example.org"), Run()
    run.provider.add(TxtRecord(name="_acme-challenge.gone.test", value=A, zone="gone.test"))
    run.provider.add(TxtRecord(name=NAME, value=A, zone="example.org"))
    assert "gone.test" in refusal(run.provider.commit).message
    assert list(moto.records(zone)) == [(NAME, "TXT")]
    run.remove((NAME, A))  # what failed is not tried again
    assert moto.records(zone) == {}


def test_no_credentials(monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    run = Run()
    run.provider.check()
    assert refusal(lambda: run.provider.find_zone(NAME)).message == "There are no AWS credentials."


def test_half_of_the_credentials(monkeypatch):
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "incomplete" in refusal(lambda: Run().provider.find_zone(NAME)).message


def test_a_profile_that_does_not_exist_is_known_before_the_order(monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nope")
    assert "nope" in refusal(lambda: Run().provider.check()).message


def key_pair(path, key: str) -> str:
    path.touch(mode=0o600)
    path.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {SECRET}\n")
    return str(path)


def test_named_credentials_beat_what_the_sdk_finds(moto, front, tmp_path):
    """Two accounts in one certificate: each provider signs by its own file and not by the environment."""
    moto.zone("example.org")
    role = "role_arn = arn:aws:iam::1:role/web\nsource_profile = default\n"
    (tmp_path / "config").write_text(f"[default]\n{role}")
    key_pair(tmp_path / "credentials", "AKIAELSE")
    used = []

    def instead(method: str, path: str, body: bytes) -> Said | None:
        used.append(re.search("Credential=([^/]*)/", front.headers["Authorization"])[1])
        return None

    front.instead = instead
    for name in ("AKIAWORK", "AKIAHOME"):
        run = Run(options={"credentials": key_pair(tmp_path / name, name)})
        run.provider.check()
        run.provider.find_zone(NAME)
    (tmp_path / "config").unlink()
    Run().provider.find_zone(NAME)
    assert used == ["AKIAWORK", "AKIAHOME", "AKIAIOSFODNN7EXAMPLE"]


def test_a_credentials_file_that_cannot_be_used_is_known_before_the_order(tmp_path):
    path = tmp_path / "aws"
    assert "cannot be read" in refusal(lambda: Run(options={"credentials": str(path)}).provider.check()).message
    key_pair(path, "AKIAWORK")
    path.chmod(0o644)
    assert "mode 0644" in refusal(lambda: Run(options={"credentials": str(path)}).provider.check()).message
    path.chmod(0o600)
    path.write_text("[work]\naws_access_key_id = x\n")
    assert "[default]" in refusal(lambda: Run(options={"credentials": str(path)}).provider.check()).message
    path.write_text("nonsense")
    assert str(path) in refusal(lambda: Run(options={"credentials": str(path)}).provider.check()).message


def test_a_program_of_the_users_that_gives_no_credentials(monkeypatch, tmp_path):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "config").write_text(f'[default]\ncredential_process = sh -c "echo {SECRET} >&2; exit 1"\n')
    assert "could not be fetched" in refusal(lambda: Run().provider.find_zone(NAME)).message


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("ExpiredToken", "have expired"),
        ("InvalidClientTokenId", "does not accept the credentials (InvalidClientTokenId)"),
        ("SignatureDoesNotMatch", "does not accept the credentials (SignatureDoesNotMatch)"),
        ("AccessDenied", "does not allow arn:aws:iam::1:user/web to do route53:ListHostedZones in the account"),
        ("SomethingNew", "SomethingNew: User"),
    ],
)
def test_what_aws_refuses(front, code, expected):
    said = f"User: arn:aws:iam::1:user/web is not authorized\nto perform: \x1b[31m{'x' * 1000}"
    front.instead = lambda method, path, body: error_answer(code, said.replace("\x1b", "&#155;"), 403)
    error = refusal(lambda: Run().provider.find_zone(NAME))
    assert expected in error.message
    assert len(error.message) < 600
    assert error.message.isprintable()


def test_a_zone_that_may_not_be_changed(moto, front):
    zone = moto.zone("example.org")
    said = "User: arn:aws:iam::1:user/web is not authorized to perform: x"
    front.instead = lambda method, path, body: error_answer("AccessDenied", said, 403) if method == "POST" else None
    error = refusal(lambda: Run().add((NAME, A)))
    assert "route53:ChangeResourceRecordSets" in error.message
    assert f"the zone example.org ({zone})" in error.message
    assert "policy" in error.hint


def may_not_read(method: str, path: str, body: bytes) -> Said | None:
    """certbot's documentation has a policy without route53:ListResourceRecordSets."""
    return error_answer("AccessDenied", "No.", 403) if method == "GET" and "/rrset" in path else None


def test_a_policy_made_for_certbot_works_as_with_certbot(moto, front):
    zone, other = moto.zone("example.org"), "_acme-challenge.www.example.org"
    moto.put(zone, "TXT", [f'"{OTHERS}"'], NAME, ttl=10)
    front.instead = may_not_read
    run = Run()
    run.add((NAME, A), (NAME, B), (other, A))
    assert moto.records(zone) == {(NAME, "TXT"): (10, [f'"{A}"', f'"{B}"']), (other, "TXT"): (10, [f'"{A}"'])}
    assert len(run.warnings) == 1
    assert "route53:ListResourceRecordSets" in run.warnings[0]
    run.remove((NAME, A))
    assert moto.records(zone) == {(NAME, "TXT"): (10, [f'"{B}"']), (other, "TXT"): (10, [f'"{A}"'])}
    run.remove((NAME, B), (other, A))
    assert moto.records(zone) == {}
    run.remove((NAME, B))


def test_a_policy_made_for_certbot_is_enough_to_clean_up_after_a_crash(moto, front):
    zone, other = moto.zone("example.org"), "_acme-challenge.www.example.org"
    front.instead = may_not_read
    Run().add((NAME, A), (NAME, B))
    gone = "Tried to delete resource record set [name=x, type=TXT] but it was not found"

    def instead(method: str, path: str, body: bytes) -> Said | None:
        # moto takes the deletion of what was once there; Route 53 does not.
        if method == "POST" and b"www" in body:
            return error_answer("InvalidChangeBatch", gone)
        return may_not_read(method, path, body)

    front.instead = instead
    Run().remove((NAME, A), (NAME, B), (other, A))
    assert moto.records(zone) == {}


def test_the_sdk_tries_again_when_it_was_too_fast(moto, front):
    zone = moto.zone("example.org")
    busy = [2]

    def instead(method: str, path: str, body: bytes) -> Said | None:
        busy[0] -= 1
        return error_answer("Throttling", "Rate exceeded") if busy[0] >= 0 else None

    front.instead = instead
    Run().add((NAME, A))
    assert list(moto.records(zone)) == [(NAME, "TXT")]


def test_too_fast_for_good(front, monkeypatch):
    monkeypatch.setattr(dns_route53, "_ATTEMPTS", 2)
    front.instead = lambda method, path, body: error_answer("Throttling", "Rate exceeded")
    assert "too many requests" in refusal(lambda: Run().provider.find_zone(NAME)).message
    assert len(front.seen) == 2


def test_no_answer(moto, monkeypatch):
    monkeypatch.setattr(dns_route53, "_ATTEMPTS", 1)
    monkeypatch.setattr(dns_route53, "_READ_TIMEOUT", 0.2)
    moto.process.pause()
    try:
        assert "did not answer in time" in refusal(lambda: Run().provider.find_zone(NAME)).message
    finally:
        moto.process.resume()


def test_nothing_there(monkeypatch):
    monkeypatch.setattr(dns_route53, "_ATTEMPTS", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL_ROUTE_53", "http://127.0.0.1:1")
    assert "cannot be reached" in refusal(lambda: Run().provider.find_zone(NAME)).message


def test_a_missing_sdk_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "botocore.exceptions", None)
    error = refusal(lambda: Run().provider.check())
    assert "boto3" in error.message
    assert re.search(r"install.*'acmectl\[route53\]'", error.hint)


def test_no_secret_is_logged(moto, caplog):
    caplog.set_level(logging.INFO)  # the level that acmectl sets for other people's libraries
    moto.zone("example.org")
    Run().add((NAME, A))
    assert SECRET not in caplog.text
    assert "AKIAIOSFODNN7EXAMPLE" not in caplog.text


class TestContract(DnsProviderContract):
    zone = "example.org"

    @pytest.fixture(autouse=True)
    def _zone(self, moto: Moto, _as_the_sdk_finds_it: None) -> None:
        self._moto, self._key = moto, moto.zone("example.org")

    def make(self) -> Route53:
        return Route53({}, {}, self.context)

    def values(self, name: str) -> set[str]:
        return {unquoted(value) for value in self._moto.records(self._key).get((name, "TXT"), (0, []))[1]}
