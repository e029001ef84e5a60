"""route53: TXT records at Amazon Route 53, by Amazon's SDK (boto3) and the credentials that it finds by itself."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from acmectl.plugin.api import Option, OptionKind, PluginError
from acmectl.plugin.registry import install_command
from acmectl_plugins.record_sets import ConflictError, HostedZone, RecordSet, RecordSetProvider, line, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from acmectl.plugin.api import Context
    from acmectl.plugin.dns import TxtRecord
    from acmectl_plugins.record_sets import Change

_CONNECT_TIMEOUT, _READ_TIMEOUT = 5, 20  # seconds
_ATTEMPTS = 6  # five requests a second are allowed to an account, whoever makes them
_PAGE = "300"
# Limits of one batch are 1000 values and 32 000 characters, and an UPSERT counts twice.
_MOST_VALUES, _MOST_CHARACTERS = 400, 14_000

_POLICY = "docs/dns-route53.md has a policy that is enough."
_THROTTLED = {
    "PriorRequestNotComplete",
    "RequestLimitExceeded",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_UNKNOWN_KEY = {"InvalidAccessKeyId", "InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException"}
_DENIED = {"AccessDenied", "AccessDeniedException", "NotAuthorized", "UnauthorizedOperation"}
_NOT_FOUND = "was not found"
_SET_UP = "See the SDK's own settings: environment, ~/.aws, or the role of the machine (docs/dns-route53.md)."


class DeniedError(PluginError):
    """AWS does not allow it."""


class Route53(RecordSetProvider):
    """Amazon Route 53. Credentials come from the environment, ~/.aws or the machine's role, as for all AWS programs."""

    name: ClassVar[str] = "route53"
    summary: ClassVar[str] = "Answer by TXT records at Amazon Route 53"
    service: ClassVar[str] = "Route 53"
    options: ClassVar[tuple[Option, ...]] = (
        Option(
            name="credentials",
            kind=OptionKind.PATH,
            metavar="FILE",
            help="a file in the format of ~/.aws/credentials, of which the profile default is used and nothing else",
        ),
    )
    ttl: ClassVar[int] = 10
    propagation_seconds: ClassVar[int] = 0  # when commit returns, Route 53 has told all of its servers

    _made: Any = None

    def __init__(self, options: Mapping[str, object], credentials: Mapping[str, str], context: Context) -> None:
        super().__init__(options, credentials, context)
        self._may_read = True
        self._supposed: dict[tuple[str, str], RecordSet | None] = {}  # for those who may not read: zone's key and name
        self._left: dict[str, list[str]] = {}

    def check(self) -> None:
        """The SDK is there and can read its configuration. Raises: PluginError."""
        self._sdk()

    def hosted_zones(self) -> list[HostedZone]:
        """The public zones of the account. Raises: PluginError."""
        with self._told("route53:ListHostedZones"):
            pages = self._client().get_paginator("list_hosted_zones").paginate()
            return [
                HostedZone(name=_bare(zone["Name"]), key=zone["Id"].removeprefix("/hostedzone/"))
                for page in pages
                for zone in page["HostedZones"]
                if not zone.get("Config", {}).get("PrivateZone", False)
            ]

    def remove(self, record: TxtRecord) -> None:
        """Have the value taken away by ``commit``."""
        super().remove(record)
        self._left.setdefault(record.name, []).append(quoted(record.value))

    def record_sets(self, zone: HostedZone, names: Sequence[str]) -> dict[str, RecordSet]:
        """The TXT values under ``names``; what they must be where reading is not allowed. Raises: PluginError."""
        if self._may_read:
            try:
                return self._read(zone, names)
            except DeniedError as error:
                # certbot's plugin never looks, so that a policy made for it does not allow to.
                self._may_read = False
                self.context.warn(f"{error.message} So values that others put under the same names are overwritten.")
        supposed = {name: self._supposed.get((zone.key, name), self._one_left(name)) for name in names}
        return {name: record_set for name, record_set in supposed.items() if record_set is not None}

    def _one_left(self, name: str) -> RecordSet | None:
        """What an earlier run has left under ``name`` if it is to be removed."""
        values = tuple(dict.fromkeys(self._left.get(name, [])))
        return RecordSet(values=values, ttl=self.ttl) if values else None

    def _read(self, zone: HostedZone, names: Sequence[str]) -> dict[str, RecordSet]:
        """Ask for ``names``. Pages are as long as they can be, so that one may answer for many names."""
        found: dict[str, RecordSet] = {}
        left = sorted(names, key=_reversed)
        while left:
            first = left[0]
            with self._told("route53:ListResourceRecordSets", zone):
                page = self._client().list_resource_record_sets(
                    HostedZoneId=zone.key, StartRecordName=f"{first}.", StartRecordType="TXT", MaxItems=_PAGE
                )
            for record_set in page["ResourceRecordSets"]:
                name = _bare(record_set["Name"])
                if record_set["Type"] == "TXT" and name in left:
                    found[name] = _values(record_set, zone)
            following = _bare(page["NextRecordName"]) if page.get("IsTruncated") else None
            left = [name for name in left if not _is_between(first, name, following)]
        return found

    def send(self, zone: HostedZone, changes: Sequence[Change]) -> list[str]:
        """Send change batches. Raises: ConflictError, PluginError."""
        if self._may_read:
            return [self._change(zone, batch) for batch in _batches(changes)]
        sent = []
        # A removal of what is not there makes a batch fail, so that each goes alone.
        new, gone = [one for one in changes if one.new], [one for one in changes if not one.new]
        for portion in (new, *([one] for one in gone)):
            for batch in _batches(portion):
                try:
                    sent.append(self._change(zone, batch))
                except ConflictError as error:
                    if portion is new or _NOT_FOUND not in error.message:
                        raise
        self._supposed.update({(zone.key, one.name): one.new for one in changes})
        return sent

    def _change(self, zone: HostedZone, batch: Sequence[Mapping[str, Any]]) -> str:
        with self._told("route53:ChangeResourceRecordSets", zone):
            answer = self._client().change_resource_record_sets(HostedZoneId=zone.key, ChangeBatch={"Changes": batch})
        sent: str = answer["ChangeInfo"]["Id"]
        return sent

    def is_pending(self, zone: HostedZone, change: str) -> bool:
        """Whether ``change`` is not INSYNC yet. Raises: PluginError."""
        with self._told("route53:GetChange", zone):
            status: str = self._client().get_change(Id=change)["ChangeInfo"]["Status"]
        return status != "INSYNC"

    def _sdk(self) -> Any:
        """The SDK's session with its settings read; touches no network. Raises: PluginError."""
        path = self.settings.get("credentials")
        if path:
            self.context.credentials.check(str(path))
        with self._told("reading the configuration"):
            import boto3.session
            import botocore.session

            # With a profile that is named the SDK leaves the environment's key out.
            core = botocore.session.Session(profile="default" if path else None)
            if path:
                # One file as both of the SDK's files, so that nothing of ~/.aws is mixed in.
                core.set_config_variable("credentials_file", str(path))
                core.set_config_variable("config_file", str(path))
                if "default" not in _profiles(core, str(path)):
                    raise PluginError(f"The credentials file {path} has no profile [default].")
            return boto3.session.Session(botocore_session=core)

    def _client(self) -> Any:
        if self._made is None:
            sdk = self._sdk()
            from botocore.config import Config

            self._made = sdk.client(
                "route53",
                # One service for the world, yet the SDK asks for a region when its address is not the usual one.
                region_name=sdk.region_name or "us-east-1",
                config=Config(
                    connect_timeout=_CONNECT_TIMEOUT,
                    read_timeout=_READ_TIMEOUT,
                    retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
                    user_agent_extra="acmectl",
                ),
            )
        return self._made

    @contextmanager
    def _told(self, action: str, zone: HostedZone | None = None) -> Iterator[None]:
        """Turn the SDK's errors into one line each; a signal ends what is waited for."""
        try:
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError:
            raise _missing() from None

        where = f"the zone {zone.name} ({zone.key})" if zone is not None else "the account"
        try:
            with self.context.interrupts.interruptible():
                yield
        except ClientError as error:
            raise _refused(error.response.get("Error", {}), action, where) from None
        except BotoCoreError as error:
            raise _unsent(error, where) from None


def _profiles(core: Any, path: str) -> list[str]:
    from botocore.exceptions import ConfigParseError

    try:
        profiles: list[str] = core.available_profiles
    except ConfigParseError:  # its words quote the file
        raise PluginError(f"The credentials file {path} is not in the format of ~/.aws/credentials.") from None
    return profiles


def _missing() -> PluginError:
    return PluginError(
        "dns-route53 needs boto3, Amazon's SDK, which is not installed.",
        hint=f"Install it: {install_command('route53')}",
    )


def _refused(error: Mapping[str, Any], action: str, where: str) -> PluginError:
    code, said = str(error.get("Code", "")), line(error.get("Message", ""))
    if code in _EXPIRED:
        return PluginError("The AWS credentials have expired.", hint=f"Get new ones. {_SET_UP}")
    if code in _UNKNOWN_KEY:  # what AWS says quotes the request, which nobody wants to read
        return PluginError(f"AWS does not accept the credentials ({line(code)}).", hint=_SET_UP)
    if code in _DENIED:
        user = re.search(r"User: (\S+) is not authorized", said)
        who = user[1] if user else "these credentials"
        return DeniedError(f"AWS does not allow {who} to do {action} in {where}.", hint=f"Allow it: {_POLICY}")
    if code == "NoSuchHostedZone":
        return PluginError(f"Route 53 has no longer {where}.", hint="Check that nobody deletes or replaces it.")
    if code in _THROTTLED:
        return PluginError(
            f"Route 53 gets too many requests from this account: {action} in {where} was put off {_ATTEMPTS} times.",
            hint="Run again later. Five requests a second are allowed to all programs of an account together.",
        )
    if code in ("InvalidChangeBatch", "InvalidInput") and action == "route53:ChangeResourceRecordSets":
        return ConflictError(f"Route 53 refuses the change in {where}: {said}")
    return PluginError(f"Route 53 refuses {action} in {where}: {line(code)}: {said}")


def _unsent(error: Exception, where: str) -> PluginError:
    """For what the SDK could not even send, or got no answer to. Its own words may quote secrets of the set-up."""
    kind = type(error).__name__
    if kind in ("NoCredentialsError", "NoAuthTokenError"):
        return PluginError("There are no AWS credentials.", hint=_SET_UP)
    if kind == "ProfileNotFound":
        return PluginError(f"{line(error)}.", hint="Check AWS_PROFILE and ~/.aws/config.")
    if kind == "PartialCredentialsError":
        return PluginError("The AWS credentials are incomplete: key and secret belong together.", hint=_SET_UP)
    if "SSO" in kind or "Token" in kind or "Login" in kind:
        return PluginError(f"The AWS login is not valid, or no longer ({kind}).", hint="Log in again: aws sso login.")
    if "Credential" in kind or "Metadata" in kind:
        return PluginError(f"The AWS credentials could not be fetched ({kind}).", hint=_SET_UP)
    if "Timeout" in kind:
        return PluginError(f"Route 53 did not answer in time ({where}).", hint="Check the network, then run again.")
    if kind in ("EndpointConnectionError", "ConnectionClosedError", "HTTPClientError", "ProxyConnectionError"):
        return PluginError(f"Route 53 cannot be reached ({kind}).", hint="Check the network and the proxy settings.")
    if "SSL" in kind:
        return PluginError("The TLS certificate of Route 53 cannot be checked.", hint="Check AWS_CA_BUNDLE.")
    if "Config" in kind or "Profile" in kind:
        return PluginError(f"The SDK's configuration cannot be used ({kind}).", hint="Check ~/.aws/config.")
    return PluginError(f"Amazon's SDK could not work in {where} ({kind}).", hint=_SET_UP)


def _bare(name: str) -> str:
    return name.removesuffix(".").lower()


def _reversed(name: str) -> str:
    """What Route 53 sorts by: the labels from the right, each with its dot."""
    return "".join(f"{label}." for label in reversed(name.split(".")))


def _is_between(first: str, name: str, following: str | None) -> bool:
    """Whether a page that begins at ``first`` and ends before ``following`` has ``name``, if the zone has it.

    The documentation leaves open how a character that sorts before the dot counts, so both readings must agree.
    """
    if name == first or following is None:
        return True
    by_labels = [name_.split(".")[::-1] for name_ in (first, name, following)]
    by_text = [_reversed(name_) for name_ in (first, name, following)]
    return by_labels[0] <= by_labels[1] < by_labels[2] and by_text[0] <= by_text[1] < by_text[2]


def _values(found: Mapping[str, Any], zone: HostedZone) -> RecordSet:
    if "SetIdentifier" in found or "ResourceRecords" not in found:
        raise PluginError(
            f"Route 53: the TXT record {_bare(found['Name'])} in the zone {zone.name} has a routing policy.",
            hint="Values can only be added to a record with simple routing.",
        )
    return RecordSet(values=tuple(value["Value"] for value in found["ResourceRecords"]), ttl=found["TTL"])


def _batches(changes: Sequence[Change]) -> Iterator[list[dict[str, Any]]]:
    """The changes as Route 53 takes them, in portions that it takes."""
    batch: list[dict[str, Any]] = []
    values = characters = 0
    for change in changes:
        wanted = change.new or change.old
        if wanted is None:
            continue
        size = sum(map(len, wanted.values))
        if batch and (values + len(wanted.values) > _MOST_VALUES or characters + size > _MOST_CHARACTERS):
            yield batch
            batch, values, characters = [], 0, 0
        values, characters = values + len(wanted.values), characters + size
        batch.append(
            {
                "Action": "UPSERT" if change.new else "DELETE",
                "ResourceRecordSet": {
                    "Name": f"{change.name}.",
                    "Type": "TXT",
                    "TTL": wanted.ttl,
                    "ResourceRecords": [{"Value": value} for value in wanted.values],
                },
            }
        )
    if batch:
        yield batch
