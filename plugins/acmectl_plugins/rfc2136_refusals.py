"""What a name server's no to a dynamic update means, in one line each."""

from __future__ import annotations

from acmectl.plugin.api import PluginError

_KEY_HINT = "Compare dns_rfc2136_name, dns_rfc2136_algorithm and dns_rfc2136_secret with the key on the server."


class Refusal(PluginError):
    """The server's no, or nothing from it. ``unchanged``: it has surely done nothing; ``policy``: because of a name."""

    def __init__(self, message: str, *, hint: str | None = None, unchanged: bool = True, policy: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.unchanged = unchanged
        self.policy = policy


def of_code(code: str, where: str, zone: str, names: str, key: str) -> Refusal:
    """What an answer to an update means (RFC 2136 section 2.2)."""
    if code == "REFUSED":
        return Refusal(
            f"{where} refuses to change {names} (REFUSED): the key {key} may not do that.",
            hint=f"See the update-policy (or allow-update) of the zone {zone} there.",
            policy=True,
        )
    if code == "NOTAUTH":
        return Refusal(
            f"{where} does not take updates of the zone {zone} for {names} (NOTAUTH).",
            hint="Send them to the zone's primary server, with a key that it knows.",
        )
    if code == "SERVFAIL":
        return Refusal(
            f"{where} failed to change {names} in the zone {zone} (SERVFAIL).",
            hint="Its log says why; often it may not write the zone's journal file.",
            unchanged=False,
        )
    if code == "NOTIMP":
        return Refusal(f"{where} takes no updates at all (NOTIMP).", hint="Send them to the zone's primary server.")
    return Refusal(f"{where} did not change {names} in the zone {zone}; it answers {code}.", unchanged=False)


def of_error(error: Exception, where: str, key: str, algorithm: str) -> Refusal:
    """Why an answer cannot be used: mostly what it says of our signature (RFC 8945 section 5.2)."""
    import dns.tsig

    if isinstance(error, dns.tsig.PeerBadKey):
        return Refusal(f"{where} has no key {key} for {algorithm} (BADKEY).", hint=_KEY_HINT)
    if isinstance(error, dns.tsig.PeerBadSignature):
        return Refusal(f"{where} has another secret for the key {key} (BADSIG).", hint=_KEY_HINT)
    if isinstance(error, dns.tsig.PeerBadTime):
        return Refusal(
            f"{where} does not accept the time of this machine (BADTIME).",
            hint="The clocks of both must agree within five minutes.",
        )
    if isinstance(error, dns.tsig.PeerError):
        return Refusal(f"{where} does not accept the signature: {type(error).__name__}.", hint=_KEY_HINT)
    if isinstance(error, dns.tsig.BadSignature | dns.tsig.BadKey | dns.tsig.BadAlgorithm | dns.tsig.BadTime):
        return Refusal(
            f"The answer of {where[0].lower()}{where[1:]} is not signed as it should be ({type(error).__name__}).",
            hint=_KEY_HINT,
            unchanged=False,
        )
    if "requires a TSIG" in str(error):
        return without_signature(where)
    return Refusal(f"{where} sent what is no answer ({type(error).__name__}).", unchanged=False)


def without_signature(where: str) -> Refusal:
    """An answer that anybody may have sent; servers that do not know TSIG sign nothing either."""
    return Refusal(
        f"{where} answers without a signature.",
        hint="Is it the server that takes updates of the zone?",
        unchanged=False,
    )
