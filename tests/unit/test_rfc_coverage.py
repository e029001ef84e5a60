"""docs/rfc-coverage.md speaks of code and tests that exist, and of every section of each standard."""

import ast
import functools
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
CODE = re.compile(r"`([\w/]+\.py):(\w[\w.]*)`")
TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)*(?![\w.]*\w)")

# The tables of contents.
SECTIONS = {
    "RFC 8555": """
        1 2 3 4 5 6.1 6.2 6.3 6.4 6.4.1 6.5 6.5.1 6.5.2 6.6 6.7 6.7.1 7 7.1 7.1.1 7.1.2 7.1.2.1 7.1.3 7.1.4
        7.1.5 7.1.6 7.2 7.3 7.3.1 7.3.2 7.3.3 7.3.4 7.3.5 7.3.6 7.4 7.4.1 7.4.2 7.5 7.5.1 7.5.2 7.6 8 8.1 8.2
        8.3 8.4 9 9.1 9.2 9.3 9.4 9.5 9.6 9.7 9.7.1 9.7.2 9.7.3 9.7.4 9.7.5 9.7.6 9.7.7 9.7.8 10 10.1 10.2 10.3
        10.4 10.5 11 11.1 11.2 11.3 11.4 12""",
    "RFC 8737": "1 2 3 4 5 6 6.1 6.2 6.3 7",
    "RFC 8738": "1 2 3 4 5 6 7 8 8.1 8.2 9 9.1 10",
    "RFC 9773": "1 2 3 4 4.1 4.2 4.3 4.3.1 4.3.2 4.3.3 5 6 7 7.1 7.2 7.3 7.4 8",
    "RFC 8657": "1 2 3 4 5 5.1 5.2 5.3 5.4 5.5 5.6 5.7 5.8 6 7",
    "Profiles": "1 2 3 4 5 6 6.1 6.2 6.3 7",
    "dns-account-01": "1 2 3 4 5 6",
    "dns-persist-01": """
        1 1.1 2 3 3.1 3.2 4 4.1 4.2 4.3 4.3.1 4.3.2 4.3.3 4.3.4 4.4 4.5 5 5.1 6 6.1 6.2 6.3 7 7.1 7.2 7.2.1
        7.2.2 7.2.3 7.3 7.4 7.5 7.6 7.7 7.8 7.8.1 7.8.2 7.9 7.10 7.11 8 8.1 8.2 8.3 9 9.1 9.2 9.3 9.3.1 9.4 9.5
        10 10.1 10.2 10.3 10.4 10.5 10.6 11""",
}


@functools.cache
def defined(path: str) -> frozenset[str]:
    """Functions, classes and values at the top of a file, and ``Class.name`` for what a class has."""
    names: set[str] = set()
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        names |= _names(node)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{name}" for inner in node.body for name in _names(inner)}
    return frozenset(names)


def _names(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return {node.target.id}
    if isinstance(node, ast.Assign):
        return {target.id for target in node.targets if isinstance(target, ast.Name)}
    return set()


@pytest.mark.parametrize("row", ROWS)
def test_every_row_names_code_and_a_test_that_exist(row):
    _, section, wish, code_cell, test_cell, _ = row.split("|")
    code, tests = CODE.findall(code_cell), TEST.findall(test_cell)
    assert section.strip()
    assert wish.strip()
    # Nothing but references, so that none escapes by a slip.
    assert CODE.sub("", code_cell).strip(" ,") == ""
    assert TEST.sub("", test_cell).strip(" ,") == ""
    assert code, "no code reference"
    assert tests, "no test reference"
    for path, name in code:
        assert path.startswith(("acmectl/", "plugins/"))
        assert name in defined(path), f"{path} has no {name}"
    for path, name in tests:
        assert re.fullmatch(r"tests/(.+/)?test_\w+\.py", path)
        assert name.startswith("test_")
        assert name in defined(path), f"{path} has no {name}"


@pytest.mark.parametrize("standard", SECTIONS)
def test_every_section_is_in_a_row_or_is_said_to_be_none_for_a_client(standard):
    chapters = [one for one in TEXT.split("\n## ")[1:] if one.startswith(f"{standard}:")]
    assert len(chapters) == 1
    lines = chapters[0].splitlines()
    rows = [NUMBER.findall(line.split("|")[1]) for line in lines if line in ROWS]
    assert all(rows), "a row without a section"
    shown = {number for row in rows for number in row}
    other = re.search(r"^Not for a client: (.*?)(\n\n|\Z)", chapters[0], re.MULTILINE | re.DOTALL)
    none = set(NUMBER.findall(re.sub(r"\([^)]*\)", "", other[1]))) if other else set()
    assert sorted(shown & none) == []
    assert sorted(set(SECTIONS[standard].split()) - shown - none) == []
    assert sorted((shown | none) - set(SECTIONS[standard].split())) == []
