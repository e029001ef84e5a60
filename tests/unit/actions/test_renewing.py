"""What happens to one renewal stays with it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NoReturn

from acmectl.actions.due import Due, Rule
from acmectl.actions.outcomes import Ending
from acmectl.actions.renewing import Renewer
from tests.unit.actions.test_second_key import SNAPSHOT


def nobody(*_args: Any) -> NoReturn:
    raise AssertionError("nobody gets that far")


def test_a_mistake_of_ours_is_a_failure_of_one_lineage() -> None:
    def get(_name: str) -> NoReturn:
        raise KeyError("what nobody\nexpected")

    services: Any = SimpleNamespace(
        hooks=None, layout=SimpleNamespace(hooks_dir=nobody), lineages=SimpleNamespace(get=get)
    )
    renewer = Renewer(services, nobody, keep_notes=False)
    result = renewer.renew(SNAPSHOT, Due(due=True, rule=Rule.FORCED, why="renewal was forced"))
    assert (result.ending, result.name, result.version) == (Ending.FAILURE, SNAPSHOT.name, 3)
    assert result.why.startswith("Internal error: KeyError: ")
    assert result.is_bad
