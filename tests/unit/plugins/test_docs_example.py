"""What docs/plugins.md shows is a plugin that works and keeps the contract."""

import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs" / "plugins.md"


def test_the_documented_plugin_passes_the_documented_tests(tmp_path):
    plugin, contract = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.S)[:2]
    (tmp_path / "acme_shelf.py").write_text(plugin)
    (tmp_path / "test_shelf.py").write_text(contract)
    path = [str(tmp_path), str(DOCS.parents[1]), *(entry for entry in sys.path if entry)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_shelf.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": ":".join(path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"\b1[0-9] passed", done.stdout), done.stdout
