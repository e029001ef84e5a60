"""Renewal files, ``renewal/<name>.conf``: certbot's format, read without interpolation, and our own section in it.

certbot reads its sections with ConfigObj's interpolation on, so a value with ``%(`` in it would stop certbot. Such
values, and those that the format cannot hold at all, are kept in the section ``[acmectl]``, JSON-encoded with ``%``
written ``\\u0025``; certbot keeps sections that it does not know. ConfigObj is imported only where it is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from acmectl.errors import LineageDamaged, StorageError
from acmectl.storage.atomic import read_file, storage_error
from acmectl.storage.conf_lines import PlainConf, Value, parse_plain, with_values

if TYPE_CHECKING:
    import os

    from configobj import ConfigObj, Section

CERTBOT_VERSION = "5.8.0"
"""The certbot whose format is written. It must start with a number: certbot compares it with its own."""

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]

PARAMS = "renewalparams"
WEBROOT_MAP = "webroot_map"
ARI = "acme_renewal_info"
OWN = "acmectl"

_DISPLACED_PARAMS = "renewalparams"  # keys inside [acmectl] that hold what certbot's sections cannot
_DISPLACED_WEBROOTS = "webroot_map"
_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalConf:
    """What a renewal file says.

    ``root`` are the keys before the first section; ``params`` is ``[renewalparams]`` as text or lists of text, in
    certbot's spelling (``True``, ``None``); ``own`` is ``[acmectl]``, decoded. ``has_params`` is False where
    ``[renewalparams]`` is missing.
    """

    root: Mapping[str, Value] = field(default_factory=dict)
    params: Mapping[str, Value] = field(default_factory=dict)
    webroot_map: Mapping[str, str] = field(default_factory=dict)
    ari: Mapping[str, str] = field(default_factory=dict)
    own: Mapping[str, JsonValue] = field(default_factory=dict)
    has_params: bool = True

    def text(self, key: str) -> str | None:
        """A parameter as text: None where it is missing or says ``None``; a list is joined by commas."""
        value = self.params.get(key)
        if value is None or value == "None":
            return None
        return value if isinstance(value, str) else ",".join(value)

    def texts(self, key: str) -> list[str]:
        """A parameter as a list; a plain text counts as a list of one, a missing one as an empty list."""
        value = self.params.get(key)
        if value is None or value == "None":
            return []
        return [value] if isinstance(value, str) else list(value)


def conf_text(value: object) -> Value:
    """A value in certbot's spelling: ``True``, ``None``, digits, text, or a list of these."""
    if isinstance(value, list | tuple | set | frozenset):
        return [str(element) for element in value]
    return str(value)


def read(path: str | os.PathLike[str]) -> RenewalConf:
    """Read a renewal file.

    Raises: LineageDamaged when it cannot be understood; FileNotFoundError when there is none; StorageError when the
    system refuses to read it.
    """
    try:
        data = read_file(path, _LIMIT)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise storage_error(f"read {path}", error) from error
    return parse(data, path)


def parse(data: bytes, path: str | os.PathLike[str]) -> RenewalConf:
    """The content of a renewal file; ``path`` is for the message. Raises: LineageDamaged."""
    plain = parse_plain(data)
    if plain is None:
        plain = from_configobj(load(data, path))
    own = _decode_own(plain.sections.get(OWN, {}), path)
    params = _with_displaced(plain.sections.get(PARAMS, {}), own.pop(_DISPLACED_PARAMS, None))
    webroots = _with_displaced(plain.subsections.get((PARAMS, WEBROOT_MAP), {}), own.pop(_DISPLACED_WEBROOTS, None))
    return RenewalConf(
        root=plain.root,
        params=params,
        webroot_map={name: _one_text(value) for name, value in webroots.items()},
        ari={key: _one_text(value) for key, value in plain.sections.get(ARI, {}).items()},
        own=own,
        has_params=PARAMS in plain.sections,
    )


def render(conf: RenewalConf, existing: bytes | None = None) -> bytes:
    """The bytes of a renewal file that say what ``conf`` says, and all else that ``existing`` said.

    Root keys of ``conf`` are set and unknown ones kept; ``[renewalparams]`` with its map, ``[acme_renewal_info]`` and
    ``[acmectl]`` become exactly what ``conf`` says; other sections and comments stay.

    Raises: StorageError when a root key or another program's value cannot be written so that certbot can read it.
    """
    document = _start_from(existing)
    for key, value in {"version": _version(document), **_without_version(conf.root)}.items():
        if not _fits(value, interpolated=False):
            raise StorageError(f"A renewal file cannot hold {_printable(repr(value))}, its value for {key!r}.")
        _set(document, key, value)
    displaced_params = _fill(_section(document, PARAMS), conf.params)
    displaced_webroots = _fill_webroots(document[PARAMS], conf.webroot_map)
    _replace_section(document, ARI, dict(conf.ari))
    own: dict[str, JsonValue] = {
        key: value for key, value in conf.own.items() if key not in {_DISPLACED_PARAMS, _DISPLACED_WEBROOTS}
    }
    if displaced_params:
        own[_DISPLACED_PARAMS] = dict(displaced_params)
    if displaced_webroots:
        own[_DISPLACED_WEBROOTS] = dict(displaced_webroots)
    _replace_section(document, OWN, {key: _encode_own(value) for key, value in own.items()})
    return _dump(document)


def with_notes(data: bytes, own: Mapping[str, JsonValue], *, ari_retry_after: str | None = None) -> bytes | None:
    """A renewal file with keys of ``[acmectl]`` set (None removes) and certbot's note of when ARI may be asked again.

    All else stays as it is, to the letter. None for a file that is not plain: ``render`` can do it.
    """
    changes: dict[str, dict[str, str | None]] = {
        OWN: {key: None if value is None else _encode_own(value) for key, value in own.items()}
    }
    if ari_retry_after is not None:
        changes[ARI] = {"ari_retry_after": ari_retry_after}
    return with_values(data, changes)


def _start_from(existing: bytes | None) -> ConfigObj:
    if existing is not None:
        try:
            return load(existing, "")
        except LineageDamaged:
            pass
    return load(b"", "")


def load(data: bytes, path: str | os.PathLike[str]) -> ConfigObj:
    from configobj import ConfigObj, ConfigObjError

    try:
        return ConfigObj(
            data.decode("utf-8-sig").splitlines(keepends=True), interpolation=False, raise_errors=True, encoding="utf-8"
        )
    except UnicodeDecodeError as error:
        raise LineageDamaged(f"The renewal file {path} is not UTF-8 text.") from error
    except ConfigObjError as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise LineageDamaged(f"The renewal file {path} cannot be read: {_printable(reason)}.") from error


def _dump(document: ConfigObj) -> bytes:
    from configobj import ConfigObjError

    try:
        lines = document.write()
    except (ConfigObjError, ValueError) as error:
        raise StorageError(f"The renewal file cannot be written: {_printable(str(error))}") from error
    text = [line.decode("utf-8") if isinstance(line, bytes) else line for line in lines]
    return ("\n".join(text) + "\n").encode("utf-8")


def from_configobj(document: ConfigObj) -> PlainConf:
    conf = PlainConf()
    conf.root = _scalars(document)
    for name in document.sections:
        conf.sections[name] = _scalars(document[name])
        for child in document[name].sections:
            conf.subsections[name, child] = _scalars(document[name][child])
    return conf


def _scalars(section: Section) -> dict[str, Value]:
    return {key: section[key] for key in section.scalars}


def _section(parent: Section, name: str) -> Section:
    if name in parent.scalars:
        del parent[name]
    if name not in parent:
        parent[name] = {}
    return parent[name]


def _fill(section: Section, values: Mapping[str, Value]) -> dict[str, JsonValue]:
    """Make the keys of ``section`` those of ``values``; the ones that it cannot hold are handed back."""
    displaced: dict[str, JsonValue] = {}
    for key in list(section.scalars):
        if key not in values:
            del section[key]
    for key, value in values.items():
        if _fits(value) and _fits(key):
            _set(section, key, value)
        else:
            section.pop(key, None)
            displaced[key] = value if isinstance(value, str) else list[JsonValue](value)
    return displaced


def _fill_webroots(params: Section, webroot_map: Mapping[str, str]) -> dict[str, JsonValue]:
    if not webroot_map:
        params.pop(WEBROOT_MAP, None)
        return {}
    return _fill(_section(params, WEBROOT_MAP), webroot_map)


def _replace_section(document: ConfigObj, name: str, values: Mapping[str, Value]) -> None:
    if values:
        _fill(_section(document, name), values)
    elif name in document.sections and not document[name].sections:
        del document[name]


def _set(section: Section, key: str, value: Value) -> None:
    """Set a key, leaving an equal one alone so that a rewrite changes no line without need."""
    if key not in section.scalars or section[key] != value:
        section[key] = value


def holds(value: Value) -> bool:
    """Whether a root key of a renewal file, such as the path of a directory, can have this value."""
    return _fits(value, interpolated=False)


def _fits(value: Value, *, interpolated: bool = True) -> bool:
    """Whether ConfigObj, with certbot's interpolation on or off, reads ``value`` back as it is."""
    texts = [value] if isinstance(value, str) else value
    if any((interpolated and "%(" in text) or not text.isprintable() for text in texts):
        return False
    if all(_is_plain(text) for text in texts):
        return True
    from configobj import ConfigObj, ConfigObjError

    try:
        probe = ConfigObj(interpolation=False, encoding="utf-8")
        probe["k"] = value
        lines = _dump(probe).decode("utf-8").splitlines()
        return bool(ConfigObj(lines, interpolation=interpolated, encoding="utf-8")["k"] == value)
    except (ConfigObjError, StorageError, UnicodeError):
        return False


def _is_plain(text: str) -> bool:
    return text != "" and not any(character in " '\"#,%$[]=\\" for character in text)


def _without_version(root: Mapping[str, Value]) -> dict[str, Value]:
    return {key: value for key, value in root.items() if key != "version"}


def _version(document: ConfigObj) -> str:
    """The version to write: a newer certbot's own is left as it is."""
    found = document.get("version")
    if isinstance(found, str) and _numbers(found) > _numbers(CERTBOT_VERSION):
        return found
    return CERTBOT_VERSION


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split(".")
    return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else ()


def _decode_own(section: Mapping[str, Value], path: str | os.PathLike[str]) -> dict[str, JsonValue]:
    if not section:
        return {}
    import json

    decoded: dict[str, JsonValue] = {}
    for key, value in section.items():
        try:
            decoded[key] = json.loads(value if isinstance(value, str) else ",".join(value))
        except (ValueError, RecursionError) as error:
            raise LineageDamaged(
                f"The renewal file {path} cannot be read: {key} in its section [{OWN}] is not JSON."
            ) from error
    return decoded


def _encode_own(value: JsonValue) -> str:
    import json

    # Only double quotes, commas and spaces are left, so ConfigObj puts single quotes around it and nothing else.
    text = json.dumps(value, ensure_ascii=True, sort_keys=True)
    for character in "%'#$":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _with_displaced(values: Mapping[str, Value], displaced: JsonValue) -> dict[str, Value]:
    """The values with those that lay in our section; where certbot has since written the key, certbot's counts."""
    merged = dict(values)
    if isinstance(displaced, dict):
        for key, value in displaced.items():
            if isinstance(value, list):
                merged.setdefault(key, [str(element) for element in value])
            elif value is not None:
                merged.setdefault(key, str(value))
    return merged


def _one_text(value: Value) -> str:
    return value if isinstance(value, str) else ", ".join(value)


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
