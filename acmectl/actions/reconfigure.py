"""reconfigure: change how one certificate is renewed, after a trial renewal has shown that it works."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from acmectl.actions.accounts import choose_account
from acmectl.actions.csr_stored import names_to_renew
from acmectl.actions.next_key import settle
from acmectl.actions.obtain import carry_out
from acmectl.actions.opening import open_sound
from acmectl.actions.output_files import bring_up_to_date, tell_no_longer_written
from acmectl.actions.settle import settle_all
from acmectl.actions.target import Target
from acmectl.actions.tlsa_records import tlsa_records
from acmectl.errors import AcmectlError, ConfigError
from acmectl.events import Notice
from acmectl.storage.renewal_conf import conf_text

if TYPE_CHECKING:
    from pathlib import Path

    from acmectl.actions.requests import CertificateRequest
    from acmectl.actions.services import Services
    from acmectl.actions.tlsa_records import TlsaRecords
    from acmectl.errors import HookFailed
    from acmectl.identifiers import Identifier
    from acmectl.storage.lineage import Lineage
    from acmectl.storage.renewal_conf import RenewalConf

# What acmectl notes about a certificate for itself, beside what people set.
_NOTES = frozenset({"ari", "ari_second", "backoff", "deploy", "pinned", "revoked", "revoked_second"})
HIDDEN = "(hidden)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconfigureRequest:
    """``cert_name`` None: the person picks one. ``save`` is False for a trial alone.

    ``secret_keys`` are keys of renewal files whose values are not shown.
    """

    cert_name: str | None
    save: bool = True
    secret_keys: Collection[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """How the lineage is to be renewed (``lasting``), and the same as a trial that keeps nothing."""

    lasting: CertificateRequest
    trial: CertificateRequest


MakeWishes = Callable[["RenewalConf", "tuple[Identifier, ...]", "Path"], Wishes]
"""What was given now over the renewal file; raises ConfigError for what reconfigure does not change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One key of the renewal file as people read it; None where there is or was nothing."""

    key: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconfigured:
    """The outcome. ``server`` is the CA that the trial was made at, ``finalized`` whether it went to the end there.

    ``tlsa`` are the records of a lineage that stages its next key. ``hook_failures``: files beside the live links that
    could not be written, and are owed.
    """

    name: str
    path: Path
    changes: tuple[Change, ...]
    saved: bool
    server: str
    finalized: bool
    tlsa: TlsaRecords | None = None
    hook_failures: tuple[HookFailed, ...] = ()


def reconfigure(services: Services, request: ReconfigureRequest, make: MakeWishes) -> Reconfigured:
    """Try a renewal with the changes and, if it works, save them; live and archive stay as they are.

    Files beside the live links are written at once where they are missing or differ.

    Raises: AcmectlError of every kind; the renewal file is as it was then.
    """
    with services.lock():
        if request.save:
            settle_all(services)
        lineage = _opened(services, request.cert_name or _picked(services), heal=request.save)
        identifiers = names_to_renew(lineage)
        wishes = make(lineage.conf, identifiers, lineage.conf_path)
        wanted = _wanted(services, lineage.conf, wishes.lasting)
        changes = differences(lineage.conf, wanted, request.secret_keys)
        target = Target(name=lineage.name, identifiers=identifiers, existing=lineage)
        try:
            done = carry_out(services, target, lambda _conf, _identifiers: wishes.trial)
        except AcmectlError:
            services.observe(Notice(text=f"The trial failed; {lineage.conf_path} is left as it is.", level="warning"))
            raise
        if done.hook_failures:
            failure = done.hook_failures[0]
            raise ConfigError(f"The trial failed, so nothing was changed: {failure.message}", hint=failure.hint)
        failures: list[HookFailed] = []
        if changes and request.save:
            services.lineages.write_conf(lineage.name, wanted)
            settle(services, lineage.name, spec=wishes.lasting.key.spec if wishes.lasting.key.explicit else None)
        if request.save:
            tell_no_longer_written(services, lineage.conf.own, wanted.own)
            failures = bring_up_to_date(services, lineage.name, wishes.lasting.outputs, checked=True)
        return Reconfigured(
            name=lineage.name,
            path=lineage.conf_path,
            changes=changes,
            saved=bool(changes) and request.save,
            server=wishes.trial.account.server,
            finalized=wishes.trial.finalize,
            tlsa=tlsa_records(services, lineage.name) if request.save else None,
            hook_failures=tuple(failures),
        )


def differences(old: RenewalConf, new: RenewalConf, secret_keys: Collection[str] = ()) -> tuple[Change, ...]:
    """What people set that differs between two renewal files, by key; values of ``secret_keys`` are hidden."""
    before, after = _flat(old), _flat(new)
    changes = []
    for key in sorted(before.keys() | after.keys()):
        was, becomes = before.get(key), after.get(key)
        if was != becomes:
            hide = key in secret_keys
            changes.append(
                Change(
                    key=key,
                    old=HIDDEN if hide and was is not None else was,
                    new=HIDDEN if hide and becomes is not None else becomes,
                )
            )
    return tuple(changes)


def _picked(services: Services) -> str:
    if not services.person.interactive:
        raise ConfigError(
            "reconfigure needs to know which certificate is meant.", hint="Name it with --cert-name NAME."
        )
    names = services.lineages.names()
    if not names:
        raise ConfigError("There are no certificates here.")
    return names[services.person.choose("Which certificate should be reconfigured?", names, flag="--cert-name")]


def _opened(services: Services, name: str, *, heal: bool) -> Lineage:
    return open_sound(services, name) if heal else services.lineages.get(name)


def _wanted(services: Services, conf: RenewalConf, lasting: CertificateRequest) -> RenewalConf:
    """The renewal file with the changes; all that they do not concern stays."""
    params = {key: conf_text(value) for key, value in lasting.params.items()}
    if "account" not in params and lasting.account.key_path is None:
        stored = choose_account(services, lasting.account)
        if stored is not None:
            params["account"] = stored.id
    return replace(conf, params=params, webroot_map=dict(lasting.webroot_map), own=dict(lasting.own))


def _flat(conf: RenewalConf) -> dict[str, str]:
    values: dict[str, object] = {**conf.params, **{key: own for key, own in conf.own.items() if key not in _NOTES}}
    values |= {f"webroot_map[{name}]": path for name, path in conf.webroot_map.items()}
    return {key: _shown(value) for key, value in values.items()}


def _shown(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {one}" for key, one in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
