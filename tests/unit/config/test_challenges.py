import pytest

from acmectl.config.challenges import for_certbot, still_ours


def test_certbot_is_told_what_it_knows_in_the_same_order():
    wanted = ("dns-persist-01", "dns-01", "tls-alpn-01", "http-01", "dns-account-01")
    assert for_certbot(wanted) == ("dns-01", "http-01")
    # Names of long ago are not ours to take away.
    assert for_certbot(("tls-sni-01", "http")) == ("tls-sni-01", "http")


@pytest.mark.parametrize(
    ("certbots", "ours"),
    [("", True), ([], True), ("http-01", True), (["http-01"], True), (["dns-01"], False), ("http-01, dns-01", False)],
)
def test_our_list_counts_until_certbot_is_told_something_else(certbots, ours):
    assert still_ours(["tls-alpn-01", "http-01"], certbots) is ours


@pytest.mark.parametrize("stored", [None, "tls-alpn-01", 1, {}])
def test_what_is_no_list_counts_for_nothing(stored):
    assert not still_ours(stored, [])
