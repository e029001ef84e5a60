"""What CRLs and OCSP responders said, until it may have changed: ``<work>/revocations/<SHA-256 of the URL>.json``.

Answers are kept and not the lists, which can have megabytes. Losing the files costs some requests and nothing else.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from acmectl.errors import StorageError
from acmectl.storage.atomic import Permissions, is_temporary, make_dir, read_file, write_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from acmectl.storage.layout import Layout

_FORMAT = 1
_LIMIT = 1 << 26
_SECRET = Permissions(mode=0o600)
_FORGOTTEN = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownState:
    """What was said of one certificate: when it was revoked, None for not; it holds until ``until``. Aware UTC."""

    revoked: datetime | None
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LastWord:
    """What was said of one certificate and still holds: when it was revoked (aware UTC), None for not."""

    revoked: datetime | None


_NOT_REVOKED = LastWord(revoked=None)


@dataclass(slots=True)
class _Page:
    """All that is kept of one URL. Times are seconds since 1970."""

    answers: dict[str, tuple[float, float | None]] = field(default_factory=dict)
    silent_until: float = 0.0


class RevocationCache:
    """The answers of one work directory. ``key`` names a certificate."""

    def __init__(self, layout: Layout, *, now: datetime) -> None:
        self._directory = str(layout.work_dir / "revocations")
        self._now = now.timestamp()
        self._pages: dict[str, _Page] = {}
        self._swept = False

    def get(self, url: str, key: str) -> LastWord | None:
        """What ``url`` said of the certificate, if it still holds."""
        found = self._page(url).answers.get(key)
        if found is None or found[0] <= self._now:
            return None
        revoked = found[1]
        return _NOT_REVOKED if revoked is None else LastWord(revoked=datetime.fromtimestamp(revoked, UTC))

    def is_silent(self, url: str) -> bool:
        """Whether ``url`` gave nothing usable a short while ago."""
        return self._page(url).silent_until > self._now

    def put(self, url: str, states: Mapping[str, KnownState]) -> None:
        """Keep answers. Never raises: a run does not fail for want of a cache."""
        page = self._page(url)
        page.silent_until = 0.0
        page.answers = {key: found for key, found in page.answers.items() if found[0] > self._now}
        for key, state in states.items():
            revoked = None if state.revoked is None else state.revoked.timestamp()
            page.answers[key] = (state.until.timestamp(), revoked)
        self._write(url, page)

    def put_silent(self, url: str, until: datetime) -> None:
        """Take note that ``url`` gives nothing usable, so that not every run waits for it. Never raises."""
        page = self._page(url)
        page.silent_until = until.timestamp()
        self._write(url, page)

    def _page(self, url: str) -> _Page:
        page = self._pages.get(url)
        if page is None:
            page = self._pages[url] = self._load(url)
        return page

    def _path(self, url: str) -> str:
        import hashlib

        return f"{self._directory}/{hashlib.sha256(url.encode('utf-8', 'replace')).hexdigest()}.json"

    def _load(self, url: str) -> _Page:
        try:
            content = json.loads(read_file(self._path(url), _LIMIT))
            if content["format"] != _FORMAT or content["url"] != url:
                return _Page()
            answers = {
                str(key): (float(until), None if revoked is None else float(revoked))
                for key, (until, revoked) in content["answers"].items()
            }
            return _Page(answers, float(content["silent_until"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return _Page()

    def _write(self, url: str, page: _Page) -> None:
        content = {"format": _FORMAT, "url": url, "silent_until": page.silent_until, "answers": page.answers}
        with suppress(OSError, StorageError):
            make_dir(self._directory, 0o700, exact=True)
            self._sweep()
            data = json.dumps(content, separators=(",", ":")).encode("utf-8")
            write_file(self._path(url), data, permissions=_SECRET)

    def _sweep(self) -> None:
        """Remove what nobody has written for long, once per run."""
        if self._swept:
            return
        self._swept = True
        oldest = time.time() - _FORGOTTEN.total_seconds()
        with os.scandir(self._directory) as entries:
            for entry in entries:
                if is_temporary(entry.name) or entry.stat(follow_symlinks=False).st_mtime < oldest:
                    with suppress(OSError):
                        os.unlink(entry.path)
