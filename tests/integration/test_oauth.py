"""Signing in through other sites: a real provider in a process of its own, and a browser by hand.

The provider is strict (state, PKCE, one use of a code), and wrong on request in one point; another
one, written by others, shows that ours is not only right towards itself.
"""

import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.chatting import ok, refusal
from tests.conftest import Broker, free_port
from tests.fleet import wait_until
from tests.identity import answers, sites
from tests.identity import issuer as issuer
from tests.identity_server import CLIENT_ID, CLIENT_SECRET
from tests.whole_mesh import Mesh


@pytest.fixture(scope="module")
def mesh(issuer: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """A mesh that lets people in through all kinds of sites; strangers only of one domain."""
    broker = Broker(tmp_path_factory.mktemp("oauth"))
    broker.start()
    mesh = Mesh(broker, **sites(issuer), oauth_allow="@example.org")
    try:
        mesh.start("store", "gateway")
        yield mesh
    finally:
        mesh.close()
        broker.kill()


class Browser:
    """Goes where it is sent, a step at a time; keeps cookies."""

    def __init__(self, mesh: Mesh) -> None:
        self.http = mesh.anonymous()

    async def leave(self, site: str, user: str, fault: str = "") -> str:
        """Go to a site and sign in there; returns the address that it sends back to."""
        away = await self.http.get(f"/auth/login/{site}")
        assert away.status_code == 302, away.text
        url = httpx.URL(away.headers["location"])
        url = url.copy_merge_params({"login_as": user, "fault": fault})
        async with httpx.AsyncClient(timeout=60) as elsewhere:
            back = await elsewhere.get(url)
        assert back.status_code == 302, back.text
        return str(back.headers["location"])

    async def sign_in(self, site: str, user: str, fault: str = "") -> httpx.Response:
        return await self.http.get(await self.leave(site, user, fault))


Open = Callable[[], Browser]


@pytest.fixture
async def browser(mesh: Mesh) -> AsyncIterator[Open]:
    """Opens browsers, each with cookies of its own."""
    opened: list[Browser] = []

    def open() -> Browser:
        opened.append(Browser(mesh))
        return opened[-1]

    yield open
    for each in opened:
        await each.http.aclose()


async def account(mesh: Mesh, pair: dict[str, Any]) -> dict[str, Any]:
    """Who was signed in."""
    headers = {"Authorization": f"Bearer {pair['access_token']['access_token']}"}
    async with mesh.anonymous() as http:
        found: dict[str, Any] = ok(await http.get("/account", headers=headers))
        return found


# --- the way in -----------------------------------------------------------------------------------


@pytest.mark.parametrize("site", ["oidc", "github", "discord"])
async def test_one_signs_in_through_a_site_and_is_the_same_person_again(
    mesh: Mesh, site: str, browser: Open
) -> None:
    first = await account(mesh, ok(await browser().sign_in(site, "ada")))
    again = await account(mesh, ok(await browser().sign_in(site, "ada")))
    other = await account(mesh, ok(await browser().sign_in(site, "bob")))
    assert first == again and other["id"] != first["id"]
    assert (first["provider"], first["role"]) == (site, "user")
    names = {"oidc": "Ada of OIDC", "github": "ada", "discord": "Ada of Discord"}
    assert first["display_name"] == names[site]


@pytest.mark.parametrize("site", ["oidc", "github", "discord"])
async def test_a_name_that_a_site_tells_neither_commands_a_terminal_nor_turns_a_line(
    mesh: Mesh, site: str, browser: Open
) -> None:
    back = await browser().sign_in(site, "eve\n\x1b[2J\u202eadmin\u200b")
    name = (await account(mesh, ok(back)))["display_name"]
    assert name.casefold().startswith("eve [2j admin") and name.isprintable()


async def test_the_ways_in_are_listed(mesh: Mesh) -> None:
    async with mesh.anonymous() as http:
        assert ok(await http.get("/auth/providers")) == ["password", "oidc", "github", "discord"]
        refusal(await http.get("/auth/login/google"), 404, "not_found")
        refusal(await http.get("/auth/callback/google"), 404, "not_found")


async def test_a_browser_is_sent_on_to_the_page_without_a_token_in_its_address(
    mesh: Mesh, browser: Open
) -> None:
    mine = browser()
    back = await mine.leave("oidc", "ada")
    arrived = await mine.http.get(back, headers={"Accept": "text/html"})
    assert (arrived.status_code, arrived.headers["location"]) == (303, "/#/signed-in")
    cookies = arrived.headers.get_list("set-cookie")
    assert all("HttpOnly" in cookie for cookie in cookies)
    renewed = ok(await mine.http.post("/auth/ticket"))
    headers = {"Authorization": f"Bearer {renewed['access_token']}"}
    assert ok(await mine.http.get("/account", headers=headers))["display_name"] == "Ada of OIDC"
    refusal(await mine.http.post("/auth/ticket"), 403, "not_authenticated")


async def test_what_leaves_for_the_site_is_what_the_standards_ask_for(
    mesh: Mesh, browser: Open
) -> None:
    mine = browser()
    seen = set()
    for _ in range(2):
        away = await mine.http.get("/auth/login/oidc")
        asked = parse_qs(urlsplit(away.headers["location"]).query)
        assert asked["redirect_uri"] == [f"{mesh.url}/auth/callback/oidc"]
        assert asked["code_challenge_method"] == ["S256"]
        assert CLIENT_SECRET not in away.headers["location"]
        seen |= {asked["state"][0], asked["nonce"][0], asked["code_challenge"][0]}
    assert len(seen) == 6, "each attempt has its own"


# --- who gets in ----------------------------------------------------------------------------------


async def test_strangers_are_not_let_in_and_are_told_their_number(
    mesh: Mesh, browser: Open
) -> None:
    for site in ("oidc", "github", "discord"):
        refused = await browser().sign_in(site, "mallory", "unverified")
        assert "Ask an admin" in refusal(refused, 403, "forbidden")


async def test_an_account_that_is_there_is_let_in_whatever_the_list_says(
    mesh: Mesh, browser: Open
) -> None:
    made = await account(mesh, ok(await browser().sign_in("github", "carol")))
    again = await browser().sign_in("github", "carol", "unverified")
    assert (await account(mesh, ok(again)))["id"] == made["id"]


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        "wrong_nonce",
        "no_nonce",
        "wrong_issuer",
        "wrong_audience",
        "shared_audience",
        "wrong_party",
        "no_subject",
        "expired",
        "unsigned",
        "shared_secret",
        "unknown_key",
        "forged",
        "mix_up",
        "denied",
    ],
)
async def test_an_answer_that_is_not_right_signs_nobody_in(
    mesh: Mesh, fault: str, browser: Open
) -> None:
    refusal(await browser().sign_in("oidc", "eve", fault), 401, "invalid_token")


@pytest.mark.parametrize("site", ["oidc", "github", "discord"])
async def test_a_wrong_secret_is_the_operators_to_mend_and_is_said_so(
    issuer: str, site: str, new_mesh: Callable[..., Mesh], caplog: pytest.LogCaptureFixture
) -> None:
    mesh = new_mesh(**sites(issuer) | {f"{site}_client_secret": "another"})
    mesh.start("store", "gateway")
    browser = Browser(mesh)
    said = refusal(await browser.sign_in(site, "ada"), 503, "provider_unavailable")
    assert "client id and secret" in said
    assert "client id and secret" in caplog.text and "another" not in caplog.text
    await browser.http.aclose()


async def test_userinfo_of_another_person_is_not_believed(mesh: Mesh, browser: Open) -> None:
    """Without it there is no address that the list could name."""
    refusal(await browser().sign_in("oidc", "eve", "wrong_person"), 403, "forbidden")


async def test_new_keys_of_the_site_are_fetched(mesh: Mesh, browser: Open) -> None:
    ok(await browser().sign_in("oidc", "ada"))
    ok(await browser().sign_in("oidc", "ada", "rotated"))


async def test_another_browser_cannot_use_the_way_back(mesh: Mesh, browser: Open) -> None:
    """Whoever makes somebody else follow this link would sign them in as himself."""
    back = await browser().leave("oidc", "eve")
    for victim in (browser(), browser()):
        refusal(await victim.http.get(back), 401, "invalid_token")
        await victim.leave("oidc", "ada")  # has an attempt of its own
        refusal(await victim.http.get(back), 401, "invalid_token")


async def test_the_way_back_has_to_bring_the_state_it_left_with(browser: Open) -> None:
    mine = browser()
    back = httpx.URL(await mine.leave("oidc", "ada"))
    for state in ("", "x" * 43, "ü"):
        changed = back.copy_set_param("state", state)
        refusal(await mine.http.get(changed), 401, "invalid_token")
    ok(await mine.http.get(back))


async def test_the_way_back_of_one_site_is_not_anothers(mesh: Mesh, browser: Open) -> None:
    mine = browser()
    back = await mine.leave("github", "ada")
    refusal(await mine.http.get(back.replace("/github", "/oidc")), 401, "invalid_token")


async def test_a_code_is_good_once(mesh: Mesh, browser: Open) -> None:
    mine = browser()
    back = await mine.leave("oidc", "ada")
    cookies = dict(mine.http.cookies)
    ok(await mine.http.get(back))
    mine.http.cookies.update(cookies)
    refusal(await mine.http.get(back), 401, "invalid_token")


async def test_a_site_that_does_not_work_is_503_and_named_a_try_again(
    new_mesh: Callable[..., Mesh], mesh: Mesh, browser: Open
) -> None:
    refused = await browser().sign_in("oidc", "ada", "down")
    refusal(refused, 503, "provider_unavailable")
    nobody = f"http://127.0.0.1:{free_port()}"
    away = new_mesh(**sites(nobody))
    away.start("store", "gateway")
    async with away.anonymous() as http:
        response = await http.get("/auth/login/oidc")
    refusal(response, 503, "provider_unavailable")
    assert response.headers["retry-after"]


async def test_a_name_that_leads_to_another_site_hands_nobodys_account_over(
    issuer: str, others: str, new_mesh: Callable[..., Mesh]
) -> None:
    """Whoever has the same id there is somebody else (OpenID Connect Core 1.0, section 5.7)."""
    here = {"oidc_client_id": CLIENT_ID, "oidc_client_secret": CLIENT_SECRET}
    mesh = new_mesh(**here, oidc_issuer=issuer, oauth_allow="*", allowed_hosts="127.0.0.1")
    mesh.start("store", "gateway")
    browser = Browser(mesh)
    ada = await account(mesh, ok(await browser.sign_in("oidc", "ada")))
    await browser.http.aclose()
    mesh.stop("gateway")
    mesh.limit(oidc_issuer=others)
    mesh.start("gateway")
    async with mesh.anonymous() as http, httpx.AsyncClient(timeout=60) as elsewhere:
        away = await http.get("/auth/login/oidc")
        back = await elsewhere.post(away.headers["location"], data={"sub": ada["account"]})
        refused = await http.get(back.headers["location"])
    assert issuer in refusal(refused, 403, "forbidden")


# --- a provider that others wrote -----------------------------------------------------------------


@pytest.fixture
def others() -> Iterator[str]:
    """The address of `oidc-provider-mock`, which is made with Authlib."""
    port = free_port()
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://localhost:{port}"
    try:
        wait_until(
            "the provider answers",
            lambda: answers(f"{url}/.well-known/openid-configuration"),
        )
        yield url
    finally:
        process.kill()
        process.wait()


async def test_a_provider_that_others_wrote_lets_people_in(
    others: str, new_mesh: Callable[..., Mesh]
) -> None:
    mesh = new_mesh(
        oidc_issuer=others,
        oidc_name="elsewhere",
        oidc_client_id="mesh",
        oidc_client_secret="secret",
        oauth_allow="*",
        allowed_hosts="127.0.0.1",
    )
    mesh.start("store", "gateway")
    async with mesh.anonymous() as http, httpx.AsyncClient(timeout=60) as elsewhere:
        away = await http.get("/auth/login/elsewhere")
        back = await elsewhere.post(away.headers["location"], data={"sub": "ada"})
        assert back.status_code == 302, back.text
        pair = ok(await http.get(back.headers["location"]))
    found = await account(mesh, pair)
    assert (found["provider"], found["account"]) == ("elsewhere", "ada")


async def test_who_has_no_password_makes_keys_like_everybody_else(
    mesh: Mesh, browser: Open
) -> None:
    pair = ok(await browser().sign_in("oidc", "ada"))
    headers = {"Authorization": f"Bearer {pair['access_token']['access_token']}"}
    async with mesh.anonymous() as http:
        made = ok(await http.post("/account/keys", json={"name": "n"}, headers=headers))
        key = {"Authorization": f"Bearer {made['secret']}"}
        assert ok(await http.get("/auth/check", headers=key)) == (await account(mesh, pair))["id"]
        refusal(await http.post("/account/keys", json={"name": "n"}, headers=key), 403, "forbidden")
