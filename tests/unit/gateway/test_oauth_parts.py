"""What signing in through other sites rests on, part by part: attempts, sites, who is welcome."""

import time
from base64 import urlsafe_b64encode
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from mesh.gateway.names import LONGEST_NAME, NO_NAME, cleaned
from mesh.gateway.oauth import id_token
from mesh.gateway.oauth.attempt import LASTS, Attempt
from mesh.gateway.oauth.fetch import get
from mesh.gateway.oauth.id_token import Claims
from mesh.gateway.oauth.identity import Identity, is_welcome
from mesh.gateway.oauth.providers import is_safe, providers
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.settings import GatewaySettings

KEY = b"a key"
DEEP = b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


def test_an_attempt_that_comes_back_is_the_one_that_left() -> None:
    left = Attempt(KEY, "oidc")
    back = Attempt.back(KEY, "oidc", left.cookie, left.state)
    assert (back.verifier, back.nonce) == (left.verifier, left.nonce)
    assert len(left.verifier) == 43 and left.challenge != left.verifier


def test_a_cookie_of_another_key_or_site_or_time_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    left = Attempt(KEY, "oidc")
    cookie = left.cookie
    for key, site, brought in (
        (b"another", "oidc", cookie),
        (KEY, "github", cookie),
        (KEY, "oidc", ""),
        (KEY, "oidc", cookie[:-1]),
        (KEY, "oidc", cookie.replace(".", ".9", 1)),
    ):
        with pytest.raises(MeshError):
            Attempt.back(key, site, brought, left.state)
    later = time.time() + LASTS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(MeshError, match="took too long"):
        Attempt.back(KEY, "oidc", cookie, left.state)


ADA = Identity(account="1", name="Ada", username="Ada", email="Ada@Example.org")


@pytest.mark.parametrize("listed", ["*", "x, @example.org", "ada@example.ORG", "github:ada"])
def test_who_is_listed_is_welcome(listed: str) -> None:
    assert is_welcome("github", ADA, listed)


@pytest.mark.parametrize(
    "listed",
    ["", " , ", "@", "@ample.org", "example.org", "ada", "oidc:ada", "github:", "bob@example.org"],
)
def test_who_is_not_listed_is_not(listed: str) -> None:
    assert not is_welcome("github", ADA, listed)
    assert not is_welcome("github", Identity(account="2", name="Nobody"), listed or "@")


@pytest.mark.parametrize(
    ("email", "listed"),
    [
        ("eve@straße.de", "@strasse.de"),  # two domains, which anybody may buy
        ("eve@strasse.de", "@straße.de"),
        ("eve@ſtrasse.de", "@strasse.de"),
        ("eve@\u212aeys.example", "@keys.example"),  # a kelvin sign
        ("\u212aim@example.org", "kim@example.org"),
        ("eve@EXAMPLE.ORG.evil.example", "@example.org"),
    ],
)
def test_an_address_that_only_looks_alike_is_not_welcome(email: str, listed: str) -> None:
    assert not is_welcome("oidc", Identity(account="1", name="Eve", email=email), listed)


def test_an_address_that_is_not_ascii_is_welcome_as_it_is_spelled() -> None:
    for email, listed in (
        ("Ada@straße.de", "@straße.DE"),
        ("ada@XN--strae-oqa.de", "@xn--STRAE-oqa.de"),
    ):
        assert is_welcome("oidc", Identity(account="1", name="Ada", email=email), listed)


def test_by_openid_connect_an_id_is_welcome_and_no_name_that_people_choose() -> None:
    claims = Claims(sub="Id-1", preferred_username="boss", name="Boss")
    who = id_token.identity(claims)
    assert is_welcome("oidc", who, "x, oidc:Id-1")
    for listed in ("oidc:boss", "oidc:Boss", "oidc:id-1", "oidc:", "google:Id-1", "Id-1"):
        assert not is_welcome("oidc", who, listed), listed
    assert not is_welcome("github", ADA, "github:1"), "there a name may be a number"


@pytest.mark.parametrize("part", ["head", "claims"])
def test_an_id_token_that_is_nested_deeply_is_refused(part: str) -> None:
    """Be it signed by the issuer itself."""
    key = rsa.generate_private_key(65537, 2048)
    known = {"keys": [RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)]}
    token = jwt.PyJWS().encode(DEEP, key, "RS256")
    if part == "head":
        token = f"{urlsafe_b64encode(DEEP).rstrip(b'=').decode()}.{token.partition('.')[2]}"
    with pytest.raises(MeshError) as refused:
        id_token.read(token, known, "https://id.example", "mesh", "n")
    assert refused.value.code is ErrorCode.INVALID_TOKEN


async def test_a_site_that_answers_with_json_beyond_reading_is_unavailable() -> None:
    site = httpx.MockTransport(lambda request: httpx.Response(200, content=DEEP))
    async with httpx.AsyncClient(transport=site) as http:
        with pytest.raises(MeshError, match="not what it should be") as refused:
            await get(http, "https://id.example/keys", dict[str, Any])
    assert refused.value.code is ErrorCode.PROVIDER_UNAVAILABLE


def settings(**given: Any) -> GatewaySettings:
    return GatewaySettings(**given)


def test_sites_are_those_that_have_a_client_id() -> None:
    assert providers(settings()) == {}
    found = providers(settings(google_client_id="i", google_client_secret="s"))
    assert found["google"].url == "https://accounts.google.com" and found["google"].kind == "oidc"


def test_a_site_needs_a_secret_and_a_safe_address() -> None:
    with pytest.raises(MeshError, match="MESH_GITHUB_CLIENT_SECRET"):
        providers(settings(github_client_id="i"))
    for issuer in ("", "http://id.example.org", "ftp://127.0.0.1", "id.example.org"):
        with pytest.raises(MeshError, match="https"):
            given = {"oidc_client_id": "i", "oidc_client_secret": "s", "oidc_issuer": issuer}
            providers(settings(**given))


def test_http_is_for_this_machine_alone() -> None:
    assert is_safe("http://127.0.0.1:9/x") and is_safe("http://[::1]/") and is_safe("https://a.b")
    assert not is_safe("http://127.0.0.1.example.org") and not is_safe("http://10.0.0.1")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Ada Lovelace", "Ada Lovelace"),
        ("  ada\r\n\x1b[2J\u2028x ", "ada [2J x"),
        ("ada\u202egnp.exe", "ada gnp.exe"),
        ("\u200b\u2066\x00", "id-1"),
        ("", "id-1"),
        ("שלום 👩\u200d🔬", "שלום 👩\u200d🔬"),
        ("a" * 99 + "\n" + "b" * 99, "a" * 99),
    ],
)
def test_a_name_that_a_site_tells_is_shown_without_what_plays_tricks(said: str, shown: str) -> None:
    assert cleaned(said, "id-1") == shown
    assert not NO_NAME.search(cleaned(said, "id-1")) and len(shown) <= LONGEST_NAME
