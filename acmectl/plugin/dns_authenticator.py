"""Every DNS provider as an authenticator: what is the same for all of them, written once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, ClassVar

from acmectl.errors import (
    AcmectlError,
    AuthorizationFailed,
    AuthorizationFailure,
    Interrupted,
    NameServerError,
    PluginError,
)
from acmectl.plugin.api import Authenticator, Option, OptionKind, RecordNote
from acmectl.plugin.dns import DnsProvider, RecordsFailed, TxtRecord
from acmectl.plugin.dns_wait import wait_for
from acmectl.workers import run_each

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from acmectl.dns.zones import Place, ZoneFinder
    from acmectl.identifiers import Identifier
    from acmectl.plugin.api import ChallengeTask, Context

PREFIX = "dns-"
_WORKERS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    """A record and the place that was found for it."""

    record: TxtRecord
    place: Place


class DnsAuthenticator(Authenticator):
    """Answers dns-01 (RFC 8555 section 8.4) and dns-account-01 by a provider's TXT records."""

    challenge_types: ClassVar[tuple[str, ...]] = ("dns-01", "dns-account-01")
    provider_class: ClassVar[type[DnsProvider]]

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        super().__init__(options, context)
        self._made: DnsProvider | None = None
        self._finder: ZoneFinder | None = None
        self._placed: dict[tuple[str, str], _Placed] = {}
        self._seen: set[str] = set()

    def check(self, identifiers: Sequence[Identifier]) -> None:
        """Read the credentials, so that what is wrong with them is known before the order. Raises: PluginError."""
        for identifier in identifiers:
            if identifier.is_ip:
                raise PluginError(
                    f"{self.name} proves control of names, and {identifier} is an IP address.",
                    hint="Use --standalone or --webroot for addresses.",
                    identifier=identifier,
                )
        self._provider().check()

    def present(self, tasks: Sequence[ChallengeTask]) -> None:
        """Add a record for each task. Raises: AuthorizationFailed for names that have no place; PluginError."""
        provider = self._provider()
        self._seen.update(task.record_value for task in tasks)
        places = {name: self._as_the_provider_knows_it(place, name) for name, place in self._places(tasks).items()}
        failures: list[AuthorizationFailure] = []
        todo: list[tuple[ChallengeTask, TxtRecord]] = []
        for task in tasks:
            place = places[task.record_name]
            if isinstance(place, AcmectlError):
                failures.append(_failure(task, self.name, place))
                continue
            record = TxtRecord(
                name=place.name, value=task.record_value, zone=place.zone, ttl=provider.ttl, challenge=task
            )
            if (record.name, record.value) not in self._placed:
                self._placed[record.name, record.value] = _Placed(record=record, place=place)
                todo.append((task, record))
                chain = " -> ".join(place.chain) or place.name
                self.context.logger.info("The record for %s: %s in the zone %s", task.identifier, chain, place.zone)
        self.context.records.note([_note(record) for _, record in todo])
        for task, record in todo:
            try:
                provider.add(record)
            except Interrupted:
                raise
            except AcmectlError as error:
                failures.append(_failure(task, self.name, error))
        try:
            if todo:
                provider.commit()
        except RecordsFailed as error:
            failures += [
                _failure(task, self.name, error.failed[record]) for task, record in todo if record in error.failed
            ]
            if not failures:
                raise
        if failures:
            raise _all_in_all(failures, len(tasks))

    def wait(self, tasks: Sequence[ChallengeTask]) -> None:
        """Look at the name servers until all have the records, or the patience is over. Raises: Interrupted."""
        values = {task.record_value for task in tasks}
        wanted = [one for one in self._placed.values() if one.record.value in values]
        seconds = self.settings.get("propagation_seconds")
        fixed = float(seconds) if isinstance(seconds, int | str) and str(seconds).isdigit() else self.context.dns.fixed
        wait_for(
            [(one.record, one.place) for one in wanted],
            self.context,
            fixed=fixed,
            unseen=float(self._provider().propagation_seconds),
        )

    def clean_up(self, tasks: Sequence[ChallengeTask]) -> None:
        """Take the records of ``tasks`` away, those of an earlier process too. Raises: PluginError for the first."""
        gone = [record for task in tasks for record in self._records_of(task)]
        # What ``present`` has seen and did not note was never added, so there is nothing to look for.
        for task in [task for task in tasks if task.record_value not in self._seen]:
            place = self._as_the_provider_knows_it(self._places([task])[task.record_name], task.record_name)
            if not isinstance(place, AcmectlError):
                gone.append(TxtRecord(name=place.name, value=task.record_value, zone=place.zone, challenge=task))
        self.take_away(list({(record.name, record.value): record for record in gone}.values()))

    def take_away(self, records: Sequence[TxtRecord]) -> None:
        """Remove ``records`` and forget them. Raises: PluginError for the first that stays, after all were tried."""
        if not records:
            return
        provider = self._provider()
        failed: dict[TxtRecord, AcmectlError] = {}
        for record in records:
            try:
                provider.remove(record)
            except AcmectlError as error:
                failed[record] = error
        stays: AcmectlError | None = next(iter(failed.values()), None)
        try:
            provider.commit()
        except RecordsFailed as error:
            failed.update(error.failed)
            stays = stays or error
        removed = [record for record in records if record not in failed]
        self.context.records.forget([_note(record) for record in removed])
        for record in removed:
            self._placed.pop((record.name, record.value), None)
        if stays is not None:
            raise stays

    def failure_hint(self, task: ChallengeTask) -> str | None:
        """Where the record was put, and how to look at it."""
        for one in self._records_of(task):
            return f"The record was put at {one.name} in the zone {one.zone}; look with: dig {one.name} TXT."
        return None

    def _records_of(self, task: ChallengeTask) -> list[TxtRecord]:
        return [
            one.record
            for (_, value), one in self._placed.items()
            if value == task.record_value and one.place.asked == task.record_name
        ]

    def _provider(self) -> DnsProvider:
        if self._made is None:
            self._made = self.provider_class(self.settings, self._credentials(), self.context)
        return self._made

    def _credentials(self) -> Mapping[str, str]:
        kind = self.provider_class
        if not (kind.credentials or kind.any_credential):
            return {}
        path = self.settings.get("credentials")
        if not isinstance(path, str) or not path:
            if kind.credentials_optional:
                return {}
            raise PluginError(
                f"{self.name} needs a credentials file.",
                hint=f"Give it with --{self.name}-credentials FILE; acmectl plugins {self.name} shows what it holds.",
            )
        prefix = f"{self.name.replace('-', '_')}_"
        found = {key.removeprefix(prefix): value for key, value in self.context.credentials(path).items()}
        for one in kind.credentials:
            if one.required and not found.get(one.name):
                raise PluginError(
                    f"{path}: {prefix}{one.name} is missing ({one.help}).",
                    hint=f"acmectl plugins {self.name} shows what belongs into the file.",
                )
        public = {one.name for one in kind.credentials if not one.secret}
        for key, value in found.items():
            if key not in public:
                self.context.keep_secret(value)
        return found

    def _places(self, tasks: Sequence[ChallengeTask]) -> dict[str, Place | AcmectlError]:
        names = list(dict.fromkeys(task.record_name for task in tasks))
        found = run_each(self._place, names, workers=_WORKERS, interrupts=self.context.interrupts)
        places: dict[str, Place | AcmectlError] = {}
        for name, place in zip(names, found, strict=True):
            if isinstance(place, BaseException) and not isinstance(place, NameServerError | PluginError):
                raise place
            places[name] = place
        return places

    def _as_the_provider_knows_it(self, place: Place | AcmectlError, name: str) -> Place | AcmectlError:
        from acmectl.dns.zones import AliasError, Place

        if isinstance(place, AliasError):
            return place
        try:
            zone = self._provider().find_zone(name if isinstance(place, AcmectlError) else place.name)
        except PluginError as error:
            if not isinstance(place, AcmectlError) and place.name != name:
                return PluginError(f"{name} is an alias (CNAME) of {place.name}: {error.message}", hint=error.hint)
            return error
        if zone is None:
            return place
        if isinstance(place, AcmectlError):
            return Place(asked=name, name=name, zone=zone, chain=(name,), unconfirmed=place.message)
        return replace(place, zone=zone)

    def _place(self, name: str) -> Place:
        if self._finder is None:
            from acmectl.dns.resolver import Resolver, parse_server
            from acmectl.dns.zones import ZoneFinder

            settings = self.context.dns
            self._finder = ZoneFinder(
                Resolver([parse_server(text) for text in settings.resolvers]), aliases=settings.aliases
            )
        return self._finder.locate(name)


@cache
def authenticator_for(name: str, provider: type[DnsProvider]) -> type[DnsAuthenticator]:
    """The authenticator ``dns-NAME`` that works by ``provider``."""
    full = f"{PREFIX}{name}"
    options = [*provider.options]
    given = {option.name for option in options}
    if (provider.credentials or provider.any_credential) and "credentials" not in given:
        options.insert(
            0, Option(name="credentials", kind=OptionKind.PATH, metavar="FILE", help="ini file with the credentials")
        )
    if "propagation-seconds" not in given:
        options.append(
            Option(
                name="propagation-seconds",
                kind=OptionKind.INTEGER,
                help="how long to wait for the name servers at most",
            )
        )
    return type(
        f"{provider.__name__}Authenticator",
        (DnsAuthenticator,),
        {
            "__doc__": provider.__doc__,
            "name": full,
            "summary": provider.summary,
            "options": tuple(options),
            "exclusive": provider.exclusive,
            "provider_class": provider,
        },
    )


def _note(record: TxtRecord) -> RecordNote:
    return RecordNote(name=record.name, value=record.value, zone=record.zone)


def _failure(task: ChallengeTask, authenticator: str, error: AcmectlError) -> AuthorizationFailure:
    return AuthorizationFailure(
        task.identifier,
        reason=error.message,
        challenge_type=task.type,
        authenticator=authenticator,
        hint=error.hint,
    )


def _all_in_all(failures: Sequence[AuthorizationFailure], tasks: int) -> AcmectlError:
    """One error where nothing could be done for one reason; otherwise one for each name."""
    reasons = {(failure.reason, failure.hint) for failure in failures}
    if len(failures) == tasks and len(reasons) == 1:
        ((reason, hint),) = reasons
        return PluginError(reason, hint=hint)
    return AuthorizationFailed(tuple(failures))
