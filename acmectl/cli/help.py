"""The pages of ``--help``, made from the option table and the list of commands. Loads nothing else."""

from __future__ import annotations

from acmectl.cli import group

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from acmectl.config.options import OptionRow, OptionTable

WIDTH = 79
_COLUMN = 26
_COMMANDS = ("commands", "command", "subcommand", "subcommands", "verbs")

TOPICS = {
    "names": ("Names", "Which names, and which certificate."),
    "plugins": ("Authenticators", "How control of the names is proved to the CA."),
    "webroot": ("webroot", "Answers are files in the document root of a web server that runs already."),
    "standalone": ("standalone", "Answers are given by a web server of acmectl's own, on port 80."),
    "manual": ("manual", "Answers are put in place by you, or by hooks of yours."),
    "dns": ("DNS", "What all authenticators that work by DNS records have in common."),
    "hooks": ("Hooks", "Commands of yours that run before and after."),
    "outputs": ("Files beside", "Key and certificates in one file, wherever a server wants it."),
    "account": ("Account", "The account at the CA."),
    "automation": ("Automation", "For scripts and timers."),
    "security": ("Security", "Keys, chains and trust."),
    "testing": ("Testing", "For trying things out without consequences."),
    "manage": ("Managing certificates", "What the commands for existing certificates use."),
    "revoke": ("Revocation", "Taking a certificate back."),
    "paths": ("Paths", "Where things lie."),
    "general": ("General", "What every command understands."),
    "installers": ("Installers", "certbot's options for editing web server configurations, which acmectl does not do."),
}
_USUAL = (
    "domains", "cert_name", "webroot", "webroot_path", "standalone", "manual", "email", "agree_tos", "server",
    "staging", "dry_run", "deploy_hook", "non_interactive", "json",
)  # fmt: skip


def page(words: Sequence[str], table: OptionTable) -> str | None:
    """The page for the first of ``words`` (none: the short page); None when there is no such topic here."""
    if not words:
        return _short(table)
    topic = words[0]
    if topic == "all":
        return _everything(table)
    if topic in _COMMANDS:
        return "\n".join(["Commands:", *_verbs()]) + "\n"
    verb = group.find(topic)
    parts = []
    if verb is not None:
        parts.append(_verb(verb, table))
    rows = [row for row in table.rows if topic in row.topics and not row.hidden]
    if rows or topic in TOPICS:
        title, text = TOPICS.get(topic, (topic, f"Options of the plugin {topic}."))
        parts.append("\n".join([*_wrapped(f"{title}: {text}", ""), "", *_options(rows)]) + "\n")
    return "\n".join(parts) or None


def topics(table: OptionTable) -> list[str]:
    """Every word that ``--help`` understands."""
    plugins = {topic for row in table.rows for topic in row.topics}
    return ["all", *_COMMANDS, *group.words(), *TOPICS, *sorted(plugins - set(TOPICS))]


def sections(table: OptionTable) -> list[tuple[str, str, str, list[OptionRow]]]:
    """Topic, title, description and rows of each section of the complete list."""
    names = [*TOPICS, *sorted({row.topics[0] for row in table.rows} - set(TOPICS))]
    found = []
    for name in names:
        rows = [row for row in table.rows if row.topics[0] == name and not row.hidden]
        if rows:
            title, text = TOPICS.get(name, (name, f"Options of the plugin {name}."))
            found.append((name, title, text, rows))
    return found


def spelled(row: OptionRow) -> str:
    """An option's flags with the name of its value: ``-d, --domains, --domain NAME``."""
    flags = ", ".join((*row.names, *row.off))
    return f"{flags} {row.metavar or row.destination.upper()}" if row.takes_value else flags


def described(row: OptionRow) -> str:
    """An option's help with its default, where that says something."""
    if row.takes_value and row.default not in (None, ""):
        return f"{row.help} (default: {row.default})"
    return row.help


def _short(table: OptionTable) -> str:
    lines = [
        "Usage: acmectl [COMMAND] [OPTIONS] [-d NAME]...",
        "",
        "Obtain, renew and revoke TLS certificates. Without a command: certonly.",
        "",
        "Commands:",
        *_verbs(short=True),
        "",
        "The options used most:",
        *(_option(table.by_dest[dest], short=True) for dest in _USUAL),
        "",
        *_wrapped("More: acmectl --help TOPIC, where TOPIC is all, a command, a plugin, or one of", ""),
        *_wrapped("automation, commands, manage, paths, plugins, security, testing.", "  ", "  "),
    ]
    return "\n".join(lines) + "\n"


def _everything(table: OptionTable) -> str:
    lines = ["Usage: acmectl [COMMAND] [OPTIONS] [-d NAME]...", "", "Commands:", *_verbs()]
    for _, title, text, rows in sections(table):
        lines += ["", *_wrapped(f"{title}: {text}", ""), "", *_options(rows)]
    return "\n".join(lines) + "\n"


def _verbs(*, short: bool = False) -> list[str]:
    lines = []
    for verb in group.VERBS.values():
        if short and verb.rare:
            continue
        also = f" (also: {', '.join(verb.aliases)})" if verb.aliases and not short else ""
        lines += _columns(verb.name, verb.summary + also, column=18)
    return lines


def _verb(verb: group.Verb, table: OptionTable) -> str:
    usage = f"Usage: acmectl {verb.name} [OPTIONS]" + (f" [{verb.arguments}]" if verb.arguments else "")
    lines = [usage, "", f"{verb.summary[0].upper()}{verb.summary[1:]}."]
    for _, title, _, rows in sections(table):
        own = [row for row in rows if verb.like in row.verbs]
        if own:
            lines += ["", f"{title}:", *_options(own)]
    common = [row for row in table.rows if "*" in row.verbs and not row.hidden]
    lines += ["", "Every command:", *_options(common)]
    return "\n".join(lines) + "\n"


def _options(rows: Iterable[OptionRow]) -> list[str]:
    return [_option(row) for row in rows]


def _option(row: OptionRow, *, short: bool = False) -> str:
    if short:
        flags = ", ".join(row.names[:2] if not row.names[0].startswith("--") else row.names[:1])
        name = f"{flags} {row.metavar}" if row.takes_value else flags
        text = row.help
        for stop in ("; ", ". ", ": "):
            text = text.partition(stop)[0]
        return "\n".join(_columns(name, text, column=_COLUMN + 2))
    return "\n".join(_columns(spelled(row), described(row), column=_COLUMN))


def _columns(left: str, right: str, *, column: int) -> list[str]:
    indent = " " * column
    if len(left) + 4 > column:
        return [f"  {left}", *_wrapped(right, indent, indent)]
    return _wrapped(right, f"  {left}".ljust(column), indent)


def _wrapped(text: str, first: str, later: str = "") -> list[str]:
    # textwrap would do; it costs more to import than all of this page.
    lines = []
    line = first
    empty = True
    for word in text.split():
        if not empty and len(line) + 1 + len(word) > WIDTH:
            lines.append(line)
            line, empty = later, True
        line += word if empty else f" {word}"
        empty = False
    return [*lines, line.rstrip()]
