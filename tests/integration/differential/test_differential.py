"""The same command lines by certbot and by acmectl, on equal trees, at the same CA: only what is meant to differs."""

from __future__ import annotations

import fcntl
import re
from pathlib import Path

import pytest

from acmectl.config.options import table
from benchmarks.programs import TOOLS, BenchmarkError, certbot
from tests.integration.cli import PROGRAM
from tests.integration.differential.case import TEMPLATES, Case, Steps
from tests.integration.differential.cases import CASES
from tests.integration.differential.compare import Said, differences, facts, unexpected, unseen
from tests.integration.differential.machine import Line, Program, Tree, copied_tree, new_tree
from tests.integration.differential.wanted import EVERYWHERE, WANTED
from tests.integration.servers.pebble import Pebble, PebbleConfig
from tests.integration.servers.requirements import not_run

DOCUMENT = Path(__file__).parents[3] / "docs" / "differences-from-certbot.md"


@pytest.fixture(scope="session")
def certbot_program():
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "certbot.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return Program(script=str(certbot().script))
        except (BenchmarkError, OSError) as error:
            return not_run(f"certbot could not be installed from PyPI ({' '.join(str(error).split())[:200]})")


@pytest.fixture(scope="session")
def calm_pebble():
    """certbot gives up at the second bad nonce."""
    with Pebble(PebbleConfig(nonce_reject=0)) as server:
        yield server


@pytest.fixture(scope="session")
def trusting_pebble():
    with Pebble(PebbleConfig(nonce_reject=0, always_valid=True)) as server:
        yield server


def play(program: Program, steps: Steps, tree: Tree, pebble: Pebble) -> list[Said]:
    """Let every step happen; what the command lines among them said."""
    said = []
    for step in steps:
        if isinstance(step, Line):
            said.append(program.run(step, tree, pebble))
        else:
            step(tree)
    return said


class Templates:
    """Trees that certbot made, each when it is first asked for."""

    def __init__(self, program: Program, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._made: dict[tuple[str, int], Tree] = {}

    def made(self, name: str, pebble: Pebble, root: Path) -> Tree:
        """Such a tree, made now at ``root``."""
        tree = new_tree(root)
        for said in play(self._program, TEMPLATES[name], tree, pebble):
            assert said.code == 0, f"{said.out}\n{said.err}"
        return tree

    def copy(self, name: str, pebble: Pebble, root: Path) -> Tree:
        """A copy of the one that all share."""
        key = (name, pebble.port)
        if key not in self._made:
            self._made[key] = self.made(name, pebble, self._folder / f"{name}-{pebble.port}")
        return copied_tree(self._made[key], root)


@pytest.fixture(scope="session")
def templates(certbot_program, tmp_path_factory):
    return Templates(certbot_program, tmp_path_factory.mktemp("trees"))


def shown(case: Case, by_certbot: list[Said], by_acmectl: list[Said]) -> str:
    """All that was said, for whoever reads a failure."""
    texts = [step.text for step in case.steps if isinstance(step, Line)]
    parts = []
    for text, theirs, ours in zip(texts, by_certbot, by_acmectl, strict=True):
        parts.append(f"$ {text}")
        for name, said in (("certbot", theirs), ("acmectl", ours)):
            parts.append(f"--- {name}: {said.code}\n{said.out.rstrip()}\n- - stderr\n{said.err.rstrip()}")
    return "\n".join(parts)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_both_do_the_same(case, certbot_program, templates, tmp_path, request):
    pebble = request.getfixturevalue("trusting_pebble" if case.trusting else "calm_pebble")
    said, found = {}, {}
    for name, program in (("certbot", certbot_program), ("acmectl", Program(script=PROGRAM))):
        start = templates.made if case.alone else templates.copy
        tree = start(case.start, pebble, tmp_path / name)
        said[name] = play(program, case.steps, tree, pebble)
        found[name] = facts(tree.root, said[name], both_streams=case.both_streams)
    differing = differences(found["certbot"], found["acmectl"])
    story = shown(case, said["certbot"], said["acmectl"])
    assert not any("Traceback" in one.out + one.err for one in said["acmectl"]), story
    intended = WANTED.get(case.id, ())
    surprises = "\n".join(map(str, unexpected(differing, (*EVERYWHERE, *intended))))
    assert not surprises, f"differences that no row allows:\n{surprises}\n\n{story}"
    missing = "\n".join(map(str, unseen(differing, intended)))
    assert not missing, f"differences that are no more:\n{missing}\n\n{story}"


def test_every_flag_that_certbot_explains_is_one_of_acmectls(certbot_program, calm_pebble, tmp_path):
    tree = new_tree(tmp_path / "tree")
    line = Line(text="--help all", server=False, directories=False)
    helps = [program.run(line, tree, calm_pebble).out for program in (certbot_program, Program(script=PROGRAM))]
    theirs, ours = (set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", text)) for text in helps)
    assert len(theirs) > 100
    # Those that do nothing here are accepted and not explained; a name that certbot breaks at the end of a line is seen
    # in part.
    known = table().by_prefix
    assert sorted(flag for flag in theirs if not known(flag) and not any(one.startswith(flag) for one in ours)) == []


def rows() -> dict[str, str]:
    """Name of a row -> what it says, from the document."""
    found = {}
    for line in DOCUMENT.read_text().splitlines():
        if not line.startswith("|") or line in ("| certbot | acmectl | name |", "|---|---|---|"):
            continue
        matched = re.fullmatch(r"\|(.*)\| `([a-z0-9-]+)` \|", line)
        assert matched is not None, f"a row without a name: {line}"
        text, name = matched.groups()
        assert name not in found, f"two rows are called {name}"
        found[name] = text
    return found


def test_every_intended_difference_has_its_row():
    named = {rule.row for rule in EVERYWHERE}.union(*({rule.row for rule in rules} for rules in WANTED.values()))
    assert sorted(named - set(rows())) == []
    assert sorted(set(WANTED) - {case.id for case in CASES}) == []


def test_there_are_enough_cases_and_their_names_differ():
    lines = [step.text for case in CASES for step in case.steps if isinstance(step, Line) and not step.shell]
    assert len({case.id for case in CASES}) == len(CASES)
    assert len(lines) >= 80
