"""What a test lends to a plugin in the engine's place: a shell, programs, a way to web services."""

from __future__ import annotations

import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from email.message import Message
from typing import IO

from acmectl.errors import HookFailed, PluginError
from acmectl.plugin.api import HttpAnswer

__all__ = ["PlainHttp", "run_program", "run_shell"]


def run_shell(command: str, *, name: str, env: Mapping[str, str]) -> str:
    """Run ``command`` by /bin/sh as the engine does; its standard output, stripped. Raises: HookFailed."""
    done = subprocess.run(  # noqa: S602 - hooks are shell commands
        command, shell=True, env={**os.environ, **env}, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise HookFailed(f"The {name} failed with exit status {done.returncode}: {command}")
    return done.stdout.strip()


def run_program(
    argv: Sequence[str],
    *,
    name: str,
    env: Mapping[str, str],
    inherit: bool = True,
    timeout: float = 600.0,
    shown: str | None = None,
) -> str:
    """Run ``argv`` as the engine does; its standard output, stripped. Raises: HookFailed."""
    base = dict(os.environ) if inherit else {"PATH": os.environ.get("PATH", "/usr/bin:/bin")}
    shown = argv[0] if shown is None else shown
    try:
        done = subprocess.run(
            argv, env={**base, **env}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=timeout, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HookFailed(f"{shown} could not be run for {name}: {error}") from error
    if done.returncode:
        raise HookFailed(f"{shown} failed for {name} with exit status {done.returncode}.")
    return done.stdout.decode("utf-8", "replace").strip()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: object, newurl: str
    ) -> None:
        """Follow none."""


class PlainHttp:
    """Implements plugin.api.HttpClient."""

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float = 30.0,
    ) -> HttpAnswer:
        """One request; redirects are not followed. ``timeout`` in seconds. Raises: PluginError."""
        opener = urllib.request.build_opener(_NoRedirects)
        try:
            asked = urllib.request.Request(url, data=body, headers=dict(headers or {}), method=method)  # noqa: S310 - the plugin's own
            with opener.open(asked, timeout=timeout) as answer:
                return _answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            return _answer(error.code, error.headers, error.read())
        except (OSError, ValueError) as error:
            raise PluginError(f"{url} cannot be reached: {error}.") from error


def _answer(status: int, headers: Message, body: bytes) -> HttpAnswer:
    return HttpAnswer(status=status, headers={name.lower(): value for name, value in headers.items()}, body=body)
