"""Which files with credentials are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from acmectl.plugin.credentials import refusal


@pytest.mark.parametrize(("mode", "refused"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_by_mode(tmp_path: Path, mode: int, refused: bool) -> None:
    path = tmp_path / "secret.ini"
    path.write_text("x")
    path.chmod(mode)
    (tmp_path / "link").symlink_to(path)
    for one in (path, tmp_path / "link"):
        assert (f"has mode {mode:04o}" in str(refusal(one))) is refused
        assert (refusal(one) is None) is not refused


def test_what_is_no_file(tmp_path: Path) -> None:
    assert "is not a file" in str(refusal(tmp_path))
    assert "No such file" in str(refusal(tmp_path / "gone"))
    assert refusal("a\0b") is not None
