"""The option table, and the files that are made from it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from acmectl.cli import group
from acmectl.cli.argv import read
from acmectl.config.options import table
from acmectl.config.sources import merge, parse_entries

CHECKOUT = Path(__file__).resolve().parents[3]

CERTBOT = (CHECKOUT / "tests/data/certbot_flags.txt").read_text().splitlines()[1:]


def test_the_generated_files_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "tools/generate.py", "--check"], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_flag_of_certbots_is_accepted() -> None:
    options = table()
    for name in CERTBOT:
        found = options.exact(name)
        assert found is not None, name
        assert found[0].certbot, name
        argv = [name, "x"] if found[0].takes_value and found[1] else [name]
        assert len(read(argv, options).occurrences) == 1


def test_the_table_has_each_name_and_destination_once() -> None:
    rows = table().rows
    names = [name for row in rows for name in (*row.names, *row.off)]
    assert len(names) == len(set(names))
    assert len({row.destination for row in rows}) == len(rows)
    stored = [row.stored for row in rows if row.stored] + [row.own for row in rows if row.own]
    assert len(stored) == len(set(stored))


def test_every_row_is_well_formed() -> None:
    verbs = {*group.VERBS, "reconfigure", "*"}
    for row in table().rows:
        assert row.destination.isidentifier(), row
        assert set(row.verbs) <= verbs, row
        assert row.topics, row
        assert row.help, row
        assert row.help[0].islower() or row.help.startswith(("PEM", "HMAC", "User-Agent", "Google")), row
        assert not row.help.endswith("."), row
        if row.kind == "choice":
            assert row.choices, row
        if row.kind == "flag":
            assert row.default in (None, True, False), row
        assert not (row.secret and row.stored), row


def test_what_certbot_keeps_in_renewal_files_is_kept_by_its_keys() -> None:
    stored = {row.stored for row in table().rows if row.stored and not row.stored.startswith("dns_")}
    assert stored == {
        "config_dir", "logs_dir", "work_dir", "user_agent", "server", "account", "authenticator", "installer",
        "renew_hook", "pre_hook", "post_hook", "http01_address", "preferred_chain", "key_type", "elliptic_curve",
        "preferred_profile", "required_profile", "rsa_key_size", "http01_port", "must_staple", "allow_subset_of_names",
        "reuse_key", "autorenew", "pref_challs", "webroot_path", "webroot_map", "manual_auth_hook",
        "manual_cleanup_hook",
    }  # fmt: skip


def test_a_row_cannot_be_changed() -> None:
    row = table().rows[0]
    try:
        row.help = "x"
    except AttributeError:
        return
    raise AssertionError


def test_the_example_file_can_be_read_when_its_lines_are_switched_on() -> None:
    text = (CHECKOUT / "cli.ini.example").read_text()
    lines = [
        re.sub(r"^#(?=[a-z0-9-]+ = )", "", line)
        for line in text.splitlines()
        # Placeholders of numbers and files that are not there.
        if not re.match(r"#(csr|http-01-address) = ", line)
    ]
    found = merge([parse_entries("\n".join(lines), Path("cli.ini"))], table())
    settable = {row.destination for row in table().rows if row.in_files and not row.hidden and not row.deprecated}
    assert settable - set(found.values) <= {"csr", "http_01_address"}
