"""The providers that lexicon reaches and that have a name of their own here, one row each.

Names, keys and waiting times are those of certbot's plugins where it has one, of its users' plugins otherwise, so that
a credentials file goes on to work. ``option`` is what lexicon calls the same thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of a credentials file. ``values``: the only ones that are allowed; empty for any."""

    name: str
    option: str
    help: str
    secret: bool = True
    required: bool = True
    example: str = ""
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One provider.

    ``lexicon`` is lexicon's name for it. ``alternatives``: sets of keys of which exactly one must be there. ``fixed``:
    options of lexicon that are always set. ``ttl`` in seconds is the least that the provider takes and no less than
    certbot's. ``seconds`` is how long certbot waits. ``looks_first``: adding a value that is there already would make
    it stand there twice, or fail. ``looks_before_removing``: removing a value that is not there would take others away.
    ``searches_value``: its search by name alone is not exact or not complete. ``at_sign``: lexicon must be told ``@``
    for the zone's own name. ``note`` is for the documentation.
    """

    name: str
    title: str
    lexicon: str
    keys: tuple[Key, ...]
    alternatives: tuple[tuple[str, ...], ...] = ()
    fixed: Mapping[str, str] = field(default_factory=dict)
    ttl: int = 60
    seconds: int = 60
    looks_first: bool = False
    looks_before_removing: bool = False
    searches_value: bool = False
    at_sign: bool = False
    note: str = ""


OVH_ENDPOINTS = ("ovh-eu", "ovh-ca", "ovh-us", "kimsufi-eu", "kimsufi-ca", "soyoustart-eu", "soyoustart-ca")


def _token(name: str, help_text: str, *, option: str = "auth_token", example: str) -> Key:
    return Key(name=name, option=option, help=help_text, example=example)


ROWS = (
    Row(
        name="cloudflare",
        title="Cloudflare",
        lexicon="cloudflare",
        keys=(
            Key(
                name="api_token",
                option="auth_token",
                help="API token that may read zones and edit their DNS",
                required=False,
                example="0123456789abcdef0123456789abcdef01234567",
            ),
            Key(
                name="email",
                option="auth_username",
                help="instead of the token: address of the account, with its global key",
                secret=False,
                required=False,
                example="admin@example.com",
            ),
            Key(
                name="api_key",
                option="auth_token",
                help="instead of the token: global API key of the account",
                required=False,
                example="0123456789abcdef0123456789abcdef01234",
            ),
        ),
        alternatives=(("api_token",), ("email", "api_key")),
        ttl=120,
        seconds=10,
    ),
    Row(
        name="digitalocean",
        title="DigitalOcean",
        lexicon="digitalocean",
        at_sign=True,
        keys=(_token("token", "API token with write access", example="dop_v1_0123456789abcdef"),),
        ttl=30,
        seconds=10,
    ),
    Row(
        name="dnsimple",
        title="DNSimple",
        lexicon="dnsimple",
        keys=(_token("token", "API access token", example="MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw"),),
        seconds=30,
    ),
    Row(
        name="dnsmadeeasy",
        title="DNS Made Easy",
        lexicon="dnsmadeeasy",
        keys=(
            _token("api_key", "API key", option="auth_username", example="1c1a3c91-4770-4ce7-96f4-54c0eb0e457a"),
            _token("secret_key", "secret key", example="c9b5625f-9834-4ff8-baba-4ed5f32cae55"),
        ),
        looks_first=True,
    ),
    Row(
        name="gehirn",
        title="Gehirn Infrastructure Service",
        lexicon="gehirn",
        keys=(
            _token("api_token", "API token", example="00000000-0000-0000-0000-000000000000"),
            _token("api_secret", "API secret", option="auth_secret", example="MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw"),
        ),
        seconds=30,
        looks_before_removing=True,
    ),
    Row(
        name="linode",
        title="Linode (Akamai)",
        lexicon="linode",
        keys=(_token("key", "API token with read and write access to domains", example="0123456789abcdef01234567"),),
        seconds=120,
        note="Records get the zone's own TTL.",
    ),
    Row(
        name="luadns",
        title="LuaDNS",
        lexicon="luadns",
        keys=(
            Key(
                name="email",
                option="auth_username",
                help="address of the account",
                secret=False,
                example="user@example.com",
            ),
            _token("token", "API token", example="0123456789abcdef0123456789abcdef"),
        ),
        seconds=30,
    ),
    Row(
        name="nsone",
        title="NS1",
        lexicon="nsone",
        keys=(_token("api_key", "API key", example="MDAwMDAwMDAwMDAwMDAw"),),
        seconds=30,
    ),
    Row(
        name="ovh",
        title="OVHcloud",
        lexicon="ovh",
        keys=(
            Key(
                name="endpoint",
                option="auth_entrypoint",
                help=f"which API: {', '.join(OVH_ENDPOINTS)}",
                secret=False,
                example="ovh-eu",
                values=OVH_ENDPOINTS,
            ),
            _token("application_key", "application key", option="auth_application_key", example="MDAwMDAwMDAwMDAw"),
            _token(
                "application_secret",
                "application secret",
                option="auth_application_secret",
                example="MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw",
            ),
            _token(
                "consumer_key",
                "consumer key with GET, PUT, POST and DELETE on /domain/zone/*",
                option="auth_consumer_key",
                example="MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw",
            ),
        ),
        seconds=120,
        looks_first=True,
    ),
    Row(
        name="sakuracloud",
        title="Sakura Cloud",
        lexicon="sakuracloud",
        keys=(
            _token("api_token", "access token", example="00000000-0000-0000-0000-000000000000"),
            _token("api_secret", "access token secret", option="auth_secret", example="MDAwMDAwMDAwMDAwMDAwMDAwMDAw"),
        ),
        seconds=90,
    ),
    Row(
        name="gandi",
        title="Gandi LiveDNS",
        lexicon="gandi",
        at_sign=True,
        keys=(_token("token", "personal access token, or an API key of LiveDNS", example="0123456789abcdef01234567"),),
        fixed={"api_protocol": "rest"},
        ttl=300,
        looks_first=True,
    ),
    Row(
        name="hetzner",
        title="Hetzner",
        lexicon="hetzner",
        at_sign=True,
        keys=(
            _token(
                "api_token",
                "API token of the Console project that has the zone",
                example="nohnah4zoo9Kiejee9aGh0thoope",
            ),
        ),
        note="A token of 32 characters is one for the old DNS Console.",
    ),
    Row(
        name="desec",
        title="deSEC",
        lexicon="desec",
        keys=(_token("token", "API token", example="i-T3b1h_OI-H9ab8tRS98stGtURe"),),
        ttl=3600,
        seconds=80,
    ),
    Row(
        name="godaddy",
        title="GoDaddy",
        lexicon="godaddy",
        at_sign=True,
        keys=(
            _token("key", "API key", option="auth_key", example="dLDgpp0123456789_abc"),
            _token("secret", "API secret", option="auth_secret", example="0123456789abcdefABCDEF"),
        ),
        ttl=600,
        seconds=120,
        note="Taking a record away writes all TXT records of the zone anew.",
    ),
    Row(
        name="namecheap",
        title="Namecheap",
        lexicon="namecheap",
        at_sign=True,
        keys=(
            Key(
                name="username",
                option="auth_username",
                help="name of the account",
                secret=False,
                example="my-username",
            ),
            _token("api_key", "API key; the machine's address must be on its list", example="0123456789abcdef01234567"),
            Key(
                name="client_ip",
                option="auth_client_ip",
                help="public IPv4 address of this machine (127.0.0.1)",
                secret=False,
                required=False,
                example="192.0.2.1",
            ),
        ),
        fixed={"auth_client_ip": "127.0.0.1"},
        seconds=120,
        looks_first=True,
        note="Every change writes all records of the zone anew; its API does not know all types, SRV for one.",
    ),
    Row(
        name="porkbun",
        title="Porkbun",
        lexicon="porkbun",
        keys=(
            _token("key", "API key", option="auth_key", example="pk1_0123456789abcdef"),
            _token("secret", "secret API key", option="auth_secret", example="sk1_0123456789abcdef"),
        ),
        ttl=600,
        note="API access must be switched on for the domain.",
    ),
    Row(
        name="vultr",
        title="Vultr",
        lexicon="vultr",
        keys=(_token("key", "API key; the machine's address must be on its list", example="0123456789ABCDEF01234567"),),
        ttl=120,
    ),
    Row(
        name="azure",
        title="Azure DNS",
        lexicon="azure",
        at_sign=True,
        keys=(
            Key(
                name="tenant_id",
                option="auth_tenant_id",
                help="tenant (directory) ID",
                secret=False,
                example="ed1090f3-ab18-4b12-816c-599af8a88cf7",
            ),
            Key(
                name="sp_client_id",
                option="auth_client_id",
                help="client (application) ID of the service principal",
                secret=False,
                example="912ce44a-0156-4669-ae22-c16a17d34ca5",
            ),
            _token(
                "sp_client_secret",
                "client secret of the service principal",
                option="auth_client_secret",
                example="E-xqXU83Y-jzTI6xe9fs2YC~mck3ZzUih9",
            ),
            Key(
                name="subscription_id",
                option="auth_subscription_id",
                help="subscription ID of the resource group",
                secret=False,
                example="c135abce-d87d-48df-936c-15596c6968a5",
            ),
            Key(
                name="resource_group",
                option="resource_group",
                help="resource group that holds the zone",
                secret=False,
                example="dns1",
            ),
        ),
    ),
    Row(
        name="aliyun",
        title="Alibaba Cloud DNS (Aliyun)",
        lexicon="aliyun",
        at_sign=True,
        keys=(
            _token("access_key", "access key ID", option="auth_key_id", example="LTAI0123456789abcdef"),
            _token(
                "access_key_secret", "access key secret", option="auth_secret", example="0123456789abcdefABCDEF01234567"
            ),
        ),
        ttl=600,
        searches_value=True,
    ),
    Row(
        name="tencentcloud",
        title="Tencent Cloud DNSPod",
        lexicon="qcloud",
        at_sign=True,
        keys=(
            _token("secret_id", "secret ID", option="secret_id", example="AKID0123456789abcdef"),
            _token("secret_key", "secret key", option="secret_key", example="0123456789abcdefABCDEF"),
        ),
        ttl=600,
        note="It also needs Tencent's own library: the extra qcloud of dns-lexicon.",
    ),
    Row(
        name="dnspod",
        title="DNSPod (dnspod.cn)",
        lexicon="dnspod",
        at_sign=True,
        keys=(
            _token("api_id", "ID of the API token", option="auth_username", example="12345"),
            _token("api_token", "API token", example="0123456789abcdef0123456789abcdef"),
        ),
        ttl=600,
    ),
)

BY_NAME = {row.name: row for row in ROWS}
BY_LEXICON = {row.lexicon: row for row in ROWS}
