"""Tokens and key authorizations."""

import pytest

from acmectl.acme.challenge import check_token, key_authorization
from acmectl.errors import ProtocolViolation
from tests.unit.acme.fakes import KEY

GOOD = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJyPCt0fIXU3Q"


@pytest.mark.parametrize(
    "token",
    ["../../etc/cron.d/x", "a" * 21, "a" * 513, "", None, "a" * 30 + "\n", "a" * 30 + "=", "a" * 15 + "/" + "a" * 15,
     "a" * 30 + "\x00", "\uff41" * 30, "$(reboot)" + "a" * 30, "." * 30],
)  # fmt: skip
def test_a_token_that_is_not_base64url_is_refused_before_use(token):
    with pytest.raises(ProtocolViolation):
        key_authorization(token, KEY)


@pytest.mark.parametrize("token", [GOOD, "a" * 22, "_-" * 256])
def test_a_token_of_base64url_passes_unchanged(token):
    assert check_token(token) == token


def test_a_key_authorization_is_token_dot_thumbprint():
    assert key_authorization(GOOD, KEY) == f"{GOOD}.{KEY.thumbprint()}"
