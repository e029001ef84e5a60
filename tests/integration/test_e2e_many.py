"""Many runs at once: on one webroot with their own directories, and on one configuration directory."""

import stat
from concurrent.futures import ThreadPoolExecutor

from tests.integration.cli import Acmectl
from tests.integration.servers.nginx import Nginx
from tests.integration.servers.static import static_server

LINEAGES = 50
AT_ONCE = 10


def test_fifty_runs_share_one_webroot_and_leave_it_as_it_was(pebble, tmp_path, public_folder):
    root = public_folder / "www"
    root.mkdir(mode=0o755)
    (root / "index.html").write_text("hello")

    def issue(number):
        folder = tmp_path / str(number)
        folder.mkdir()
        with Acmectl(pebble, folder) as acmectl:
            name = f"host{number}.example"
            done = acmectl.run("certonly", "-n", "--agree-tos", "--webroot", "-w", str(root), "-d", name)
            assert done.code == 0, str(done)
            assert acmectl.names(name) == [name]
            return acmectl.certificate(name).serial_number

    with Nginx(root, pebble.http_port), ThreadPoolExecutor(AT_ONCE) as pool:
        serials = list(pool.map(issue, range(LINEAGES)))
    assert len(set(serials)) == LINEAGES
    assert [path.name for path in root.iterdir()] == ["index.html"]


def test_runs_on_one_configuration_directory_wait_for_each_other(pebble, acmectl, public_folder):
    acmectl.run("register", "-n", "--agree-tos").ok()
    names = [f"turn{number}.example" for number in range(4)]
    with static_server(public_folder, pebble.http_port):
        runs = [acmectl.start("certonly", "-n", "--webroot", "-w", str(public_folder), "-d", name) for name in names]
        for run in runs:
            run.wait().ok()
    assert acmectl.lineages() == sorted(names)
    assert len(acmectl.account_dirs()) == 1
    assert acmectl.locks() == []
    assert list(public_folder.iterdir()) == []
    logs = [path for path in acmectl.logs.iterdir() if path.name.startswith("acmectl.log")]
    assert len(logs) == 5
    assert {stat.S_IMODE(path.stat().st_mode) for path in logs} == {0o600}


def test_runs_that_ask_for_the_same_names_at_once_make_one_lineage(pebble, acmectl, public_folder):
    with static_server(public_folder, pebble.http_port):
        command = ("certonly", "-n", "--agree-tos", "--webroot", "-w", str(public_folder), "-d", "same.example")
        runs = [acmectl.start(*command) for _ in range(3)]
        outputs = [run.wait().ok().out for run in runs]
    assert sum("The certificate was obtained." in out for out in outputs) == 1
    assert sum("is kept" in out for out in outputs) == 2
    assert acmectl.lineages() == ["same.example"]
    assert acmectl.version("same.example") == 1
    assert len(acmectl.account_dirs()) == 1


def test_a_run_that_waits_for_the_lock_says_whom_it_waits_for(acmectl):
    with acmectl.holding_locks() as holder:
        waiting = acmectl.start("renew", "--lock-timeout", "90")
        quiet = acmectl.start("renew", "-q", "--lock-timeout", "1")
        assert quiet.wait().code == 1
    done = waiting.wait().ok()
    assert done.err.count(f"Waiting for process {holder.pid}, which holds ") == 1
    assert "Waiting for process" not in quiet.wait().err


def test_a_lock_that_is_held_is_named_with_its_holder(acmectl):
    with acmectl.holding_locks() as holder:
        done = acmectl.certonly("a.example", options=("--standalone", "--lock-timeout", "0"), code=1)
        assert len(done.errors) == 1
        assert str(holder.pid) in done.errors[0]
    # It was killed; its lock file is of no consequence.
    acmectl.certonly("a.example")


def test_ten_names_in_two_lineages_share_a_name_and_nothing_else(acmectl):
    first = [f"f{number}.example" for number in range(5)] + ["shared.example"]
    second = [f"s{number}.example" for number in range(5)] + ["shared.example"]
    acmectl.certonly(*first)
    acmectl.certonly(*second)
    assert acmectl.names("f0.example") == sorted(first)
    assert acmectl.names("s0.example") == sorted(second)
