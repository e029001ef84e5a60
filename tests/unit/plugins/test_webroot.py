import contextlib
import ctypes
import multiprocessing
import os
import pathlib
import pickle
import stat
import tempfile
import threading

import pytest

from acmectl.errors import AuthorizationFailed, PluginError
from acmectl.identifiers import Identifier
from acmectl.plugin.testing import make_context, make_task
from acmectl_plugins import webroot
from acmectl_plugins.webroot import Webroot

TASK = make_task("a.example", "http-01")
WELL_KNOWN = ".well-known"
CHALLENGES = ".well-known/acme-challenge"


def plugin(root=None, *, warnings=None, **options):
    if root is not None:
        options["webroot_path"] = [str(root)]
    return Webroot(options, make_context(warn=(warnings if warnings is not None else []).append))


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def failure(authenticator, task=TASK):
    with pytest.raises(AuthorizationFailed) as caught:
        authenticator.present([task])
    (only,) = caught.value.failures
    return only


def as_another_user(work):
    """What ``work`` gives in a child process that is nobody when we are root, and ourselves else."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                # The kernel hides /proc/self from a process that has changed its user, until it starts a program.
                ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
            answer = ("gave", work())
        except BaseException as error:
            answer = ("raised", f"{type(error).__name__}: {error} {[f.reason for f in getattr(error, 'failures', ())]}")
        os.write(writing, pickle.dumps(answer))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        kind, value = pickle.loads(pipe.read())
    os.waitpid(child, 0)
    assert kind == "gave", value
    return value


@pytest.fixture
def open_dir():
    """A directory that another user can reach and write to; pytest closes its own ones to everybody else."""
    with tempfile.TemporaryDirectory() as base:
        os.chmod(base, 0o711)
        place = pathlib.Path(base) / "open"
        place.mkdir()
        if os.geteuid() == 0:
            os.chown(place, 65534, 65534)
        yield place


@pytest.fixture(params=[0o000, 0o022, 0o027, 0o077, 0o777], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_files_and_directories_have_their_modes_under_any_umask(tmp_path, umask):
    plugin(tmp_path).present([TASK])
    assert mode(tmp_path / CHALLENGES / TASK.token) == 0o644
    assert mode(tmp_path / CHALLENGES) == 0o755
    assert mode(tmp_path / WELL_KNOWN) == 0o755
    assert (tmp_path / CHALLENGES / TASK.token).read_bytes() == TASK.http_body


@pytest.mark.parametrize("mask", [0, 0o027, 0o277, 0o700, 0o777], ids=oct)
def test_another_user_than_root_gets_the_same_modes(open_dir, mask):
    def work():
        os.umask(mask)
        one = plugin(open_dir)
        one.check([TASK.identifier])
        one.present([TASK])
        modes = [mode(open_dir / part) for part in (WELL_KNOWN, CHALLENGES, f"{CHALLENGES}/{TASK.token}")]
        one.clean_up([TASK])
        return modes, os.listdir(open_dir)

    assert as_another_user(work) == ([0o755, 0o755, 0o644], [])


def test_directories_that_were_there_keep_their_mode_and_stay(tmp_path):
    (tmp_path / CHALLENGES).mkdir(parents=True)
    (tmp_path / WELL_KNOWN).chmod(0o711)
    (tmp_path / CHALLENGES).chmod(0o775)
    one = plugin(tmp_path)
    one.present([TASK])
    assert (mode(tmp_path / WELL_KNOWN), mode(tmp_path / CHALLENGES)) == (0o711, 0o775)
    one.clean_up([TASK])
    assert os.listdir(tmp_path / CHALLENGES) == []


def test_only_the_directory_that_was_made_is_removed(tmp_path):
    (tmp_path / WELL_KNOWN).mkdir()
    one = plugin(tmp_path)
    one.present([TASK])
    one.clean_up([TASK])
    assert os.listdir(tmp_path) == [WELL_KNOWN]
    assert os.listdir(tmp_path / WELL_KNOWN) == []


def test_a_directory_in_which_somebody_put_a_file_stays(tmp_path):
    one = plugin(tmp_path)
    one.present([TASK])
    (tmp_path / WELL_KNOWN / "security.txt").write_text("x")
    one.clean_up([TASK])
    assert os.listdir(tmp_path / WELL_KNOWN) == ["security.txt"]


@pytest.mark.usefixtures("root")
def test_made_directories_belong_to_the_owner_of_the_web_root(tmp_path):
    os.chown(tmp_path, 33, 34)
    plugin(tmp_path).present([TASK])
    for part in (WELL_KNOWN, CHALLENGES):
        found = os.stat(tmp_path / part)
        assert (found.st_uid, found.st_gid) == (33, 34)
    assert os.stat(tmp_path / CHALLENGES / TASK.token).st_uid == 0


@pytest.mark.usefixtures("root")
def test_an_owner_that_cannot_be_given_is_a_warning(open_dir):
    os.chown(open_dir, 0, 0)
    open_dir.chmod(0o777)

    def work():
        warnings = []
        plugin(open_dir, warnings=warnings).present([TASK])
        return warnings

    warnings = as_another_user(work)
    assert len(warnings) == 2
    assert all("could not be given to the owner of its web root: Operation not permitted" in text for text in warnings)
    assert (open_dir / CHALLENGES / TASK.token).exists()


def test_the_directories_go_with_the_last_of_several_runs(tmp_path):
    first, second = plugin(tmp_path), plugin(tmp_path)
    other = make_task("b.example", "http-01")
    first.present([TASK])
    second.present([other])
    first.clean_up([TASK])
    assert (tmp_path / CHALLENGES / other.token).exists()
    second.clean_up([other])
    assert os.listdir(tmp_path) == []


def test_the_same_holds_where_directories_cannot_be_marked(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "setxattr", refuse)
    test_the_directories_go_with_the_last_of_several_runs(tmp_path)
    assert webroot._unmarked


def test_a_directory_that_a_dying_run_left_closed_is_opened_up(open_dir):
    def work():
        (open_dir / WELL_KNOWN).mkdir()
        (open_dir / WELL_KNOWN).chmod(0)
        one = plugin(open_dir)
        one.check([TASK.identifier])
        one.present([TASK])
        return mode(open_dir / WELL_KNOWN)

    assert as_another_user(work) == 0o755


def test_a_directory_that_somebody_closed_long_ago_stays_closed(open_dir, monkeypatch):
    monkeypatch.setattr(webroot, "_NEW", 0.0)

    def work():
        (open_dir / WELL_KNOWN).mkdir()
        (open_dir / WELL_KNOWN).chmod(0o555)
        return failure(plugin(open_dir)).reason, mode(open_dir / WELL_KNOWN)

    reason, left = as_another_user(work)
    assert "Permission denied" in reason
    assert left == 0o555


def _one_run(root, number, rounds, barrier, problems):
    os.umask((0o022, 0o077, 0o777, 0)[number % 4])
    try:
        barrier.wait(60)
        for turn in range(rounds):
            task = make_task(f"n{number}.example", "http-01", seed=str(turn))
            one = plugin(root)
            one.check([task.identifier])
            one.present([task])
            file = os.path.join(root, CHALLENGES, task.token)
            with open(file, "rb") as opened:
                if opened.read() != task.http_body or mode(file) != 0o644:
                    problems.put(f"{number}: wrong answer")
            one.clean_up([task])
    except BaseException as error:
        reasons = [f.reason for f in getattr(error, "failures", ())]
        problems.put(f"{number}: {type(error).__name__}: {error} {reasons}")


def test_fifty_processes_share_one_web_root_and_leave_it_as_it_was(tmp_path):
    context = multiprocessing.get_context("fork")
    barrier, problems = context.Barrier(50), context.SimpleQueue()
    runs = [
        context.Process(target=_one_run, args=(str(tmp_path), number, 20, barrier, problems)) for number in range(50)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join(120)
    found = []
    while not problems.empty():
        found.append(problems.get())
    assert found == []
    assert [run.exitcode for run in runs] == [0] * 50
    assert os.listdir(tmp_path) == []


def test_fifty_processes_of_another_user_share_one_web_root(open_dir):
    as_another_user(lambda: test_fifty_processes_share_one_web_root_and_leave_it_as_it_was(open_dir))


def test_somebody_who_keeps_removing_the_directories_does_not_stop_a_run(tmp_path):
    stop = threading.Event()

    def vandal():
        while not stop.wait(0.0002):
            for part in (CHALLENGES, WELL_KNOWN):
                with contextlib.suppress(OSError):
                    os.rmdir(tmp_path / part)

    thread = threading.Thread(target=vandal)
    thread.start()
    try:
        one = plugin(tmp_path)
        for turn in range(200):
            task = make_task("a.example", "http-01", seed=str(turn))
            one.present([task])
            assert (tmp_path / CHALLENGES / task.token).read_bytes() == task.http_body
            one.clean_up([task])
    finally:
        stop.set()
        thread.join()


def test_the_web_root_itself_may_be_a_link(tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    link = tmp_path / "link"
    link.symlink_to(real)
    one = plugin(link)
    one.check([TASK.identifier])
    one.present([TASK])
    assert (real / CHALLENGES / TASK.token).exists()
    one.clean_up([TASK])
    assert os.listdir(real) == []


@pytest.mark.parametrize("part", [WELL_KNOWN, CHALLENGES])
def test_a_link_below_the_web_root_that_is_our_own_is_followed(tmp_path, part):
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / part).parent.mkdir(parents=True)
    outside.mkdir()
    (root / part).symlink_to("../outside" if part == WELL_KNOWN else "../../outside")
    one = plugin(root)
    one.check([TASK.identifier])
    one.present([TASK])
    assert (root / CHALLENGES / TASK.token).read_bytes() == TASK.http_body
    assert [path for path in outside.rglob("*") if path.is_file()]
    one.clean_up([TASK])
    assert not [path for path in outside.rglob("*") if path.is_file()]
    assert (root / part).is_symlink()


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("part", [WELL_KNOWN, CHALLENGES])
def test_a_link_below_the_web_root_that_somebody_else_made_is_not_followed(tmp_path, part):
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / part).parent.mkdir(parents=True)
    outside.mkdir()
    (root / part).symlink_to(outside)
    os.lchown(root / part, 65534, 65534)
    one = plugin(root)
    with pytest.raises(PluginError, match="symbolic link") as caught:
        one.check([TASK.identifier])
    assert str(outside) in caught.value.hint
    found = failure(one)
    assert "symbolic link" in found.reason
    assert "--challenge-dir" in found.hint
    with pytest.raises(PluginError, match="symbolic link"):
        one.clean_up([TASK])
    assert os.listdir(outside) == []
    assert (root / part).is_symlink()


def test_a_link_in_place_of_the_file_is_replaced_and_its_target_untouched(tmp_path):
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / CHALLENGES).mkdir(parents=True)
    (tmp_path / CHALLENGES / TASK.token).symlink_to(target)
    one = plugin(tmp_path)
    one.present([TASK])
    file = tmp_path / CHALLENGES / TASK.token
    assert not file.is_symlink()
    assert file.read_bytes() == TASK.http_body
    assert target.read_text() == "precious"


def test_a_hard_link_in_place_of_the_file_is_replaced_and_its_target_untouched(tmp_path):
    target = tmp_path / "target"
    target.write_text("precious")
    target.chmod(0o600)
    (tmp_path / CHALLENGES).mkdir(parents=True)
    os.link(target, tmp_path / CHALLENGES / TASK.token)
    plugin(tmp_path).present([TASK])
    assert (target.read_text(), mode(target)) == ("precious", 0o600)
    assert (tmp_path / CHALLENGES / TASK.token).read_bytes() == TASK.http_body


def test_a_hard_link_with_the_right_content_is_replaced_too(tmp_path):
    target = tmp_path / "target"
    target.write_bytes(TASK.http_body)
    target.chmod(0o644)
    (tmp_path / CHALLENGES).mkdir(parents=True)
    os.link(target, tmp_path / CHALLENGES / TASK.token)
    plugin(tmp_path).present([TASK])
    target.write_text("changed later by its owner")
    assert (tmp_path / CHALLENGES / TASK.token).read_bytes() == TASK.http_body


def test_clean_up_removes_a_planted_link_and_not_its_target(tmp_path):
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / CHALLENGES).mkdir(parents=True)
    (tmp_path / CHALLENGES / TASK.token).symlink_to(target)
    plugin(tmp_path).clean_up([TASK])
    assert target.read_text() == "precious"


def test_a_stale_file_is_overwritten(tmp_path):
    (tmp_path / CHALLENGES).mkdir(parents=True)
    file = tmp_path / CHALLENGES / TASK.token
    file.write_text("old")
    plugin(tmp_path).present([TASK])
    assert file.read_bytes() == TASK.http_body


def test_a_pipe_in_place_of_the_file_does_not_hang_the_run(tmp_path):
    (tmp_path / CHALLENGES).mkdir(parents=True)
    os.mkfifo(tmp_path / CHALLENGES / TASK.token)
    plugin(tmp_path).present([TASK])
    assert (tmp_path / CHALLENGES / TASK.token).read_bytes() == TASK.http_body


def test_a_file_that_is_already_right_is_left_in_place(tmp_path):
    plugin(tmp_path).present([TASK])
    before = os.stat(tmp_path / CHALLENGES / TASK.token).st_ino
    plugin(tmp_path).present([TASK])
    assert os.stat(tmp_path / CHALLENGES / TASK.token).st_ino == before


def test_one_name_that_fails_does_not_keep_the_others_from_being_answered(tmp_path):
    (tmp_path / "good").mkdir()
    (tmp_path / "bad").write_text("a file")
    one = plugin(webroot_map={"a.example": str(tmp_path / "good"), "b.example": str(tmp_path / "bad")})
    with pytest.raises(AuthorizationFailed) as caught:
        one.present([make_task("b.example", "http-01"), TASK])
    assert [str(f.identifier) for f in caught.value.failures] == ["b.example"]
    assert (tmp_path / "good" / CHALLENGES / TASK.token).exists()


def test_each_name_goes_to_its_web_root_and_the_rest_to_the_last(tmp_path):
    roots = [tmp_path / name for name in ("one", "two", "three")]
    for root in roots:
        root.mkdir()
    names = {"a.example": 2, "b.example": 1, "2001:db8::1": 0}
    one = plugin(
        webroot_path=[str(roots[0]), str(roots[1])],
        webroot_map={"A.example.": str(roots[2]), "2001:db8::1": str(roots[0])},
    )
    for name, index in names.items():
        task = make_task(name, "http-01")
        one.present([task])
        assert (roots[index] / CHALLENGES / task.token).exists(), name


def test_a_relative_web_root_does_not_move_with_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "www").mkdir()
    monkeypatch.chdir(tmp_path)
    one = plugin("www")
    monkeypatch.chdir("/")
    one.present([TASK])
    assert (tmp_path / "www" / CHALLENGES / TASK.token).exists()


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda p: None, "does not exist"),
        (lambda p: p.write_text("x"), "is not a directory"),
        (lambda p: p.symlink_to("/nowhere/at/all"), "is not a directory"),
        (lambda p: (p.mkdir(), (p / WELL_KNOWN).write_text("x")), "is not a directory"),
    ],
    ids=["missing", "file", "dangling link", "file below"],
)
def test_a_web_root_that_cannot_be_used_is_refused_beforehand(tmp_path, prepare, message):
    root = tmp_path / "www"
    prepare(root)
    with pytest.raises(PluginError, match=message) as caught:
        plugin(root).check([TASK.identifier])
    assert "www" in caught.value.message


def test_a_web_root_that_cannot_be_written_to_is_refused_beforehand(open_dir):
    open_dir.chmod(0o555)

    def work():
        one = plugin(open_dir)
        with pytest.raises(PluginError) as refused:
            one.check([TASK.identifier])
        found = failure(one)
        one.clean_up([TASK])
        return refused.value.message, found.reason

    message, reason = as_another_user(work)
    assert "cannot be written to" in message
    assert "Permission denied" in reason
    assert os.listdir(open_dir) == []


def test_checking_looks_at_the_deepest_directory(open_dir):
    (open_dir / CHALLENGES).mkdir(parents=True)
    open_dir.chmod(0o755)
    (open_dir / CHALLENGES).chmod(0o777)

    def work():
        one = plugin(open_dir)
        one.check([TASK.identifier])
        one.present([TASK])
        return (open_dir / CHALLENGES / TASK.token).exists()

    assert as_another_user(work)


def test_a_name_without_a_web_root_is_refused():
    with pytest.raises(PluginError, match="no web root for a") as caught:
        plugin().check([TASK.identifier])
    assert caught.value.identifier == TASK.identifier


def test_a_wildcard_is_refused_with_a_word_on_dns(tmp_path):
    with pytest.raises(PluginError, match="wildcard") as caught:
        plugin(tmp_path).check([Identifier.dns("*.a.example")])
    assert "dns" in caught.value.hint


@pytest.mark.parametrize("token", ["../../../../etc/cron.d/evil-file-x", "short", "a" * 30 + "/x", "", "." * 30])
def test_a_token_that_is_none_never_becomes_a_file_name(tmp_path, token):
    from dataclasses import replace

    found = failure(plugin(tmp_path), replace(TASK, token=token))
    assert "not a token" in found.reason
    assert os.listdir(tmp_path) == []


def test_a_full_disk_leaves_no_half_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    one = plugin(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        found = failure(one)
    assert "No space left" in found.reason
    one.clean_up([TASK])
    assert os.listdir(tmp_path) == []


def test_what_cannot_be_removed_is_reported_and_the_rest_is_removed(tmp_path):
    one, other = plugin(tmp_path), make_task("b.example", "http-01")
    one.present([TASK, other])
    (tmp_path / CHALLENGES / TASK.token).unlink()
    (tmp_path / CHALLENGES / TASK.token).mkdir()
    with pytest.raises(PluginError, match="could not be removed"):
        one.clean_up([TASK, other])
    assert not (tmp_path / CHALLENGES / other.token).exists()


def test_a_web_root_that_is_gone_is_no_problem_for_clean_up(tmp_path):
    plugin(tmp_path / "gone").clean_up([TASK])


def test_the_hint_names_the_directory_and_the_address(tmp_path):
    hint = plugin(tmp_path).failure_hint(TASK)
    assert f"{tmp_path}/{CHALLENGES}" in hint
    assert "http://a.example/.well-known/acme-challenge/" in hint


def test_a_hundred_names_are_answered_without_leaking_descriptors(tmp_path):
    one = plugin(tmp_path)
    tasks = [make_task(f"n{i}.example", "http-01") for i in range(100)]
    before = len(os.listdir("/proc/self/fd"))
    one.present(tasks)
    one.clean_up(tasks)
    assert len(os.listdir("/proc/self/fd")) == before
