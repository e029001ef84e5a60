"""The command line: the only room that knows click and the terminal."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_HELP = ("-h", "--help", "help")
_MOST_FAST_WORDS = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run acmectl with ``argv`` (without the program's name; by default the process's) and give its exit status."""
    if argv is None:
        import sys

        argv = sys.argv[1:]
    # Version and help are asked for by scripts and fingers all the time: they load nothing that they do not need.
    if list(argv) == ["--version"]:
        show_version()
        return 0
    import gc

    from acmectl.config.options import table

    # Next to nothing of what a run makes is in circles; to look for them every 700 objects costs a list of a thousand
    # certificates 3 %.
    gc.set_threshold(20_000, 20, 50)
    options = table()
    if 0 < len(argv) <= _MOST_FAST_WORDS and argv[0] in _HELP:
        from acmectl.cli.help import page

        text = page(argv[1:], options)
        if text is not None:
            show(text)
            return 0
    from acmectl.cli.app import main as run

    return run(argv, options)


def show_version() -> None:
    """Print the program's name and version."""
    from acmectl import __version__

    show(f"acmectl {__version__}\n")


def show(text: str) -> None:
    """Print ``text`` on standard output; a reader that goes away (``| head``) is no error."""
    import os
    import sys

    if sys.stdout is None:  # the caller closed it
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # Else the interpreter's own last flush would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
