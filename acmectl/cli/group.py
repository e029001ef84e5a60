"""The commands, as data. A command's module is imported only when that command runs."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from acmectl.cli.app import App
    from acmectl.errors import ExitCode


class Verb:
    """One command: its module in acmectl.cli.commands, and what the door must know before it is imported.

    ``arguments`` names the words it takes besides options. ``reads_only``: it writes no log unless -v is given.
    ``like`` is the command whose options it has, itself unless given. ``rare``: the first page of help leaves it out.
    """

    __slots__ = ("aliases", "arguments", "like", "module", "name", "rare", "reads_only", "summary")

    def __init__(
        self,
        name: str,
        summary: str,
        *,
        module: str = "",
        aliases: tuple[str, ...] = (),
        arguments: str = "",
        reads_only: bool = False,
        like: str = "",
        rare: bool = False,
    ) -> None:
        self.name = name
        self.summary = summary
        self.module = module or name
        self.aliases = aliases
        self.arguments = arguments
        self.reads_only = reads_only
        self.like = like or name
        self.rare = rare


DEFAULT_VERB = "run"

_ALL = (
    Verb("certonly", "obtain a certificate, or renew it when it is due", aliases=("auth",)),
    Verb(
        "run",
        "certbot's name for certonly; with a real installer it says what to do instead",
        aliases=("everything",),
        like="certonly",
        rare=True,
    ),
    Verb("renew", "renew all certificates that are due"),
    Verb("certificates", "list the certificates", reads_only=True),
    Verb("revoke", "revoke a certificate"),
    Verb("reconfigure", "change how a certificate is renewed, after a trial"),
    Verb("rollback", "make an earlier version of a certificate live again"),
    Verb("delete", "delete a certificate's files"),
    Verb(
        "enable-timer",
        "have systemd run renew",
        module="enable_timer",
        aliases=("enable_timer",),
        reads_only=True,
    ),
    Verb(
        "adopt",
        "check a tree that certbot made, and make it acmectl's",
        arguments="DIR",
        reads_only=True,
    ),
    Verb("register", "make an account at the CA", module="accounts"),
    Verb("show_account", "show the account at the CA", reads_only=True, module="accounts"),
    Verb("update_account", "change the account's e-mail addresses", module="accounts"),
    Verb("unregister", "deactivate the account at the CA", module="accounts"),
    Verb("account", "more on accounts: rollover, import, export, orders, agree", arguments="ACTION"),
    Verb(
        "ca",
        "list the CAs that have a short name, or show what one offers",
        arguments="CA",
        reads_only=True,
        rare=True,
    ),
    Verb(
        "dns-record",
        "print the DNS records that let a CA issue for an account",
        module="dns_record",
        aliases=("dns_record",),
        reads_only=True,
        rare=True,
    ),
    Verb("tlsa", "print the TLSA records of certificates that have --stage-next-key", reads_only=True, rare=True),
    Verb("plugins", "list the authenticators, or show what NAME is to be told", arguments="NAME", reads_only=True),
    Verb(
        "hook-path",
        "print where the ready-made hooks lie",
        arguments="NAME",
        reads_only=True,
        module="hook_path",
        rare=True,
    ),
    Verb("install", "certbot's; says what to do instead", module="installers", rare=True, reads_only=True),
    Verb("enhance", "certbot's; says what to do instead", module="installers", rare=True, reads_only=True),
    Verb("help", "explain a topic, a command or a plugin", arguments="TOPIC", reads_only=True),
)

VERBS = {verb.name: verb for verb in _ALL}
_BY_WORD = VERBS | {alias: verb for verb in _ALL for alias in verb.aliases}


def find(word: str) -> Verb | None:
    """The command that ``word`` names, by its name or an alias."""
    return _BY_WORD.get(word)


def words() -> tuple[str, ...]:
    """Every word that names a command."""
    return tuple(_BY_WORD)


def load(verb: Verb) -> Callable[[App], ExitCode]:
    """Import a command and give its ``run``."""
    import importlib

    module = importlib.import_module(f"acmectl.cli.commands.{verb.module}")
    run: Callable[[App], ExitCode] = module.run
    return run
