"""What is refused and what is warned of before an order, of files beside the live links."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from acmectl.actions.output_checks import check_places
from acmectl.actions.outputs import Outputs
from acmectl.errors import ConfigError, StorageError
from acmectl.storage.layout import LOCK_FILE
from acmectl.storage.lineages import LineageStore
from tests.unit.storage.material import issue, layout_in

NOBODY = 65534


class Bench:
    """A store, and what was said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.environ = {"PASSWORD": "secret"}
        self.store = LineageStore(layout_in(folder))

    def check(self, name: str = "a.test", **outputs: object) -> list[str]:
        self.said.clear()
        services = SimpleNamespace(
            layout=self.store.layout,
            lineages=self.store,
            observe=lambda event: self.said.append(event.text),
            environ=self.environ,
            keep_secret=lambda _text: None,
        )
        existing = self.store.get(name) if self.store.exists(name) else None
        own = existing.conf.own if existing is not None else {}
        check_places(services, name, existing, Outputs(given=True, **outputs), own)  # type: ignore[arg-type]
        return self.said


@pytest.fixture
def bench() -> Iterator[Bench]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield Bench(folder)


@pytest.mark.usefixtures("root")
def test_only_root_gives_files_away(bench: Bench) -> None:
    bench.check(pem=bench.folder / "x", owner="nobody", group="0")
    # All is imported now: nobody else may be able to read the program.
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            with pytest.raises(ConfigError, match="--owner: only root can give a file to 'root'"):
                bench.check(pem=bench.folder / "x", owner="root")
            with pytest.raises(ConfigError, match="--group: only root or a member of '0'"):
                bench.check(pem=bench.folder / "x", group="0")
            bench.check(pem=bench.folder / "x", owner=str(NOBODY), group=str(NOBODY))
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_group_that_may_not_read_is_warned_of(bench: Bench) -> None:
    group = str(os.getegid())
    assert "may not read what has mode 0600" in bench.check(pem=bench.folder / "x", group=group)[0]
    assert bench.check(pem=bench.folder / "x", group=group, mode=0o640) == []
    # The private key itself keeps the mode that it has.
    assert bench.check(group=group) == []


def test_a_mode_with_which_everybody_reads_the_key_is_warned_of(bench: Bench) -> None:
    assert "everybody on this machine can read" in bench.check(pem=bench.folder / "x", mode=0o644)[0]
    assert bench.check(pem=bench.folder / "x", mode=0o440) == []


def test_pkcs12_is_written_over_pkcs12_alone(bench: Bench) -> None:
    path = bench.folder / "x.p12"
    for content in (b"0 9 * * *", b"0hello", b"-----BEGIN CERTIFICATE-----"):
        path.write_bytes(content)
        with pytest.raises(StorageError, match="holds something else"):
            bench.check(pkcs12=path, password="env:PASSWORD")
    path.write_bytes(b"\x30\x82\x04\x00")
    bench.check(pkcs12=path, password="env:PASSWORD")


def test_an_empty_password_is_warned_of_and_another_is_looked_up(bench: Bench) -> None:
    assert "empty password" in bench.check(pkcs12=bench.folder / "x")[0]
    assert bench.check(pkcs12=bench.folder / "x", password="env:PASSWORD") == []
    with pytest.raises(ConfigError, match="NOWHERE is not set"):
        bench.check(pkcs12=bench.folder / "x", password="env:NOWHERE")
    for wrong, why in (("", "is empty"), (os.fsdecode(b"\xff"), "is not text")):
        bench.environ["WRONG"] = wrong
        with pytest.raises(ConfigError, match=f"--pkcs12-password: what it refers to {why}"):
            bench.check(pkcs12=bench.folder / "x", password="env:WRONG")


def test_one_file_is_for_one_certificate_by_whatever_way(bench: Bench) -> None:
    issue(bench.store, "b.test")
    own = {"pem_out": str(bench.folder / "b.pem"), "second_key": "rsa"}
    bench.store.update_own("b.test", dict(own))
    (bench.folder / "way").symlink_to(bench.folder)
    for taken in ("b.pem", "b-rsa.pem", "way/b.pem"):
        with pytest.raises(ConfigError, match=r"is written for the certificate b\.test"):
            bench.check(pem=bench.folder / taken)
    bench.check(pem=bench.folder / "b-ecdsa.pem")
    bench.check("b.test", pem=bench.folder / "b.pem")
    with pytest.raises(ConfigError, match="are the same file"):
        bench.check(pem=bench.folder / "x", pkcs12=bench.folder / "way" / "x")


def test_a_damaged_renewal_file_is_in_nobodys_way(bench: Bench) -> None:
    issue(bench.store, "b.test")
    bench.store.layout.renewal_conf("b.test").write_bytes(b"\xff\xfe[[[")
    assert bench.check(pem=bench.folder / "x") == []


def test_the_tree_is_refused_and_its_neighbourhood_is_not(bench: Bench) -> None:
    layout = bench.store.layout
    for root in (layout.live_root, layout.archive_root, layout.renewal_root, layout.accounts_root, layout.hooks_root):
        with pytest.raises(ConfigError, match="which is acmectl's own"):
            bench.check(pem=root / "x.pem")
    layout.config_dir.mkdir(parents=True, exist_ok=True)
    assert bench.check(pem=layout.config_dir / "x.pem") == []
    with pytest.raises(ConfigError, match="is acmectl's own"):
        bench.check(pem=layout.config_dir / LOCK_FILE)
