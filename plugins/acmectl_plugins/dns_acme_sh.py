"""acme-sh: acme.sh's own scripts ``dns_*.sh``, run from the folder where the user has them. acmectl brings none.

Each call is one run of ``/bin/sh``: it reads the user's acme.sh as a library and calls ``dns_X_add NAME VALUE`` or
``dns_X_rm NAME VALUE``. Data reaches the shell as arguments and environment, never as text of the script. What a script
saves (``_saveaccountconf_mutable`` and others) is kept beside the credentials file and given back to the next call; the
user's own account.conf is neither read nor written.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from acmectl.plugin.api import HookFailed, Option, OptionKind, PluginError
from acmectl.plugin.dns import DnsProvider
from acmectl.plugin.files import changing, read_private, write_private

if TYPE_CHECKING:
    from acmectl.plugin.dns import TxtRecord

_TIMEOUT = 600  # seconds
_FORMAT = 1
_SAVED = "The file of what acme.sh's scripts save,"
_HOOK = re.compile(r"dns_[a-z0-9_]{1,60}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NOT_FOR_SCRIPTS = re.compile(
    r"_acmectl.*|LD_.*|PATH|HOME|IFS|ENV|BASH_ENV|SHELLOPTS|LE_WORKING_DIR|LE_CONFIG_HOME|ACCOUNT_CONF_PATH"
    r"|DOMAIN_CONF|CA_CONF|CERT_HOME|HTTP_HEADER"
)
_ASSIGNMENT = re.compile(r"^\w+ *='(.*)'$", re.MULTILINE)

# A function hides the arguments from acme.sh, which would take them for a command line of its own.
_BRIDGE = """\
umask 077
_acmectl_main=$1 _acmectl_script=$2
_acmectl_load() { . "$_acmectl_main" >/dev/null; . "$_acmectl_script"; }
LE_WORKING_DIR=$3 LE_CONFIG_HOME=$3 CERT_HOME=$3 HTTP_HEADER=$3/http.header
ACCOUNT_CONF_PATH=$3/account.conf DOMAIN_CONF=$3/domain.conf CA_CONF=$3/ca.conf
_acmectl_load || exit
"$4" "$5" "$6"
"""


class AcmeSh(DnsProvider):
    """Calls the script of ``--dns-acme-sh-hook`` in ``--dns-acme-sh-folder``."""

    summary: ClassVar[str] = "TXT records by one of acme.sh's dns_*.sh scripts, from a folder of yours"
    options: ClassVar[tuple[Option, ...]] = (
        Option(name="folder", kind=OptionKind.PATH, metavar="DIR", help="folder with acme.sh and its folder dnsapi"),
        Option(name="hook", metavar="NAME", help="the script, as acme.sh --dns has it, such as dns_cf"),
        Option(
            name="timeout",
            kind=OptionKind.INTEGER,
            metavar="SECONDS",
            default=_TIMEOUT,
            help="end a call when it takes longer",
        ),
    )
    any_credential: ClassVar[bool] = True
    propagation_seconds: ClassVar[int] = 120

    def check(self) -> None:
        """See that the scripts are there, and the variables are ones. Raises: PluginError."""
        _ = self._main, self._script, self._variables
        self._saved()

    def add(self, record: TxtRecord) -> None:
        """Call the script's function ``add``. Raises: PluginError."""
        self._call("add", record)

    def remove(self, record: TxtRecord) -> None:
        """Call the script's function ``rm``. Raises: PluginError."""
        self._call("rm", record)

    def _call(self, action: str, record: TxtRecord) -> None:
        account, domains = self._saved()
        timeout = self.settings.get("timeout")
        with tempfile.TemporaryDirectory(prefix="acmectl-") as name:
            folder = Path(name)
            files = (folder / "account.conf", folder / "domain.conf")
            for file, text in zip(files, (account, domains.get(record.name, "")), strict=True):
                file.touch(mode=0o600)
                file.write_text(text, encoding="utf-8", errors="surrogateescape")
                self._keep_secrets(text)
            data = (f"{self._hook}_{action}", record.name, record.value)
            try:
                self.context.run_program(
                    ["/bin/sh", "-c", _BRIDGE, "acme.sh", self._main, self._script, name, *data],
                    name=f"dns-acme-sh {action} of {record.name}",
                    env={**self._variables, "HOME": name, "NO_TIMESTAMP": "1", "ACME_NO_COLOR": "1"},
                    inherit=False,
                    timeout=float(timeout if isinstance(timeout, int) else _TIMEOUT),
                    shown=f"acme.sh's {self._hook}",
                )
            except HookFailed as error:
                raise PluginError(error.message, hint=error.hint) from error
            finally:
                now = tuple(_text(file) for file in files)
                if now != (account, domains.get(record.name, "")):
                    self._save(record.name, now[0] if now[0] != account else None, now[1])

    def _save(self, name: str, account: str | None, domain: str) -> None:
        """Keep what a call has saved: for the account, if anything is new there, and for one name."""
        try:
            with changing(self._saved_path, _SAVED):
                before, domains = self._saved()
                domains = {key: text for key, text in {**domains, name: domain}.items() if text.strip()}
                content = {"format": _FORMAT, "account": before if account is None else account, "domains": domains}
                write_private(self._saved_path, (json.dumps(content, indent=1) + "\n").encode("ascii"), _SAVED)
        except PluginError as error:
            # The record is made or gone all the same.
            self.context.warn(f"{error.message} What acme.sh's {self._hook} saved is lost.")

    def _saved(self) -> tuple[str, dict[str, str]]:
        """The account's configuration as acme.sh writes it, and those of the names."""
        data = read_private(self._saved_path, _SAVED)
        if data is None:
            return "", {}
        try:
            content = json.loads(data)
            if content["format"] == _FORMAT:
                return str(content["account"]), {str(name): str(text) for name, text in content["domains"].items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            pass
        raise PluginError(
            f"{_SAVED} {self._saved_path}, is damaged.",
            hint="Remove it; the script saves anew what it is given by the credentials file.",
        )

    def _keep_secrets(self, text: str) -> None:
        for value in _ASSIGNMENT.findall(text):
            if value:
                self.context.keep_secret(value)

    @property
    def _saved_path(self) -> str:
        return f"{self.settings.get('credentials')}.saved"

    @property
    def _hook(self) -> str:
        hook = str(self.settings.get("hook") or "")
        if not _HOOK.fullmatch(hook):
            raise PluginError(
                f"dns-acme-sh needs the name of a script, and {hook!r} is none." if hook
                else "dns-acme-sh needs the name of a script.",
                hint="Give it with --dns-acme-sh-hook, as acme.sh --dns has it, such as dns_cf.",
            )  # fmt: skip
        return hook

    @property
    def _folder(self) -> Path:
        folder = self.settings.get("folder")
        if not folder:
            raise PluginError(
                "dns-acme-sh needs the folder where acme.sh is.",
                hint="Give it with --dns-acme-sh-folder DIR, such as ~/.acme.sh.",
            )
        return Path(str(folder))

    @property
    def _main(self) -> str:
        path = self._folder / "acme.sh"
        if not path.is_file():
            raise PluginError(f"There is no acme.sh in {self._folder}.", hint="Check --dns-acme-sh-folder.")
        return str(path)

    @property
    def _script(self) -> str:
        places = [self._folder / "dnsapi" / f"{self._hook}.sh", self._folder / f"{self._hook}.sh"]
        for path in places:
            if path.is_file():
                return str(path)
        raise PluginError(f"There is no script {places[0]}.", hint="Check --dns-acme-sh-hook.")

    @property
    def _variables(self) -> dict[str, str]:
        for name in self.secrets:
            if not _VARIABLE.fullmatch(name) or _NOT_FOR_SCRIPTS.fullmatch(name):
                shown = "".join(c if c.isprintable() else "?" for c in name)[:60]
                raise PluginError(
                    f"{self.settings.get('credentials')}: {shown} is no variable of acme.sh's scripts.",
                    hint="The file has the variables that the script's documentation names, such as CF_Token = ...",
                )
        return dict(self.secrets)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
