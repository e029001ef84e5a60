"""The table of lexicon's providers, against lexicon itself, and what is said when something is missing."""

import argparse
import dataclasses
import importlib
import logging
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import requests

from acmectl.errors import PluginError
from acmectl.plugin import registry
from acmectl.plugin.dns import TxtRecord
from acmectl.plugin.testing import make_context
from acmectl_plugins import dns_lexicon
from acmectl_plugins.dns_lexicon import Lexicon, NamedProvider, provider_module
from acmectl_plugins.dns_lexicon_errors import Speaker, Unanswered, explained, is_no_zone
from acmectl_plugins.dns_lexicon_table import BY_NAME, OVH_ENDPOINTS, ROWS

ROOT = Path(__file__).resolve().parents[3]
# Keys and seconds of certbot's own plugins: a credentials file of theirs must go on to work.
CERTBOT = {
    "cloudflare": ({"api_token", "email", "api_key"}, 10, 120),
    "digitalocean": ({"token"}, 10, 30),
    "dnsimple": ({"token"}, 30, 60),
    "dnsmadeeasy": ({"api_key", "secret_key"}, 60, 60),
    "gehirn": ({"api_token", "api_secret"}, 30, 60),
    "linode": ({"key"}, 120, 60),
    "luadns": ({"email", "token"}, 30, 60),
    "nsone": ({"api_key"}, 30, 60),
    "ovh": ({"endpoint", "application_key", "application_secret", "consumer_key"}, 120, 60),
    "sakuracloud": ({"api_token", "api_secret"}, 90, 60),
}
CLASSES = {
    one.in_table.name: one
    for one in vars(dns_lexicon).values()
    if isinstance(one, type) and issubclass(one, NamedProvider) and one is not NamedProvider
}
NAMES = [row.name for row in ROWS]


def whole(name):
    """Credentials that are complete."""
    row = BY_NAME[name]
    names = row.alternatives[0] if row.alternatives else [key.name for key in row.keys]
    return {key.name: key.values[0] if key.values else key.example for key in row.keys if key.name in names}


def made(name, credentials):
    return CLASSES[name]({"credentials": "/etc/acmectl/dns.ini"}, credentials, make_context())


def resolved(provider, zone="example.com"):
    """lexicon's own object for the zone; it asks nobody for anything before it is authenticated."""
    return provider._made(zone, provider.ttl)


@pytest.mark.parametrize("name", CERTBOT)
def test_keys_waiting_and_ttl_are_certbot_s(name):
    keys, seconds, ttl = CERTBOT[name]
    kind = CLASSES[name]
    assert ({one.name for one in kind.credentials}, kind.propagation_seconds, kind.ttl) == (keys, seconds, ttl)


def test_every_row_is_installed_under_its_name():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = {
        name: getattr(dns_lexicon, value.partition(":")[2].removesuffix(" [lexicon]"))
        for name, value in project["entry-points"][registry.DNS_GROUP].items()
        if value.startswith("acmectl_plugins.dns_lexicon:")
    }
    assert found == {**CLASSES, "lexicon": Lexicon}
    assert "lexicon" in project["optional-dependencies"]
    assert all(
        " [lexicon]" in value for value in project["entry-points"][registry.DNS_GROUP].values() if "lexi" in value
    )


@pytest.mark.parametrize("name", NAMES)
def test_lexicon_knows_every_option_that_the_table_names(name):
    row = BY_NAME[name]
    module = importlib.import_module(f"lexicon._private.providers.{row.lexicon}")
    parser = argparse.ArgumentParser()
    module.Provider.configure_parser(parser)
    known = {action.dest for action in parser._actions}
    assert {key.option for key in row.keys} | set(row.fixed) <= known


@pytest.mark.parametrize("name", [name for name in NAMES if name != "tencentcloud"])
def test_what_the_file_says_reaches_lexicon(name):
    row, given = BY_NAME[name], whole(name)
    provider = resolved(made(name, given))
    for key in row.keys:
        if key.name in given:
            assert provider._get_provider_option(key.option) == given[key.name]
    for option, value in row.fixed.items():
        if option not in {key.option for key in row.keys}:
            assert provider._get_provider_option(option) == value
    assert provider._get_lexicon_option("ttl") == row.ttl
    assert provider.domain == "example.com"


def test_ovh_has_the_endpoints_that_lexicon_has():
    module = importlib.import_module("lexicon._private.providers.ovh")
    assert set(module.ENDPOINTS) == set(OVH_ENDPOINTS)


@pytest.mark.parametrize(
    ("name", "missing"), [(row.name, key.name) for row in ROWS for key in row.keys if key.required]
)
def test_each_required_key_that_is_missing_is_named(name, missing, tmp_path):
    given = {key: value for key, value in whole(name).items() if key != missing}
    file = tmp_path / "dns.ini"
    file.write_text("".join(f"dns_{name}_{key} = {value}\n" for key, value in given.items()) or "# nothing\n")
    prefixed = {f"dns_{name}_{key}": value for key, value in given.items()}
    context = dataclasses.replace(make_context(), credentials=lambda _path: prefixed)
    authenticator = registry.load(f"dns-{name}")({"credentials": str(file)}, context)
    with pytest.raises(PluginError, match=f"dns_{name}_{missing} is missing") as caught:
        authenticator.check([])
    assert f"acmectl plugins dns-{name}" in caught.value.hint


@pytest.mark.parametrize("name", [name for name in NAMES if name != "tencentcloud"])
def test_complete_credentials_pass_the_check_without_the_network(name):
    made(name, whole(name)).check()


@pytest.mark.parametrize(
    ("given", "has"),
    [
        ({}, "none of them"),
        ({"email": "a@b.example"}, "dns_cloudflare_email"),
        ({"api_key": "k" * 20}, "dns_cloudflare_api_key"),
        ({"api_token": "t" * 20, "email": "a@b.example"}, "dns_cloudflare_api_token and dns_cloudflare_email"),
        ({"api_token": "t" * 20, "email": "a@b.example", "api_key": "k" * 20}, "dns_cloudflare_api_key and "),
    ],
)
def test_cloudflare_wants_a_token_or_an_address_with_a_key(given, has):
    with pytest.raises(PluginError) as caught:
        made("cloudflare", given).check()
    text = "must have dns_cloudflare_api_token or dns_cloudflare_email and dns_cloudflare_api_key, and has "
    assert text + has in caught.value.message
    assert "/etc/acmectl/dns.ini" in caught.value.message
    assert not any(value in caught.value.message for value in given.values())


def test_cloudflare_takes_the_address_and_the_key():
    provider = resolved(made("cloudflare", {"email": "a@b.example", "api_key": "k" * 20}))
    assert provider._get_provider_option("auth_username") == "a@b.example"
    assert provider._get_provider_option("auth_token") == "k" * 20


def test_an_endpoint_that_there_is_not_is_refused_with_those_that_there_are():
    with pytest.raises(PluginError, match="dns_ovh_endpoint must be one of ovh-eu, ovh-ca"):
        made("ovh", {**whole("ovh"), "endpoint": "ovh"}).check()


def generic(**credentials):
    return Lexicon({"credentials": "/etc/acmectl/dns.ini"}, credentials, make_context())


def test_any_provider_of_lexicon_s_works_with_its_own_options():
    plain = generic(provider="powerdns", auth_token="k" * 20, pdns_server="http://127.0.0.1:8081", ttl="30")
    plain.check()
    provider = resolved(plain)
    assert provider.api_endpoint == "http://127.0.0.1:8081/api/v1/servers/localhost"
    assert provider._get_lexicon_option("ttl") == 30


def test_the_general_way_knows_what_the_table_knows():
    provider = resolved(generic(provider="gandi", auth_token="k" * 20))
    assert (provider.protocol, provider._get_lexicon_option("ttl")) == ("rest", 300)


@pytest.mark.parametrize("name", ["nosuch", "auto", "base", "../os", "Cloud flare\x1b", "", "powerdns.x"])
def test_a_provider_that_lexicon_has_not_is_refused(name):
    with pytest.raises(PluginError, match="lexicon has no provider called") as caught:
        generic(provider=name or "-").check()
    assert caught.value.message.isprintable()


def test_a_name_that_is_nearly_right_gets_a_suggestion():
    with pytest.raises(PluginError) as caught:
        generic(provider="powerdsn").check()
    assert "powerdns" in caught.value.hint


@pytest.mark.parametrize("ttl", ["0", "-1", "soon", "1.5", "9" * 11])
def test_a_ttl_that_is_none_is_refused(ttl):
    with pytest.raises(PluginError, match="dns_lexicon_ttl"):
        generic(provider="powerdns", ttl=ttl).check()


def test_what_one_provider_needs_besides_is_told():
    with pytest.raises(PluginError, match="qcloud needs a Python package") as caught:
        made("tencentcloud", whole("tencentcloud")).check()
    assert "pip install 'dns-lexicon[qcloud]'" in caught.value.hint


def test_without_lexicon_the_command_that_installs_it_is_told(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "lexicon"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lexicon", None)
    with pytest.raises(PluginError, match="The Python package dns-lexicon is missing") as caught:
        made("cloudflare", whole("cloudflare")).check()
    assert "pip install 'acmectl[lexicon]'" in caught.value.hint


def test_importing_the_plugin_imports_nothing_of_lexicon_s():
    code = (
        "import sys, acmectl_plugins.dns_lexicon\n"
        "print([m for m in ('lexicon', 'requests', 'tldextract', 'yaml', 'dns') if m in sys.modules])"
    )
    env = {"PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_list_of_suffixes_is_asked_for_and_nothing_is_printed(capsys):
    for name in ("godaddy", "namecheap"):
        module = provider_module(name)
        split = module.tldextract.extract("sub.example.com")  # a list would know that example is the domain
        assert (split.domain, split.suffix) == ("sub", "example.com")
        module.print("Remote: 3")
    assert resolved(made("godaddy", whole("godaddy")), "sub.example.com").get_root_domain_name() == "sub.example.com"
    assert capsys.readouterr().out == ""


def test_what_the_environment_tells_lexicon_is_used_and_kept_secret(monkeypatch):
    monkeypatch.setenv("LEXICON_CLOUDFLARE_ZONE_ID", "zone-from-the-environment")
    kept = []
    context = dataclasses.replace(make_context(), keep_secret=kept.append)
    provider = CLASSES["cloudflare"]({}, whole("cloudflare"), context)
    assert resolved(provider)._get_provider_option("zone_id") == "zone-from-the-environment"
    assert kept == ["zone-from-the-environment"]


def test_what_lexicon_logs_goes_nowhere(caplog):
    provider_module("gehirn")
    logging.getLogger("lexicon._private.providers.gehirn").error("the whole answer")
    assert caplog.text == ""


class Fake:
    """A client that behaves like the worst of lexicon's."""

    domain = "example.com"

    def __init__(self, records=(), fails=None):
        self.records, self.fails, self.deleted = list(records), fails, 0

    def list_records(self, _kind, name, content=None):
        return [one for one in self.records if content is None or one["content"] == content]

    def delete_record(self, _identifier, _kind, _name, content):
        self.deleted += 1
        if self.fails:
            raise self.fails
        self.records.clear()  # like one that takes everything away when the value is not there


RECORD = TxtRecord(name="_acme-challenge.example.com", value="v" * 43, zone="example.com")


def with_client(name, client):
    provider = made(name, whole(name))
    provider._ready["example.com"] = client
    return provider


def test_gehirn_is_not_asked_to_remove_what_is_not_there():
    client = Fake([{"name": RECORD.name, "content": "another"}])
    with_client("gehirn", client).remove(RECORD)
    assert client.deleted == 0
    assert client.records


def test_gandi_s_complaint_that_there_is_nothing_to_remove_is_no_error():
    client = Fake(fails=Exception("Record identifier could not be found."))
    with_client("gandi", client).remove(RECORD)
    assert client.deleted == 1


def test_a_removal_that_fails_while_the_record_is_there_is_an_error():
    client = Fake([{"name": RECORD.name, "content": f'"{RECORD.value}"'}], fails=Exception("Locked."))
    with pytest.raises(PluginError, match=r"Gandi LiveDNS, zone [a-z.]+: Locked"):
        with_client("gandi", client).remove(RECORD)


SPEAKER = Speaker(title="Cloudy", file="/etc/dns.ini", secrets=("s3cr3t/value", "abcd"))


def http_error(status, body="", url="https://api.example/?key=s3cr3t%2Fvalue"):
    response = requests.Response()
    response.status_code, response.url = status, url
    response._content = body.encode()
    try:
        response.raise_for_status()
    except requests.HTTPError as error:
        return error
    raise AssertionError(status)


def told(error, *, changing=True):
    said = explained(error, SPEAKER, zone="a.example", changing=changing)
    text = f"{said.message} {said.hint}"
    assert "s3cr3t" not in text
    assert "https://" not in text
    assert text.isprintable()
    return said


@pytest.mark.parametrize(
    ("error", "changing", "words"),
    [
        (http_error(401), True, "does not accept the credentials (status 401)"),
        (http_error(403), False, "does not accept the credentials (status 403)"),
        (http_error(403), True, "does not let these credentials change the zone a.example (status 403)"),
        (http_error(400, '{"message": "Invalid API token"}'), False, "not accept the credentials (status 400: Inv"),
        (http_error(429), True, "wants fewer requests (status 429)"),
        (http_error(502, "<html>oh</html>"), True, "has a problem of its own (status 502)"),
        (http_error(422, '{"errors": [{"message": "ttl too low"}]}'), True, "(status 422: ttl too low)"),
        (http_error(422, '{"error": {"code": "x", "message": "ttl\\n\\u001b low"}}'), True, "(status 422: ttl ? low)"),
        (http_error(400, '{"message": "key s3cr3t/value is bad"}'), True, "key [hidden] is bad"),
        (http_error(400, '{"message": "see https://x.example/?k=1 now"}'), True, "see its API now"),
        (http_error(400, '{"message": "' + "x" * 5000 + '"}'), True, "xxx...)"),
        (requests.exceptions.ConnectionError("https://api.example/?key=s3cr3t/value refused"), True, "cannot be reach"),
        (requests.exceptions.SSLError("https://api.example/"), True, "certificate is not valid here"),
        (requests.exceptions.ReadTimeout("https://api.example/"), True, "cannot be reached"),
        (ConnectionResetError(104, "reset"), True, "cannot be reached"),
        (KeyError("result"), True, "something unexpected (KeyError)"),
        (requests.exceptions.JSONDecodeError("x", "s3cr3t/value", 0), True, "something that is not JSON"),
        (Exception("bad s3cr3t%2Fvalue at https://x.example/y"), True, "zone a.example: bad [hidden] at its API"),
        (Exception(), True, "zone a.example: Exception"),
        (Unanswered(120.0), True, "did not answer for the zone a.example in 120 seconds"),
    ],
)
def test_what_goes_wrong_is_one_line_without_secrets(error, changing, words):
    assert words in told(error, changing=changing).message


def chained(text, status):
    error = Exception(text)
    error.__context__ = http_error(status)
    return error


@pytest.mark.parametrize(
    ("error", "is_it"),
    [
        (Exception("No domain found"), True),
        (Exception("Domain not found"), True),
        (Exception("Domain a.b.example not found"), True),
        (Exception("Resource group `x` in subscription `y` does not contain the DNS zone `a.example`"), True),
        (Exception("There is no zone for a.example."), True),
        (Exception("Authentication failed: `2019166 - Domain a.example not found`"), True),
        (http_error(404), True),
        (http_error(400, '{"Code": "InvalidDomainName.NoExist", "Message": "x"}'), True),
        (http_error(422, '{"error": "Could not find domain \'a.example.\'"}'), True),
        (chained("Domain 'a.example' not found (401).", 401), False),
        (http_error(503), False),
        (Exception("Incorrect API keys"), False),
        (requests.exceptions.ConnectionError("no zone"), False),
    ],
)
def test_a_missing_zone_is_told_from_other_trouble(error, is_it):
    assert is_no_zone(error) is is_it
