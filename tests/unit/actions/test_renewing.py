"""What happens to one renewal stays with it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

from acmectl.actions.due import Due, Rule
from acmectl.actions.outcomes import Ending
from acmectl.actions.renewing import Renewer
from acmectl.actions.scan import Snapshot

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def nobody(*_args: Any) -> NoReturn:
    raise AssertionError("nobody gets that far")


def test_a_mistake_of_ours_is_a_failure_of_one_lineage() -> None:
    def get(_name: str) -> NoReturn:
        raise KeyError("what nobody\nexpected")

    services: Any = SimpleNamespace(
        hooks=None, layout=SimpleNamespace(hooks_dir=nobody), lineages=SimpleNamespace(get=get)
    )
    snapshot = Snapshot(
        name="a.example",
        conf_path=Path("/renewal/a.example.conf"),
        fullchain_path=Path("/live/a.example/fullchain.pem"),
        not_before=NOW,
        not_after=NOW,
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
    renewer = Renewer(services, nobody, keep_notes=False)
    result = renewer.renew(snapshot, Due(due=True, rule=Rule.FORCED, why="renewal was forced"))
    assert (result.ending, result.name, result.version) == (Ending.FAILURE, "a.example", 3)
    assert result.why.startswith("Internal error: KeyError: ")
    assert result.is_bad
