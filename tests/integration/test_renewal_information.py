"""ARI (RFC 9773) with a real Pebble: windows past, future, changing and malformed; predecessors taken and refused."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from acmectl.acme.base64url import unb64url
from tests.integration.cli import Acmectl
from tests.integration.fleet import DAY, plant, versions
from tests.integration.servers.between import Answer, Between
from tests.integration.servers.pebble import Pebble, PebbleConfig

NAME = "ari.example"
REFUSED = "takes no order as a replacement"


@pytest.fixture
def issued(tmp_path: Path) -> Iterator[Acmectl]:
    with Pebble(PebbleConfig()) as pebble, Acmectl(pebble, tmp_path) as acmectl:
        acmectl.certonly(NAME)
        yield acmectl


def renewed(acmectl: Acmectl, *options: str) -> dict[str, object]:
    (one,) = acmectl.run("renew", "--json", *options, server=False).ok().json["lineages"]
    return dict(one)


def suggest(acmectl: Acmectl, start: datetime.timedelta, end: datetime.timedelta) -> None:
    """Make the CA suggest another window for the live certificate."""
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    window = {"start": (now + start).isoformat(), "end": (now + end).isoformat()}
    tell(acmectl, json.dumps({"suggestedWindow": window, "explanationURL": "https://ca.example/why"}))


def tell(acmectl: Acmectl, body: str) -> None:
    assert acmectl.pebble is not None
    acmectl.pebble.set_renewal_info(acmectl.live(NAME).read_text(), body)


def conf(acmectl: Acmectl) -> Path:
    return acmectl.config / "renewal" / f"{NAME}.conf"


def may_ask_again(acmectl: Acmectl) -> None:
    """As if the time to ask again had come, in the renewal file and nowhere else."""
    kept = []
    for line in conf(acmectl).read_text().splitlines():
        if line.startswith("ari = "):
            state = json.loads(line.partition("=")[2].strip().strip("'"))
            state["ask_at"] = "2020-01-01T00:00:00+00:00"
            kept.append(f"ari = '{json.dumps(state)}'")
        else:
            kept.append(line)
    conf(acmectl).write_text("\n".join(kept) + "\n")


def questions(acmectl: Acmectl) -> int:
    assert acmectl.pebble is not None
    return sum("renewalinfo" in line.lower() or "ari" in line.lower() for line in map(str, acmectl.pebble.requests()))


def test_a_future_window_is_waited_for_with_one_instant_that_is_kept(issued: Acmectl) -> None:
    first = renewed(issued)
    assert (first["outcome"], first["rule"]) == ("skipped", "ari")
    asked = questions(issued)
    second = renewed(issued)
    assert second["ari"] == first["ari"]
    assert questions(issued) == asked
    assert "ari_retry_after" in conf(issued).read_text()
    may_ask_again(issued)
    third = renewed(issued)
    assert questions(issued) == asked + 1
    assert (third["ari"]["instant"], third["ari"]["start"]) == (first["ari"]["instant"], first["ari"]["start"])  # type: ignore[index]


def test_certonly_asks_too_before_it_keeps_a_certificate(issued: Acmectl) -> None:
    again = ("certonly", "-n", "--standalone", "-d", NAME)
    suggest(issued, 20 * DAY, 30 * DAY)
    assert issued.run(*again, "--json").ok().json["outcome"] == "kept"
    assert "ari_retry_after" in conf(issued).read_text()
    suggest(issued, -2 * DAY, -1 * DAY)
    may_ask_again(issued)
    assert issued.run(*again, "--json").ok().json["outcome"] == "renewed"
    assert versions(issued, NAME) == {"2"}


def test_a_window_that_moves_into_the_past_renews_at_once_and_the_new_certificate_starts_afresh(
    issued: Acmectl,
) -> None:
    renewed(issued)
    suggest(issued, -2 * DAY, -1 * DAY)
    assert renewed(issued)["outcome"] == "skipped"  # it may not be asked yet
    may_ask_again(issued)
    done = renewed(issued)
    assert (done["outcome"], done["rule"]) == ("success", "ari")
    assert "https://ca.example/why" in str(done["why"])
    assert versions(issued, NAME) == {"2"}
    assert "ari = " not in conf(issued).read_text()
    assert renewed(issued)["outcome"] == "skipped"


@pytest.mark.parametrize(
    "body",
    [
        "{ not json",
        "[]",
        "{}",
        '{"suggestedWindow": {"start": "soon", "end": "later"}}',
        '{"suggestedWindow": {"start": "2030-01-02T00:00:00Z", "end": "2030-01-01T00:00:00Z"}}',
    ],
)
def test_a_malformed_answer_counts_as_none_and_the_lifetime_decides(issued: Acmectl, body: str) -> None:
    tell(issued, body)
    done = renewed(issued)
    assert (done["outcome"], done["rule"], done["ari"]) == ("skipped", "lifetime", None)
    assert '"failures": 1' in conf(issued).read_text()


def test_a_window_that_is_open_now_is_used_before_the_next_wake_up_would_miss_it(issued: Acmectl) -> None:
    # Whatever instant is chosen, it lies before a next run in 12 hours, and we are inside the window.
    suggest(issued, -datetime.timedelta(hours=1), datetime.timedelta(hours=2))
    assert renewed(issued)["rule"] == "ari"
    assert versions(issued, NAME) == {"2"}


def test_an_hourly_timer_waits_for_the_instant(issued: Acmectl) -> None:
    suggest(issued, datetime.timedelta(hours=3), datetime.timedelta(hours=5))
    waits = renewed(issued, "--timer-interval", "1h")
    assert (waits["outcome"], waits["rule"]) == ("skipped", "ari")
    due = renewed(issued, "--timer-interval", "12h")
    assert (due["outcome"], due["rule"]) == ("success", "ari")


def test_the_predecessor_is_named_and_a_ca_that_refuses_it_gets_an_order_without(issued: Acmectl) -> None:
    taken = issued.run("renew", "--force-renewal", server=False).ok()
    assert REFUSED not in taken.out + taken.err
    # Make a version live again whose replacement was ordered already: the CA says so, and the order goes on without.
    for kind in ("cert", "chain", "fullchain", "privkey"):
        link = issued.config / "live" / NAME / f"{kind}.pem"
        link.unlink()
        link.symlink_to(f"../../archive/{NAME}/{kind}1.pem")
        (issued.config / "archive" / NAME / f"{kind}2.pem").unlink()
    refused = issued.run("renew", "--force-renewal", server=False).ok()
    assert REFUSED in refused.out + refused.err
    assert versions(issued, NAME) == {"2"}


def test_a_ca_that_fails_over_the_predecessor_gets_an_order_without_it(pebble: Pebble, acmectl: Acmectl) -> None:
    asked: list[bool] = []
    with Between(pebble) as ca:

        def failing(_method: str, path: str) -> Answer | None:
            if not path.endswith("/order-plz"):
                return None
            payload = json.loads(unb64url(json.loads(ca.bodies[-1])["payload"]))
            asked.append("replaces" in payload)
            if not asked[-1]:
                return None
            problem = {"type": "urn:ietf:params:acme:error:serverInternal", "detail": "unable to parse ARI CertID"}
            headers = {"Replay-Nonce": "bm9uY2U", "Content-Type": "application/problem+json"}
            return Answer(status=500, headers=headers, body=json.dumps(problem).encode())

        ca.before = failing
        server = ("--server", ca.directory_url)
        acmectl.run("certonly", "-n", "--agree-tos", "--standalone", "-d", NAME, *server).ok()
        done = acmectl.run("renew", "--force-renewal", server=False).ok()
    assert "as a replacement (unable to parse ARI CertID)" in done.out + done.err
    assert asked[0] is False
    assert asked[1] is True
    assert asked[-1] is False


def test_certbots_note_of_when_to_ask_is_respected(acmectl: Acmectl) -> None:
    acmectl.run("register", "-n", "--agree-tos").ok()
    plant(acmectl, NAME, left=80 * DAY)
    later = (datetime.datetime.now() + DAY).replace(microsecond=0).isoformat()
    conf(acmectl).write_text(conf(acmectl).read_text() + f"[acme_renewal_info]\nari_retry_after = {later}\n")
    before = questions(acmectl)
    assert renewed(acmectl)["rule"] == "lifetime"
    assert questions(acmectl) == before
