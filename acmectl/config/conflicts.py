"""Options that do not go together: one table, checked before anything runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.config.key_types import SECOND
from acmectl.config.rows_general import LETS_ENCRYPT, LETS_ENCRYPT_STAGING
from acmectl.config.settings import Source
from acmectl.config.webroots import read_map
from acmectl.errors import AcmectlError, ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from acmectl.config.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """``applies`` tells whether the options contradict each other; then ``message`` and ``hint`` are what is said."""

    applies: Callable[[Settings], bool]
    message: str
    hint: str | None = None
    error: type[AcmectlError] = ConfigError


def _both(first: str, second: str) -> Callable[[Settings], bool]:
    return lambda settings: settings.flag(first) and settings.flag(second)


def _verb_other_than(dest: str, *verbs: str) -> Callable[[Settings], bool]:
    return lambda settings: bool(settings.value(dest)) and settings.verb not in verbs


def _verb_with(dest: str, verb: str) -> Callable[[Settings], bool]:
    return lambda settings: bool(settings.value(dest)) and settings.verb == verb


def _wildcard_subset(settings: Settings) -> bool:
    return settings.flag("allow_subset_of_names") and any(name.startswith("*.") for name in settings.items("domains"))


def _staging_elsewhere(settings: Settings) -> bool:
    known = (LETS_ENCRYPT, LETS_ENCRYPT_STAGING)
    return settings.flag("staging") and settings.text("server") not in known


def _names_with_renew(settings: Settings) -> bool:
    # Names of a file or of the environment were dropped before; those that --webroot-map has too are allowed.
    given = {*settings.items("domains"), *settings.items("ip_address")}
    if settings.verb != "renew" or not given:
        return False
    mapped = settings.text("webroot_map")
    return not mapped or not given <= {name.value for name in read_map(mapped)}


def _revoke_target(settings: Settings) -> bool:
    return settings.verb == "revoke" and (settings.text("cert_path") is None) == (settings.text("cert_name") is None)


def _account_key_elsewhere(settings: Settings) -> bool:
    if settings.text("account_key") is None or settings.verb == "register":
        return False
    if settings.verb == "revoke":
        return settings.text("cert_name") is not None
    return settings.verb != "certonly" or settings.text("csr") is None


def _key_elsewhere(settings: Settings) -> bool:
    verbs = ("certonly", "renew", "reconfigure", *(("revoke",) if settings.flag("reissue") else ()))
    return bool(settings.text("key")) and settings.verb not in verbs


def _written_beside_lineage(settings: Settings) -> bool:
    paths = ("cert_path", "chain_path", "fullchain_path")
    kept = settings.verb == "certonly" and bool(settings.text("csr")) and bool(settings.text("cert_name"))
    return kept and any(settings.text(dest) is not None for dest in paths)


def _comment_with_parentheses(settings: Settings) -> bool:
    return any(c in (settings.text("user_agent_comment") or "") for c in "()")


def _unprintable_agent(settings: Settings) -> bool:
    texts = (settings.text("user_agent") or "", settings.text("user_agent_comment") or "")
    return any(not text.isprintable() or not text.isascii() for text in texts)


_NAMES_OF = "{verb} takes the names from the certificate itself; -d and --ip-address cannot be used with it."

_OUTPUTS = ("pem_out", "pkcs12_out", "pkcs12_password", "owner", "group", "mode")

CONFLICTS = (
    Conflict(
        applies=_both("non_interactive", "force_interactive"),
        message="--non-interactive and --force-interactive contradict each other.",
    ),
    Conflict(
        applies=_verb_with("force_interactive", "renew"),
        message="renew asks nothing; --force-interactive cannot be used with it.",
    ),
    Conflict(
        applies=lambda settings: settings.verb == "certonly" and bool(settings.text("csr")) and settings.is_set("key"),
        message="--csr and --key cannot be used together: a request has its key already.",
    ),
    Conflict(
        applies=_key_elsewhere,
        message="--key can only be used with certonly, renew, reconfigure and revoke --reissue.",
        hint="--key-path FILE names a key in a file.",
    ),
    Conflict(
        applies=lambda settings: settings.verb == "renew" and settings.is_set("key") and not settings.text("cert_name"),
        message="--key is for one certificate, so renew needs --cert-name with it.",
    ),
    Conflict(
        applies=lambda settings: bool(settings.text("key")) and settings.flag("new_key"),
        message="--key and --new-key cannot be used together: acmectl makes no key in a PKCS#11 token.",
        hint="Make one there with the token's tool and name it with --key.",
    ),
    Conflict(
        applies=lambda settings: (
            bool(settings.text("key")) and settings.is_set("reuse_key") and not settings.flag("reuse_key")
        ),
        message="--key and --no-reuse-key cannot be used together: the key stays until --key names another one.",
    ),
    Conflict(
        applies=_verb_other_than("csr", "certonly"),
        message="--csr can only be used with certonly.",
    ),
    Conflict(
        applies=lambda settings: bool(settings.text("csr")) and settings.flag("allow_subset_of_names"),
        message="--csr and --allow-subset-of-names cannot be used together: a request's names are fixed.",
    ),
    Conflict(
        applies=lambda settings: bool(settings.text("csr")) and settings.is_set(SECOND) and bool(settings.text(SECOND)),
        message="--csr and two types of key cannot be used together: a request has one key.",
        hint="Give --key-type one type, or leave it out.",
    ),
    Conflict(
        applies=lambda settings: bool(settings.text("csr")) and bool(settings.text("common_name")),
        message="--csr and --common-name cannot be used together: a request's subject is fixed.",
    ),
    Conflict(
        applies=lambda settings: bool(settings.text("csr")) and settings.flag("stage_next_key"),
        message="--csr and --stage-next-key cannot be used together: a request's key is made elsewhere.",
    ),
    Conflict(
        applies=lambda settings: (
            settings.flag("stage_next_key") and settings.is_set("reuse_key") and not settings.flag("reuse_key")
        ),
        message="--stage-next-key and --no-reuse-key cannot be used together: keys are kept for DANE.",
    ),
    Conflict(
        applies=lambda settings: settings.flag("json") and bool(settings.printed),
        message="--json and a certificate on standard output cannot be used together.",
        hint="Leave --json out, or name files instead of -.",
    ),
    Conflict(
        applies=lambda settings: len(settings.printed) > 1,
        message="Only one of --cert-path, --chain-path and --fullchain-path can be -.",
    ),
    Conflict(
        applies=_written_beside_lineage,
        message="--csr with --cert-name keeps the certificate below live/; --cert-path, --chain-path and "
        "--fullchain-path cannot be used with it.",
        hint="Leave --cert-name out to have files only.",
    ),
    Conflict(
        applies=lambda settings: (
            settings.verb == "renew"
            and settings.text("cert_name") is None
            and any(settings.text(dest) for dest in ("pem_out", "pkcs12_out"))
        ),
        message="renew with --pem-out or --pkcs12-out needs --cert-name: a file holds one certificate.",
    ),
    Conflict(
        applies=lambda settings: (
            settings.verb == "certonly"
            and bool(settings.text("csr"))
            and settings.text("cert_name") is None
            and any(settings.is_set(dest) for dest in _OUTPUTS)
        ),
        message="--csr without --cert-name keeps no certificate that --pem-out, --pkcs12-out, --owner, --group or "
        "--mode could be for.",
        hint="Add --cert-name NAME, or name the files with --fullchain-path, --cert-path and --chain-path.",
    ),
    Conflict(
        applies=_account_key_elsewhere,
        message="--account-key cannot be used here: account keys of certificates that renew by themselves live in "
        "accounts/.",
        hint="It is for certonly --csr and revoke --cert-path; acmectl register --account-key FILE takes a key over.",
    ),
    Conflict(
        applies=lambda settings: bool(settings.text("account_key")) and bool(settings.text("account")),
        message="--account-key and --account cannot be used together.",
    ),
    Conflict(
        applies=_verb_other_than("account_name", "register", "account"),
        message="--account-name can only be used with register and account import.",
        hint="--account NAME chooses the account that has the name.",
    ),
    Conflict(
        applies=_wildcard_subset,
        message="--allow-subset-of-names cannot be used with wildcard names.",
    ),
    Conflict(
        applies=_verb_other_than("dry_run", "certonly", "renew", "reconfigure"),
        message="--dry-run can only be used with certonly and renew.",
    ),
    Conflict(
        applies=_staging_elsewhere,
        message="--staging means Let's Encrypt's staging CA, but --server names another CA.",
        hint="Leave one of them out.",
    ),
    Conflict(
        applies=lambda settings: settings.integer("http_01_port") == settings.integer("https_port"),
        message="--http-01-port and --https-port are the same port.",
    ),
    Conflict(
        applies=_names_with_renew,
        message=_NAMES_OF.format(verb="renew"),
        hint="Use --cert-name to renew one certificate, or certonly --cert-name NAME -d ... to change its names.",
    ),
    Conflict(
        applies=lambda settings: (
            settings.verb == "reconfigure"
            and max(settings.source("domains"), settings.source("ip_address")) is Source.FLAG
        ),
        message=_NAMES_OF.format(verb="reconfigure"),
        hint="Use certonly --cert-name NAME -d ... to change a certificate's names.",
    ),
    Conflict(
        applies=_revoke_target,
        message="revoke needs either --cert-name or --cert-path.",
    ),
    Conflict(
        applies=_verb_other_than("reissue", "revoke"),
        message="--reissue can only be used with revoke.",
    ),
    Conflict(
        applies=lambda settings: (
            settings.flag("reissue")
            and settings.flag("delete_after_revoke")
            and settings.source("delete_after_revoke") is Source.FLAG
        ),
        message="--reissue keeps the certificate's files; --delete-after-revoke cannot be used with it.",
    ),
    Conflict(
        applies=lambda settings: bool(settings.text("challenge_dir")) and settings.is_set("webroot_path"),
        message="--challenge-dir and --webroot-path cannot be used together.",
    ),
    Conflict(
        applies=_comment_with_parentheses,
        message="--user-agent-comment cannot contain parentheses.",
        error=UsageError,
    ),
    Conflict(
        applies=_unprintable_agent,
        message="--user-agent and --user-agent-comment can only contain printable ASCII characters.",
        error=UsageError,
    ),
)


def check(settings: Settings) -> None:
    """Refuse options that do not go together. Raises: the error of the first conflict that applies."""
    for conflict in CONFLICTS:
        if conflict.applies(settings):
            raise conflict.error(conflict.message, hint=conflict.hint)
