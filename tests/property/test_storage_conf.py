"""Renewal files: whatever is written comes back, certbot can load it, and the fast reader agrees with ConfigObj."""

from __future__ import annotations

import json

from configobj import ConfigObj
from hypothesis import given
from hypothesis import strategies as st

from acmectl.errors import LineageDamaged
from acmectl.storage import renewal_conf
from acmectl.storage.conf_lines import PlainConf, parse_plain
from acmectl.storage.renewal_conf import RenewalConf, parse, render, with_notes

KEYS = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)
NASTY = st.text(st.sampled_from(list("ab %()s'\"#,=[]{}$\\\n\r\t:/-\x85\u2028\xa0é\x00\x1b")))
TEXTS = st.one_of(st.text(st.characters(codec="utf-8")), NASTY)
VALUES = st.one_of(TEXTS, st.lists(TEXTS, max_size=4))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["a.test", "*.b.test", "::1", "192.0.2.1", "xn--bcher-kva.test", "_x.test"])

TOKENS = st.sampled_from(
    [
        *"ab='\"#, \t[]\n\n\n:$%\\é\u2028\x0b\xa0\ufeff",
        *("key", "[x]", "[[y]]", "[renewalparams]", "'''", '"""', "\r\n", " = ", "a, b", "a,", "'q'", '"q"'),
        *("k1 = v\n", "k2 = ", "::1 = /x", "k3 = a 'b' c\n"),
    ]
)
FILES = st.lists(
    st.one_of(
        st.builds("{} = {}\n".format, KEYS, st.lists(TOKENS, max_size=5).map("".join)),
        st.builds("[{}]\n".format, KEYS),
        st.builds("[[{}]]\n".format, KEYS),
        st.lists(TOKENS, max_size=6).map("".join),
    ),
    max_size=8,
).map("".join)

SECTIONS = ["[acmectl]\n", "[acme_renewal_info]\n", "[renewalparams]\n", "[[webroot_map]]\n", "# a remark\n", "\n"]
PLAIN_FILES = st.lists(
    st.one_of(
        st.builds("{} = {}\n".format, KEYS, st.from_regex(r"[a-z0-9/]{1,8}", fullmatch=True)),
        st.sampled_from([*SECTIONS, "note = '1, 2'\n", "ari_retry_after = x\n"]),
    ),
    max_size=9,
).map("".join)


@given(
    params=st.dictionaries(KEYS, VALUES, max_size=6),
    webroots=st.dictionaries(NAMES, TEXTS, max_size=3),
    own=st.dictionaries(KEYS, JSON, max_size=4),
)
def test_a_written_file_says_what_it_was_told_and_certbot_can_load_it(
    params: dict[str, str | list[str]], webroots: dict[str, str], own: dict[str, renewal_conf.JsonValue]
) -> None:
    own = {key: value for key, value in own.items() if key not in {"renewalparams", "webroot_map"}}
    params.pop("webroot_map", None)
    data = render(RenewalConf(root={"cert": "/a/b"}, params=params, webroot_map=webroots, own=own))
    conf = parse(data, "x")
    assert (conf.params, conf.webroot_map, conf.own) == (params, webroots, own)
    assert render(conf, data) == data
    assert b"%(" not in data
    # With interpolation, as certbot does; every value is looked at, for that is when it would fail.
    loaded = ConfigObj(data.decode().splitlines(keepends=True), encoding="utf-8", raise_errors=True)
    for key, value in loaded["renewalparams"].dict().items():
        assert key == "webroot_map" or params[key] == value


@given(
    before=st.dictionaries(KEYS, VALUES, max_size=5),
    after=st.dictionaries(KEYS, VALUES, max_size=5),
    unknown=st.dictionaries(KEYS, st.text("ab/-", min_size=1), max_size=3),
)
def test_a_rewrite_replaces_the_parameters_and_keeps_other_sections(
    before: dict[str, str | list[str]], after: dict[str, str | list[str]], unknown: dict[str, str]
) -> None:
    before.pop("webroot_map", None)
    after.pop("webroot_map", None)
    lines = "".join(f"{key} = {value}\n" for key, value in unknown.items())
    first = render(RenewalConf(params=before)) + b"[theirs]\n# a remark\n" + lines.encode()
    second = render(RenewalConf(params=after), first)
    assert parse(second, "x").params == after
    assert dict(ConfigObj(second.decode().splitlines())["theirs"]) == unknown
    assert b"# a remark" in second or not unknown


@given(FILES)
def test_what_the_fast_reader_accepts_configobj_reads_to_the_same(text: str) -> None:
    plain = parse_plain(text.encode("utf-8"))
    if plain is None:
        return
    slow = renewal_conf.from_configobj(renewal_conf.load(text.encode("utf-8"), "x"))
    assert _values(plain) == _values(slow)


@given(text=PLAIN_FILES, own=st.dictionaries(KEYS, JSON, min_size=1, max_size=3))
def test_a_note_changes_what_it_speaks_of_and_nothing_else(text: str, own: dict[str, renewal_conf.JsonValue]) -> None:
    before = text.encode("utf-8")
    after = with_notes(before, own, ari_retry_after="2026-11-22T07:00:00")
    if after is None:
        return
    old, new = (renewal_conf.from_configobj(renewal_conf.load(data, "x")) for data in (before, after))
    kept = {key: value for key, value in old.sections.pop("acmectl", {}).items() if key not in own}
    noted = new.sections.pop("acmectl")
    assert {key: value for key, value in noted.items() if key not in own} == kept
    assert {key: json.loads(str(noted[key])) for key in own if own[key] is not None} == {
        key: value for key, value in own.items() if value is not None
    }
    ari = {**old.sections.pop("acme_renewal_info", {}), "ari_retry_after": "2026-11-22T07:00:00"}
    assert new.sections.pop("acme_renewal_info") == ari
    assert _values(new) == _values(old)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_in_one_line(data: bytes) -> None:
    message = ""
    try:
        parse(data, "x")
    except LineageDamaged as error:
        message = error.message
    assert message.isprintable()


def _values(conf: PlainConf) -> tuple[object, object, object]:
    return conf.root, conf.sections, conf.subsections
