"""What a case is, and the trees that cases start from."""

from __future__ import annotations

from dataclasses import dataclass

from tests.integration.differential.machine import Line
from tests.integration.differential.steps import Step

Steps = tuple[Line | Step, ...]

TEMPLATES: dict[str, Steps] = {
    "empty": (),
    "account": (Line(text="register -n --agree-tos -m me@example.com"),),
    "lineage": (
        Line(text="register -n --agree-tos -m me@example.com"),
        Line(text="certonly -n {standalone} -d example.com -d www.example.com"),
    ),
    "webroot": (
        Line(text="register -n --agree-tos -m me@example.com"),
        Line(text="certonly -n --webroot -w {webroot} -d example.com,www.example.com", web=True),
    ),
    "two": (
        Line(text="register -n --agree-tos -m me@example.com"),
        Line(text="certonly -n {standalone} -d example.com -d www.example.com"),
        Line(text="certonly -n {standalone} -d other.example.com --reuse-key --key-type rsa --rsa-key-size 3072"),
    ),
    "accounts": (
        Line(text="register -n --agree-tos -m me@example.com"),
        # The second account is made where certbot does not see the first, and then laid beside it.
        Line(text="mv {config}/accounts {root}/first", shell=True),
        Line(text="register -n --agree-tos -m second@example.com"),
        Line(text="cp -a {root}/first/. {config}/accounts && rm -r {root}/first", shell=True),
    ),
}
"""Made by certbot, once for all cases that start from them; a case that is ``alone`` has them made for each program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Command lines that both programs are to understand alike.

    Lines of ``steps`` are run by the program, other steps happen to both trees. ``alone`` gives either program a tree
    whose account and certificates are its own, for what the CA remembers (a revocation). ``trusting`` asks the CA that
    validates nothing. ``both_streams`` compares whether anything was said on standard error as well.
    """

    id: str
    steps: Steps
    start: str = "empty"
    alone: bool = False
    trusting: bool = False
    both_streams: bool = False


def case(
    name: str,
    *steps: str | Line | Step,
    start: str = "empty",
    alone: bool = False,
    trusting: bool = False,
    both_streams: bool = False,
) -> Case:
    """A case; a string is a command line with nothing special about it."""
    lines = tuple(Line(text=step) if isinstance(step, str) else step for step in steps)
    return Case(
        id=name,
        steps=lines,
        start=start,
        alone=alone,
        trusting=trusting,
        both_streams=both_streams,
    )
