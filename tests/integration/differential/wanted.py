"""The differences that are meant, by case, each with the name of its row in docs/differences-from-certbot.md."""

from __future__ import annotations

from tests.integration.differential.compare import Intended


def wanted(row: str, aspect: str, item: str, certbot: str | None = "*", acmectl: str | None = "*") -> Intended:
    """A difference, in the order in which it is read."""
    return Intended(row=row, aspect=aspect, item=item, certbot=certbot, acmectl=acmectl)


EVERYWHERE = (
    wanted("own-section", "conf", "config/renewal/*.conf ?acmectl?*", None),
    wanted("folders", "files", "config/*", "empty folder", None),
    wanted("folders", "folders", "*", "*", None),
)
"""Allowed in every case, and asked for in none."""

# Nothing is requested, so nothing is announced.
SILENT = (wanted("checked-first", "streams", "1: out", "something", "nothing"),)
# Only acmectl goes to the end of it.
ISSUED = (
    ("exit", "1", "1", "0"),
    ("files", "config/archive", None, "folder"),
    ("files", "config/live", None, "folder"),
    ("files", "config/renewal", None, "folder"),
    ("labels", "1: *", None, "{root}/config/live/*"),
    ("streams", "1: out", "nothing", "something"),
)
# Only acmectl renews other.example.com.
ANOTHER_KEY = (
    ("exit", "1", "1", "0"),
    ("files", "config/archive/other.example.com/*2.pem", None, "file"),
    ("labels", "1: *", None, "{root}/config/live/other.example.com/*"),
    ("links", "config/live/other.example.com/*.pem", "*1.pem", "*2.pem"),
    ("conf", "* ?renewalparams? reuse_key", "True", None),
)
LISTED = (("labels", "1: *", None, "*"),)
DELETED = (
    ("files", "config/archive/example.com", "folder", None),
    ("files", "config/live/example.com", "folder", None),
)


def all_of(row: str, *differences: tuple[str, str, str | None, str | None]) -> tuple[Intended, ...]:
    """Several differences with the same reason."""
    return tuple(wanted(row, *difference) for difference in differences)


WANTED: dict[str, tuple[Intended, ...]] = {
    # usage
    "verb-as-value": all_of("verb-words", *ISSUED),
    "help-unknown-topic": all_of("help-topic", ("exit", "1", "0", "2"), ("streams", "1: out", "something", "nothing")),
    "cli-ini-underscore": all_of(
        "ini-underscores", ("exit", "1", "2", "0"), ("streams", "1: out", "nothing", "something")
    ),
    "challenge-of-ours": all_of(
        "more-challenges", ("exit", "1", "2", "0"), ("streams", "1: out", "nothing", "something")
    ),
    "strict-permissions": all_of(
        "strict-reading", ("exit", "1", "1", "0"), ("streams", "1: out", "nothing", "something"), *LISTED
    ),
    # new certificates
    "run-without-installer": all_of("run-without-installer", *ISSUED),
    "csr-run": all_of(
        "run-without-installer",
        ("exit", "1", "1", "0"),
        ("files", "cwd/0000_cert.pem", None, "file"),
        ("files", "cwd/0000_chain.pem", None, "file"),
        ("files", "cwd/0001_chain.pem", None, "file"),
        ("labels", "1: Certificate is saved at 1", None, "{root}/cwd/0000_cert.pem"),
        ("streams", "1: out", "nothing", "something"),
    ),
    "run-dry-run": all_of(
        "run-without-installer", ("exit", "1", "1", "0"), ("streams", "1: out", "nothing", "something")
    ),
    "cert-name-with-slash": (wanted("bad-cert-name", "streams", "1: out", "something", "nothing"),),
    "key-rsa-small": SILENT,
    "webroot-missing": SILENT,
    "directory-in-the-way": (
        wanted("directory-in-the-way", "streams", "1: out", "something", "nothing"),
        wanted("directory-in-the-way", "files", "config/live", "folder", None),
        wanted("directory-in-the-way", "files", "config/renewal", "folder", None),
    ),
    "manual-without-hooks": (wanted("prepare-late", "streams", "1: out", "nothing", "something"),),
    "webroot-two-folders": (
        wanted(
            "webroot-once",
            "conf",
            "* ?renewalparams? webroot_path",
            "{root}/webroot, {root}/webroot,",
            "{root}/webroot,",
        ),
    ),
    "hook-fails": (wanted("hook-failure", "exit", "1", "0", "1"),),
    "servers-last-gone": all_of("several-servers", *ISSUED),
    "hooks-in-folders": (
        wanted(
            "hook-environment",
            "notes",
            "out/notes",
            "*\npost/note: lineage=config/live/example.com domains=example.com\n",
            "*\npost/note: lineage= domains=example.com\n",
        ),
    ),
    # certificates that are there
    "options-kept": all_of("reuse-reset", *ANOTHER_KEY, ("conf", "* ?renewalparams? rsa_key_size", "3072", None)),
    "type-kept-size-given": all_of(
        "reuse-reset", *ANOTHER_KEY, ("conf", "* ?renewalparams? rsa_key_size", "3072", "4096")
    ),
    "type-changed": all_of(
        "reuse-reset",
        *ANOTHER_KEY,
        ("conf", "* ?renewalparams? rsa_key_size", "3072", None),
        ("conf", "* ?renewalparams? key_type", "rsa", "ecdsa"),
    ),
    "pending-version-kept": (
        wanted("links-then-due", "conf", "config/renewal/example.com.conf ?acme_renewal_info?", None, "section"),
    ),
    "nobody-same": (wanted("nobody-there", "exit", "1", "1", "0"),),
    "nobody-revokes": all_of(
        "nobody-there",
        ("exit", "1", "1", "0"),
        ("files", "config/archive", "folder", "empty folder"),
        ("files", "config/renewal", "folder", "empty folder"),
        *DELETED,
        ("files", "config/renewal/example.com.conf", "file", None),
    ),
    "nobody-registers-with-terms": all_of(
        "nobody-there", ("exit", "1", "0", "1"), ("files", "config/accounts", "folder", None)
    ),
    # renewal
    "umask-027-renewed": (wanted("conf-mode", "modes", "config/renewal/example.com.conf", "0640", "0644"),),
    "renew-due": (wanted("ari-new-version", "conf", "* ?acme_renewal_info?", "section", None),),
    "renew-one-fails": (wanted("checked-first", "labels", "1: * of other.example.com 1", "*", None),),
    "renew-link-broken": all_of(
        "links-healed",
        ("exit", "1", "1", "0"),
        ("files", "config/live/example.com/cert.pem", None, "link"),
        ("conf", "config/renewal/example.com.conf ?acme_renewal_info?", None, "section"),
        ("markers", "1: {root}/config/live/example.com/fullchain.pem expires on {day}", None, "(skipped) on out"),
        ("markers", "1: {root}/config/renewal/example.com.conf", "(parsefail) on out", None),
    ),
    "renew-removed-options": (
        wanted("unknown-options", "conf", "* ?renewalparams? manual_public_ip_logging_ok", None, "True"),
        wanted("unknown-options", "conf", "* ?renewalparams? os_packages_only", None, "False"),
        wanted("unknown-options", "conf", "* ?renewalparams? unheard_of", None, "1"),
    ),
    "renew-hooks-once": (
        # Which of the two deploys first is not said: they are renewed beside each other (row renew-order).
        wanted(
            "hook-environment",
            "notes",
            "out/notes",
            "pre/note: lineage= domains=\npre\ndeploy/note: lineage=*\ndeploy/note: lineage=*\n"
            "post/note: lineage=config/live/* domains=*.com *.com *.com\npost\n",
            "pre/note: lineage= domains=\npre\ndeploy/note: lineage=*\ndeploy/note: lineage=*\n"
            "post/note: lineage= domains=*.com *.com *.com\npost\n",
        ),
    ),
    "asked-same-renew": (
        wanted("ari-new-version", "conf", "config/renewal/example.com.conf ?acme_renewal_info?", "section", None),
    ),
    # certificates and accounts
    "certificates-strange-version": all_of("version-no-number", *LISTED),
    "delete-conf-empty": all_of(
        "delete-damaged", ("exit", "1", "1", "0"), ("streams", "1: out", "nothing", "something"), *DELETED
    ),
    "revoke-key-reused": all_of(
        "compromised-key",
        ("exit", "2", "0", "1"),
        ("files", "config/compromised-keys.json", None, "file"),
        ("files", "config/archive/other.example.com/*2.pem", "file", None),
        ("keys", "config/archive/other.example.com/privkey1.pem", "*", "privkey1.pem"),
        ("links", "config/live/other.example.com/*.pem", "*2.pem", "*1.pem"),
        ("markers", "2: *", "(success) on out", "(failure) on err"),
    ),
    "revoke-kept": (
        wanted("compromised-key", "files", "config/compromised-keys.json", None, "file"),
        wanted("revoked-known", "labels", "2: Expiry Date 1", "* (VALID: * days)", "* (INVALID: REVOKED)"),
    ),
    "revoke-twice": all_of(
        "revoked-already",
        ("exit", "2", "1", "0"),
        ("streams", "2: out", "nothing", "something"),
        ("files", "config/archive", "folder", "empty folder"),
        ("files", "config/renewal", "folder", "empty folder"),
        *DELETED,
        ("files", "config/renewal/example.com.conf", "file", None),
    ),
    "update-account-wipe": all_of(
        "contacts-kept",
        ("exit", "1", "0", "1"),
        ("streams", "1: out", "something", "nothing"),
        ("labels", "2: Email contact 1", "none", "me@example.com"),
    ),
}
