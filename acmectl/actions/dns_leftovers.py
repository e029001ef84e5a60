"""TXT records that killed runs have left behind are taken away by the next run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.actions.authenticators import make_authenticator
from acmectl.actions.requests import AuthenticatorRequest
from acmectl.errors import AcmectlError, Interrupted, PluginError
from acmectl.events import Notice
from acmectl.plugin.dns import TxtRecord
from acmectl.plugin.dns_authenticator import DnsAuthenticator
from acmectl.storage.credentials import CredentialsFiles
from acmectl.storage.dns_records import DnsRecordStore

if TYPE_CHECKING:
    from acmectl.actions.services import Services
    from acmectl.storage.dns_records import Left


def take_away_left(services: Services) -> None:
    """Remove what is noted as left; what fails becomes a warning and is tried again by the next run.

    Called with the store locked. Raises: StorageError, Interrupted.
    """
    store = DnsRecordStore(services.layout)
    for left in store.left():
        if not left.authenticator:
            text = f"{left.path} cannot be read, so records of an interrupted run may still be there. Remove the file."
            services.observe(Notice(text=text, level="warning"))
            continue
        try:
            _take_away(services, left)
        except Interrupted:
            raise
        except AcmectlError as error:
            text = (
                f"Records of an interrupted run could not be taken away ({_names(left)}): {error.message} "
                f"It is tried again; removing {left.path} ends that."
            )
            services.observe(Notice(text=text, level="warning"))
        else:
            store.drop(left)
            services.observe(Notice(text=f"Records of an interrupted run were taken away: {_names(left)}."))


def _take_away(services: Services, left: Left) -> None:
    wanted = AuthenticatorRequest(name=left.authenticator, options=left.options)
    # Whoever added the records was allowed to use these credentials.
    credentials = CredentialsFiles(services.environ, allow_insecure=True)
    plugin = make_authenticator(services, wanted, dns=None, credentials=credentials).plugin
    if not isinstance(plugin, DnsAuthenticator):
        raise PluginError(f"{left.authenticator} is no DNS authenticator.")
    plugin.take_away([TxtRecord(name=one.name, value=one.value, zone=one.zone) for one in left.records])


def _names(left: Left) -> str:
    names = list(dict.fromkeys(one.name for one in left.records))
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
