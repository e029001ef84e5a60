"""A person at a terminal: every question of certonly, and manual by hand."""

import os

import pexpect
import pytest

from tests.integration.servers.static import static_server


def ended(terminal, code=0):
    """What was said at the end of a run that ended with ``code``."""
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == code, terminal.before
    assert "Traceback" not in terminal.before
    return terminal.before


def test_certonly_asks_for_everything_that_it_was_not_told(pebble, acmectl):
    terminal = acmectl.terminal()
    terminal.expect_exact("Which names should the certificate have")
    terminal.sendline("not/a/name")
    terminal.expect_exact("Which names should the certificate have")
    terminal.sendline("a.example, www.a.example")
    terminal.expect_exact("How should control of the names be proved?")
    terminal.expect(r"(\d+): standalone")
    number = terminal.match.group(1)
    terminal.expect_exact("c to cancel")
    terminal.sendline("99")
    terminal.expect_exact("c to cancel")
    terminal.sendline(number)
    terminal.expect("data:text/plain|terms of service")
    terminal.expect_exact("Do you agree to them?")
    terminal.sendline("y")
    terminal.expect_exact("E-mail address")
    terminal.sendline("admin@")
    terminal.expect_exact("E-mail address")
    terminal.sendline("admin@a.example")
    said = ended(terminal)
    assert "The certificate was obtained." in said
    assert acmectl.names("a.example") == ["a.example", "www.a.example"]
    assert "Email contact: admin@a.example" in acmectl.run("show_account", "-n").ok().out


def test_whoever_does_not_agree_gets_no_account(acmectl):
    terminal = acmectl.terminal("register", "-m", "admin@a.example")
    terminal.expect_exact("Do you agree to them?")
    terminal.sendline("n")
    ended(terminal, 1)
    assert acmectl.account_dirs() == []


def test_a_certificate_with_the_same_names_is_kept_or_renewed_as_the_person_says(acmectl):
    acmectl.certonly("k.example")
    for answer, version in (("", 1), ("1", 1), ("2", 2)):
        terminal = acmectl.terminal("certonly", "--standalone", "-d", "k.example")
        terminal.expect_exact("What now?")
        terminal.expect("1: Keep.*2: Renew")
        terminal.sendline(answer)
        said = ended(terminal)
        assert ("is kept" in said) == (version == 1)
        assert acmectl.version("k.example") == version
    terminal = acmectl.terminal("certonly", "--standalone", "-d", "k.example")
    terminal.expect_exact("What now?")
    terminal.sendline("c")
    ended(terminal, 1)
    assert acmectl.version("k.example") == 2


def test_more_names_expand_the_certificate_if_the_person_says_so(acmectl):
    acmectl.certonly("x.example")
    more = ("certonly", "--standalone", "-d", "x.example", "-d", "y.example")
    terminal = acmectl.terminal(*more)
    terminal.expect_exact("Replace it by one for x.example y.example?")
    terminal.sendline("c")
    assert "--duplicate" in ended(terminal, 1)
    assert "--expand" in acmectl.run(*more, "-n").failed().err
    assert acmectl.names("x.example") == ["x.example"]
    terminal = acmectl.terminal(*more)
    terminal.expect_exact("(E)xpand/(C)ancel")
    terminal.sendline("")
    terminal.expect_exact("(E)xpand/(C)ancel")
    terminal.sendline("e")
    ended(terminal)
    assert acmectl.names("x.example") == ["x.example", "y.example"]
    assert acmectl.lineages() == ["x.example"]


def test_other_names_for_a_named_certificate_are_shown_before_they_change(acmectl):
    acmectl.certonly("o.example", "old.example")
    terminal = acmectl.terminal(
        *("certonly", "--standalone", "--cert-name", "o.example", "-d", "o.example", "-d", "new.example")
    )
    terminal.expect_exact("+new.example -old.example")
    terminal.sendline("")
    ended(terminal)
    assert acmectl.names("o.example") == ["new.example", "o.example"]


def test_a_webroot_that_was_not_named_is_asked_for_and_remembered(pebble, acmectl, public_folder):
    acmectl.run("register", "-n", "--agree-tos").ok()
    with static_server(public_folder, pebble.http_port):
        terminal = acmectl.terminal("certonly", "--webroot", "-d", "a.example", "-d", "b.example")
        terminal.expect_exact("Document root of a.example")
        terminal.sendline("/nowhere/at/all")
        terminal.expect_exact("/nowhere/at/all is not a directory.")
        terminal.expect_exact("Document root of a.example")
        # Relative to where the person is.
        terminal.sendline(os.path.relpath(public_folder, acmectl.cwd))
        terminal.expect_exact(f"Document root of b.example (Enter: {public_folder})")
        terminal.sendline("")
        ended(terminal)
    roots = {"a.example": str(public_folder), "b.example": str(public_folder)}
    assert acmectl.params("a.example")["webroot_map"] == roots


def test_delete_offers_a_list_and_asks_once_more(acmectl):
    for name in ("a.example", "b.example", "c.example"):
        acmectl.certonly(name)
    terminal = acmectl.terminal("delete")
    terminal.expect_exact("Which certificates should be deleted?")
    terminal.sendline("1,3")
    terminal.expect_exact("Delete the certificate a.example, c.example")
    terminal.sendline("n")
    assert "Nothing was deleted." in ended(terminal)
    assert acmectl.lineages() == ["a.example", "b.example", "c.example"]
    terminal = acmectl.terminal("delete")
    terminal.expect_exact("Which certificates should be deleted?")
    terminal.sendline("1 3")
    terminal.expect_exact("Delete the certificate a.example, c.example")
    terminal.sendline("")
    ended(terminal)
    assert acmectl.lineages() == ["b.example"]


def test_unregister_and_revoke_ask_before_what_cannot_be_undone(pebble, acmectl):
    acmectl.certonly("u.example")
    terminal = acmectl.terminal("unregister")
    terminal.expect_exact("It cannot be undone.")
    terminal.sendline("abort")
    ended(terminal, 1)
    assert len(acmectl.account_dirs()) == 1
    terminal = acmectl.terminal("revoke", "--cert-name", "u.example")
    terminal.expect_exact("Delete the certificate u.example")
    terminal.sendline("n")
    ended(terminal)
    assert acmectl.lineages() == ["u.example"]


def lines_after(text, heading):
    """The first line after ``heading`` that is not empty, as a terminal of 80 columns got it."""
    rest = text[text.index(heading) + len(heading) :].replace("\r", "").split("\n")[1:]
    return next(line for line in rest if line)


def test_manual_http_01_by_hand_shows_each_value_alone_on_an_unbroken_line(pebble, acmectl, public_folder):
    name = "a-rather-long-label-that-would-be-wrapped-by-a-terminal.of-eighty-columns.manual.example"
    terminal = acmectl.terminal(
        *("certonly", "--agree-tos", "--register-unsafely-without-email", "--manual", "-d", name),
    )
    terminal.expect_exact("Press Enter when")
    said = terminal.before
    url = lines_after(said, "The CA will fetch this URL:")
    content = lines_after(said, "It must answer with this content and nothing else:")
    file = lines_after(said, "Below the document root of a web server that is the file:")
    assert url == f"http://{name}/{file}"
    assert content.partition(".")[0] == file.rpartition("/")[2]
    assert "python3 -m http.server 80" in said
    (public_folder / file).parent.mkdir(parents=True)
    (public_folder / file).write_text(content)
    with static_server(public_folder, pebble.http_port):
        terminal.sendline("")
        said = ended(terminal)
    assert "The certificate was obtained." in said
    assert url in said[: said.index("The certificate was obtained.")]
    assert "will not be renewed by itself" in said
    assert acmectl.names(name) == [name]
    failed = acmectl.run("renew", "--force-renewal").failed()
    assert "--manual-auth-hook" in failed.err


def test_manual_dns_01_by_hand_for_two_values_at_one_name(pebble, acmectl):
    terminal = acmectl.terminal(
        *("certonly", "--agree-tos", "--register-unsafely-without-email", "--manual"),
        *("--preferred-challenges", "dns", "-d", "hand.example", "-d", "*.hand.example"),
    )
    terminal.expect_exact("Press Enter when all 2")
    said = terminal.before
    assert said.count("_acme-challenge.hand.example\r\n") >= 2
    assert "keep both of them" in said
    assert "dig +short TXT _acme-challenge.hand.example" in said
    values = [lines_after(part, "One of its values must be:") for part in said.split("Challenge ")[1:]]
    assert len(set(values)) == 2
    for value in values:
        pebble.dns.add_txt("_acme-challenge.hand.example", value)
    terminal.sendline("")
    ended(terminal)
    pebble.dns.clear_txt("_acme-challenge.hand.example")
    assert acmectl.names("hand.example") == ["*.hand.example", "hand.example"]


def test_manual_fails_with_what_the_ca_saw_when_nothing_was_put_in_place(acmectl):
    terminal = acmectl.terminal(
        *("certonly", "--agree-tos", "--register-unsafely-without-email", "--manual", "-d", "empty.example"),
    )
    terminal.expect_exact("Press Enter when")
    terminal.sendline("")
    said = ended(terminal, 1)
    assert "Identifier: empty.example" in said
    assert "connection refused" in said.lower()


@pytest.mark.parametrize("flag", ["-n", "-q", "--json"])
def test_manual_without_hooks_and_without_a_person_is_refused_before_an_order(pebble, acmectl, flag):
    before = len(pebble.requests())
    done = acmectl.run("certonly", flag, "--agree-tos", "--manual", "-d", "a.example").failed()
    assert "--manual-auth-hook" in done.err
    assert not [line for line in pebble.requests()[before:] if line.endswith("/order-plz")]
