"""Which bundle of CA certificates is trusted."""

import pytest

from acmectl.acme.trust import VARIABLES, choose_trust
from acmectl.errors import ConfigError

PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.fixture
def bundles(tmp_path):
    paths = {}
    for name in ("option", *VARIABLES):
        paths[name] = str(tmp_path / f"{name}.pem")
        (tmp_path / f"{name}.pem").write_text(PEM)
    return paths


def test_without_any_word_the_default_bundle_is_trusted():
    assert choose_trust(None, {}) is True
    assert choose_trust("", dict.fromkeys(VARIABLES, "")) is True


def test_the_option_goes_before_the_environment_and_the_variables_in_their_order(bundles):
    environ = {name: bundles[name] for name in VARIABLES}
    assert choose_trust(bundles["option"], environ) == bundles["option"]
    for name in VARIABLES:
        assert choose_trust(None, environ) == bundles[name]
        del environ[name]


def test_no_verification_is_only_ever_asked_for(bundles):
    assert choose_trust(bundles["option"], {}, no_verify=True) is False


def test_a_directory_of_certificates_is_accepted(tmp_path):
    assert choose_trust(None, {"SSL_CERT_FILE": str(tmp_path)}) == str(tmp_path)


@pytest.mark.parametrize("content", [None, b"", b"not a certificate", b"\x30\x82", b"-----BEGIN PRIVATE KEY-----\n"])
@pytest.mark.parametrize("source", ["--ca-bundle", *VARIABLES])
def test_a_bundle_that_is_missing_or_not_pem_is_one_clear_error_naming_its_source(tmp_path, content, source):
    path = tmp_path / "b.pem"
    if content is not None:
        path.write_bytes(content)
    option, environ = (str(path), {}) if source == "--ca-bundle" else (None, {source: str(path)})
    with pytest.raises(ConfigError) as caught:
        choose_trust(option, environ)
    assert source in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_bundle_name_with_a_nul_is_one_clear_error():
    with pytest.raises(ConfigError, match="SSL_CERT_FILE"):
        choose_trust(None, {"SSL_CERT_FILE": "a\x00b"})
