"""From settings to the typed requests of the actions: the last place where an option has a name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from acmectl.actions.endpoint import Endpoint, parse_endpoint
from acmectl.actions.hooks import HookCommands
from acmectl.actions.next_key import HOSTS, KEY, PORTS, check_can_stage
from acmectl.actions.requests import (
    LETS_ENCRYPT_STAGING,
    AccountRequest,
    CertificateRequest,
    EabCredentials,
    KeyRequest,
    ParamValue,
)
from acmectl.actions.shipped_hooks import installs_nothing, reload_hook
from acmectl.cli.checks import checked_name
from acmectl.cli.contents import contents_of
from acmectl.cli.outputs import outputs_of, with_outputs
from acmectl.cli.plugin_options import with_plugins
from acmectl.cli.solvers import (
    Selection,
    default_request,
    dns_settings,
    foreign_keys,
    mixed_requests,
    named_authenticators,
    own_values,
    selection_of,
    webroots_of,
)
from acmectl.cli.token_key import leaves_token, with_token, without_empty_key
from acmectl.config.challenges import for_certbot
from acmectl.config.key_types import SECOND, STORED, with_stored_second
from acmectl.config.restored import restore
from acmectl.config.values import shown
from acmectl.config.webroots import resolve
from acmectl.errors import ConfigError
from acmectl.issuance.request import Preflight

if TYPE_CHECKING:
    from acmectl.actions.decide import Wanted
    from acmectl.cli.app import App
    from acmectl.config.settings import Settings
    from acmectl.identifiers import Identifier
    from acmectl.storage.renewal_conf import JsonValue, RenewalConf

# certonly starts these anew for an existing certificate, as certbot does; everything else that is stored stays.
RESET_BY_CERTONLY = ("rsa_key_size", "elliptic_curve", "reuse_key")
_PREFLIGHT = {None: Preflight.BESIDE, True: Preflight.FIRST, False: Preflight.OFF}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ca:
    """Which CA, and whether an order is finalized there (a dry run does not ask a real CA for a certificate)."""

    server: str
    finalize: bool = True


def wanted_of(app: App) -> Wanted:
    """Names and switches that decide which lineage is meant."""
    from acmectl.actions.decide import Wanted

    settings = app.settings
    return Wanted(
        identifiers=resolve(settings.named).identifiers,
        cert_name=checked_name(settings),
        expand=settings.flag("expand"),
        force_renewal=settings.flag("force_renewal"),
        keep_until_expiring=settings.flag("keep_until_expiring"),
        duplicate=settings.flag("duplicate"),
        renew_with_new_domains=settings.flag("renew_with_new_domains"),
        dry_run=settings.flag("dry_run"),
        second_key=settings.text(SECOND) if settings.is_set(SECOND) else None,
        key=(settings.text("key") or "") if settings.is_set("key") else None,
        next_key={
            key: list(value) if isinstance(value, tuple) else value
            for key, value in settings.own_stored().items()
            if key in (KEY, PORTS, HOSTS)
        },
    )


def ca_of(settings: Settings) -> Ca:
    """The CA to use: an explicit --server always; a dry run otherwise goes to the CA's staging counterpart."""
    server = LETS_ENCRYPT_STAGING if settings.flag("staging") else settings.required_text("server")
    if not settings.flag("dry_run") or settings.flag("staging") or settings.is_set("server"):
        return Ca(server=server)
    from acmectl.config.catalogue import staging_of

    staging = staging_of(server)
    return Ca(server=staging) if staging is not None else Ca(server=server, finalize=False)


def account_of(app: App, settings: Settings | None = None) -> AccountRequest:
    """The account to use, and what is needed to register one. Raises: ConfigError."""
    settings = settings if settings is not None else app.settings
    server = ca_of(settings).server
    account_id = settings.text("account")
    if server != settings.text("server") and not settings.is_set("account"):
        account_id = None
    size = settings.integer("rsa_key_size") if settings.is_set("rsa_key_size") else 2048
    # Terms that were agreed to once need not be agreed to again to try the same thing at a staging CA.
    agreed_before = settings.flag("dry_run") and _has_accounts(settings)
    return AccountRequest(
        server=server,
        account_id=account_id,
        key_path=settings.path("account_key"),
        email=settings.items("email"),
        agree_tos=settings.flag("agree_tos") or agreed_before,
        without_email=settings.flag("register_unsafely_without_email") or settings.flag("dry_run"),
        eab=_eab(settings),
        key_kind=settings.text("account_key_type") or f"rsa{size}",
        name=settings.text("account_name"),
    )


def certificate_request(
    app: App, conf: RenewalConf | None, identifiers: tuple[Identifier, ...], *, origin: str = "the renewal file"
) -> CertificateRequest:
    """Everything about one issuance: given now, else stored in ``conf``, else default. Raises: ConfigError."""
    settings = _over(app, conf, origin)
    selection = selection_of(app, settings, conf, identifiers)
    webroots = webroots_of(app, settings, conf, identifiers, selection)
    settings = settings.with_value(
        "webroot_path", webroots.webroot_path, settings.source("webroot_path"), settings.origin("webroot_path")
    )
    ca = ca_of(settings)
    params = _params(app, settings, conf, selection, ca.server)
    own = {**(conf.own if conf is not None else {}), **own_values(app.settings, selection, webroots)}
    if leaves_token(app.settings, conf):
        params.pop("reuse_key", None)
    own = without_empty_key(own)
    if settings.flag("stage_next_key"):
        # certbot, should it renew this one, must not make a key that no TLSA record names.
        params["reuse_key"] = "True"
        new = app.settings.is_set("stage_next_key") and app.settings.verb != "renew"
        check_can_stage(own, identifiers, given=new)
    servers = () if settings.flag("staging") else settings.items("servers")
    if not servers:
        own = {key: value for key, value in own.items() if key not in ("servers", "server_pauses")}
    outputs = outputs_of(settings)
    own = with_outputs(own, outputs)
    _keep_challenges(settings.items("preferred_challenges"), params, own)
    own = {key: value for key, value in own.items() if key != STORED} | _second_key(settings)
    contents = contents_of(app, settings, identifiers, own=own, stored=conf.own if conf is not None else {})
    return CertificateRequest(
        account=account_of(app, settings),
        authenticator=default_request(settings, selection, webroots),
        mixed=mixed_requests(settings, selection, webroots),
        dns=dns_settings(settings, selection),
        allow_insecure_credentials=settings.flag("allow_insecure_credentials"),
        key=with_token(_key(app, settings, conf), settings),
        hooks=HookCommands(
            pre=settings.text("pre_hook"),
            deploy=settings.text("deploy_hook"),
            post=settings.text("post_hook"),
            installer=_installer(settings),
            directory_hooks=settings.flag("directory_hooks"),
            timeout=float(settings.integer("hook_timeout")),
        ),
        params=params,
        webroot_map=webroots.webroot_map if selection.default == "webroot" else {},
        own=contents.own,
        must_staple=settings.flag("must_staple"),
        common_name=contents.common_name,
        not_after=contents.not_after,
        preferred_chain=contents.preferred_chain,
        preferred_profile=settings.text("preferred_profile"),
        required_profile=settings.text("required_profile"),
        preferred_challenges=settings.items("preferred_challenges"),
        allow_subset_of_names=settings.flag("allow_subset_of_names"),
        issuance_timeout=float(settings.integer("issuance_timeout")),
        preflight=_PREFLIGHT[settings.tristate("preflight")],
        debug_challenges=settings.flag("debug_challenges"),
        dry_run=settings.flag("dry_run"),
        finalize=ca.finalize,
        servers=servers,
        break_my_certs=settings.flag("break_my_certs"),
        run_deploy_hooks=settings.flag("run_deploy_hooks"),
        check_endpoint=_endpoint(settings),
        outputs=outputs,
        caa_resolvers=settings.items("dns_resolver") if settings.flag("caa_check") else None,
        ignore_ledger=settings.flag("ignore_ledger"),
    )


def as_trial(app: App, request: CertificateRequest, *, run_deploy_hooks: bool) -> CertificateRequest:
    """The same request as a dry run: at the staging counterpart of its CA, else without finalizing."""
    from acmectl.config.catalogue import staging_of

    server = request.account.server
    staging = staging_of(server)
    account = replace(
        request.account,
        server=staging or server,
        account_id=request.account.account_id if staging in {None, server} else None,
        agree_tos=request.account.agree_tos or _has_accounts(app.settings),
        without_email=True,
    )
    return replace(
        request, account=account, dry_run=True, finalize=staging is not None, run_deploy_hooks=run_deploy_hooks
    )


def _endpoint(settings: Settings) -> Endpoint | None:
    text = settings.text("check_endpoint")
    return None if text is None else parse_endpoint(text, settings.origin("check_endpoint"))


def _over(app: App, conf: RenewalConf | None, origin: str) -> Settings:
    given = with_plugins(app.settings, named_authenticators(app.settings, conf))
    if conf is None:
        return given
    reset = RESET_BY_CERTONLY if app.settings.verb == "certonly" else ()
    params = {key: value if isinstance(value, str) else list(value) for key, value in conf.params.items()}
    restored = restore(given, params=params, own=conf.own, origin=origin, leave_out=reset)
    return with_stored_second(restored, conf.own, origin)


def _installer(settings: Settings) -> str | None:
    name = settings.text("installer")
    if name is None or installs_nothing(name):
        return None
    if reload_hook(name) is None and settings.is_set("installer"):
        raise ConfigError(
            f"{settings.origin('installer')}: there is no installer {shown(name)}.",
            hint="nginx and apache reload the server after a renewal; --deploy-hook COMMAND does anything else.",
        )
    return name


def _params(
    app: App, settings: Settings, conf: RenewalConf | None, selection: Selection, server: str
) -> dict[str, ParamValue]:
    params: dict[str, ParamValue] = {}
    authenticator = selection.default
    foreign = foreign_keys(settings, selection)
    if conf is not None:
        dropped = set(RESET_BY_CERTONLY) if app.settings.verb == "certonly" else set()
        before = conf.text("authenticator")
        old = f"{before.replace('-', '_')}_" if before is not None and before != authenticator else None
        params = {
            key: value if isinstance(value, str) else tuple(value)
            for key, value in conf.params.items()
            if key not in dropped and not (old is not None and key.startswith(old))
        }
    for key, value in app.settings.stored().items():
        if value is not None and key != "webroot_map" and key not in foreign:
            params[key] = tuple(str(one) for one in value) if isinstance(value, tuple) else str(value)
    params["server"] = server
    params["authenticator"] = authenticator
    params["key_type"] = settings.required_text("key_type")
    paths = settings.items("webroot_path")
    if authenticator == "webroot" and paths:
        params["webroot_path"] = paths
    return params


def _keep_challenges(wanted: tuple[str, ...], params: dict[str, ParamValue], own: dict[str, JsonValue]) -> None:
    """What certbot knows of them in its part of the renewal file, a list with others in ours."""
    known = for_certbot(wanted)
    if known == wanted:
        own.pop("preferred_challenges", None)
        return
    own["preferred_challenges"] = list(wanted)
    params.pop("pref_challs", None)
    if known:
        params["pref_challs"] = known


def _key(app: App, settings: Settings, conf: RenewalConf | None) -> KeyRequest:
    from acmectl.pki.keys import KeySpec

    def spec_for(kind: str) -> KeySpec:
        if kind == "rsa":
            return KeySpec.rsa(settings.integer("rsa_key_size"))
        return KeySpec.ecdsa(settings.required_text("elliptic_curve"))

    kind, second = settings.required_text("key_type"), settings.text(SECOND)
    given = app.settings
    explicit = any(given.is_set(dest) for dest in ("key_type", "rsa_key_size", "elliptic_curve"))
    if conf is not None and given.verb == "certonly" and given.is_set("key_type") and not given.is_set("cert_name"):
        _confirm_key_type(app, (kind, second), (conf.text("key_type") or "rsa", conf.own.get(STORED)))
    stage = settings.flag("stage_next_key")
    return KeyRequest(
        spec=spec_for(kind),
        second=spec_for(second) if second is not None else None,
        explicit=explicit,
        reuse=settings.flag("reuse_key") or stage,
        new_key=settings.flag("new_key"),
        stage_next=stage,
    )


def _second_key(settings: Settings) -> dict[str, JsonValue]:
    second = settings.text(SECOND)
    return {STORED: second} if second is not None else {}


def _confirm_key_type(app: App, wanted: tuple[str, str | None], present: tuple[str, object]) -> None:
    """Another kind of key for a certificate that was found by its names only, not named: that may be a surprise.

    A second key beside the present one is none; to lose it is one for servers that use it.
    """
    if wanted[0] == present[0] and present[1] in {None, wanted[1]}:
        return
    new, old = (",".join(str(kind) for kind in pair if kind is not None) for pair in (wanted, present))
    question = f"The certificate with these names has a key of type {old}. Change it to {new}?"
    if not (app.prompts.interactive and app.prompts.yes_no(question, default=False, flag="--cert-name")):
        raise ConfigError(
            f"The certificate with these names has a key of type {old}, not {new}.",
            hint="Name the certificate with --cert-name as well to change the type of its key.",
        )


def _eab(settings: Settings) -> EabCredentials | None:
    kid, key = settings.text("eab_kid"), settings.text("eab_hmac_key")
    if kid is None and key is None:
        return None
    if kid is None or key is None:
        raise ConfigError(
            "External account binding needs both --eab-kid and --eab-hmac-key.", hint="The CA gives them together."
        )
    return EabCredentials(kid=kid, hmac_key=key, alg=settings.required_text("eab_hmac_alg"))


def _has_accounts(settings: Settings) -> bool:
    directory = settings.directory("config_dir") / "accounts"
    try:
        return any(directory.iterdir())
    except OSError:
        return False
