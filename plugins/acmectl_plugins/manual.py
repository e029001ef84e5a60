"""manual: a person, or the hooks that a person wrote, puts the answers in place."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from acmectl.plugin.api import (
    Authenticator,
    AuthorizationFailed,
    AuthorizationFailure,
    HookFailed,
    PluginError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from acmectl.plugin.api import ChallengeTask, Context, Identifier

_HTTP, _DNS = "http-01", "dns-01"
_MAX_OUTPUT = 120_000  # bytes


@dataclass(slots=True)
class _Started:
    """A challenge whose answer somebody may have put in place."""

    env: dict[str, str] = field(repr=False)
    output: str | None = field(default=None, repr=False)

    def env_of_clean_up(self) -> dict[str, str]:
        return self.env if self.output is None else {**self.env, "CERTBOT_AUTH_OUTPUT": self.output}


class Manual(Authenticator):
    """Tells a person what to do, or runs ``--manual-auth-hook`` and ``--manual-cleanup-hook``."""

    name: ClassVar[str] = "manual"
    summary: ClassVar[str] = "Show what to do, or let hooks do it"
    challenge_types: ClassVar[tuple[str, ...]] = (_HTTP, _DNS)
    exclusive: ClassVar[bool] = True

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        """Options: ``manual_auth_hook`` and ``manual_cleanup_hook``, commands for /bin/sh."""
        super().__init__(options, context)
        self._auth_hook = str(options.get("manual_auth_hook") or options.get("auth_hook") or "")
        self._cleanup_hook = str(options.get("manual_cleanup_hook") or options.get("cleanup_hook") or "")
        self._started: dict[tuple[str, str], _Started] = {}

    def check(self, identifiers: Sequence[Identifier]) -> None:  # noqa: ARG002 - the same for every name
        """There is a person or a hook. Raises: PluginError."""
        if not self._auth_hook and not self.context.terminal.interactive:
            raise PluginError(
                "manual needs a person at the terminal or a hook, and there is neither.",
                hint="Give --manual-auth-hook COMMAND (and --manual-cleanup-hook), or run it interactively.",
            )

    def present(self, tasks: Sequence[ChallengeTask]) -> None:
        """Have the answers put in place.

        Raises: AuthorizationFailed for the names whose hook failed; PluginError when there is nobody to ask.
        """
        self.check([task.identifier for task in tasks])
        if not self._auth_hook:
            self._instruct(tasks)
            return
        failures = []
        for index, task in enumerate(tasks):
            started = self._start(task, index, tasks)
            started.output = ""
            name = f"--manual-auth-hook for {task.identifier}"
            try:
                started.output = _output(self.context.run_hook(self._auth_hook, name=name, env=started.env))
            except HookFailed as error:
                failures.append(
                    AuthorizationFailure(
                        task.identifier,
                        reason=error.message,
                        challenge_type=task.type,
                        authenticator=self.name,
                        hint=error.hint,
                    )
                )
        if failures:
            raise AuthorizationFailed(tuple(failures))

    def clean_up(self, tasks: Sequence[ChallengeTask]) -> None:
        """Run the clean-up hook for every challenge that was begun. Raises: PluginError when one of them failed."""
        problems = []
        removable = []
        for task in tasks:
            started = self._started.pop(_key(task), None)
            if started is None:
                continue
            if not self._cleanup_hook:
                removable.append(task)
                continue
            try:
                name = f"--manual-cleanup-hook for {task.identifier}"
                self.context.run_hook(self._cleanup_hook, name=name, env=started.env_of_clean_up())
            except HookFailed as error:
                problems.append(error.message)
        if removable and not self._auth_hook:
            self._dismiss(removable)
        if problems:
            raise PluginError(" ".join(problems))

    def failure_hint(self, task: ChallengeTask) -> str:
        """What the CA should have seen, and how to look."""
        if task.type == _DNS:
            hint = f"Check that 'dig +short TXT {task.record_name}' shows {task.record_value} on every name server"
        else:
            hint = f"Check that {task.http_url} shows the key authorization and nothing else, from outside"
        return f"{hint}; the auth hook ended without an error." if self._auth_hook else f"{hint}."

    def _start(self, task: ChallengeTask, index: int, tasks: Sequence[ChallengeTask]) -> _Started:
        # An authorization is for the name without '*.' (RFC 8555 section 7.1.4), and so are hooks told.
        everyone = ",".join(each.identifier.base for each in tasks)
        env = {
            "CERTBOT_DOMAIN": task.identifier.base,
            "CERTBOT_IDENTIFIER": task.identifier.base,
            "CERTBOT_VALIDATION": task.record_value if task.type == _DNS else task.key_authorization,
            "CERTBOT_ALL_DOMAINS": everyone,
            "CERTBOT_ALL_IDENTIFIERS": everyone,
            "CERTBOT_REMAINING_CHALLENGES": str(len(tasks) - index - 1),
        }
        if task.type == _HTTP:
            env["CERTBOT_TOKEN"] = task.token
        started = _Started(env)
        self._started[_key(task)] = started
        return started

    def _instruct(self, tasks: Sequence[ChallengeTask]) -> None:
        say = self.context.terminal.say
        for index, task in enumerate(tasks):
            self._start(task, index, tasks)
            say()
            say(f"Challenge {index + 1} of {len(tasks)}: {task.identifier} ({task.type})")
            say()
            lines = _dns_lines(task, tasks) if task.type == _DNS else _http_lines(task)
            for line in lines:
                say(line)
        files = [task for task in tasks if task.type == _HTTP]
        if files:
            say()
            which = "this name" if len(files) == 1 else "these names"
            say(f"Where {which} has no web server yet, this command, run there as root, answers until Ctrl-C ends it:")
            say()
            say(_serving_command(files))
        say()
        what = "the above is" if len(tasks) == 1 else f"all {len(tasks)} of the above are"
        self.context.terminal.pause(f"Press Enter when {what} in place; the CA will look at once.")

    def _dismiss(self, tasks: Sequence[ChallengeTask]) -> None:
        if not self.context.terminal.interactive:
            return
        say = self.context.terminal.say
        say()
        say("What was put in place for these challenges is not needed any more and can be removed:")
        say()
        for task in tasks:
            say(f"TXT {task.record_name} {task.record_value}" if task.type == _DNS else task.http_url)


def _output(text: str) -> str:
    """``text`` as the environment can carry it (execve(2): no NUL, at most 128 KiB a string)."""
    return text.strip().replace("\0", "").encode()[:_MAX_OUTPUT].decode("utf-8", "ignore")


def _key(task: ChallengeTask) -> tuple[str, str]:
    return (task.type, task.token)


def _http_lines(task: ChallengeTask) -> list[str]:
    return [
        "The CA will fetch this URL:",
        "",
        task.http_url,
        "",
        "It must answer with this content and nothing else:",
        "",
        task.key_authorization,
        "",
        "Below the document root of a web server that is the file:",
        "",
        task.http_path.lstrip("/"),
    ]


def _dns_lines(task: ChallengeTask, tasks: Sequence[ChallengeTask]) -> list[str]:
    lines = [
        "The CA will look up the TXT record of this name:",
        "",
        task.record_name,
        "",
        "One of its values must be:",
        "",
        task.record_value,
        "",
    ]
    same = sum(1 for other in tasks if other.type == _DNS and other.record_name == task.record_name)
    if same > 1:
        count = "both" if same == 2 else f"all {same}"
        lines += [f"This name needs {same} values at the same time: keep {count} of them, each in a TXT record.", ""]
    return [*lines, "To see whether it is there:", "", f"dig +short TXT {task.record_name}"]


def _serving_command(tasks: Sequence[ChallengeTask]) -> str:
    """One line for a shell that puts the files into a new directory and serves them on port 80."""
    directory = tasks[0].http_path.lstrip("/").rpartition("/")[0]
    steps = ['cd "$(mktemp -d)"', f"mkdir -p {directory}"]
    for task in tasks:
        content, file = shlex.quote(task.key_authorization), shlex.quote(task.http_path.lstrip("/"))
        steps.append(f"printf %s {content} > {file}")
    return " && ".join([*steps, "python3 -m http.server 80"])
