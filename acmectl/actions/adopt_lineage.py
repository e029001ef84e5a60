"""Whether acmectl can renew one lineage of a tree that certbot made, found out by reading alone."""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.actions.adopt_hooks import check_commands
from acmectl.actions.adoption import CheckedLineage, Finding, Weight
from acmectl.actions.backoff import Backoff
from acmectl.actions.config_files import is_file
from acmectl.actions.due import Due, parse_before_expiry, renewal_due
from acmectl.actions.listing import REVOKED, list_certificates
from acmectl.actions.renewable import names_left
from acmectl.actions.shipped_hooks import reload_hook
from acmectl.actions.takeover import Surroundings, advice, server_of
from acmectl.actions.webroot_repair import find_damage
from acmectl.errors import AcmectlError, PluginError, StorageError
from acmectl.plugin.credentials import refusal
from acmectl.storage.archive import parse_version_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from acmectl.actions.listing import ListedCertificate
    from acmectl.actions.renewing import CompleteRenewal
    from acmectl.actions.requests import CertificateRequest
    from acmectl.actions.services import Services
    from acmectl.storage.lineage import Lineage
    from acmectl.storage.renewal_conf import RenewalConf

# Options that certbot had once; it drops them when it rewrites the file.
_REMOVED = (
    *("manual_public_ip_logging_ok", "os_packages_only", "no_self_upgrade", "no_bootstrap", "no_permissions_check"),
    *("dns_route53_propagation_seconds", "certbot_route53:auth_propagation_seconds"),
    *("tls_sni_01_port", "tls_sni_01_address", "standalone_supported_challenges"),
)
_CHALLENGES = {"http": "http-01", "dns": "dns-01"}
_KINDS = ("cert", "chain", "fullchain", "privkey")
_NO_FILES = ("manual", "standalone", "webroot")  # authenticators whose options name no file with secrets


class LineageChecker:
    """Checks the lineages of one tree."""

    def __init__(self, services: Services, complete: CompleteRenewal) -> None:
        """``complete`` makes the request that renew would make; it asks nobody."""
        self._services = services
        self._complete = complete
        self._surroundings = Surroundings(options=services.tree_options, environ=services.environ)

    def check(self, name: str) -> CheckedLineage:
        """Everything about one lineage, broken or not. Raises: Interrupted."""
        path = self._services.layout.renewal_conf(name)
        broken = CheckedLineage(name=name, conf_path=path)
        if is_file(path) and os.path.getsize(path) == 0:  # noqa: PTH202 - as is_file
            what = "it is empty: certbot leaves such a file behind when it cannot store a new certificate"
            return _with(broken, _problem(path, what, f"rm {shlex.quote(str(path))}"))
        try:
            conf = self._services.lineages.renewal_conf(name)
        except AcmectlError as error:
            todo = f"Correct it by hand; or, if nobody needs the certificate: {self._command('delete', name)}"
            return _with(broken, _problem(path, _without_path(error.message, path), todo))
        findings = [*self._of_conf(conf, path)]
        try:
            lineage = self._services.lineages.get(name)
        except AcmectlError as error:
            live = list(_live_findings(self._services, name, conf, self._command("delete", name), error.message))
            live += _of_files(conf, name)
            return _with(broken, *findings, *live)
        findings += self._of_links(lineage)
        listing = list_certificates(self._services.lineages, now=self._services.clock.now(), cert_name=name)
        if not listing.certificates:
            reasons = [one.reason for one in listing.invalid] or ["its certificate cannot be read"]
            todo = f"{self._command('rollback', name)} makes an earlier version live, if there is a good one."
            return _with(broken, *findings, _problem(path, reasons[0].rstrip("."), todo))
        listed = listing.certificates[0]
        findings += self._of_request(lineage, listed)
        return CheckedLineage(
            name=name,
            conf_path=path,
            findings=tuple(dict.fromkeys(findings)),
            identifiers=listed.identifiers,
            authenticator=listed.authenticator,
            server=listed.server,
            not_after=listed.not_after,
            due=_due(self._services, lineage, listed),
        )

    def _command(self, verb: str, name: str) -> str:
        return shlex.join(["acmectl", verb, *self._services.tree_options, "--cert-name", name])

    def _change(self, name: str) -> str:
        return shlex.join(["acmectl", "reconfigure", "-n", *self._services.tree_options, "--cert-name", name])

    def _of_conf(self, conf: RenewalConf, path: Path) -> Iterator[Finding]:
        name = path.name.removesuffix(".conf")
        if not conf.has_params or conf.text("authenticator") is None:
            what = "has no authenticator" if conf.has_params else "has no section [renewalparams]"
            todo = f"{self._change(name)} --webroot -w DIR"
            yield _problem(path, f"it {what}, so it does not say how the certificate is renewed", todo)
        for key in _REMOVED:
            if key in conf.params:
                yield Finding(weight=Weight.NOTE, path=path, what=f"{key} has no effect any more")
        yield from check_commands(conf, path, self._change(name), self._services.environ)
        if (conf.text("autorenew") or "").lower() == "false":
            yield Finding(weight=Weight.NOTE, path=path, what="autorenew = False, so renew leaves it alone")

    def _of_links(self, lineage: Lineage) -> Iterator[Finding]:
        with suppress(OSError):
            left = [name for name in os.listdir(lineage.live_dir) if name.startswith("previous_")]  # noqa: PTH208
            if len(left) == len(_KINDS):
                what = "a switch of certbot's was interrupted here; the next renew takes it back"
                yield Finding(weight=Weight.NOTE, path=lineage.live_dir, what=what)
            elif left:
                what = "a switch of certbot's left links behind here; the next renew removes them"
                yield Finding(weight=Weight.NOTE, path=lineage.live_dir, what=what)
        if lineage.is_switching:
            what = "its links lead to different versions; the next renew brings them together"
            yield Finding(weight=Weight.NOTE, path=lineage.live_dir, what=what)
        if not lineage.live_dir.is_relative_to(self._services.layout.config_dir):
            what = (
                f"it names {lineage.live_dir}, which is outside of this tree, and renewals would change the files there"
            )
            yield Finding(
                weight=Weight.WARNING,
                path=lineage.conf_path,
                what=what,
                todo="If the tree was copied or moved, correct the paths at the head of the file.",
            )

    def _of_request(self, lineage: Lineage, listed: ListedCertificate) -> Iterator[Finding]:
        path = lineage.conf_path
        if lineage.conf.text("authenticator") is None:
            return
        try:
            request = self._complete(lineage.conf, listed.identifiers, path)
        except AcmectlError as error:
            yield _problem(path, _without_path(error.message, path), error.hint)
            yield from _of_files(lineage.conf, lineage.name)
            return
        yield from _of_files(lineage.conf, lineage.name, request)
        yield from self._of_authenticator(lineage, listed, request)
        yield from self._of_account(lineage, request)
        if request.hooks.installer is not None and reload_hook(request.hooks.installer) is None:
            what = f"acmectl has no installer {request.hooks.installer}, so nothing is told of a new certificate"
            todo = f"{self._change(lineage.name)} --installer null --deploy-hook COMMAND"
            yield Finding(weight=Weight.WARNING, path=path, what=what, todo=todo)

    def _of_authenticator(
        self, lineage: Lineage, listed: ListedCertificate, request: CertificateRequest
    ) -> Iterator[Finding]:
        path, name = lineage.conf_path, request.authenticator.name
        options = request.authenticator.options
        try:
            types = self._services.load_authenticator(name).challenge_types
        except PluginError as error:
            server = server_of(name)
            if server is None:
                todo = f"{self._change(lineage.name)} --manual --manual-auth-hook COMMAND --manual-cleanup-hook COMMAND"
                todo = f"{error.hint or 'Choose another authenticator.'}\nOr let a program of yours answer:\n{todo}"
                yield _problem(path, f"authenticator = {name}: {error.message.rstrip('.')}", todo)
                return
            taken = advice(
                lineage.name,
                names_left(request, listed.identifiers),
                server,
                conf=lineage.conf,
                surroundings=self._surroundings,
            )
            what = (
                f"authenticator = {name} is certbot's plugin that edits the configuration of {name}; acmectl does not"
            )
            yield _problem(path, what, f"{taken.command}\n{taken.note}")
            return
        wanted = {_CHALLENGES.get(one, one) for one in request.preferred_challenges}
        if wanted and not wanted & set(types):
            what = f"pref_challs asks for {', '.join(sorted(wanted))}, which {name} does not do"
            yield _problem(path, what, f"{self._change(lineage.name)} --preferred-challenges {types[0]}")
        if name == "manual" and not options.get("auth_hook"):
            what = "authenticator = manual without an authentication hook needs a person at every renewal"
            yield _problem(path, what, f"{self._change(lineage.name)} --manual-auth-hook COMMAND")
        if name == "webroot":
            folder = options.get("challenge_dir")
            damage = find_damage(
                lineage.name,
                names_left(request, listed.identifiers),
                request.webroot_map,
                challenge_dir=str(folder) if folder else None,
                conf=lineage.conf,
                surroundings=self._surroundings,
            )
            if damage is not None:
                yield _problem(path, damage.what, f"{damage.command}\n{damage.note}")

    def _of_account(self, lineage: Lineage, request: CertificateRequest) -> Iterator[Finding]:
        path, server, wanted = lineage.conf_path, request.account.server, request.account.account_id
        try:
            listing = self._services.accounts.list(server)
            ids = [account.id for account in listing.accounts]
        except AcmectlError as error:
            yield _problem(path, error.message.rstrip("."), error.hint)
            return
        if wanted is not None and any(one.startswith(wanted) for one in ids):
            return
        if wanted is None and len(ids) == 1:
            return
        damaged = [one.reason for one in listing.skipped if wanted in {None, one.path.name}]
        options = self._services.tree_options
        register = shlex.join(["acmectl", "register", *options, "--server", server, "--agree-tos"])
        forget = f"sed -i '/^account *=/d' {shlex.quote(str(path))}"
        if len(ids) > 1:
            todo = f"{self._command('renew', lineage.name)} --force-renewal --account ID  ({', '.join(ids)})"
        else:
            todo = forget if ids else f"{register} && {forget}" if wanted is not None else register
        what = f"its account {wanted} is not in {self._services.accounts.directory(server)}"
        if wanted is None:
            what = f"it names no account, and there are {len(ids)} for {server}"
        yield _problem(path, what + (f" ({damaged[0].rstrip('.')})" if damaged else ""), todo)


def _prefix(conf: RenewalConf) -> str:
    """What the keys of the authenticator's own options begin with."""
    return f"{(conf.text('authenticator') or '').replace('-', '_')}_"


def _credentials(conf: RenewalConf) -> Iterator[tuple[str, str]]:
    """The files with secrets that a renewal file names, by key."""
    secretive = conf.text("authenticator") not in _NO_FILES
    for key in conf.params:
        value = conf.text(key)
        if value is None or not value.startswith("/"):
            continue
        if key.endswith("_credentials") or (secretive and key.startswith(_prefix(conf)) and is_file(value)):
            yield key, value


def _of_files(conf: RenewalConf, name: str, request: CertificateRequest | None = None) -> Iterator[Finding]:
    """Files with secrets that would be refused: those of the renewal file, and those that ``request`` has besides."""
    insecure = request is not None and request.allow_insecure_credentials
    named = {value: key for key, value in _credentials(conf)}
    for value, key in named.items():
        yield from _of_credentials(value, f"the {key} of {name}", insecure, needed=key.startswith(_prefix(conf)))
    for key, option in request.authenticator.options.items() if request is not None else ():
        if key.endswith("credentials") and isinstance(option, str) and option.startswith("/") and option not in named:
            yield from _of_credentials(option, f"what {name} is renewed with", insecure, needed=True)


def _of_credentials(path: str, whose: str, insecure: bool, *, needed: bool) -> Iterator[Finding]:
    reason = refusal(path)
    if reason is not None and not (insecure and is_file(path)):
        there = is_file(path)
        yield Finding(
            weight=Weight.PROBLEM if needed else Weight.NOTE,
            path=Path(path),
            what=f"it is {whose} and {reason}; acmectl refuses it",
            todo=f"chmod 600 {shlex.quote(path)}" if there else "Put it there, or correct its path.",
        )


def _live_findings(services: Services, name: str, conf: RenewalConf, delete: str, reason: str) -> Iterator[Finding]:
    """Why the four live links cannot be used, and how they are made again."""
    path = services.layout.renewal_conf(name)
    paths = {kind: conf.root.get(kind) for kind in _KINDS}
    live = {kind: Path(value) for kind, value in paths.items() if isinstance(value, str)}
    archive = conf.root.get("archive_dir")
    archive_dir = Path(archive) if isinstance(archive, str) else services.layout.archive(name)
    kept: tuple[int, ...] = ()
    with suppress(StorageError):
        kept = services.lineages.kept_versions(name)
    if len(live) < len(_KINDS) or not kept:
        todo = f"{delete}\nThere is no whole version left in {archive_dir}; then obtain the certificate anew."
        yield _problem(path, reason.rstrip("."), todo)
        return
    named = [_linked_version(one) for one in live.values() if one.is_symlink()]
    if all(one.is_symlink() or not os.path.lexists(one) for one in live.values()) and max(kept) >= max(
        named, default=0
    ):
        what = f"{reason.rstrip('.')}; the next renew makes version {max(kept)} live again"
        yield Finding(weight=Weight.NOTE, path=path, what=what)
        return
    commands = []
    for kind, link in live.items():
        if not link.is_symlink() and os.path.lexists(link):
            commands.append(shlex.join(["mv", str(link), f"{link}.saved"]))
        commands.append(shlex.join(["ln", "-sfn", f"{archive_dir}/{kind}{max(kept)}.pem", str(link)]))
    yield _problem(path, reason.rstrip("."), " && ".join(commands))


def _linked_version(link: Path) -> int:
    found = parse_version_file(link.readlink().name)
    return found[1] if found is not None else 0


def _due(services: Services, lineage: Lineage, listed: ListedCertificate) -> Due:
    """When the lifetime makes it due; what the CA suggests is not asked."""
    before = lineage.conf.root.get("renew_before_expiry")
    due = renewal_due(
        not_before=listed.not_before,
        not_after=listed.not_after,
        now=services.clock.now(),
        autorenew=(lineage.conf.text("autorenew") or "").lower() != "false",
        before_expiry=parse_before_expiry(before) if isinstance(before, str) else None,
        revoked="by acmectl" if lineage.conf.own.get(REVOKED) is not None else None,
    )
    backoff = Backoff.from_json(lineage.conf.own.get("backoff"))
    if due.due and backoff.failures:
        return Due(due=True, rule=due.rule, why=f"{due.why}; it has failed {backoff.failures} time(s)", at=due.at)
    return due


def _problem(path: Path, what: str, todo: str | None) -> Finding:
    return Finding(weight=Weight.PROBLEM, path=path, what=what, todo=todo)


def _with(lineage: CheckedLineage, *findings: Finding) -> CheckedLineage:
    return CheckedLineage(name=lineage.name, conf_path=lineage.conf_path, findings=findings)


def _without_path(message: str, path: Path) -> str:
    """A message about a file that is named beside it."""
    return message.removeprefix(f"{path}: ").rstrip(".")
