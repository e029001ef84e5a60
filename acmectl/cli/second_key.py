"""The second certificate of a lineage, for --json."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from acmectl.actions.second_key import SecondCertificate

_KINDS = ("cert", "chain", "fullchain", "privkey")


def second_as_json(second: SecondCertificate | None, live_dir: Path | None) -> dict[str, object] | None:
    """Its facts and its files below ``live_dir``; None where there is none."""
    if second is None:
        return None
    paths = {kind: str(live_dir / f"{kind}-{second.key_type}.pem") for kind in _KINDS} if live_dir is not None else None
    return {
        "key_type": second.key_type,
        "serial": f"{second.serial:x}",
        "not_after": second.not_after.isoformat(),
        "paths": paths,
    }
