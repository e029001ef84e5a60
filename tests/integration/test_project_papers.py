"""The project's own documents: links that lead somewhere, a change log that can be built."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PAPERS = [*sorted(CHECKOUT.glob("*.md")), *sorted((CHECKOUT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_the_links_of_a_document_lead_to_files(paper: Path) -> None:
    missing = [target for target in LINK.findall(paper.read_text()) if not (paper.parent / target).exists()]
    assert not missing


@pytest.mark.parametrize("target", ["demo", "test", "lint", "bench", "servers"])
def test_every_make_target_is_listed_by_make_help(target: str) -> None:
    result = subprocess.run(["make", "-s"], cwd=CHECKOUT, capture_output=True, text=True, timeout=60)
    assert f"make {target} " in result.stdout


def test_every_newsfragment_becomes_part_of_the_change_log() -> None:
    fragments = [path for path in (CHECKOUT / "newsfragments").iterdir() if path.name != "README.md"]
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "9.9.9"]
    result = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    for fragment in fragments:
        assert " ".join(fragment.read_text().split()) in " ".join(result.stdout.split()), fragment.name


def test_every_decision_is_listed() -> None:
    folder = CHECKOUT / "docs" / "adr"
    listed = set(LINK.findall((folder / "README.md").read_text()))
    assert listed == {path.name for path in folder.glob("*.md")} - {"README.md"}


def test_the_architecture_names_the_layers_that_the_contract_holds() -> None:
    text = (CHECKOUT / "docs" / "architecture.md").read_text()
    tools = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]
    (contract,) = [row for row in tools["importlinter"]["contracts"] if row["type"] == "layers"]
    rooms = [name.removeprefix("acmectl.") for layer in contract["layers"] for name in layer.split(" | ")]
    block = text.split("## Who may import whom", 1)[1].split("```")[1]
    assert [word for word in re.findall(r"[a-z_]+", block.split("acmectl_plugins")[0]) if word in rooms] == rooms
