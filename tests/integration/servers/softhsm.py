"""A PKCS#11 token of SoftHSM in a folder of its own: keys in it cannot be taken out."""

from __future__ import annotations

import subprocess
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_der_public_key

from tests.integration.servers.requirements import find_program, not_run, require

PIN = "canary-pin-471108"
_MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)
_SPIES = ("pkcs11/pkcs11-spy.so", "pkcs11-spy.so", "x86_64-linux-gnu/pkcs11-spy.so", "aarch64-linux-gnu/pkcs11-spy.so")


class SoftHsm:
    """Tokens below ``folder``; ``environ`` leads a program to them. ``pin_file`` has the PIN, mode 0600."""

    def __init__(self, folder: Path, *labels: str) -> None:
        require("softhsm2-util", "pkcs11-tool")
        found = [path for path in _MODULES if Path(path).exists()]
        if not found:
            not_run("the module of SoftHSM is not installed")
        self.module = found[0]
        self.folder = folder
        self.tokens = folder / "tokens"
        self.tokens.mkdir(parents=True)
        configuration = folder / "softhsm2.conf"
        configuration.write_text(f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\n")
        self.environ = {"SOFTHSM2_CONF": str(configuration)}
        self.pin_file = folder / "pin"
        self.pin_file.touch(mode=0o600)
        self.pin_file.write_text(PIN)  # libp11 takes a newline at the end for a part of it
        for label in labels or ("web",):
            self.make_token(label)

    def make_token(self, label: str) -> None:
        """One more token, with the same PIN."""
        self._run("softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "0815")

    def make_key(self, label: str, kind: str = "EC:prime256v1", *, id: str = "01", token: str = "web") -> None:  # noqa: A002
        """A key pair: kind as of pkcs11-tool, ``id`` in hexadecimal digits."""
        self.tool(token, "--keypairgen", "--key-type", kind, "--label", label, "--id", id)

    def tool(self, token: str, *args: str) -> bytes:
        """pkcs11-tool, logged in."""
        return self._run("pkcs11-tool", "--module", self.module, "--token-label", token, "--login", "--pin", PIN, *args)

    def public_key(self, label: str, *, token: str = "web") -> object:
        """The public key beside the private one, as the token gives it."""
        path = self.folder / "public.der"
        self.tool(token, "--read-object", "--type", "pubkey", "--label", label, "--output-file", str(path))
        return load_der_public_key(path.read_bytes())

    def uri(self, path: str, *, pin: str | None = "", module: str | None = None) -> str:
        """A URI: ``path`` is what stands before the question mark; ``pin`` another reference, None for none."""
        query = [f"module-path={module or self.module}"]
        if pin is not None:
            query.append(f"pin-source={pin or f'file:{self.pin_file}'}")
        return f"pkcs11:{path}?{'&'.join(query)}"

    def spy(self) -> tuple[str, Path, dict[str, str]]:
        """A module that writes down every call before it hands it on: its path, its log, what leads it there."""
        folders = [Path("/usr/lib"), Path("/usr/lib64")]
        found = [folder / name for folder in folders for name in _SPIES if (folder / name).exists()]
        if not found:
            not_run("pkcs11-spy is not installed")
        log = self.folder / "calls"
        return str(found[0]), log, {**self.environ, "PKCS11SPY": self.module, "PKCS11SPY_OUTPUT": str(log)}

    def _run(self, program: str, *args: str) -> bytes:
        command = [str(find_program(program)), *args]
        return subprocess.run(command, env=self.environ, check=True, capture_output=True, timeout=60).stdout
