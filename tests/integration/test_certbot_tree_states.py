"""Trees of certbot, by hand: edited, moved, left half-renewed. acmectl copes with them, and certbot 5.8 after it."""

from __future__ import annotations

import datetime
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.cli import KINDS, Acmectl
from tests.integration.fleet import old_version, plant
from tests.integration.servers import certbots
from tests.integration.servers.pebble import Pebble, PebbleConfig
from tests.integration.servers.static import static_server
from tests.integration.trees import Certbot, listing

NAME = "a.example"
FRESH = datetime.timedelta(days=80)
Edit = Callable[[str], str]


@pytest.fixture(scope="module")
def calm_pebble() -> Iterator[Pebble]:
    """certbot gives up at the second bad nonce."""
    with Pebble(PebbleConfig(nonce_reject=0)) as server:
        yield server


@pytest.fixture
def tree(calm_pebble: Pebble, tmp_path: Path) -> Iterator[Acmectl]:
    """One lineage that is not due, and an account."""
    with Acmectl(calm_pebble, tmp_path) as acmectl:
        acmectl.run("register", "-n", "--agree-tos").ok()
        plant(acmectl, NAME, left=FRESH)
        yield acmectl


def edit(acmectl: Acmectl, change: Edit, name: str = NAME) -> None:
    path = acmectl.renewal_path(name)
    text = path.read_text()
    changed = change(text)
    assert changed != text
    path.write_text(changed)


def swap(old: str, new: str) -> Edit:
    return lambda text: text.replace(old, new)


def param(line: str) -> Edit:
    """One more line at the end of ``[renewalparams]``, which ends the file."""
    return lambda text: f"{text.rstrip()}\n{line}\n"


def without(key: str) -> Edit:
    return lambda text: "".join(line for line in text.splitlines(keepends=True) if not line.startswith(f"{key} ="))


def renew(acmectl: Acmectl, *options: str) -> str:
    """``renew`` as cron calls it: the tree says which CA and which port."""
    assert acmectl.pebble is not None
    return acmectl.run("renew", *options, "--ca-bundle", str(acmectl.pebble.ca_bundle), server=False).ok().out


def certbot_lists(acmectl: Acmectl) -> dict[str, dict[str, str]]:
    return Certbot(certbots.NEWEST, acmectl).listing()


UNKNOWN = "\n# by somebody else\n[somebody_else]\ncolour = blue\n[[deeper]]\nkey = 1\n"
REMOVED_OPTIONS = (
    *("manual_public_ip_logging_ok = True", "os_packages_only = False", "no_self_upgrade = False"),
    *("no_bootstrap = True", "no_permissions_check = True", "dns_route53_propagation_seconds = 10"),
    *("certbot_route53:auth_propagation_seconds = 10", "tls_sni_01_port = 443", "tls_sni_01_address = None"),
)
EDITS: dict[str, tuple[Edit, str]] = {
    "no version": (without("version"), "version = 5.8.0"),
    "an old version": (swap("version = 5.8.0", "version = 0.9.3"), "version = 5.8.0"),
    "a newer version": (swap("version = 5.8.0", "version = 99.1.0.dev0"), "version = "),
    "a newer release": (swap("version = 5.8.0", "version = 99.1.0"), "version = 99.1.0"),
    "a version that is none": (swap("version = 5.8.0", "version = acmectl-1.0"), "version = 5.8.0"),
    "an unknown root key": (lambda text: f"colour = blue\n{text}", "colour = blue"),
    "an unknown section": (lambda text: text + UNKNOWN, UNKNOWN.strip()),
    "a comment at the top": (
        lambda text: f"# renew_before_expiry = 30 days\n{text}",
        "# renew_before_expiry = 30 days",
    ),
    "an unknown option": (param("colour_of = blue"), "colour_of = blue"),
    "no key type": (without("key_type"), "key_type = rsa"),
    "options that are None": (param("pre_hook = None\nuser_agent = None\ninstaller = None\nrsa_key_size = None"), ""),
    "an empty list": (param("pref_challs = ,"), ""),
    "a list that is text": (param("pref_challs = http-01"), "pref_challs = http-01"),
    "renew_before_expiry nobody understands": (lambda text: f"renew_before_expiry = soon\n{text}", "= soon"),
    **{line: (param(line), line) for line in REMOVED_OPTIONS},
}


def test_edited_renewal_files_renew_and_keep_what_they_said(tree: Acmectl) -> None:
    rows = {f"{number:02}.example": row for number, row in enumerate(EDITS.values())}
    for name, (change, _) in rows.items():
        plant(tree, name, left=FRESH)
        edit(tree, change, name)
    assert listing(tree.run("certificates").ok().out).keys() == {NAME, *rows}
    renew(tree, "--force-renewal")
    for name, (_, kept) in rows.items():
        assert tree.version(name) == 2
        assert kept in tree.renewal_path(name).read_text()
    assert certbot_lists(tree).keys() == {NAME, *rows}


def test_a_renewal_file_of_the_first_years_with_every_default_in_it_renews(tree: Acmectl) -> None:
    """The first releases stored all options, also those of plugins. By hand: they no longer run."""
    old = Path(__file__).with_name("data") / "first_years.conf"
    config = tree.config
    assert tree.pebble is not None
    text = old.read_text().replace("CONFIG", str(config)).replace("SERVER", tree.pebble.directory_url)
    tree.renewal_path(NAME).write_text(text.replace("PORT", str(tree.pebble.http_port)))
    renew(tree, "--force-renewal")
    assert tree.version(NAME) == 2
    assert tree.certificate(NAME).public_key().__class__.__name__ == "RSAPublicKey"
    assert list(certbot_lists(tree)) == [NAME]


@pytest.mark.parametrize(("interval", "version"), [("90 days", 2), ("100 years", 2), ("90", 2), ("1 day", 1), ("", 1)])
def test_renew_before_expiry_decides_as_it_does_for_certbot(tree: Acmectl, interval: str, version: int) -> None:
    if interval:
        edit(tree, lambda text: f"renew_before_expiry = {interval}\n{text}")
    renew(tree)
    assert tree.version(NAME) == version


@pytest.mark.parametrize(
    "lines",
    [
        "webroot_path = ROOT\n[[webroot_map]]\na.example = ROOT\n",
        "webroot_path = ROOT,\n",
        "webroot_path = ROOT\n",
        "[[webroot_map]]\na.example = ROOT\n",
        "http01_port = None\nwebroot_path = ROOT,\n[[webroot_map]]\na.example = ROOT\n",
        "webroot_path = /nowhere,\n[[webroot_map]]\na.example = ROOT\nstale.example = /nowhere\n",
    ],
    ids=["text and map", "list alone", "text alone", "map alone", "no port", "stale entries"],
)
def test_each_way_of_saying_a_webroot_renews(tree: Acmectl, public_folder: Path, lines: str) -> None:
    assert tree.pebble is not None
    edit(tree, swap("authenticator = standalone", "authenticator = webroot"))
    edit(tree, without("http01_port"))
    edit(tree, param(lines.replace("ROOT", str(public_folder))))
    with static_server(public_folder, tree.pebble.http_port):
        renew(tree, "--force-renewal")
        assert tree.version(NAME) == 2
        Certbot(certbots.NEWEST, tree).renew()
    assert tree.version(NAME) == 3


def test_values_that_certbot_cannot_hold_go_where_it_does_not_look(tree: Acmectl) -> None:
    said = tree.folder / "said"
    hook = f"echo '%(message)s' > {said}"
    edit(tree, param(f'renew_hook = "{hook}"'))
    certbot = Certbot(certbots.NEWEST, tree)
    assert "invalid" in certbot.run("certificates").out, "certbot was expected to stumble over this file"
    renew(tree, "--force-renewal")
    assert said.read_text() == "%(message)s\n"
    assert list(certbot.listing()) == [NAME]
    assert "%(" not in tree.renewal_path(NAME).read_text()
    said.unlink()
    certbot.renew()
    assert not said.exists()
    renew(tree, "--force-renewal")
    assert said.read_text() == "%(message)s\n"
    assert tree.version(NAME) == 4


def test_a_custom_archive_directory_stays_where_it_is(tree: Acmectl) -> None:
    elsewhere = tree.folder / "elsewhere" / "versions"
    elsewhere.parent.mkdir()
    shutil.move(tree.config / "archive" / NAME, elsewhere)
    for kind in KINDS:
        link = tree.live(NAME, kind)
        target = Path(os.readlink(link)).name
        link.unlink()
        link.symlink_to(f"../../../elsewhere/versions/{target}")
    edit(tree, swap(f"archive_dir = {tree.config}/archive/{NAME}", f"archive_dir = {elsewhere}"))
    renew(tree, "--force-renewal")
    assert tree.version(NAME) == 2
    assert sorted(path.name for path in elsewhere.glob("*2.pem")) == sorted(f"{kind}2.pem" for kind in KINDS)
    assert os.readlink(tree.live(NAME)) == "../../../elsewhere/versions/cert2.pem"
    assert not (tree.config / "archive" / NAME).exists()
    Certbot(certbots.NEWEST, tree).renew()
    assert tree.version(NAME) == 3
    tree.run("delete", "-n", "--cert-name", NAME).ok()
    assert not elsewhere.exists()


def test_live_links_that_were_moved_stay_where_they_are(tree: Acmectl) -> None:
    place = tree.config / "tls"
    place.mkdir()
    for kind in KINDS:
        tree.live(NAME, kind).unlink()
        (place / f"{kind}-of-a.pem").symlink_to(f"../archive/{NAME}/{kind}1.pem")
        edit(tree, swap(f"{kind} = {tree.live(NAME, kind)}", f"{kind} = {place}/{kind}-of-a.pem"))
    renew(tree, "--force-renewal")
    assert sorted(os.readlink(path) for path in place.iterdir()) == sorted(f"../archive/{NAME}/{k}2.pem" for k in KINDS)
    assert certbot_lists(tree)[NAME]["Certificate Path"] == f"{place}/fullchain-of-a.pem"
    Certbot(certbots.NEWEST, tree).renew()
    assert {os.readlink(path)[-5:] for path in place.iterdir()} == {"3.pem"}
    tree.run("delete", "-n", "--cert-name", NAME).ok()
    assert not place.exists() or not list(place.iterdir())


def test_links_with_absolute_targets_lead_on(tree: Acmectl) -> None:
    archive = tree.config / "archive" / NAME
    for kind in KINDS:
        tree.live(NAME, kind).unlink()
        tree.live(NAME, kind).symlink_to(archive / f"{kind}1.pem")
    assert list(certbot_lists(tree)) == list(listing(tree.run("certificates").ok().out)) == [NAME]
    renew(tree, "--force-renewal")
    assert tree.version(NAME) == 2
    Certbot(certbots.NEWEST, tree).renew()
    assert tree.version(NAME) == 3


def test_a_reused_key_that_is_a_link_to_the_first_version_stays_the_key(tree: Acmectl) -> None:
    """The first releases kept a key by linking to it from the next version, however many there have been since."""
    edit(tree, param("reuse_key = True"))
    archive = tree.config / "archive" / NAME
    key = (archive / "privkey1.pem").read_bytes()
    for number in range(2, 8):
        for kind in KINDS:
            if kind != "privkey":
                shutil.copy(archive / f"{kind}1.pem", archive / f"{kind}{number}.pem")
        (archive / f"privkey{number}.pem").symlink_to(archive / "privkey1.pem")
    for kind in KINDS:
        point(tree, kind, 7)
    for number in (8, 9):
        renew(tree, "--force-renewal")
        assert tree.version(NAME) == number
        assert tree.live(NAME, "privkey").read_bytes() == key
    # Versions below 4 are pruned, but for the key that those from 4 to 7 link to.
    assert sorted(path.name for path in archive.glob("cert*")) == [f"cert{number}.pem" for number in range(4, 10)]
    keys = sorted(archive.glob("privkey*"))
    assert [path.name for path in keys] == [f"privkey{number}.pem" for number in (1, 4, 5, 6, 7, 8, 9)]
    assert {path.read_bytes() for path in keys} == {key}
    tree.run("rollback", "-n", "--cert-name", NAME, "--to-version", "7").ok()
    assert tree.live(NAME, "privkey").read_bytes() == key
    assert list(certbot_lists(tree)) == [NAME]
    Certbot(certbots.NEWEST, tree).renew()
    assert tree.version(NAME) == 10
    assert tree.live(NAME, "privkey").read_bytes() == key


def test_a_config_directory_behind_a_link_is_used_through_it(tree: Acmectl, tmp_path: Path) -> None:
    real = tmp_path / "data"
    tree.config.rename(real)
    tree.config.symlink_to(real)
    renew(tree, "--force-renewal")
    assert tree.version(NAME) == 2
    assert list(certbot_lists(tree)) == [NAME]
    Certbot(certbots.NEWEST, tree).renew()
    assert tree.version(NAME) == 3
    tree.run("delete", "-n", "--cert-name", NAME).ok()
    assert [path for path in real.rglob(f"{NAME}*") if "acmectl" not in path.name] == []


def second_version(acmectl: Acmectl) -> None:
    """Version 2 in the archive, complete and not live."""
    files = old_version([NAME], left=FRESH)
    archive = acmectl.config / "archive" / NAME
    for kind in KINDS:
        (archive / f"{kind}2.pem").write_bytes(getattr(files, kind))


def point(acmectl: Acmectl, kind: str, number: int) -> None:
    acmectl.live(NAME, kind).unlink(missing_ok=True)
    acmectl.live(NAME, kind).symlink_to(f"../../archive/{NAME}/{kind}{number}.pem")


def previous(acmectl: Acmectl, *kinds: str) -> None:
    for kind in kinds:
        acmectl.live(NAME, f"previous_{kind}").symlink_to(f"../../archive/{NAME}/{kind}1.pem")


def nothing_switched(acmectl: Acmectl) -> None:
    previous(acmectl, *KINDS)


def half_noted(acmectl: Acmectl) -> None:
    previous(acmectl, "cert", "privkey")


def half_switched(acmectl: Acmectl) -> None:
    previous(acmectl, *KINDS)
    for kind in ("cert", "privkey"):
        point(acmectl, kind, 2)


def all_switched(acmectl: Acmectl) -> None:
    previous(acmectl, *KINDS)
    for kind in KINDS:
        point(acmectl, kind, 2)


def half_forgotten(acmectl: Acmectl) -> None:
    all_switched(acmectl)
    for kind in ("cert", "chain"):
        acmectl.live(NAME, f"previous_{kind}").unlink()


def pending(_acmectl: Acmectl) -> None:
    """Nothing of the switch was begun."""


def incomplete(acmectl: Acmectl) -> None:
    (acmectl.config / "archive" / NAME / "fullchain2.pem").unlink()


def switched_to_incomplete(acmectl: Acmectl) -> None:
    all_switched(acmectl)
    incomplete(acmectl)


STATES = (
    *(nothing_switched, half_noted, half_switched, all_switched, half_forgotten),
    *(pending, incomplete, switched_to_incomplete),
)


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_a_renewal_that_was_interrupted_ends_as_certbot_would_end_it(
    calm_pebble: Pebble, tmp_path: Path, state: Callable[[Acmectl], None]
) -> None:
    ends = []
    for program in ("acmectl", "certbot"):
        folder = tmp_path / program
        folder.mkdir()
        with Acmectl(calm_pebble, folder) as acmectl:
            acmectl.run("register", "-n", "--agree-tos").ok()
            plant(acmectl, NAME, left=FRESH)
            second_version(acmectl)
            state(acmectl)
            if program == "acmectl":
                renew(acmectl)
            else:
                Certbot(certbots.NEWEST, acmectl).run("renew", "--no-random-sleep-on-renew").ok()
            live = acmectl.config / "live" / NAME
            ends.append({path.name: os.readlink(path) for path in live.iterdir() if path.is_symlink()})
            assert len(certbot_lists(acmectl)) == 1
            renew(acmectl, "--force-renewal")
            assert acmectl.version(NAME) == 3
    assert ends[0] == ends[1]
