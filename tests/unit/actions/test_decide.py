"""The decision table for existing lineages (certbot-compatible, section by section)."""

from __future__ import annotations

import pytest

from acmectl.actions.decide import Ask, Doubt, Keep, Known, NeedNames, New, Plan, Renew, Wanted, decide
from acmectl.identifiers import Identifier


def names(text: str) -> tuple[Identifier, ...]:
    return tuple(Identifier.dns(name) for name in text.split())


FRESH = Known(name="a.example", identifiers=names("a.example b.example"), due=False)
DUE = Known(name="a.example", identifiers=names("a.example b.example"), due=True)
COPY = Known(name="a.example-0001", identifiers=names("b.example a.example"), due=False)
IN_TOKEN = Known(name="t", identifiers=names("a.example b.example"), due=False, key="pkcs11:id=1")
SMALL = Known(name="s.example", identifiers=names("a.example"), due=False)


def wanted(text: str = "", **switches: object) -> Wanted:
    return Wanted(identifiers=names(text), **switches)  # type: ignore[arg-type]


def kind(plan: Plan) -> tuple[object, ...]:
    match plan:
        case New(name=name):
            return ("new", name)
        case Renew(lineage=lineage, identifiers=identifiers):
            return ("renew", lineage, " ".join(map(str, identifiers)))
        case Keep(lineage=lineage):
            return ("keep", lineage)
        case Ask(doubt=doubt, lineage=lineage, if_yes=if_yes):
            return ("ask", doubt, lineage, " ".join(map(str, if_yes.identifiers)))
        case NeedNames():
            return ("need-names",)


TABLE = [
    # request, lineages, plan
    (wanted("a.example"), [], ("new", None)),
    (wanted(), [], ("need-names",)),
    (wanted(), [FRESH], ("need-names",)),
    # identical sets, in any order
    (wanted("b.example a.example"), [DUE], ("renew", "a.example", "b.example a.example")),
    (wanted("a.example b.example"), [FRESH], ("ask", Doubt.KEEP_OR_RENEW, "a.example", "a.example b.example")),
    (wanted("a.example b.example", keep_until_expiring=True), [FRESH], ("keep", "a.example")),
    (wanted("a.example b.example", keep_until_expiring=True), [DUE], ("renew", "a.example", "a.example b.example")),
    (wanted("a.example b.example", force_renewal=True), [FRESH], ("renew", "a.example", "a.example b.example")),
    (
        wanted("a.example b.example", force_renewal=True, keep_until_expiring=True),
        [FRESH],
        ("renew", "a.example", "a.example b.example"),
    ),
    (wanted("a.example b.example", dry_run=True), [FRESH], ("renew", "a.example", "a.example b.example")),
    # another key was named, or a file in its place
    (wanted("a.example b.example", key="pkcs11:id=1"), [FRESH], ("renew", "a.example", "a.example b.example")),
    (wanted("a.example b.example", key=""), [FRESH], ("ask", Doubt.KEEP_OR_RENEW, "a.example", "a.example b.example")),
    (
        wanted("a.example b.example", key="", keep_until_expiring=True),
        [IN_TOKEN],
        ("renew", "t", "a.example b.example"),
    ),
    (wanted("a.example b.example", key="pkcs11:id=1", keep_until_expiring=True), [IN_TOKEN], ("keep", "t")),
    (wanted("a.example b.example", keep_until_expiring=True), [IN_TOKEN], ("keep", "t")),
    (wanted("a.example b.example", keep_until_expiring=True), [FRESH, COPY], ("keep", "a.example-0001")),
    # the request has more names: the largest subset wins, the first one on a tie
    (
        wanted("a.example b.example c.example"),
        [FRESH],
        ("ask", Doubt.EXPAND, "a.example", "a.example b.example c.example"),
    ),
    (
        wanted("a.example b.example c.example", expand=True),
        [SMALL, FRESH],
        ("renew", "a.example", "a.example b.example c.example"),
    ),
    (
        wanted("a.example b.example c.example", expand=True),
        [FRESH, COPY],
        ("renew", "a.example", "a.example b.example c.example"),
    ),
    (
        wanted("a.example b.example c.example", force_renewal=True),
        [SMALL],
        ("renew", "s.example", "a.example b.example c.example"),
    ),
    # an identical lineage beats a subset
    (wanted("a.example b.example", keep_until_expiring=True), [SMALL, FRESH], ("keep", "a.example")),
    # fewer or other names: a new lineage, no question
    (wanted("a.example"), [FRESH], ("new", None)),
    (wanted("a.example c.example"), [FRESH], ("new", None)),
    (wanted("z.example"), [FRESH], ("new", None)),
    # --duplicate
    (wanted("a.example b.example", duplicate=True), [FRESH], ("new", None)),
    (wanted("a.example b.example", duplicate=True, force_renewal=True), [DUE], ("new", None)),
    # --cert-name
    (wanted("a.example", cert_name="mine"), [FRESH], ("new", "mine")),
    (wanted(cert_name="mine"), [FRESH], ("need-names",)),
    (wanted(cert_name="a.example"), [DUE], ("renew", "a.example", "a.example b.example")),
    (wanted(cert_name="a.example", keep_until_expiring=True), [FRESH], ("keep", "a.example")),
    (
        wanted("a.example c.example", cert_name="a.example"),
        [FRESH],
        ("ask", Doubt.CHANGE_NAMES, "a.example", "a.example c.example"),
    ),
    (
        wanted("a.example c.example", cert_name="a.example", renew_with_new_domains=True),
        [FRESH],
        ("renew", "a.example", "a.example c.example"),
    ),
    # --force-renewal does not settle whether names may change
    (
        wanted("c.example", cert_name="a.example", force_renewal=True),
        [FRESH],
        ("ask", Doubt.CHANGE_NAMES, "a.example", "c.example"),
    ),
    # --duplicate is ignored when --cert-name names a lineage that is there
    (
        wanted("a.example b.example", cert_name="a.example", duplicate=True, keep_until_expiring=True),
        [FRESH],
        ("keep", "a.example"),
    ),
    # a subset by name also asks
    (wanted("a.example", cert_name="a.example"), [FRESH], ("ask", Doubt.CHANGE_NAMES, "a.example", "a.example")),
    # a lineage whose certificate names nothing never counts as a subset
    (wanted("a.example"), [Known(name="x", identifiers=(), due=False)], ("new", None)),
]


@pytest.mark.parametrize(("request_", "lineages", "plan"), TABLE)
def test_each_row_of_the_decision_table(request_: Wanted, lineages: list[Known], plan: tuple[object, ...]) -> None:
    assert kind(decide(request_, lineages)) == plan
