"""What a power cut may take: nothing gets its name before its content is on the disk, nor is that left to chance."""

from __future__ import annotations

import re
from pathlib import Path

from tests.integration.crash.calls import traced
from tests.integration.crash.campaign import FIRST, RENEWAL, Scenario
from tests.integration.crash.fixtures import due_grounds, grounds
from tests.integration.crash.ground import NAME, Ground

__all__ = ["due_grounds", "grounds"]

_SYNC = re.compile(r"f(?:data)?sync\(\d+<([^>]+)>\) += 0")
_RENAME = re.compile(r'rename(?:at2?)?\((?:AT_FDCWD(?:<[^>]*>)?, )?"([^"]+)", (?:AT_FDCWD(?:<[^>]*>)?, )?"([^"]+)"')
_WRITE = re.compile(r"write\(\d+<([^>]+)>.*= \d+$")
_LINK = re.compile(r'symlink\("[^"]+", "([^"]+)"')


def check_order(place: Ground, scenario: Scenario) -> list[str]:
    """The names that were given to files and directories; asserts that each was safe when it was given."""
    scenario.prepare(place)
    traced(place.acmectl, place.trace, scenario.args(place)).ok()
    named: list[str] = []
    unsynced: set[str] = set()  # files with content, and directories with entries, that are not on disk yet
    for line in place.trace.read_text().splitlines():
        if "/logs/" in line or str(place.site) not in line or "= -1 " in line:
            continue
        if (match := _WRITE.search(line)) and match[1].startswith(str(place.site)):
            unsynced.add(match[1])
        elif match := _LINK.search(line):
            unsynced.add(str(Path(match[1]).parent))
        elif match := _SYNC.search(line):
            unsynced.discard(match[1])
        elif match := _RENAME.search(line):
            source, target = match[1], match[2]
            assert source not in unsynced, f"{source} got the name {target} before it was on disk"
            below = [path for path in unsynced if path.startswith(f"{source}/")]
            assert not below, f"{below} were not on disk when {source} became {target}"
            named.append(target)
            unsynced.discard(str(Path(source).parent))
            unsynced.add(str(Path(target).parent))
    lasting = {path for path in unsynced if "/www" not in path and Path(path).exists()}
    assert not lasting, f"never synced after the last change: {lasting}"
    return [str(Path(path).relative_to(place.site)) for path in named]


def test_a_first_issuance_syncs_every_file_before_its_name_and_every_directory_after(grounds):
    named = check_order(grounds[0], FIRST)
    for path in ("config/archive/a.example/privkey1.pem", f"config/renewal/{NAME}.conf", f"config/live/{NAME}"):
        assert path in named


def test_a_renewal_syncs_every_file_before_its_name_and_every_directory_after(due_grounds):
    named = check_order(due_grounds[0], RENEWAL)
    for path in ("config/archive/a.example/privkey2.pem", f"config/live/{NAME}"):
        assert path in named
