"""The next key of a lineage with ``--stage-next-key``: made beforehand, used once DNS has its record (RFC 7671 8.1).

A renewal changes to it when each name that has TLSA records has shown the next key's, at every name server, for as long
as the records may be remembered. Until then it reuses the current key; it never fails because of this.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError, ConfigError, Interrupted, LineageDamaged
from acmectl.events import Notice
from acmectl.identifiers import parse_any
from acmectl.pki.tlsa import binds_a_key, fingerprint, owner_name, parse_record, record_value, would_match
from acmectl.storage import next_keys
from acmectl.workers import first_error, run_each

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from acmectl.actions.requests import CertificateRequest
    from acmectl.actions.scan import Snapshot
    from acmectl.actions.services import Services
    from acmectl.actions.target import Target
    from acmectl.dns.tlsa import Looked
    from acmectl.identifiers import Identifier
    from acmectl.pki.keys import KeySpec
    from acmectl.storage.lineage import Lineage
    from acmectl.storage.next_keys import NextKey

KEY = next_keys.STAGES
PORTS = "tlsa_port"
HOSTS = "tlsa_name"
"""Keys of the section ``[acmectl]``, as the options' rows have them."""

_RESOLVERS = "dns_resolver"
_ELSEWHERE = {"csr": "a CSR: its key is made elsewhere", "key": "--key: the key lies in a token"}
_TWO = "second_key"
_WORKERS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Staging:
    """What a renewal file says of it: ``services`` are ports, ``hosts`` names besides the certificate's."""

    services: tuple[str, ...] = ("443",)
    hosts: tuple[str, ...] = ()
    resolvers: tuple[str, ...] = ()

    def owners(self, identifiers: Collection[Identifier]) -> tuple[str, ...]:
        """The names of the TLSA records: none for addresses, nor for wildcards, which stand for no host of their own.

        Raises: ConfigError for what is no port or no host.
        """
        hosts = [one.value for one in identifiers if not one.is_ip and not one.is_wildcard]
        for text in self.hosts:
            host = parse_any(text)
            if host.is_ip or host.is_wildcard:
                raise ConfigError(f"{host} is no host for --tlsa-name.", hint="Give a name such as mail.example.org.")
            hosts.append(host.value)
        return tuple(owner_name(service, host) for host in dict.fromkeys(hosts) for service in self.services)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChoice:
    """The key (PEM) for the next certificate, and words that tell it from others."""

    key_pem: bytes = field(repr=False)
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether the next key may be used, and if not, why, as the end of a sentence. ``key`` has the new note.

    ``unknown``: DNS could not be asked, so nothing was learnt.
    """

    key: NextKey
    ready: bool = False
    why: str = ""
    unknown: bool = False


def staging_of(own: Mapping[str, object]) -> Staging | None:
    """What the section ``[acmectl]`` says; None for a lineage that stages no key, or cannot."""
    if own.get(KEY) is not True or any(own.get(key) is not None for key in (*_ELSEWHERE, _TWO)):
        return None
    return Staging(
        services=_texts(own.get(PORTS)) or Staging().services,
        hosts=_texts(own.get(HOSTS)),
        resolvers=_texts(own.get(_RESOLVERS)),
    )


def check_can_stage(own: Mapping[str, object], identifiers: Collection[Identifier], *, given: bool = True) -> None:
    """To be asked before an order. ``given``: the option is new, so that there must be names to look at, too.

    Raises: ConfigError saying why it cannot work.
    """
    if own.get(KEY) is not True:
        return
    off = "Add --no-stage-next-key to use that."
    if own.get(_TWO) is not None:
        raise ConfigError("--stage-next-key is for one key, and the certificate has two.", hint=off)
    for key, what in _ELSEWHERE.items():
        if own.get(key) is not None:
            raise ConfigError(f"--stage-next-key cannot be used with {what}.", hint=off)
    if not given:
        return
    staging = staging_of(own)
    if staging is not None and not staging.owners(identifiers):
        raise ConfigError(
            "--stage-next-key finds no name with TLSA records: the certificate has only wildcards or addresses.",
            hint="Name the hosts that use it with --tlsa-name HOST.",
        )


def chosen_key(services: Services, target: Target, request: CertificateRequest) -> KeyChoice | None:
    """The key of a renewal: the next one if it may be used, else the current one; None where another rule decides.

    A compromised key makes way for the staged one at once, and for a new one where none is staged (None).
    What was learnt from DNS is noted. Raises: ConfigError for --new-key, LineageDamaged without a current key;
    Interrupted.
    """
    from acmectl.pki.keys import public_bytes_of, spec_of

    lineage, staging = target.existing, staging_of(request.own)
    if lineage is None or staging is None:
        return None
    if request.key.new_key and not request.key.compromised:
        raise ConfigError(
            f"The certificate {target.name} stages its next key for DANE; --new-key would use one that no TLSA record "
            "names.",
            hint="Leave --new-key out, or add --no-stage-next-key.",
        )
    present = lineage.read("privkey")
    current = None
    if not request.key.compromised:
        current = KeyChoice(key_pem=present, words=f"{spec_of(present)} reused")
    if request.dry_run:
        return current
    try:
        key = next_keys.load(lineage.archive_dir)
        if key is None or key.digest == fingerprint(public_bytes_of(present)):
            return current
        if request.key.compromised:
            verdict = Verdict(key=key, ready=True)
            until = usable_from(key)
            if until is None or services.clock.now() < until:
                text = f"{target.name}: clients that use DANE may refuse the new certificate until they have the record"
                services.observe(Notice(text=f"{text} {record_value(key.digest)}.", level="warning"))
        elif request.key.explicit and spec_of(key.key_pem) != request.key.spec:
            verdict = Verdict(key=key, why=f"the one that is staged is {spec_of(key.key_pem)}, and another is made")
        else:
            verdict = look(services, lineage, staging, key, staging.owners(target.identifiers))
    except Interrupted:
        raise
    except AcmectlError as error:
        services.observe(Notice(text=f"{target.name} keeps its key: {error.message}", level="warning"))
        return current
    if not verdict.ready:
        level = "warning" if verdict.unknown else "info"
        services.observe(Notice(text=f"{target.name} keeps its key: {verdict.why}.", level=level))
        return current
    services.observe(Notice(text=f"{target.name} changes to its next key, SHA-256 {key.digest}."))
    return KeyChoice(key_pem=key.key_pem, words=f"{spec_of(key.key_pem)} next {key.digest}")


def look(services: Services, lineage: Lineage, staging: Staging, key: NextKey, owners: Sequence[str]) -> Verdict:
    """Ask DNS for the records and note what was learnt. Raises: StorageError, ConfigError, Interrupted."""
    from acmectl.dns.tlsa import look_at
    from acmectl.pki.keys import public_bytes_of

    found = look_at(owners, staging.resolvers, services.interrupts, all_or_nothing=True)
    verdict = judge(key, public_bytes_of(key.key_pem), found, services.clock.now())
    if verdict.key != key:
        next_keys.save_note(lineage.archive_dir, verdict.key)
    return verdict


def judge(key: NextKey, spki: bytes, found: Sequence[Looked], now: datetime) -> Verdict:
    """What the answers mean for the key whose public half is ``spki`` (SubjectPublicKeyInfo DER)."""
    ttl = max((key.ttl, *(one.ttl for one in found)))
    binding = []
    for looked in found:
        problem = looked.problem or next((f"{one.server}: {one.problem}" for one in looked.said if one.problem), None)
        if problem is not None:
            why = f"the TLSA records of {looked.name} could not be looked up ({problem})"
            return Verdict(key=replace(key, ttl=ttl), why=why, unknown=True)
        answers = [(one.server, [tlsa for text in one.values if (tlsa := parse_record(text))]) for one in looked.said]
        if not any(binds_a_key(records) for _, records in answers):
            continue
        binding.append(looked.name)
        for server, records in answers:
            if not would_match(records, spki):
                lacking = f"{looked.name}. IN TLSA {record_value(key.digest)}"
                why = f"{server} does not show the next key's record yet, {lacking}"
                return Verdict(key=replace(key, seen=None, ttl=ttl), why=why)
    if not binding:
        why = "no name of it has a TLSA record, and the next key is not used before its own is seen"
        return Verdict(key=replace(key, seen=None, ttl=ttl), why=why)
    key = replace(key, seen=key.seen if key.seen is not None and key.seen <= now else now, ttl=ttl)
    until = usable_from(key)
    if until is not None and now < until:
        why = f"the next key's TLSA record may not have reached everybody before {until:%Y-%m-%d %H:%M:%S} UTC"
        return Verdict(key=key, why=why)
    return Verdict(key=key, ready=True)


def usable_from(key: NextKey) -> datetime | None:
    """When the records without it are forgotten everywhere; None as long as it has not been seen."""
    if key.seen is None:
        return None
    try:
        return key.seen + timedelta(seconds=key.ttl)
    except OverflowError:
        # A clock that was wrong has noted it; what has been seen in the future is seen anew by the next look.
        return datetime.max.replace(tzinfo=UTC)


def settle(services: Services, name: str, *, spec: KeySpec | None = None) -> None:
    """Bring the next key in line with the renewal file: make it, make another for one that is in use, or remove it.

    ``spec`` is what was asked for; None: the kind of the current key. Called with the store locked, after a version
    went live, too. Raises: LineageNotFound, StorageError, ConfigError.
    """
    from acmectl.pki.keys import generate_key, public_bytes_of, spec_of

    lineage = services.lineages.get(name)
    if staging_of(lineage.conf.own) is None:
        if next_keys.drop(lineage.archive_dir):
            services.observe(Notice(text=f"{name}: its next key is removed; the TLSA record of that can go too."))
        return
    present = lineage.read("privkey")
    try:
        key = next_keys.load(lineage.archive_dir)
    except LineageDamaged as error:
        services.observe(Notice(text=f"{error.message} Another one is made.", level="warning"))
        key = None
    if key is not None and key.digest == fingerprint(public_bytes_of(present)):
        text = f"{name}: the TLSA record of the key before can be removed once the servers use the new certificate."
        services.observe(Notice(text=text))
        key = None
    elif key is not None and spec is not None and spec_of(key.key_pem) != spec:
        services.observe(Notice(text=f"{name}: the next key becomes {spec}; the TLSA record of the one before can go."))
        key = None
    if key is None:
        made = generate_key(spec or spec_of(present))
        digest = fingerprint(public_bytes_of(made))
        next_keys.save(lineage.archive_dir, next_keys.NextKey(key_pem=made, digest=digest, staged=services.clock.now()))


def settle_live(services: Services, name: str, request: CertificateRequest) -> None:
    """``settle`` after a version went live: a failure is told, and made good by the next run."""
    try:
        settle(services, name, spec=request.key.spec if request.key.explicit else None)
    except Interrupted:
        raise
    except AcmectlError as error:
        services.observe(Notice(text=f"{name}: the next key is not staged yet: {error.message}", level="warning"))


def turn(services: Services, name: str, own: Mapping[str, object]) -> None:
    """Keep what was given for a certificate that stays as it is; ``own`` are keys of ``[acmectl]``.

    Raises: ConfigError, LineageNotFound, StorageError.
    """
    from acmectl.pki.summary import summary

    lineage = services.lineages.get(name)
    given = {key: value for key, value in own.items() if key in (KEY, PORTS, HOSTS)}
    if given:
        wanted = {**lineage.conf.own, **given}
        check_can_stage(wanted, summary(lineage.read("cert")).identifiers)
        params = dict(lineage.conf.params)
        if staging_of(wanted) is not None:
            params["reuse_key"] = "True"
        services.lineages.write_conf(name, replace(lineage.conf, params=params, own=wanted))  # type: ignore[arg-type]
    if given or staging_of(lineage.conf.own) is not None:
        settle(services, name)


def look_after(services: Services, snapshots: Sequence[Snapshot]) -> None:
    """Note since when the records of staged keys are seen, for lineages that are not renewed in this run.

    Without it a lineage would see the record at its renewal for the first time, and again keep its key for a whole
    term. What goes wrong is told. Raises: Interrupted.
    """
    staging = [one.name for one in snapshots if one.own.get(KEY) is True]
    first_error(
        run_each(lambda name: _look_after(services, name), staging, workers=_WORKERS, interrupts=services.interrupts)
    )


def _look_after(services: Services, name: str) -> None:
    from acmectl.pki.summary import summary

    try:
        settle(services, name)
        lineage = services.lineages.get(name)
        staging, key = staging_of(lineage.conf.own), next_keys.load(lineage.archive_dir)
        if staging is None or key is None or key.seen is not None:
            return
        verdict = look(services, lineage, staging, key, staging.owners(summary(lineage.read("cert")).identifiers))
    except Interrupted:
        raise
    except AcmectlError as error:
        services.observe(Notice(text=f"{name}: its next key cannot be looked after: {error.message}", level="warning"))
        return
    until = usable_from(verdict.key)
    if verdict.unknown:
        services.observe(Notice(text=f"{name}: {verdict.why}.", level="warning"))
    elif until is not None:
        when = f"{until:%Y-%m-%d %H:%M:%S} UTC"
        text = f"{name}: the TLSA record of its next key is seen everywhere; renewals from {when} on use that key."
        services.observe(Notice(text=text))


def _texts(value: object) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list | tuple) else ()
