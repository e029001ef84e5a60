"""acmectl's own authenticators keep the contract that third parties are held to."""

import http.client
import os

import pytest

from acmectl.plugin.api import Authenticator
from acmectl.plugin.testing import AuthenticatorContract
from acmectl_plugins.manual import Manual
from acmectl_plugins.standalone import Standalone
from acmectl_plugins.webroot import Webroot


def tree(root):
    return sorted(
        (os.path.join(place, name)) for place, directories, files in os.walk(root) for name in directories + files
    )


class TestWebroot(AuthenticatorContract):
    @pytest.fixture(autouse=True)
    def _root(self, tmp_path):
        self.root = tmp_path

    def make(self):
        return Webroot({"webroot_path": [str(self.root)]}, self.context)

    def visible(self, task):
        file = self.root / task.http_path.lstrip("/")
        return file.is_file() and file.read_bytes() == task.http_body

    def residue(self):
        return tree(self.root)


class TestChallengeDir(TestWebroot):
    def make(self):
        return Webroot({"challenge_dir": str(self.root)}, self.context)

    def visible(self, task):
        file = self.root / task.token
        return file.is_file() and file.read_bytes() == task.http_body


class TestStandalone(AuthenticatorContract):
    outlives_a_crash = False

    def make(self):
        return Standalone({"http01_port": 0, "http01_address": "127.0.0.1"}, self.context)

    def visible(self, task):
        if not self.authenticator.bound:
            return False
        connection = http.client.HTTPConnection(self.authenticator.bound[0], timeout=10)
        try:
            connection.request("GET", task.http_path, headers={"Host": task.identifier.value})
            answer = connection.getresponse()
            return answer.status == 200 and answer.read() == task.http_body
        finally:
            connection.close()


class TestManualWithHooks(AuthenticatorContract):
    @pytest.fixture(autouse=True)
    def _place(self, tmp_path):
        self.place = tmp_path

    def make(self):
        return Manual(
            {
                "manual_auth_hook": f'printf %s "$CERTBOT_VALIDATION" > {self.place}/$CERTBOT_TOKEN',
                "manual_cleanup_hook": f"rm -f {self.place}/$CERTBOT_TOKEN",
            },
            self.context,
        )

    def visible(self, task):
        file = self.place / task.token
        return file.is_file() and file.read_bytes() == task.http_body

    def residue(self):
        return tree(self.place)


class Careless(Authenticator):
    summary = "does everything wrong"
    challenge_types = ("http-01",)

    def present(self, tasks):
        self.there = True

    def clean_up(self, tasks):
        if not getattr(self, "there", False):
            raise RuntimeError
        del self.there


class Forgetful(AuthenticatorContract):
    def make(self):
        return Careless({}, self.context)

    def visible(self, task):
        return getattr(self.authenticator, "there", False)


@pytest.mark.parametrize(
    "broken",
    [
        "test_cleaning_up_twice_is_harmless",
        "test_cleaning_up_what_was_never_presented_is_harmless",
        "test_cleaning_up_one_answer_leaves_the_others",
        "test_two_answers_for_one_name_stand_side_by_side",
    ],
)
def test_the_contract_catches_a_careless_plugin(broken):
    contract = Forgetful()
    contract.setup_method()
    with pytest.raises((AssertionError, RuntimeError)):
        getattr(contract, broken)()
