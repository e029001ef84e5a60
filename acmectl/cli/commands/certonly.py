"""certonly: obtain a certificate, or renew it when it is due."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.actions.csr_stored import KEY as CSR
from acmectl.actions.next_key import KEY
from acmectl.actions.obtain import Obtained, Outcome, obtain
from acmectl.actions.outputs import WORDS as OUTPUT_WORDS
from acmectl.actions.tlsa_records import tlsa_records
from acmectl.cli.checks import validate_hooks
from acmectl.cli.kept import Carried, carried
from acmectl.cli.next_key import records_json, records_text
from acmectl.cli.outputs import outputs_of, stored_outputs
from acmectl.cli.requests import RESET_BY_CERTONLY, certificate_request, wanted_of
from acmectl.cli.second_key import second_as_json
from acmectl.cli.token_key import keeps_token
from acmectl.cli.wiring import build_services
from acmectl.errors import ExitCode

if TYPE_CHECKING:
    from acmectl.actions.requests import CertificateRequest
    from acmectl.cli.app import App
    from acmectl.identifiers import Identifier
    from acmectl.storage.renewal_conf import RenewalConf


def run(app: App) -> ExitCode:
    """Obtain, renew or keep. Raises: AcmectlError."""
    if app.settings.text("csr") is not None:
        from acmectl.cli.commands.csr import run as run_csr

        return run_csr(app)
    wanted = wanted_of(app)
    validate_hooks(app)
    outputs_of(app.settings)
    services = build_services(app)
    taken = Carried()

    def complete(conf: RenewalConf | None, identifiers: tuple[Identifier, ...]) -> CertificateRequest:
        nonlocal taken
        if conf is not None:
            taken = taken_over(app, conf, with_csr=CSR in conf.own or keeps_token(app.settings, conf))
        return certificate_request(app, conf, identifiers)

    done = obtain(services, wanted, complete, lambda conf: stored_outputs(app.settings, conf, "the renewal file"))
    report(app, done)
    tlsa = None
    if done.outcome is not Outcome.SIMULATED and (tlsa := tlsa_records(services, done.name)) is not None:
        app.console.status(records_text(tlsa))
    options = {"kept_options": list(taken.kept), "reset_options": list(taken.reset), "tlsa": records_json(tlsa)}
    app.console.result("certificate", {**as_json(done), **options})
    return ExitCode.FAILED if done.hook_failures or done.owed else ExitCode.OK


def taken_over(app: App, conf: RenewalConf, *, with_csr: bool) -> Carried:
    """What is taken from the renewal file, once it is told. ``with_csr``: there is no key to choose anew."""
    reset: tuple[str, ...] = () if with_csr else RESET_BY_CERTONLY
    if app.settings.flag("stage_next_key") or (conf.own.get(KEY) is True and not app.settings.is_set("stage_next_key")):
        reset = tuple(dest for dest in reset if dest != "reuse_key")
    taken = carried(app.settings, conf, reset=reset)
    for sentence in taken.sentences():
        app.console.status(sentence)
    return taken


def report(app: App, done: Obtained) -> None:
    """Say in words what became of the request."""
    console = app.console
    if done.outcome is Outcome.KEPT:
        console.status("The certificate is not due for renewal yet.")
        when = f"{done.not_after:%Y-%m-%d}" if done.not_after is not None else "unknown"
        console.frame(f"Nothing was done: the certificate {done.name} is kept; it expires on {when}.")
        if done.owed:
            console.error(
                f"{done.name} is kept, but deploy hooks of it have not succeeded yet: {', '.join(done.owed)}",
                hint="acmectl renew runs them again; renew --forget-deploy drops them.",
            )
        for failure in done.hook_failures:
            console.error(failure.message, hint=failure.hint)
        return
    if done.outcome is Outcome.SIMULATED:
        console.status("The dry run was successful." if done.finalized else _NOT_FINALIZED)
    else:
        console.status(_saved(done))
        steps = next_steps(app, done)
        if steps:
            console.status("\nNEXT STEPS:\n" + "\n".join(f"- {step}" for step in steps))
    for failure in done.hook_failures:
        console.error(failure.message, hint=failure.hint)


_NOT_FINALIZED = (
    "The dry run was successful. The CA has no staging counterpart, so the order was validated and not finalized."
)


def _saved(done: Obtained) -> str:
    lines = [
        "",
        "The certificate was obtained." if done.outcome is Outcome.OBTAINED else "The certificate was renewed.",
    ]
    if done.live_dir is not None:
        lines.append(f"Certificate is saved at: {done.live_dir / 'fullchain.pem'}")
        if done.key_uri is not None:
            lines.append(f"Its key stays in the token:  {done.key_uri}")
        elif done.key_elsewhere:
            lines.append("Its key is kept elsewhere; the CSR is stored and used for renewals.")
        else:
            lines.append(f"Key is saved at:         {done.live_dir / 'privkey.pem'}")
    if done.second is not None and done.live_dir is not None:
        suffix = done.second.key_type
        lines.append(f"The second certificate:  {done.live_dir / f'fullchain-{suffix}.pem'}")
        lines.append(f"The second key:          {done.live_dir / f'privkey-{suffix}.pem'}")
    if len(done.servers) > 1:
        lines.append(f"It was issued by the CA at {done.server}")
    if done.not_after is not None:
        lines.append(f"This certificate expires on {done.not_after:%Y-%m-%d}.")
    if done.key_elsewhere:
        lines.append("The file stays where it is and changes when the certificate is renewed.")
    elif done.second is not None:
        lines.append("All files stay where they are and change when the certificates are renewed, both at once.")
    else:
        lines.append("Both files stay where they are and change when the certificate is renewed.")
    return "\n".join(lines)


def next_steps(app: App, done: Obtained) -> list[str]:
    """What the person should do now."""
    steps = []
    if done.dropped:
        gone = " ".join(str(identifier) for identifier in done.dropped)
        steps.append(f"These names could not be included: {gone}")
    if not done.unattended_renewal:
        steps.append(
            "This certificate will not be renewed by itself: manual needs somebody, or --manual-auth-hook. "
            "Run the same command again before it expires."
        )
    elif app.settings.flag("preconfigured_renewal"):
        steps.append("A scheduled task renews this certificate.")
    elif _short_lived(app, done):
        steps.append(
            "This certificate lives for a few days only: have 'acmectl renew' run every hour to renew it in time; "
            "'acmectl enable-timer' sets that up, also where a timer ran less often until now."
        )
    else:
        steps.append("Have 'acmectl renew' run twice a day to renew it in time; 'acmectl enable-timer' sets that up.")
    return steps


def _short_lived(app: App, done: Obtained) -> bool:
    from acmectl.actions.timer import SHORT_LIVED

    return done.not_after is not None and done.not_after - app.clock.now() < SHORT_LIVED


def as_json(done: Obtained) -> dict[str, object]:
    """The result for --json."""
    files = ("cert", "chain", "fullchain", *(() if done.key_elsewhere else ("privkey",)))
    return {
        "outcome": str(done.outcome),
        "name": done.name,
        "identifiers": [{"type": str(i.type), "value": i.value} for i in done.identifiers],
        "key_uri": done.key_uri,
        "dropped": [{"type": str(i.type), "value": i.value} for i in done.dropped],
        "server": done.server,
        "servers": list(done.servers),
        "authenticator": done.authenticator,
        "version": done.version,
        "serial": f"{done.serial:x}" if done.serial is not None else None,
        "not_after": done.not_after.isoformat() if done.not_after is not None else None,
        "outputs": {OUTPUT_WORDS[step]: str(path) for step, path in done.outputs.items()},
        "paths": {kind: str(done.live_dir / f"{kind}.pem") for kind in files} if done.live_dir is not None else None,
        "second": second_as_json(done.second, done.live_dir),
        "finalized": done.finalized,
        "deploy_owed": list(done.owed),
        "hook_failures": [failure.message for failure in done.hook_failures],
    }
