"""Any command line and any cli.ini: a meaning or one clear refusal, never a traceback."""

from __future__ import annotations

import string
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from acmectl.cli import group, params
from acmectl.config import key_types
from acmectl.config.options import table
from acmectl.config.sources import merge, parse_entries
from acmectl.config.webroots import resolve
from acmectl.errors import AcmectlError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from acmectl.config.settings import Settings

OPTIONS = table()
NAMES = [name for row in OPTIONS.rows for name in (*row.names, *row.off)]
# The registry reads installed distributions for unknown options: real, but slow for thousands of them.
WORDS = st.one_of(
    st.sampled_from(NAMES),
    st.sampled_from(NAMES).flatmap(lambda name: st.integers(2, len(name)).map(lambda length: name[:length])),
    st.sampled_from(sorted(group.words())),
    st.builds("{}={}".format, st.sampled_from(NAMES), st.text(max_size=8)),
    st.sampled_from(
        ["", "-", "--", "-1", "a.example", "*.a.example", "192.0.2.1", "::1", "1,2", "/srv", "{}", "\udcff"]
    ),
    st.text(alphabet=string.ascii_letters + "-=, \x00\x1b", max_size=6),
    st.text(max_size=6),
)


@pytest.fixture(autouse=True, scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACMECTL_CONFIG_DIR", str(tmp_path_factory.mktemp("etc")))
        yield


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    from acmectl.plugin import registry

    monkeypatch.setattr(registry, "names", lambda: ())


def meaning(argv: list[str]) -> Settings | None:
    """Settings, or None when the line was refused as it should be."""
    try:
        found = params.settings_of(params.parse(argv, OPTIONS))
        resolve(found.named)
    except AcmectlError as error:
        refusal = error
    else:
        return found
    assert refusal.exit_code in (1, 2)
    for said in (refusal.message, refusal.hint or ""):
        assert said.isprintable()
    return None


@hypothesis_settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WORDS, max_size=6))
def test_any_command_line_is_understood_or_refused_in_one_line(argv: list[str]) -> None:
    found = meaning(argv)
    if found is not None:
        assert found.verb in group.VERBS
        assert set(found.values) == {*found.table.by_dest, key_types.SECOND}
        for dest, row in found.table.by_dest.items():
            if not found.is_set(dest) and dest not in ("config_dir", "work_dir", "logs_dir"):
                assert found.value(dest) == row.default


VALUES = {"flag": "", "count": "", "int": "80", "duration": "3h", "path": "/x", "file": "/dev/null", "csv": "a.example",
          "list": "/dev/null", "paths": "/x", "text": "plain"}  # fmt: skip
SETTABLE = [row for row in OPTIONS.rows if row.kind != "action" and row.deprecated is None and row.names]


@hypothesis_settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(SETTABLE), unique=True, max_size=5), st.sampled_from(sorted(group.words())), st.data())
def test_the_verb_is_found_wherever_it_stands_and_values_are_never_verbs(
    rows: list[object], verb: str, data: st.DataObject
) -> None:
    chunks: list[list[str]] = []
    expected: dict[str, object] = {}
    for row in rows:
        name = data.draw(st.sampled_from(row.names))  # type: ignore[attr-defined]
        chunk = [name]
        if row.takes_value and row.kind in ("text",) and not row.secret:  # type: ignore[attr-defined]
            word = data.draw(st.sampled_from(sorted(group.words())))
            chunk.append(word)
            expected[row.destination] = word  # type: ignore[attr-defined]
        elif row.takes_value:  # type: ignore[attr-defined]
            chunk.append(row.choices[0] if row.choices else VALUES[row.kind])  # type: ignore[attr-defined]
        chunks.append(chunk)
    place = data.draw(st.integers(0, len(chunks)))
    argv = [word for chunk in (*chunks[:place], [verb], *chunks[place:]) for word in chunk]
    parsed = params.parse(argv, OPTIONS)
    assert parsed.verb is group.find(verb)
    assert parsed.arguments == ()
    for dest, word in expected.items():
        assert parsed.line.texts(dest) == [word]


@hypothesis_settings(max_examples=400)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=20),
            st.builds(
                "{}{}{}".format,
                st.sampled_from([name.lstrip("-") for name in NAMES]),
                st.sampled_from([" = ", "=", ": ", " ", ""]),
                st.text(alphabet="ab1,.#;\"' []", max_size=8),
            ),
        ),
        max_size=4,
    )
)
def test_any_file_is_understood_or_refused_with_its_name(lines: list[str]) -> None:
    try:
        merge([parse_entries("\n".join(lines), Path("/x/cli.ini"))], OPTIONS)
    except AcmectlError as error:
        refusal = error
    else:
        return
    assert refusal.exit_code == 2
    assert refusal.message.startswith("/x/cli.ini line ")
    assert refusal.message.isprintable()
