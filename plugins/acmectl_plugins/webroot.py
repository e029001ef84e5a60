"""webroot: puts http-01 answers where a running web server finds them (RFC 8555 section 8.3).

Web roots often belong to users who are not trusted as the one who runs acmectl is. So nothing below a web root is
reached by path: every step is opened relative to the one before and symbolic links are refused. Many runs may share a
web root at the same time; what one of them removes while another needs it is simply made again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import threading
import time
from typing import TYPE_CHECKING, ClassVar, TypeVar

from acmectl.plugin.api import Authenticator, AuthorizationFailed, AuthorizationFailure, PluginError
from acmectl_plugins.link_owner import open_part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from acmectl.plugin.api import ChallengeTask, Context, Identifier

T = TypeVar("T")

_BELOW = (".well-known", "acme-challenge")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{22,512}")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_PLACE = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_FILE_MODE = 0o644
_DIRECTORY_MODE = 0o755
_ATTEMPTS = 1000
_STRIKES = 20  # refusals that another run's new directory may cause
_NEW = 60.0  # seconds; a directory that has been closed for longer is meant to be
_BY_EFFECTIVE_USER = os.access in os.supports_effective_ids
# Marks a directory as made by acmectl, for whichever run is the last to need it.
_MARK = "user.acmectl.created"

_unmarked: set[tuple[int, int]] = set()
"""Device and inode of directories made by this process on file systems that cannot be marked."""
_unmarked_lock = threading.Lock()


class Webroot(Authenticator):
    """Answers http-01 with files below the document root of a web server that is running."""

    name: ClassVar[str] = "webroot"
    summary: ClassVar[str] = "Put the answers into the document root of a running web server"
    challenge_types: ClassVar[tuple[str, ...]] = ("http-01",)

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        """Options: ``webroot_path`` list, ``webroot_map`` from name to directory, ``challenge_dir``."""
        super().__init__(options, context)
        self._roots = _paths(options.get("webroot_path", options.get("path")))
        self._map = _mapping(options.get("webroot_map", options.get("map")))
        challenge_dir = options.get("challenge_dir")
        self._challenge_dir = os.path.abspath(str(challenge_dir)) if challenge_dir else None  # noqa: PTH100

    def check(self, identifiers: Sequence[Identifier]) -> None:
        """Every name has a directory that can be written to. Raises: PluginError."""
        for identifier in identifiers:
            if identifier.is_wildcard:
                raise PluginError(
                    f"{identifier} is a wildcard: webroot answers http-01, which cannot prove wildcards.",
                    hint="Use dns-01: a DNS authenticator, or --manual with --preferred-challenges dns.",
                    identifier=identifier,
                )
        for root in dict.fromkeys(self._root(identifier) for identifier in identifiers):
            self._check_root(root)

    def present(self, tasks: Sequence[ChallengeTask]) -> None:
        """Write the files. Raises: AuthorizationFailed for the names whose file could not be written."""
        failures = []
        for task in tasks:
            try:
                self._write(self._root(task.identifier), _token(task), task.http_body)
            except (PluginError, OSError) as error:
                failures.append(self._failure(task, error))
        if failures:
            raise AuthorizationFailed(tuple(failures))

    def clean_up(self, tasks: Sequence[ChallengeTask]) -> None:
        """Remove the files, then the directories that acmectl made if they are empty. Raises: PluginError."""
        problems = []
        for task in tasks:
            try:
                self._remove(self._root(task.identifier), _token(task))
            except OSError as error:
                problems.append(f"{_printable(task.token)}: {error.strerror}")
            except PluginError as error:
                problems.append(error.message)
        if problems:
            raise PluginError(f"Challenge files could not be removed: {'; '.join(dict.fromkeys(problems))}")

    def failure_hint(self, task: ChallengeTask) -> str:
        """Which directory the web server must show, and under which address."""
        with contextlib.suppress(PluginError):
            place = os.path.join(self._root(task.identifier), *self._below)  # noqa: PTH118
            url = task.http_url.removesuffix(task.token)
            return f"Check that {url} shows the files in {place}, on port 80 and from outside, over IPv4 and IPv6."
        return f"Check that {task.identifier} reaches the web server whose document root was given."

    @property
    def _below(self) -> tuple[str, ...]:
        return () if self._challenge_dir else _BELOW

    def _root(self, identifier: Identifier) -> str:
        if self._challenge_dir:
            return self._challenge_dir
        root = self._map.get(identifier.value) or (self._roots[-1] if self._roots else None)
        if root is None:
            raise PluginError(
                f"There is no web root for {identifier}.", hint="Give one with -w DIR.", identifier=identifier
            )
        return root

    def _check_root(self, root: str) -> None:
        what = "challenge directory" if self._challenge_dir else "web root"
        if not os.path.isdir(root):  # noqa: PTH112
            problem = "is not a directory" if os.path.lexists(root) else "does not exist"
            raise PluginError(f"The {what} {_printable(root)} {problem}.", hint="Give a directory that exists with -w.")
        try:
            self._patiently(root, lambda: self._probe(root))
        except PermissionError as error:
            place = _printable(str(error.filename))
            raise PluginError(
                f"The {what} {place} cannot be written to.", hint="Run as a user who may write there."
            ) from error
        except OSError as error:
            raise _unusable(root, error) from error

    def _probe(self, root: str) -> None:
        """Look at the deepest directory on the way to the challenge files. Raises: PermissionError."""
        with contextlib.ExitStack() as stack:
            place = root
            opened = stack.enter_context(_closing(os.open(root, _PLACE)))
            for part in self._below:
                try:
                    parent = opened
                    opened = stack.enter_context(_closing(open_part(part, _PLACE, parent)))
                except FileNotFoundError:
                    break
                except NotADirectoryError as error:
                    raise _not_followed(part, parent, root) from error
                place = f"{place}/{part}"
            if not os.access(".", os.W_OK | os.X_OK, dir_fd=opened, effective_ids=_BY_EFFECTIVE_USER):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), place)

    def _failure(self, task: ChallengeTask, error: PluginError | OSError) -> AuthorizationFailure:
        if isinstance(error, OSError):
            error = _unusable(self._root(task.identifier), error)
        return AuthorizationFailure(
            task.identifier, reason=error.message, challenge_type=task.type, authenticator=self.name, hint=error.hint
        )

    def _write(self, root: str, token: str, body: bytes) -> None:
        def step() -> bool:
            with self._opened(root, make=True) as chain:
                return _write_file(chain[-1], token, body)

        for attempt in range(_ATTEMPTS):
            try:
                if self._patiently(root, step):
                    return
            except FileNotFoundError:
                # Another run took away the empty directory between our two steps.
                if not os.path.isdir(root):  # noqa: PTH112
                    raise
            if attempt % 50 == 49:  # fall out of step with whoever does this again and again
                self.context.clock.sleep(0.001)
        raise PluginError(f"A challenge file could not be written: {_printable(root)} keeps changing.")

    def _patiently(self, root: str, step: Callable[[], T]) -> T:
        """Do ``step``, again where another run has not opened up yet, or only just has, the directory that it made."""
        for _strike in range(_STRIKES):
            try:
                return step()
            except PermissionError:
                self._open_up_what_is_new(root)
        return step()

    def _open_up_what_is_new(self, root: str) -> None:
        """A umask of 0777 closes a new directory to its own maker, who may be slow or dead before it opens it up."""
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            opened = stack.enter_context(_closing(os.open(root, _PLACE)))
            for part in self._below:
                if not _is_open(part, opened) and _is_new(part, opened):
                    _open_up(part, opened)
                opened = stack.enter_context(_closing(open_part(part, _PLACE, opened)))

    def _remove(self, root: str, token: str) -> None:
        def step() -> None:
            with self._opened(root, make=False) as chain:
                os.unlink(token, dir_fd=chain[-1])

        with contextlib.suppress(FileNotFoundError):
            self._patiently(root, step)
        try:
            self._patiently(root, lambda: self._remove_directories(root))
        except OSError as error:
            self.context.warn(f"An empty directory in {_printable(root)} could not be removed: {error.strerror}.")

    def _remove_directories(self, root: str) -> None:
        """From the inside out: what another run still uses is not empty and stays; that run removes it."""
        for depth in range(len(self._below), 0, -1):
            try:
                with self._opened(root, make=False, depth=depth) as chain:
                    if not _made_by_us(chain[-1]):
                        return
                    os.rmdir(self._below[depth - 1], dir_fd=chain[-2])
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                return

    @contextlib.contextmanager
    def _opened(self, root: str, *, make: bool, depth: int | None = None) -> Iterator[list[int]]:
        """Descriptors of the root and of each directory below it, to ``depth``."""
        with contextlib.ExitStack() as stack:
            chain = [stack.enter_context(_closing(os.open(root, _DIRECTORY)))]
            owner = os.fstat(chain[0])
            for part in self._below[:depth]:
                made = make and _make_directory(part, chain[-1])
                chain.append(stack.enter_context(_closing(self._open_below(part, chain[-1], root, made=made))))
                if made:
                    self._dress(chain[-1], owner, part)
            yield chain

    @staticmethod
    def _open_below(part: str, parent: int, root: str, *, made: bool) -> int:
        try:
            if made and not _is_open(part, parent):
                _open_up(part, parent)
            return open_part(part, _DIRECTORY, parent)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise _not_followed(part, parent, root) from error
            raise

    def _dress(self, opened: int, owner: os.stat_result, part: str) -> None:
        """Mark a directory that we made, give it its mode and the owner of the web root."""
        found = os.fstat(opened)
        if found.st_uid != os.geteuid() or not _only_challenges(opened):
            return  # somebody put another directory into its place
        os.fchmod(opened, _DIRECTORY_MODE)
        _mark(opened, found)
        if (found.st_uid, found.st_gid) == (owner.st_uid, owner.st_gid):
            return
        try:
            os.fchown(opened, owner.st_uid, owner.st_gid)
        except OSError as error:
            self.context.warn(
                f"The directory {part} could not be given to the owner of its web root: {error.strerror}."
            )


def _write_file(directory: int, token: str, body: bytes) -> bool:
    """Create the file with exactly ``body``; False when something else had to be taken out of the way first."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        opened = os.open(token, flags, _FILE_MODE, dir_fd=directory)
    except FileExistsError:
        if _is_in_place(directory, token, body):
            return True
        with contextlib.suppress(FileNotFoundError):
            os.unlink(token, dir_fd=directory)
        return False
    with _closing(opened):
        try:
            written = 0
            while written < len(body):
                written += os.write(opened, body[written:])
            os.fchmod(opened, _FILE_MODE)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(token, dir_fd=directory)
            raise
    return True


def _is_in_place(directory: int, token: str, body: bytes) -> bool:
    """Whether an earlier run left the very file that we would write."""
    try:
        opened = os.open(token, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        return False
    with _closing(opened):
        found = os.fstat(opened)
        whole = stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_uid == os.geteuid()
        return whole and stat.S_IMODE(found.st_mode) == _FILE_MODE and os.read(opened, len(body) + 1) == body


def _make_directory(part: str, parent: int) -> bool:
    try:
        os.mkdir(part, _DIRECTORY_MODE, dir_fd=parent)
    except FileExistsError:
        return False
    return True


def _is_open(part: str, parent: int) -> bool:
    """False for a directory of ours whose mode shuts us out."""
    found = os.stat(part, dir_fd=parent, follow_symlinks=False)
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    return not ours or found.st_mode & stat.S_IRWXU == stat.S_IRWXU


def _is_new(part: str, parent: int) -> bool:
    return abs(time.time() - os.stat(part, dir_fd=parent, follow_symlinks=False).st_ctime) < _NEW


def _open_up(part: str, parent: int) -> None:
    """Give a directory of ours its mode although it cannot be opened."""
    with _closing(open_part(part, _PLACE, parent)) as opened:
        if os.fstat(opened).st_uid == os.geteuid():
            os.chmod(f"/proc/self/fd/{opened}", _DIRECTORY_MODE)  # noqa: PTH101


def _only_challenges(directory: int) -> bool:
    return all(name == _BELOW[1] or _TOKEN.fullmatch(name) for name in os.listdir(directory))


def _mark(opened: int, found: os.stat_result) -> None:
    try:
        os.setxattr(opened, _MARK, b"1")
    except OSError:
        with _unmarked_lock:
            _unmarked.add((found.st_dev, found.st_ino))


def _made_by_us(opened: int) -> bool:
    with contextlib.suppress(OSError):
        return bool(os.getxattr(opened, _MARK))
    found = os.fstat(opened)
    with _unmarked_lock:
        return (found.st_dev, found.st_ino) in _unmarked


def _not_followed(part: str, parent: int, root: str) -> PluginError:
    try:
        target = os.readlink(part, dir_fd=parent)
    except OSError:
        return PluginError(f"{_printable(part)} in the web root {_printable(root)} is not a directory.")
    return PluginError(
        f"{_printable(part)} in the web root {_printable(root)} is a symbolic link, which is not followed.",
        hint=f"Give its target with --challenge-dir, if that is where challenge files belong: {_printable(target)}",
    )


def _unusable(root: str, error: OSError) -> PluginError:
    return PluginError(f"The web root {_printable(root)} cannot be used: {error.strerror}.")


def _token(task: ChallengeTask) -> str:
    if not _TOKEN.fullmatch(task.token):
        raise PluginError("The CA's token is not a token, so no file is named after it.", identifier=task.identifier)
    return task.token


def _paths(value: object) -> tuple[str, ...]:
    values = [value] if isinstance(value, str | os.PathLike) else value if isinstance(value, list | tuple) else []
    return tuple(os.path.abspath(str(one)) for one in values if str(one))  # noqa: PTH100


def _mapping(value: object) -> dict[str, str]:
    if value is None:
        return {}
    pairs = value.items() if hasattr(value, "items") else ()
    return {str(name).lower().removesuffix("."): os.path.abspath(str(root)) for name, root in pairs}  # noqa: PTH100


@contextlib.contextmanager
def _closing(opened: int) -> Iterator[int]:
    try:
        yield opened
    finally:
        os.close(opened)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)
