"""Values that say where a secret lies: what is there is text, whole, and never empty."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from acmectl.errors import ConfigError
from acmectl.storage.references import References


def follow(text: str, **environ: str) -> str:
    return References(environ=environ, error=ConfigError).follow("the secret", text)


def test_a_line_ends_at_a_newline_alone(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    for secret in ("pä\u2028ß", "a\x0bb\x1cc", "x" * 10_000):
        path.write_bytes(secret.encode() + b"\r\nmore\n")
        assert follow(f"file:{path}") == secret
        assert follow(f"cmd:cat {path}") == secret
    assert follow("env:X", X=" a\nb ") == " a\nb "


def test_what_is_empty_or_no_text_is_an_error_that_does_not_quote_it(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    empty, no_text = (b"", b"\nx"), (b"canary\xff", b"canary\0")
    for content, why in (*((one, "is empty") for one in empty), *((one, "is not text") for one in no_text)):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=why) as caught:
            follow(f"file:{path}")
        assert "canary" not in str(caught.value)
    for value, why in (("", "is empty"), (" ", "is empty"), (os.fsdecode(b"canary\xff"), "is not text")):
        with pytest.raises(ConfigError, match=f"the secret: what it refers to {why}") as caught:
            follow("env:X", X=value)
        assert "canary" not in str(caught.value)
