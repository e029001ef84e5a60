"""The renewal file of a new version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from acmectl.actions import ledger
from acmectl.actions.csr_stored import stored_csr
from acmectl.actions.ledger import Owed
from acmectl.pki.keys import spec_of
from acmectl.pki.token_file import is_token_key
from acmectl.storage.lineage import PINNED, REVOKED_SECOND
from acmectl.storage.renewal_conf import RenewalConf, conf_text

if TYPE_CHECKING:
    from acmectl.actions.requests import CertificateRequest
    from acmectl.actions.target import Target
    from acmectl.pki.keys import KeySpec

OF_ONE_VERSION = frozenset({"ari", "ari_second", "backoff", "revoked", REVOKED_SECOND, PINNED, ledger.KEY})
"""Keys of the section ``[acmectl]`` that say something about one version only."""


def conf_for(target: Target, request: CertificateRequest, key_pem: bytes, number: int) -> RenewalConf:
    """The renewal file of ``target`` with version ``number``: what it held, under what is asked for now.

    What was noted about the version before (renewal information, failures, a pin) ends here; deploy hooks become owed.
    """
    params = {name: conf_text(value) for name, value in request.params.items()}
    csr = stored_csr(target.name, request.own)
    if csr is not None and csr.key is not None:
        # certbot, which knows nothing of the CSR, must not make another key for it.
        params |= {**key_params(csr.key, params), "reuse_key": "True"}
    else:
        spec = spec_of(key_pem)
        # The next one is to be the same key: certbot then writes down all that is known of it.
        known = ("rsa_key_size", "elliptic_curve") if target.existing is not None and request.key.reuse else ()
        params |= key_params(spec, {**params, **dict.fromkeys(known, "")})
        if is_token_key(key_pem):
            params["reuse_key"] = "True"  # for certbot, as above
    own = {key: value for key, value in request.own.items() if key not in OF_ONE_VERSION}
    if target.deploy_hooks:
        own[ledger.KEY] = Owed(version=number, hooks=target.deploy_hooks).to_json()
    return RenewalConf(params=params, webroot_map=dict(request.webroot_map), own=own)


def key_params(spec: KeySpec, params: Mapping[str, object]) -> dict[str, str]:
    """``key_type`` always; size and curve brought up to date where the file mentions them."""
    found = {"key_type": str(spec.type)}
    if spec.size is not None and "rsa_key_size" in params:
        found["rsa_key_size"] = str(spec.size)
    if spec.curve is not None and "elliptic_curve" in params:
        found["elliptic_curve"] = str(spec.curve)
    return found
