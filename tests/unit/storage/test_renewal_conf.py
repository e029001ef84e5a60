from __future__ import annotations

import stat
import subprocess
import sys

import pytest
from configobj import ConfigObj

from acmectl.errors import LineageDamaged, StorageError
from acmectl.storage import renewal_conf
from acmectl.storage.conf_lines import parse_plain
from acmectl.storage.lineages import LineageStore
from acmectl.storage.renewal_conf import RenewalConf, conf_text, parse, render
from tests.unit.storage.material import PARAMS, issue

FROM_CERTBOT = b"""\
# renew_before_expiry = 30 days
version = 2.1.0
archive_dir = /etc/letsencrypt/archive/a.test
cert = /etc/letsencrypt/live/a.test/cert.pem
privkey = /etc/letsencrypt/live/a.test/privkey.pem
chain = /etc/letsencrypt/live/a.test/chain.pem
fullchain = /etc/letsencrypt/live/a.test/fullchain.pem
my_own_key = kept

# Options used in the renewal process
[renewalparams]
account = 0123456789abcdef
pref_challs = http-01,
webroot_path = /var/www/a, "/var/www/b, c"
pre_hook = "echo 'one', two"
post_hook = '''echo "one" 'two' '''
key_type = rsa
reuse_key = True
old_key = None # a remark
[[webroot_map]]
a.test = /var/www/a
::1 = /var/www/b
[acme_renewal_info]
ari_retry_after = 2026-11-21T07:19:35
[other_program]
its = own
"""


def certbots_view(data: bytes) -> ConfigObj:
    """What certbot gets from a file: ConfigObj with interpolation on."""
    return ConfigObj(data.decode().splitlines(), encoding="utf-8")


def test_a_file_of_certbots_is_understood() -> None:
    conf = parse(FROM_CERTBOT, "x")
    assert conf.root["my_own_key"] == "kept"
    assert conf.params == {
        "account": "0123456789abcdef",
        "pref_challs": ["http-01"],
        "webroot_path": ["/var/www/a", "/var/www/b, c"],
        "pre_hook": "echo 'one', two",
        "post_hook": "echo \"one\" 'two' ",
        "key_type": "rsa",
        "reuse_key": "True",
        "old_key": "None",
    }
    assert conf.webroot_map == {"a.test": "/var/www/a", "::1": "/var/www/b"}
    assert conf.ari == {"ari_retry_after": "2026-11-21T07:19:35"}
    assert conf.own == {}


def test_parameters_are_read_as_text_or_as_lists() -> None:
    conf = parse(FROM_CERTBOT, "x")
    assert conf.text("old_key") is None
    assert conf.text("missing") is None
    assert conf.text("pref_challs") == "http-01"
    assert conf.texts("key_type") == ["rsa"]
    assert conf.texts("old_key") == []
    assert conf.texts("webroot_path") == ["/var/www/a", "/var/www/b, c"]


def test_values_are_spelled_as_certbot_spells_them() -> None:
    assert [conf_text(v) for v in (True, False, None, 4096, "x", ["a"], ("a", 1))] == [
        "True",
        "False",
        "None",
        "4096",
        "x",
        ["a"],
        ["a", "1"],
    ]


def test_a_rewrite_keeps_what_it_does_not_speak_of() -> None:
    conf = parse(FROM_CERTBOT, "x")
    rewritten = render(conf, FROM_CERTBOT)
    assert b"# renew_before_expiry = 30 days" in rewritten
    assert b"my_own_key = kept" in rewritten
    assert b"# Options used in the renewal process" in rewritten
    assert b"# a remark" in rewritten
    assert b"[other_program]\nits = own" in rewritten
    assert b"version = 5.8.0" in rewritten
    again = parse(rewritten, "x")
    assert (again.params, again.webroot_map, again.ari) == (conf.params, conf.webroot_map, conf.ari)
    assert render(again, rewritten) == rewritten


def test_a_rewrite_drops_parameters_and_webroots_that_are_gone() -> None:
    rewritten = render(RenewalConf(params={"key_type": "ecdsa"}), FROM_CERTBOT)
    conf = parse(rewritten, "x")
    assert conf.params == {"key_type": "ecdsa"}
    assert conf.webroot_map == {}
    assert conf.ari == {}
    assert conf.root["my_own_key"] == "kept"


def test_a_newer_certbots_version_is_left_alone() -> None:
    newer = FROM_CERTBOT.replace(b"version = 2.1.0", b"version = 6.0.1")
    assert b"version = 6.0.1" in render(parse(newer, "x"), newer)
    odd = FROM_CERTBOT.replace(b"version = 2.1.0", b"version = acmectl-1")
    assert b"version = 5.8.0" in render(parse(odd, "x"), odd)


def test_the_version_comes_first_and_lists_of_one_keep_their_comma() -> None:
    data = render(RenewalConf(root={"archive_dir": "/a"}, params={"webroot_path": ["/w"], "pref_challs": []}))
    assert data.decode().splitlines() == [
        "version = 5.8.0",
        "archive_dir = /a",
        "[renewalparams]",
        "webroot_path = /w,",
        "pref_challs = ,",
    ]


@pytest.mark.parametrize(
    "value",
    [
        "echo %(foo)s",
        "50%(about)",
        "date +%(Y)s > 'x' \"y\"",
        "one\ntwo",
        "one\r\ntwo",
        "'''\"\"\"",
        "a\x85b",
        "a\u2028b",
        "tab\there",
        ["a", "%(b)s"],
    ],
)
def test_what_certbot_could_not_read_is_kept_from_it_and_comes_back(value: str | list[str]) -> None:
    data = render(RenewalConf(params={"pre_hook": value, "key_type": "rsa"}, own={"deploy_owed": 3}))
    assert b"%(" not in data
    assert dict(certbots_view(data)["renewalparams"]) == {"key_type": "rsa"}
    conf = parse(data, "x")
    assert conf.params == {"key_type": "rsa", "pre_hook": value}
    assert conf.own == {"deploy_owed": 3}
    assert render(conf, data) == data


def test_what_certbot_has_written_since_wins_over_what_was_kept_from_it() -> None:
    data = render(RenewalConf(params={"pre_hook": "echo %(x)s"}))
    document = certbots_view(data)
    document["renewalparams"]["pre_hook"] = "echo new"
    changed = b"\n".join(document.write())
    assert parse(changed, "x").params["pre_hook"] == "echo new"


def test_our_own_section_holds_any_json() -> None:
    own = {"s": 'it\'s 100% "so" #1 $x', "n": 1.5, "b": True, "l": [1, "a,b"], "o": {"k": None}, "e": "", "u": "ü"}
    data = render(RenewalConf(own=own))
    assert b"%" not in data
    assert parse(data, "x").own == own
    assert certbots_view(data)["acmectl"]["n"] == "1.5"


def test_an_empty_own_section_is_not_written() -> None:
    data = render(RenewalConf(own={"a": 1}))
    assert b"acmectl" not in render(RenewalConf(), data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"[renewalparams\n", "cannot be read"),
        (b"cert = a\ncert = b\n", "cannot be read"),
        (b"nonsense\n", "cannot be read"),
        (b"a = '''unfinished\n", "cannot be read"),
        (b"[acmectl]\nx = {torn\n", "not JSON"),
        (b"[acmectl]\nx = " + b"[" * 60_000, "not JSON"),
    ],
)
def test_a_damaged_file_is_named_in_one_line(data: bytes, reason: str) -> None:
    with pytest.raises(LineageDamaged) as caught:
        parse(data, "/etc/x/renewal/a.conf")
    assert "/etc/x/renewal/a.conf" in caught.value.message
    assert reason in caught.value.message
    assert caught.value.message.isprintable()


def test_a_file_without_parameters_is_read_and_says_so() -> None:
    assert not parse(b"version = 1.0\n", "x").has_params
    assert parse(b"[renewalparams]\n", "x").has_params


def test_windows_line_ends_and_a_byte_order_mark_are_read() -> None:
    data = b"\xef\xbb\xbf" + FROM_CERTBOT.replace(b"\n", b"\r\n")
    assert parse(data, "x").params == parse(FROM_CERTBOT, "x").params


def test_a_broken_file_is_replaced_and_not_repaired() -> None:
    data = render(RenewalConf(params={"key_type": "rsa"}), b"[[[nonsense\x00")
    assert parse(data, "x").params == {"key_type": "rsa"}


def test_a_path_that_no_file_can_hold_is_refused() -> None:
    with pytest.raises(StorageError, match="archive_dir"):
        render(RenewalConf(root={"archive_dir": "/a\nb"}))
    assert not renewal_conf.holds("/a\nb")
    assert renewal_conf.holds("/a b, c/%(d)s")


def test_plain_files_are_read_without_configobj(store: LineageStore) -> None:
    issue(store, "a.test", params={**PARAMS, "renew_hook": "systemctl reload nginx", "must_staple": "True"})
    store.update_own("a.test", {"deploy_owed": 1, "log": {"when": "2026", "how": "it's"}})
    code = (
        "import sys; from acmectl.storage.renewal_conf import read;"
        f"print(read({str(store.layout.renewal_conf('a.test'))!r}).own['deploy_owed'], 'configobj' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "1 False\n"


@pytest.mark.parametrize(
    "text",
    [
        "a = 1\na = 2\n",
        "[a]\n[a]\n",
        "[[a]]\nb = 1\n",
        "a = 1\n[a]\n",
        "[a]\nb = 1\n[[b]]\n",
        "[a]\n[[[b]]]\n",
        "a = 'x\n",
        'a = "x" y\n',
        "a = x # remark\n",
        "a = b,,c\n",
        "a = '''x'''\n",
        "[a] # remark\n",
        "'a' = b\n",
        "a\n",
        "a = x\x0by\n",
        "a = x\ty\n",
    ],
)
def test_what_is_not_plain_is_left_to_configobj(text: str) -> None:
    assert parse_plain(text.encode()) is None


def test_a_rewrite_keeps_the_files_mode(store: LineageStore) -> None:
    issue(store, "a.test")
    path = store.layout.renewal_conf("a.test")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    path.chmod(0o640)
    store.update_own("a.test", {"x": 1})
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [p.name for p in path.parent.iterdir()] == ["a.test.conf"]


def test_a_rewrite_that_changes_nothing_does_not_touch_the_file(store: LineageStore) -> None:
    issue(store, "a.test")
    path = store.layout.renewal_conf("a.test")
    before = path.stat()
    store.write_conf("a.test", store.get("a.test").conf)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
