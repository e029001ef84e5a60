"""Which source wins, for every pair of sources and every kind of option."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from acmectl.config.directories import default_directories
from acmectl.config.settings import Source
from acmectl.errors import ConfigError, UsageError
from tests.unit.cli.lines import at_home, settings

# From the weakest to the strongest.
SOURCES = ("default", "cli.ini", "xdg", "-c first", "-c second", "environment", "flag")
KINDS = {
    "key_type": ("--key-type", "choice", ("rsa", "ecdsa")),
    "rsa_key_size": ("--rsa-key-size", "int", ("3072", "4096")),
    "preferred_chain": ("--preferred-chain", "text", ("weak", "strong")),
    "domains": ("--domains", "csv", ("weak.example", "strong.example")),
    "webroot_path": ("--webroot-path", "paths", ("/weak", "/strong")),
    "verbose": ("--verbose", "count", ("1", "2")),
}


@pytest.fixture
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return at_home(monkeypatch, tmp_path)


def give(source: str, flag: str, value: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give a value in one of the ways; the arguments that it takes."""
    line = f"{flag[2:]} = {value}\n"
    match source:
        case "cli.ini":
            (home / "etc/cli.ini").write_text(line)
        case "xdg":
            (home / "xdg/acmectl/cli.ini").write_text(line)
        case "-c first" | "-c second":
            (home / f"{source[3:]}.ini").write_text(line)
        case "environment":
            monkeypatch.setenv("ACMECTL_" + flag[2:].replace("-", "_").upper(), value)
        case "flag":
            return ["-v"] * int(value) if flag == "--verbose" else [flag, value]
    return []


def typed(kind: str, value: str) -> object:
    return {"int": int, "count": int, "csv": lambda v: (v,), "paths": lambda v: (v,)}.get(kind, str)(value)


@pytest.mark.parametrize("dest", KINDS)
@pytest.mark.parametrize(
    ("weak", "strong"), list(itertools.combinations(SOURCES, 2)), ids=lambda source: source.replace(" ", "-")
)
def test_the_stronger_source_wins(
    etc: Path, monkeypatch: pytest.MonkeyPatch, dest: str, weak: str, strong: str
) -> None:
    flag, kind, (low, high) = KINDS[dest]
    home = etc.parent
    for name in ("first.ini", "second.ini"):
        (home / name).write_text("")
    argv = ["-c", "first.ini", "-c", "second.ini"]
    argv += give(weak, flag, low, home, monkeypatch)
    argv += give(strong, flag, high, home, monkeypatch)
    found = settings(*argv)
    assert found.value(dest) == typed(kind, high)
    expected = {"environment": Source.ENVIRONMENT, "flag": Source.FLAG}.get(strong, Source.FILE)
    assert found.source(dest) is expected


@pytest.mark.parametrize(
    ("file", "variable", "argv", "value", "source"),
    [
        (None, None, [], False, Source.DEFAULT),
        ("true", None, [], True, Source.FILE),
        ("false", None, [], False, Source.FILE),
        ("true", "false", [], False, Source.ENVIRONMENT),
        ("false", "yes", [], True, Source.ENVIRONMENT),
        ("true", "", [], True, Source.FILE),
        ("true", None, ["--no-reuse-key"], False, Source.FLAG),
        (None, "0", ["--reuse-key"], True, Source.FLAG),
    ],
)
def test_a_flag_may_be_switched_off_by_a_stronger_source(
    etc: Path, monkeypatch: pytest.MonkeyPatch, file: str | None, variable: str | None, argv: list[str], *, value: bool,
    source: Source,
) -> None:  # fmt: skip
    if file is not None:
        (etc / "cli.ini").write_text(f"reuse-key = {file}\n")
    if variable is not None:
        monkeypatch.setenv("ACMECTL_REUSE_KEY", variable)
    found = settings(*argv)
    assert (found.flag("reuse_key"), found.source("reuse_key")) == (value, source)


def test_where_a_value_was_given_is_told(etc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (etc / "cli.ini").write_text("# x\nkey-type = rsa\n")
    monkeypatch.setenv("ACMECTL_EMAIL", "a@example.org, b@example.org")
    found = settings("--agree-tos")
    assert found.origin("key_type") == f"{etc}/cli.ini line 2"
    assert found.origin("email") == "ACMECTL_EMAIL"
    assert found.items("email") == ("a@example.org", "b@example.org")
    assert found.origin("agree_tos") == "--agree-tos"
    assert found.files == (etc / "cli.ini",)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ACMECTL_KEY_TYPE", "dsa"),
        ("ACMECTL_DRY_RUN", "perhaps"),
        ("ACMECTL_HTTP_01_PORT", "x"),
        ("ACMECTL_PREFERRED_CHALLENGES", "dns,ftp"),
    ],
)
def test_a_bad_variable_is_refused_by_its_name(
    etc: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError, match=variable):
        settings()


def test_a_flag_hides_a_bad_variable(etc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACMECTL_KEY_TYPE", "dsa")
    assert settings("--key-type", "rsa").text("key_type") == "rsa"


@pytest.mark.parametrize("way", ["file", "environment"])
def test_names_that_were_not_typed_are_dropped_for_renew(etc: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    if way == "file":
        (etc / "cli.ini").write_text("domains = a.example\nip-address = 192.0.2.1\n")
    else:
        monkeypatch.setenv("ACMECTL_DOMAINS", "a.example")
    assert settings("certonly").items("domains") == ("a.example",)
    found = settings("renew")
    assert found.items("domains") == ()
    assert found.named == ()
    assert not found.is_set("domains")


def test_names_of_a_webroot_map_may_be_given_to_renew(etc: Path) -> None:
    found = settings("renew", "--webroot-map", '{"a.example": "/srv"}', "-d", "a.example")
    assert found.items("domains") == ("a.example",)
    with pytest.raises(ConfigError, match="renew takes the names"):
        settings("renew", "--webroot-map", '{"a.example": "/srv"}', "-d", "b.example")


def test_flags_order_names_before_those_of_files(etc: Path) -> None:
    (etc / "cli.ini").write_text("webroot-path = /file\n")
    found = settings("-d", "a.example")
    assert [given.text for given in found.named] == ["a.example", "/file"]


@pytest.mark.parametrize("way", ["flag", "environment", "-c", "xdg"])
def test_cli_ini_is_read_in_the_configuration_directory_wherever_that_is(
    etc: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    home = etc.parent
    monkeypatch.delenv("ACMECTL_CONFIG_DIR")
    (home / "tree").mkdir()
    (home / "tree/cli.ini").write_text("preferred-chain = found\n")
    argv = []
    match way:
        case "flag":
            argv = ["--config-dir", "tree"]
        case "environment":
            monkeypatch.setenv("ACMECTL_CONFIG_DIR", f"{home}/tree")
        case "-c":
            (home / "c.ini").write_text("config-dir = ~/tree\n")
            argv = ["-c", "c.ini"]
        case "xdg":
            (home / "xdg/acmectl/cli.ini").write_text("config_dir = ~/tree\n")
    found = settings(*argv)
    assert found.text("preferred_chain") == "found"
    assert found.directory("config_dir") == home / "tree"


def test_a_file_that_is_both_the_users_and_the_directorys_is_read_once(
    etc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = etc.parent / "xdg/acmectl"
    (folder / "cli.ini").write_text("no-self-upgrade = 0\n")
    monkeypatch.setenv("ACMECTL_CONFIG_DIR", str(folder))
    found = settings()
    assert found.files == (folder / "cli.ini",)
    assert len(found.warnings) == 1


def test_a_selector_of_a_stronger_source_beats_one_of_a_weaker(etc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (etc / "cli.ini").write_text("authenticator = webroot\n")
    assert settings().text("authenticator") == "webroot"
    assert settings("--standalone").text("authenticator") == "standalone"
    monkeypatch.setenv("ACMECTL_MANUAL", "true")
    assert settings().text("authenticator") == "manual"
    (etc / "cli.ini").write_text("authenticator = webroot\nstandalone = true\n")
    monkeypatch.delenv("ACMECTL_MANUAL")
    with pytest.raises(ConfigError, match=r"webroot .* and standalone"):
        settings()


def test_a_stronger_size_beats_a_short_key_type_of_a_weaker_source(etc: Path) -> None:
    (etc / "cli.ini").write_text("key-type = ec256\n")
    found = settings("--elliptic-curve", "secp384r1")
    assert (found.text("key_type"), found.text("elliptic_curve")) == ("ecdsa", "secp384r1")
    (etc / "cli.ini").write_text("elliptic-curve = secp521r1\n")
    assert settings("--key-type", "ec384").text("elliptic_curve") == "secp384r1"


def test_root_has_the_directories_of_the_system_and_others_their_own() -> None:
    home = Path("/home/x")
    root = default_directories({}, uid=0, home=home)
    assert (root.config_dir, root.work_dir, root.logs_dir) == (
        Path("/etc/acmectl"),
        Path("/var/lib/acmectl"),
        Path("/var/log/acmectl"),
    )
    assert root.user_file == home / ".config/acmectl/cli.ini"
    other = default_directories({}, uid=1000, home=home)
    assert other.config_dir == home / ".config/acmectl"
    assert other.work_dir == home / ".local/share/acmectl"
    assert other.logs_dir == home / ".local/state/acmectl/log"
    moved = default_directories(
        {"XDG_CONFIG_HOME": "/c", "XDG_DATA_HOME": "relative", "XDG_STATE_HOME": "/s"}, uid=1000, home=home
    )
    assert moved.user_file == Path("/c/acmectl/cli.ini")
    assert moved.work_dir == home / ".local/share/acmectl"
    assert moved.logs_dir == Path("/s/acmectl/log")
