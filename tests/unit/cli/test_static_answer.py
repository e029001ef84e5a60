import re
from pathlib import Path

import pytest

from acmectl.cli.static_answer import as_text, static_answer

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "web-servers.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("server", "title"), [("nginx", "nginx"), ("apache", "Apache"), ("haproxy", "HAProxy")])
def test_the_lines_of_the_page_are_those_that_are_printed(server, title):
    section = PAGE.split(f"\n### Lines for {title}\n")[1]
    match = re.search(rf"```{server}\n(.*?)```", section, re.DOTALL)
    assert match is not None
    assert static_answer("abc-_")[server] == match[1].replace("THUMBPRINT", "abc-_")
    assert static_answer("abc-_")[server].rstrip() in as_text("abc-_")
