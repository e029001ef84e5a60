from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from acmectl.storage.layout import Layout
from acmectl.storage.lineages import LineageStore
from tests.unit.storage.material import layout_in


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return layout_in(tmp_path)


@pytest.fixture
def store(layout: Layout) -> LineageStore:
    return LineageStore(layout)
