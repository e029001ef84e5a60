"""A renewal file's values under what was given now (precedence: flags, environment, files, renewal file, default)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.config.challenges import still_ours
from acmectl.errors import RenewalFileInvalid

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from acmectl.config.options import OptionRow, Value
    from acmectl.config.settings import Settings

_FLAGS = {"true": True, "false": False}
_OLD_SERVERS = {
    "https://acme-v01.api.letsencrypt.org/directory": "https://acme-v02.api.letsencrypt.org/directory",
    "https://acme-staging.api.letsencrypt.org/directory": "https://acme-staging-v02.api.letsencrypt.org/directory",
}
# Files written before certbot knew ECDSA have no key_type and mean RSA.
_MISSING_KEY_TYPE = "rsa"
_CHALLENGES = "pref_challs"
_DIRECTORIES = ("config_dir", "work_dir", "logs_dir")


def restore(
    settings: Settings,
    *,
    params: Mapping[str, str | list[str]],
    own: Mapping[str, object],
    origin: str,
    leave_out: Collection[str] = (),
) -> Settings:
    """``settings`` over the values of a renewal file.

    ``params`` is its ``[renewalparams]``, ``own`` its section ``[acmectl]``; destinations in ``leave_out`` are not
    taken from the file. ``origin`` is its path, for messages.

    Raises: RenewalFileInvalid for a value that cannot be what its option needs.
    """
    skip = {*leave_out, *_DIRECTORIES, *_chained(settings, params)}
    values: dict[str, Value] = {}
    for dest, row in settings.table.by_dest.items():
        if dest in skip or dest == "webroot_map":
            continue
        if (
            row.stored == _CHALLENGES
            and row.own is not None
            and still_ours(own.get(row.own), params.get(_CHALLENGES, ""))
        ):
            value = _typed(row, _as_text(own[row.own]), row.own, origin)
        elif row.stored is not None and row.stored in params:
            value = _typed(row, params[row.stored], row.stored, origin)
        elif row.own is not None and row.stored is None and row.own in own:
            value = _typed(row, _as_text(own[row.own]), row.own, origin)
        elif row.plugin is not None and row.stored is not None and row.stored in own:
            value = _typed(row, _as_text(own[row.stored]), row.stored, origin)
        else:
            continue
        if value is not None:
            values[dest] = value
    if "key_type" not in skip and "key_type" not in params:
        values["key_type"] = _MISSING_KEY_TYPE
    server = values.get("server")
    if isinstance(server, str):
        values["server"] = _OLD_SERVERS.get(server, server)
    return settings.with_renewal(values, origin)


def _chained(settings: Settings, params: Mapping[str, str | list[str]]) -> set[str]:
    """Destinations that what was given makes meaningless in the file.

    An account belongs to its CA; a CA chosen by --staging is not the file's.
    """
    skip: set[str] = set()
    if settings.flag("staging"):
        skip.add("server")
    if settings.flag("staging") or (settings.is_set("server") and settings.text("server") != params.get("server")):
        skip.add("account")
    return skip


def _as_text(value: object) -> str | list[str]:
    return [str(element) for element in value] if isinstance(value, list | tuple) else str(value)


def _typed(row: OptionRow, raw: str | list[str], key: str, origin: str) -> Value:
    if raw == "None":
        return None
    if row.collects:
        return tuple(raw) if isinstance(raw, list) else tuple(part.strip() for part in raw.split(",") if part.strip())
    text = raw if isinstance(raw, str) else ",".join(raw)
    if row.kind == "flag":
        if text.lower() not in _FLAGS:
            raise RenewalFileInvalid(
                f"{origin}: {key} is {text!r}, which is neither True nor False.", hint="Correct the file."
            )
        return _FLAGS[text.lower()]
    if row.kind in ("int", "count", "duration"):
        try:
            return int(text)
        except ValueError:
            raise RenewalFileInvalid(
                f"{origin}: {key} is {text!r}, which is no number.", hint="Correct the file."
            ) from None
    return text
