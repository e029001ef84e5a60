"""docs/rfc-coverage.md speaks of code and tests that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "rfc-coverage.md").read_text(encoding="utf-8")
ROWS = [
    line
    for line in TEXT.splitlines()
    if line.startswith("|") and not line.startswith(("|---", "| Section", "| Standard"))
]
CODE = re.compile(r"`([\w/]+\.py):(\w+)`")
TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")


def top_level_names(path: str) -> set[str]:
    names: set[str] = set()
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return names


@pytest.mark.parametrize("row", ROWS)
def test_every_row_names_code_and_a_test_that_exist(row):
    code, tests = CODE.findall(row), TEST.findall(row)
    assert code, "no code reference"
    assert tests, "no test reference"
    for path, name in code + tests:
        assert name in top_level_names(path), f"{path} has no {name}"


def test_every_chapter_of_rfc_8555_that_concerns_a_client_has_rows():
    chapter = TEXT.split("## RFC 8555")[1].split("\n## ")[0]
    sections = set(
        re.findall(r"\d+(?:\.\d+)*", " ".join(line.split("|")[1] for line in chapter.splitlines() if "|" in line))
    )
    wanted = {f"6.{n}" for n in range(1, 8)} | {f"7.1.{n}" for n in range(1, 7)} | {f"7.{n}" for n in range(2, 7)}
    wanted |= {f"7.3.{n}" for n in range(1, 7)} | {"7.4.1", "7.4.2", "7.5.1", "7.5.2", "8.1", "8.2", "8.3", "8.4"}
    assert wanted <= sections
