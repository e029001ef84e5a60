"""Tokens that are about to lock: SoftHSM never says so, and no PIN may be tried to find out."""

from types import SimpleNamespace

import pkcs11
import pytest

from acmectl.errors import ConfigError
from acmectl.pki.pkcs11 import log_in

NEEDED = pkcs11.TokenFlag.LOGIN_REQUIRED


def token(flags, opened):
    return SimpleNamespace(flags=flags, label="web", serial=b"0815", open=lambda **_: opened.append("tried"))


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        (pkcs11.TokenFlag.USER_PIN_LOCKED, "The PIN of the token web is locked."),
        (pkcs11.TokenFlag.USER_PIN_FINAL_TRY, "One wrong PIN more would lock the token web, so it is not tried."),
    ],
)
def test_a_pin_is_not_tried_where_that_would_be_the_last_time(flag, message):
    opened = []
    with pytest.raises(ConfigError) as caught:
        log_in(token(NEEDED | flag, opened), "/module.so", "4711")
    assert caught.value.message == message
    assert opened == []
    log_in(token(NEEDED | pkcs11.TokenFlag.USER_PIN_COUNT_LOW, opened), "/module.so", "4711")
    assert opened == ["tried"]
