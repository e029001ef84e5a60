"""When the second certificate of a lineage is a reason to renew both."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from acmectl.actions.decide import Ask, Keep, Known, Renew, Wanted, decide
from acmectl.actions.due import Due, Rule
from acmectl.actions.scan import Snapshot
from acmectl.actions.second_key import is_due, with_second
from acmectl.identifiers import Identifier
from acmectl.pki.summary import CertificateSummary
from acmectl.storage.layout import Layout
from acmectl.storage.lineage import PINNED
from acmectl.storage.lineages import LineageStore
from tests.unit.storage.material import layout_in
from tests.unit.storage.test_two_keys import NAME, certbot_renews, issue_two

NOW = datetime(2026, 11, 21, tzinfo=UTC)
DAY = timedelta(days=1)
SNAPSHOT = Snapshot(
    name=NAME,
    conf_path=Path("/x.conf"),
    fullchain_path=Path("/x.pem"),
    not_before=NOW - DAY,
    not_after=NOW + 89 * DAY,
    version=3,
    server=None,
    autorenew=True,
    before_expiry=None,
    cert_id=None,
    ari_stamp=None,
    serial=1,
    crl_urls=(),
    ocsp_urls=(),
    own={},
)
LAGS = replace(SNAPSHOT, second_lags=True)


def due(rule: Rule, *, yes: bool = False, after: timedelta | None = None) -> Due:
    return Due(due=yes, rule=rule, why="why", at=None if after is None else NOW + after)


LATER, SOONER, DUE = due(Rule.LIFETIME, after=9 * DAY), due(Rule.ARI, after=5 * DAY), due(Rule.REVOKED, yes=True)


@pytest.mark.parametrize(
    ("first", "snapshot", "second", "rule", "is_now"),
    [
        (LATER, SNAPSHOT, None, Rule.LIFETIME, False),
        (LATER, SNAPSHOT, SOONER, Rule.ARI, False),
        (SOONER, SNAPSHOT, LATER, Rule.ARI, False),
        (LATER, SNAPSHOT, DUE, Rule.REVOKED, True),
        (DUE, LAGS, SOONER, Rule.REVOKED, True),
        (LATER, LAGS, None, Rule.SECOND_KEY, True),
        (due(Rule.AUTORENEW_OFF), LAGS, None, Rule.AUTORENEW_OFF, False),
        (due(Rule.AUTORENEW_OFF), SNAPSHOT, DUE, Rule.AUTORENEW_OFF, False),
    ],
)
def test_the_earlier_of_both_counts(
    first: Due, snapshot: Snapshot, second: Due | None, rule: Rule, is_now: bool
) -> None:
    verdict = with_second(first, snapshot, second)
    assert (verdict.rule, verdict.due) == (rule, is_now)


def test_a_lineage_is_due_by_the_dates_of_its_second_certificate(tmp_path: Path) -> None:
    store = LineageStore(layout_in(tmp_path))
    issue_two(store)
    seen: list[int] = []

    def judge(certificate: CertificateSummary) -> bool:
        seen.append(certificate.serial)
        return True

    assert is_due(store.get(NAME), judge)
    assert seen == [101]
    assert not is_due(store.get(NAME), lambda _certificate: False)


def test_a_second_certificate_of_an_older_version_is_due_unless_that_was_meant(tmp_path: Path) -> None:
    layout: Layout = layout_in(tmp_path)
    store = LineageStore(layout)
    issue_two(store)
    number = certbot_renews(store, 2)
    assert is_due(store.get(NAME), lambda _certificate: False)
    store.update_own(NAME, {PINNED: number})
    assert not is_due(store.get(NAME), lambda _certificate: True)


def test_a_second_certificate_that_cannot_be_read_is_due(tmp_path: Path) -> None:
    layout: Layout = layout_in(tmp_path)
    store = LineageStore(layout)
    issue_two(store)
    (layout.archive(NAME) / "cert-ecdsa1.pem").write_text("nonsense")
    assert is_due(store.get(NAME), lambda _certificate: False)


def test_who_asks_for_a_second_key_that_is_not_there_gets_one_at_once() -> None:
    names = (Identifier.dns(NAME),)
    wanted = Wanted(identifiers=names, keep_until_expiring=True, second_key="ecdsa")
    one = Known(name=NAME, identifiers=names, due=False)
    assert isinstance(decide(wanted, [one]), Renew)
    assert isinstance(decide(wanted, [replace(one, second_key="rsa")]), Renew)
    assert isinstance(decide(wanted, [replace(one, second_key="ecdsa")]), Keep)
    assert isinstance(decide(replace(wanted, second_key=None, keep_until_expiring=False), [one]), Ask)
