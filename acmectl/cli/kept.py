"""What certonly took over from the renewal file of an existing certificate, and what it started anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from acmectl.config.options import OptionRow
    from acmectl.config.settings import Settings
    from acmectl.storage.renewal_conf import RenewalConf

# Nobody wonders what became of these: the CA and its account are announced, the directories are those of the run.
_UNSAID = ("server", "servers", "account", "key_type", "config_dir", "work_dir", "logs_dir", "webroot_map")


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """Options by their long names: ``kept`` as they were stored, ``reset`` to the default though they were stored."""

    kept: tuple[str, ...] = ()
    reset: tuple[str, ...] = ()

    def sentences(self) -> list[str]:
        """What to tell a person; empty when there is nothing to tell."""
        said = []
        if self.kept:
            said.append(
                f"Kept as they were stored: {', '.join(self.kept)}. What is given again replaces them; "
                "acmectl reconfigure changes them."
            )
        if self.reset:
            said.append(f"Not kept, because certonly chooses the key anew: {', '.join(self.reset)}.")
        return said


def carried(settings: Settings, conf: RenewalConf, *, reset: Sequence[str]) -> Carried:
    """The stored options that were not given now. ``reset``: destinations that certonly does not keep."""
    rows = [
        (dest, row)
        for dest, row in settings.table.by_dest.items()
        if dest not in _UNSAID and not settings.is_set(dest) and _stored(row, conf)
    ]
    before, now = conf.text("authenticator"), settings.text("authenticator")
    gone = before if settings.is_set("authenticator") and now != before else None
    return Carried(
        kept=tuple(row.name for dest, row in rows if dest not in reset and (gone is None or row.plugin != gone)),
        reset=tuple(row.name for dest, row in rows if dest in reset),
    )


def _stored(row: OptionRow, conf: RenewalConf) -> bool:
    if row.stored is not None and row.stored in conf.params:
        return conf.params[row.stored] not in ("None", "")
    return row.own is not None and row.own in conf.own
