"""pre, deploy and post hooks: which run, in what order, how often, and with what environment."""

from __future__ import annotations

import os
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.actions.hook_process import search_path
from acmectl.actions.shipped_hooks import reload_hook
from acmectl.errors import ConfigError, HookFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping

    from acmectl.actions.hook_process import HookRunner
    from acmectl.identifiers import Identifier

_NAMES_LIMIT = 32_000  # characters of RENEWED_DOMAINS and FAILED_DOMAINS each; the kernel limits an environment string


@dataclass(frozen=True, slots=True, kw_only=True)
class HookCommands:
    """The commands configured for one lineage; None where there is none. ``timeout`` in seconds.

    ``installer`` is certbot's installer whose part after a renewal, the reload, the shipped hook does.
    """

    pre: str | None = None
    deploy: str | None = None
    post: str | None = None
    installer: str | None = None
    directory_hooks: bool = True
    timeout: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hook:
    """``command`` is what it is known by; ``path`` the file to run instead of a command line."""

    label: str
    command: str
    path: Path | None = None
    unknown_installer: str | None = None
    timeout: float | None = None


def validate_command(command: str, flag: str, environ: Mapping[str, str]) -> None:
    """Check that the first word of ``command`` can be executed. Raises: ConfigError naming ``flag``."""
    words = command.split(None, 1)
    if not words:
        raise ConfigError(f"{flag} is empty.", hint=f"Leave {flag} out, or give it a command.")
    if shutil.which(words[0], path=search_path(environ)) is not None:
        return
    if Path(words[0]).exists():
        raise ConfigError(f"{flag}: {words[0]} exists but is not executable.", hint=f"chmod +x {words[0]}")
    raise ConfigError(
        f"{flag}: the command {words[0]} was not found.",
        hint="Give its full path, or --disable-hook-validation if it will exist when it is needed.",
    )


def directory_hooks(directory: Path) -> list[Path]:
    """Executable files of a hook directory, sorted bytewise; backup files ending in ``~`` are left out."""
    try:
        entries = sorted(directory.iterdir(), key=lambda path: os.fsencode(path.name))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [path for path in entries if not path.name.endswith("~") and path.is_file() and os.access(path, os.X_OK)]


class HookSession:
    """The hooks of one run, one at a time whatever the thread.

    A pre hook runs once per command; post hooks are queued and run at the end, each once.
    """

    def __init__(self, runner: HookRunner, hooks_dir: Callable[[str], Path]) -> None:
        """``hooks_dir`` gives the directory for ``pre``, ``deploy`` or ``post``."""
        self._runner = runner
        self._hooks_dir = hooks_dir
        self._pre_done: dict[str, HookFailed | None] = {}
        self._post: dict[str, _Hook] = {}
        self._lock = threading.RLock()

    def before(self, commands: HookCommands) -> None:
        """Run the pre hooks that have not run yet and queue the post hooks. Raises: HookFailed.

        Post hooks are owed from here on, also when a pre hook fails: they undo what the pre hooks did.
        """
        with self._lock:
            for hook in self._hooks("post", commands.post, commands):
                self._post.setdefault(hook.command, hook)
            for hook in self._hooks("pre", commands.pre, commands):
                if hook.command not in self._pre_done:
                    try:
                        self._run(hook, {})
                    except HookFailed as failure:
                        self._pre_done[hook.command] = failure
                        raise
                    self._pre_done[hook.command] = None
                elif (earlier := self._pre_done[hook.command]) is not None:
                    raise HookFailed(earlier.message, hint=earlier.hint)

    def deploy_commands(self, commands: HookCommands) -> tuple[str, ...]:
        """The deploy hooks of one lineage, by command or path, in their order."""
        return tuple(hook.command for hook in self._hooks("deploy", commands.deploy, commands))

    def deploy(
        self,
        commands: HookCommands,
        live_dir: Path,
        identifiers: Iterable[Identifier],
        *,
        only: Container[str] | None = None,
        succeeded: Callable[[str], None] | None = None,
        more: Mapping[str, str] | None = None,
    ) -> list[HookFailed]:
        """Run the deploy hooks of one lineage, all of them or those in ``only``, and give the failures.

        ``succeeded`` is told each one that succeeds, at once. ``more`` variables come beside certbot's.
        """
        env = {"RENEWED_LINEAGE": str(live_dir), "RENEWED_DOMAINS": joined(identifiers), **(more or {})}
        hooks = self._hooks("deploy", commands.deploy, commands)
        with self._lock:
            return self._run_all([hook for hook in hooks if only is None or hook.command in only], env, succeeded)

    def finish(self, renewed: Iterable[Identifier] = (), failed: Iterable[Identifier] = ()) -> list[HookFailed]:
        """Run the queued post hooks, all of them, and give the failures."""
        with self._lock:
            hooks, self._post = list(self._post.values()), {}
            return self._run_all(hooks, {"RENEWED_DOMAINS": joined(renewed), "FAILED_DOMAINS": joined(failed)})

    def _run_all(
        self, hooks: Iterable[_Hook], env: Mapping[str, str], succeeded: Callable[[str], None] | None = None
    ) -> list[HookFailed]:
        failures: list[HookFailed] = []
        for hook in hooks:
            try:
                self._run(hook, env)
            except HookFailed as failure:
                failures.append(failure)
            else:
                if succeeded is not None:
                    succeeded(hook.command)
        return failures

    def _hooks(self, kind: str, command: str | None, commands: HookCommands) -> list[_Hook]:
        label = f"{kind}-hook"
        hooks: list[_Hook] = []
        if commands.directory_hooks:
            files = directory_hooks(self._hooks_dir(kind))
            hooks = [_Hook(label=label, command=str(path), path=path, timeout=commands.timeout) for path in files]
        if command and not any(_is_same(command, hook) for hook in hooks):
            hooks.append(_Hook(label=label, command=command, timeout=commands.timeout))
        if kind == "deploy" and commands.installer is not None:
            reload = _reload(commands.installer, commands.timeout)
            if reload.path is None or not any(_is_same(str(reload.path), hook) for hook in hooks):
                hooks.append(reload)
        return hooks

    def _run(self, hook: _Hook, env: Mapping[str, str]) -> None:
        if hook.unknown_installer is not None:
            raise HookFailed(
                f"There is no installer {hook.unknown_installer!r} in acmectl, so nothing was told of the certificate.",
                hint="acmectl reconfigure --cert-name NAME --installer null --deploy-hook COMMAND replaces it.",
            )
        if hook.path is not None:
            self._runner.run_file(hook.path, name=hook.label, env=env, timeout=hook.timeout)
        else:
            self._runner.run_checked(hook.command, name=hook.label, env=env, timeout=hook.timeout)


def _is_same(command: str, hook: _Hook) -> bool:
    """True when a command is nothing but the path of a file that runs anyway, be it by way of links."""
    if command == hook.command:
        return True
    path = hook.path if hook.path is not None else Path(hook.command)
    return command.startswith("/") and os.path.realpath(command) == os.path.realpath(path)


def _reload(installer: str, timeout: float | None) -> _Hook:
    # Known by the installer's name and not by the file's, which may lie elsewhere when it is run again.
    path = reload_hook(installer)
    return _Hook(
        label="deploy-hook",
        command=f"installer {installer}",
        path=path,
        unknown_installer=installer if path is None else None,
        timeout=timeout,
    )


def joined(identifiers: Iterable[Identifier]) -> str:
    """Names separated by spaces, whole names only, within what an environment string can hold."""
    text = " ".join(dict.fromkeys(str(identifier) for identifier in identifiers))
    return text if len(text) <= _NAMES_LIMIT else text[:_NAMES_LIMIT].rsplit(" ", 1)[0]
