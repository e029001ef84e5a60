"""Which name is served from which webroot."""

from __future__ import annotations

import json
import shlex

import pytest

from acmectl.config.settings import Given
from acmectl.config.webroots import read_map, resolve
from acmectl.errors import ConfigError

_DESTS = {"-w": "webroot_path", "-d": "domains", "-i": "ip_address", "-m": "webroot_map"}


def given(line: str) -> list[Given]:
    """Options in order, from a line such as ``-w /a -d a.example``."""
    words = shlex.split(line)
    return [Given(dest=_DESTS[flag], text=text) for flag, text in zip(words[::2], words[1::2], strict=True)]


TABLE = [
    ("-d a.example", ["a.example"], {}, []),
    ("-w /1 -d a.example", ["a.example"], {"a.example": "/1"}, ["/1"]),
    ("-d a.example -w /1", ["a.example"], {"a.example": "/1"}, ["/1"]),
    ("-d a.example -w /1 -d b.example", ["a.example", "b.example"], {"a.example": "/1", "b.example": "/1"}, ["/1"]),
    (
        "-w /1 -d a.example -d b.example -w /2 -d c.example",
        ["a.example", "b.example", "c.example"],
        {"a.example": "/1", "b.example": "/1", "c.example": "/2"},
        ["/1", "/2"],
    ),
    ("-w /1 -d a.example -w /2", ["a.example"], {"a.example": "/1"}, ["/1", "/2"]),
    ("-w /1 -w /2 -d a.example", ["a.example"], {"a.example": "/2"}, ["/1", "/2"]),
    ("-w /1 -d a.example -w /2 -d a.example", ["a.example"], {"a.example": "/1"}, ["/1", "/2"]),
    ("-d a.example -w /1 -w /1", ["a.example"], {"a.example": "/1"}, ["/1"]),
    ("-w /1", [], {}, ["/1"]),
    ("", [], {}, []),
    # Addresses come last, whatever the order.
    ("-w /1 -i 192.0.2.1 -d a.example", ["a.example", "192.0.2.1"], {"a.example": "/1", "192.0.2.1": "/1"}, ["/1"]),
    ("-w /1 -i 2001:DB8::0:1", ["2001:db8::1"], {"2001:db8::1": "/1"}, ["/1"]),
    # Names are made canonical.
    ("-w /1 -d A.Example. -d a.example", ["a.example"], {"a.example": "/1"}, ["/1"]),
    # The map wins and its names count.
    ("""-m '{"a.example": "/m"}'""", ["a.example"], {"a.example": "/m"}, []),
    (
        """-m '{"a.example, b.example": "/m", "192.0.2.1": "/i"}'""",
        ["a.example", "b.example", "192.0.2.1"],
        {"a.example": "/m", "b.example": "/m", "192.0.2.1": "/i"},
        [],
    ),
    (
        """-w /1 -d a.example -d b.example -m '{"a.example": "/m"}'""",
        ["a.example", "b.example"],
        {"a.example": "/m", "b.example": "/1"},
        ["/1"],
    ),
    (
        """-d a.example -m '{"a.example": "/m"}' -w /1 -d b.example -w /2 -d c.example""",
        ["a.example", "b.example", "c.example"],
        {"a.example": "/m", "b.example": "/1", "c.example": "/2"},
        ["/1", "/2"],
    ),
    ("""-d b.example -m '{"a.example": "/m"}'""", ["b.example", "a.example"], {"a.example": "/m"}, []),
]


@pytest.mark.parametrize(("line", "names", "webroot_map", "paths"), TABLE, ids=[row[0] or "nothing" for row in TABLE])
def test_names_belong_to_the_webroot_before_them(
    line: str, names: list[str], webroot_map: dict[str, str], paths: list[str]
) -> None:
    found = resolve(given(line))
    assert [identifier.value for identifier in found.identifiers] == names
    assert found.webroot_map == webroot_map
    assert list(found.webroot_path) == paths


def test_a_relative_webroot_becomes_absolute(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))
    assert resolve(given("-w www -d a.example")).webroot_map == {"a.example": f"{tmp_path}/www"}
    assert [*read_map('{"a.example": "www"}').values()] == [f"{tmp_path}/www"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-d a.example -w /1 -d b.example -w /2 -d c.example", "a.example stands before the first of several webroots"),
        ("-d a.example -w /1 -w /2", "stands before"),
        ("-w /1 -d 192.0.2.1", "IP address"),
        ("-w /1 -i a.example", "not an IP address"),
        ("-d https://a.example", "URL"),
        ("-m '{bad'", "not JSON"),
        ("-m '[]'", "not a JSON object"),
        ("""-m '{"a.example": 1}'""", "no directory"),
        ("""-m '{"a.example": ""}'""", "no directory"),
        ("""-m '{"a b": "/x"}'""", "not a domain name"),
    ],
)
def test_what_cannot_be_placed_is_refused(line: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        resolve(given(line))


def test_a_deeply_nested_map_is_refused_like_any_other_nonsense() -> None:
    with pytest.raises(ConfigError):
        read_map("[" * 100_000)
    with pytest.raises(ConfigError):
        read_map(json.dumps({"a.example": {"b": 1}}))
