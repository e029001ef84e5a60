"""TLSA records for a certificate's key (RFC 6698, RFC 7671): what they say, and which keys a client would take.

The records are the recommended ones, ``3 1 1``: DANE-EE, SubjectPublicKeyInfo, SHA-256 (RFC 7671 section 5.1). They
stay the same as long as the key does, whatever certificate it has.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

_FULL, _SHA256, _SHA512 = 0, 1, 2
_SPKI = 1
_PKIX_EE, _DANE_EE = 1, 3
_LENGTHS = {_SHA256: 32, _SHA512: 64}
_RECORD = re.compile(r"(\d{1,3}) (\d{1,3}) (\d{1,3}) ([0-9A-Fa-f ]+)")
_SERVICE = re.compile(r"(\d{1,5})(?:/(tcp|udp|sctp))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tlsa:
    """One record (RFC 6698 section 2.1)."""

    usage: int
    selector: int
    matching: int
    data: bytes

    @property
    def is_usable(self) -> bool:
        """Whether it concerns the server's own certificate or key, and is well formed: clients pass over others."""
        known = self.usage in (_PKIX_EE, _DANE_EE) and self.selector in (0, _SPKI)
        return known and (self.matching == _FULL or len(self.data) == _LENGTHS.get(self.matching))


def parse_record(text: str) -> Tlsa | None:
    """A record in presentation format (RFC 6698 section 2.2); None when it is not one."""
    found = _RECORD.fullmatch(text)
    digits = found[4].replace(" ", "") if found is not None else ""
    if found is None or len(digits) % 2:
        return None
    return Tlsa(usage=int(found[1]), selector=int(found[2]), matching=int(found[3]), data=bytes.fromhex(digits))


def fingerprint(spki: bytes) -> str:
    """The SHA-256 of a public key (SubjectPublicKeyInfo DER), lower-case hex: the data of its record."""
    return hashlib.sha256(spki).hexdigest()


def record_value(digest: str) -> str:
    """The record for a key with this ``fingerprint``, without its name."""
    return f"{_DANE_EE} {_SPKI} {_SHA256} {digest}"


def owner_name(service: str, host: str) -> str:
    """Where the record of ``host`` lies (RFC 6698 section 3), absolute without the trailing dot.

    ``service`` is ``443`` or ``853/udp``. Raises: ConfigError when it is neither.
    """
    found = _SERVICE.fullmatch(service)
    if found is None or not 0 < int(found[1]) < 65536:
        shown = "".join(c if c.isprintable() else "?" for c in service[:40])
        raise ConfigError(f"'{shown}' is no port for --tlsa-port.", hint="Give a number such as 25, or 853/udp.")
    return f"_{int(found[1])}._{found[2] or 'tcp'}.{host}"


def binds_a_key(records: Sequence[Tlsa]) -> bool:
    """Whether clients that know these records take certain keys or certificates of the server only."""
    return any(one.is_usable for one in records)


def would_match(records: Sequence[Tlsa], spki: bytes) -> bool:
    """Whether a client with these records takes a server with the key ``spki`` (SubjectPublicKeyInfo DER).

    Of records that differ in their digest alone only those with the strongest count (RFC 7671 section 9), and records
    of the usage PKIX-EE only where there are none of DANE-EE.
    """
    usable = [one for one in records if one.is_usable]
    usage = _DANE_EE if any(one.usage == _DANE_EE for one in usable) else _PKIX_EE
    of_key = [one for one in usable if one.usage == usage and one.selector == _SPKI]
    strongest = max((one.matching for one in of_key), default=_FULL)
    wanted = {
        _FULL: spki,
        _SHA256: hashlib.sha256(spki).digest(),
        _SHA512: hashlib.sha512(spki).digest(),
    }
    return any(one.matching in (_FULL, strongest) and one.data == wanted[one.matching] for one in of_key)
