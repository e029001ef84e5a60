"""The static checks are part of the tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tools import lint


@pytest.mark.parametrize("name", lint.COMMANDS)
def test_the_static_check_is_content(name: str) -> None:
    finding = lint.run(name)
    assert finding.ok, finding.text


def test_a_file_that_has_grown_too_long_is_named(tmp_path: Path) -> None:
    (tmp_path / "long.py").write_text("x = 1\n" * (lint.MAX_LINES + 1))
    (tmp_path / "just_right.py").write_text("x = 1\n" * lint.MAX_LINES)

    lines = lint.oversized([tmp_path])

    assert len(lines) == 1
    assert str(tmp_path / "long.py") in lines[0]


@pytest.mark.parametrize(
    ("line", "module", "named"),
    [
        ("import acmectl.cli", "acmectl/storage/layout.py", "acmectl.storage.layout -> acmectl.cli"),
        ("import requests", "acmectl/issuance/issue.py", "acmectl.issuance.issue -> requests"),
        ("import acmectl.acme.jws", "plugins/acmectl_plugins/webroot.py", "acmectl_plugins.webroot -> acmectl.acme"),
        ("import acmectl_plugins.manual", "acmectl/plugin/registry.py", "acmectl.plugin.registry -> acmectl_plugins"),
    ],
)
def test_the_contracts_notice_a_call_through_a_wall(tmp_path: Path, line: str, module: str, named: str) -> None:
    for folder in ("acmectl", "plugins"):
        shutil.copytree(lint.CHECKOUT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(lint.CHECKOUT / "pyproject.toml", tmp_path)
    with (tmp_path / module).open("a") as file:
        file.write(f"\n{line}\n")

    result = lint.in_folder(tmp_path, "import contracts")

    assert not result.ok
    assert named in result.text
