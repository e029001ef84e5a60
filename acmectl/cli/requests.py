"""From settings to the typed requests of the actions: the last place where an option has a name."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.actions.decide import Wanted
from acmectl.actions.endpoint import Endpoint, parse_endpoint
from acmectl.actions.hooks import HookCommands, validate_command
from acmectl.actions.requests import (
    LETS_ENCRYPT,
    LETS_ENCRYPT_STAGING,
    AccountRequest,
    AuthenticatorRequest,
    CertificateRequest,
    EabCredentials,
    KeyRequest,
    ParamValue,
)
from acmectl.actions.shipped_hooks import installs_nothing, reload_hook
from acmectl.config.restored import restore
from acmectl.config.values import shown
from acmectl.config.webroots import Webroots, resolve
from acmectl.errors import ConfigError
from acmectl.issuance.request import Preflight

if TYPE_CHECKING:
    from collections.abc import Mapping

    from acmectl.cli.app import App
    from acmectl.config.settings import Settings
    from acmectl.identifiers import Identifier
    from acmectl.storage.renewal_conf import RenewalConf

# certonly starts these anew for an existing certificate, as certbot does; everything else that is stored stays.
RESET_BY_CERTONLY = ("rsa_key_size", "elliptic_curve", "reuse_key")
_STAGING_OF = {LETS_ENCRYPT: LETS_ENCRYPT_STAGING, LETS_ENCRYPT_STAGING: LETS_ENCRYPT_STAGING}
_PREFLIGHT = {None: Preflight.BESIDE, True: Preflight.FIRST, False: Preflight.OFF}
_HOOK_OPTIONS = ("pre_hook", "deploy_hook", "post_hook", "manual_auth_hook", "manual_cleanup_hook")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ca:
    """Which CA, and whether an order is finalized there (a dry run does not ask a real CA for a certificate)."""

    server: str
    finalize: bool = True


def wanted_of(app: App) -> Wanted:
    """Names and switches that decide which lineage is meant."""
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
    )


def checked_name(settings: Settings) -> str | None:
    """``--cert-name``, refused at the door if it cannot be one. Raises: ConfigError."""
    from acmectl.storage.layout import check_lineage_name

    name = settings.text("cert_name")
    return None if name is None else check_lineage_name(name)


def ca_of(settings: Settings) -> Ca:
    """The CA to use: an explicit --server always; a dry run otherwise goes to the CA's staging counterpart."""
    server = LETS_ENCRYPT_STAGING if settings.flag("staging") else settings.required_text("server")
    if not settings.flag("dry_run") or settings.flag("staging") or settings.is_set("server"):
        return Ca(server=server)
    if server in _STAGING_OF:
        return Ca(server=_STAGING_OF[server])
    return Ca(server=server, finalize=False)


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
        key_kind=f"rsa{size}",
    )


def validate_hooks(app: App) -> None:
    """Refuse hook commands given now that could not be executed, and an endpoint that is none.

    Raises: ConfigError, UsageError.
    """
    settings = app.settings
    _endpoint(settings)
    if settings.flag("disable_hook_validation"):
        return
    for dest in _HOOK_OPTIONS:
        command = settings.text(dest)
        if command is not None and settings.is_set(dest):
            validate_command(command, settings.origin(dest), app.environ)


def certificate_request(
    app: App, conf: RenewalConf | None, identifiers: tuple[Identifier, ...], *, origin: str = "the renewal file"
) -> CertificateRequest:
    """Everything about one issuance: given now, else stored in ``conf``, else default. Raises: ConfigError."""
    settings = _over(app, conf, origin)
    authenticator = _authenticator(app, settings)
    webroots = _webroots(app, settings, conf, identifiers, authenticator)
    settings = _with_webroots(settings, webroots)
    ca = ca_of(settings)
    params = _params(app, settings, conf, authenticator, ca.server)
    return CertificateRequest(
        account=account_of(app, settings),
        authenticator=AuthenticatorRequest(
            name=authenticator, options=_plugin_options(settings, authenticator, webroots)
        ),
        key=_key(app, settings, conf),
        hooks=HookCommands(
            pre=settings.text("pre_hook"),
            deploy=settings.text("deploy_hook"),
            post=settings.text("post_hook"),
            installer=_installer(settings),
            directory_hooks=settings.flag("directory_hooks"),
            timeout=float(settings.integer("hook_timeout")),
        ),
        params=params,
        webroot_map=webroots.webroot_map if authenticator == "webroot" else {},
        own={**(conf.own if conf is not None else {}), **_own(app)},
        must_staple=settings.flag("must_staple"),
        preferred_chain=settings.text("preferred_chain"),
        preferred_profile=settings.text("preferred_profile"),
        required_profile=settings.text("required_profile"),
        preferred_challenges=settings.items("preferred_challenges"),
        allow_subset_of_names=settings.flag("allow_subset_of_names"),
        issuance_timeout=float(settings.integer("issuance_timeout")),
        preflight=_PREFLIGHT[settings.tristate("preflight")],
        debug_challenges=settings.flag("debug_challenges"),
        dry_run=settings.flag("dry_run"),
        finalize=ca.finalize,
        break_my_certs=settings.flag("break_my_certs"),
        run_deploy_hooks=settings.flag("run_deploy_hooks"),
        check_endpoint=_endpoint(settings),
    )


def as_trial(app: App, request: CertificateRequest, *, run_deploy_hooks: bool) -> CertificateRequest:
    """The same request as a dry run: at the staging counterpart of its CA, else without finalizing."""
    server = request.account.server
    staging = _STAGING_OF.get(server)
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
    if conf is None:
        return app.settings
    reset = RESET_BY_CERTONLY if app.settings.verb == "certonly" else ()
    params = {key: value if isinstance(value, str) else list(value) for key, value in conf.params.items()}
    return restore(app.settings, params=params, own=conf.own, origin=origin, leave_out=reset)


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


def _authenticator(app: App, settings: Settings) -> str:
    name = settings.text("authenticator")
    if name is not None:
        if settings.is_set("authenticator") and reload_hook(name) is not None:
            raise ConfigError(
                f"{settings.origin('authenticator')}: acmectl does not edit the configuration of {name}.",
                hint=f"--webroot -w DIR --installer {name} proves control by a folder and reloads the server; "
                "docs/web-servers.md shows the one location that it needs.",
            )
        return name
    from acmectl.plugin import registry

    if not app.prompts.interactive:
        raise ConfigError(
            "No authenticator was chosen.", hint="Choose one, such as --webroot -w DIR, --standalone or --manual."
        )
    names = registry.names()
    return names[app.prompts.choose("How should control of the names be proved?", names, flag="--authenticator")]


def _webroots(
    app: App, settings: Settings, conf: RenewalConf | None, identifiers: tuple[Identifier, ...], authenticator: str
) -> Webroots:
    given = resolve(app.settings.named)
    if given.webroot_path or conf is None:
        paths, known = given.webroot_path, dict(given.webroot_map)
    else:
        # A map given alone speaks of its own names and of no others.
        paths, known = tuple(conf.texts("webroot_path")), {**conf.webroot_map, **given.webroot_map}
    wanted = {name.value for name in identifiers}
    webroot_map = {name: path for name, path in known.items() if name in wanted}
    asked: str | None = None
    if authenticator == "webroot" and settings.text("challenge_dir") is None:
        for name in sorted(wanted - webroot_map.keys()):
            if paths:
                webroot_map[name] = paths[-1]
            elif app.prompts.interactive:
                asked = webroot_map[name] = _asked_webroot(app, name, asked)
    return Webroots(identifiers=identifiers, webroot_map=webroot_map, webroot_path=paths)


def _asked_webroot(app: App, name: str, default: str | None) -> str:
    """The absolute path of an existing directory, from the person, who is asked again about anything else."""

    def absolute(text: str) -> str:
        path = os.path.abspath(os.path.expanduser(text))  # noqa: PTH100, PTH111 - links are meant to stay
        if not Path(path).is_dir():
            raise ConfigError(f"{path} is not a directory.")
        return path

    question = f"Document root of {name}" + (f" (Enter: {default})" if default is not None else "")
    return absolute(app.prompts.ask(question, default=default, flag="--webroot-path", check=absolute))


def _with_webroots(settings: Settings, webroots: Webroots) -> Settings:
    return settings.with_value(
        "webroot_path", webroots.webroot_path, settings.source("webroot_path"), settings.origin("webroot_path")
    )


def _plugin_options(settings: Settings, authenticator: str, webroots: Webroots) -> dict[str, object]:
    prefix = authenticator.replace("-", "_") + "_"
    options: dict[str, object] = {}
    for dest, row in settings.table.by_dest.items():
        if row.plugin == authenticator:
            options[(row.stored or row.own or dest).removeprefix(prefix)] = settings.value(dest)
    if authenticator == "webroot":
        options["map"] = dict(webroots.webroot_map)
        options["path"] = list(webroots.webroot_path)
    return options


def _params(
    app: App, settings: Settings, conf: RenewalConf | None, authenticator: str, server: str
) -> dict[str, ParamValue]:
    params: dict[str, ParamValue] = {}
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
        if value is not None and key != "webroot_map":
            params[key] = tuple(str(one) for one in value) if isinstance(value, tuple) else str(value)
    params["server"] = server
    params["authenticator"] = authenticator
    params["key_type"] = settings.required_text("key_type")
    paths = settings.items("webroot_path")
    if authenticator == "webroot" and paths:
        params["webroot_path"] = paths
    return params


def _own(app: App) -> Mapping[str, str | int | bool]:
    return {key: value for key, value in app.settings.own_stored().items() if isinstance(value, str | int | bool)}


def _key(app: App, settings: Settings, conf: RenewalConf | None) -> KeyRequest:
    from acmectl.pki.keys import KeySpec

    kind = settings.required_text("key_type")
    if kind == "rsa":
        spec = KeySpec.rsa(settings.integer("rsa_key_size"))
    else:
        spec = KeySpec.ecdsa(settings.required_text("elliptic_curve"))
    given = app.settings
    explicit = any(given.is_set(dest) for dest in ("key_type", "rsa_key_size", "elliptic_curve"))
    if conf is not None and given.verb == "certonly" and given.is_set("key_type") and not given.is_set("cert_name"):
        _confirm_key_type(app, kind, conf.text("key_type") or "rsa")
    return KeyRequest(spec=spec, explicit=explicit, reuse=settings.flag("reuse_key"), new_key=settings.flag("new_key"))


def _confirm_key_type(app: App, kind: str, present: str) -> None:
    """Another kind of key for a certificate that was found by its names only, not named: that may be a surprise."""
    if kind == present:
        return
    question = f"The certificate with these names has a key of type {present}. Change it to {kind}?"
    if not (app.prompts.interactive and app.prompts.yes_no(question, default=False, flag="--cert-name")):
        raise ConfigError(
            f"The certificate with these names has a key of type {present}, not {kind}.",
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
