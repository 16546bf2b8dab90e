"""A browser by hand signs in at the provider's own pages, and comes back to a gateway.

python -m tests.conformance openid
"""

import asyncio
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.chatting import ok, refusal
from tests.conftest import Broker, free_port
from tests.fleet import wait_until
from tests.identity import answers
from tests.whole_mesh import Mesh

SECRET = "known to both, and to nobody else"
STEPS = 10
"""Redirections until a browser gives up."""


class Browser:
    """Keeps cookies, and goes where it is sent. refuses: to let the mesh know who one is."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh.anonymous()
        self.there = httpx.AsyncClient(timeout=60)

    async def leave(self, name: str, refuses: bool = False) -> httpx.URL:
        """Sign in as somebody at the provider; returns the address that it sends back to."""
        away = await self.mesh.get("/auth/login/oidc")
        at = httpx.URL(away.headers["location"])
        for _ in range(STEPS):
            if at.path.startswith("/auth/callback/"):
                return at
            page = await self.there.get(at)
            if not page.is_redirect:
                page = await self._answer(page, name, refuses)
            assert page.is_redirect, page.text
            at = at.join(page.headers["location"])
        raise AssertionError(f"sent from page to page, at last to {at}")

    async def _answer(self, page: httpx.Response, name: str, refuses: bool) -> httpx.Response:
        """Fill in one of the provider's pages: who one is, then whether the mesh may know."""
        assert page.status_code == 200, page.text
        signing_in = 'value="login"' in page.text
        if refuses and not signing_in:
            return await self.there.get(f"{page.url}/abort")
        said = {"prompt": "login", "login": name, "password": "any"}
        return await self.there.post(page.url, data=said if signing_in else {"prompt": "consent"})

    async def close(self) -> None:
        await self.mesh.aclose()
        await self.there.aclose()


async def one_signs_in_and_is_the_same_person_again(browser: Browser, mesh: Mesh) -> None:
    found = []
    for name in ("ada", "ada", "bob"):
        browser.there.cookies.clear()
        pair: dict[str, Any] = ok(await browser.mesh.get(await browser.leave(name)))
        headers = {"Authorization": f"Bearer {pair['access_token']['access_token']}"}
        found.append(ok(await browser.mesh.get("/account", headers=headers)))
    ada, again, bob = found
    assert ada == again and ada["id"] != bob["id"]
    assert (ada["provider"], ada["account"], ada["display_name"]) == ("oidc", "ada", "ada")


async def a_way_back_is_gone_once(browser: Browser, mesh: Mesh) -> None:
    back = await browser.leave("ada")
    cookies = dict(browser.mesh.cookies)
    ok(await browser.mesh.get(back))
    browser.mesh.cookies.update(cookies)
    refusal(await browser.mesh.get(back), 401, "invalid_token")


async def who_does_not_agree_is_not_signed_in(browser: Browser, mesh: Mesh) -> None:
    back = await browser.leave("eve", refuses=True)
    assert back.params["error"] == "access_denied"
    refusal(await browser.mesh.get(back), 401, "invalid_token")


async def a_wrong_secret_signs_nobody_in(browser: Browser, mesh: Mesh) -> None:
    back = await browser.leave("ada")
    mesh.stop("gateway")
    mesh.limit(oidc_client_secret="another")
    mesh.start("gateway")
    assert "secret" in refusal(await browser.mesh.get(back), 503, "provider_unavailable")


Check = Callable[[Browser, Mesh], Awaitable[None]]
CHECKS: tuple[Check, ...] = (
    one_signs_in_and_is_the_same_person_again,
    a_way_back_is_gone_once,
    who_does_not_agree_is_not_signed_in,
    a_wrong_secret_signs_nobody_in,
)


def run(provider: list[str]) -> list[str]:
    """Sign in every way; what failed. provider: the command that runs it."""
    with tempfile.TemporaryDirectory() as data, between(provider, Path(data)) as mesh:
        return asyncio.run(_all(mesh))


async def _all(mesh: Mesh) -> list[str]:
    failed = []
    for check in CHECKS:
        browser = Browser(mesh)
        try:
            await check(browser, mesh)
        except Exception as error:
            failed.append(f"{check.__name__.replace('_', ' ')}: {error!r}")
        finally:
            await browser.close()
    return failed


@contextmanager
def between(provider: list[str], data: Path) -> Iterator[Mesh]:
    """A provider and a mesh that believes it; both ended afterwards."""
    port, broker = free_port(), Broker(data)
    issuer = f"http://127.0.0.1:{port}"
    broker.start()
    mesh = Mesh(
        broker,
        oidc_issuer=issuer,
        oidc_client_id="mesh",
        oidc_client_secret=SECRET,
        oauth_allow="@example.org",
        allowed_hosts="127.0.0.1",
    )
    command = [*provider, str(port), SECRET, f"{mesh.url}/auth/callback/oidc"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until("the provider answers", lambda: answers(f"{issuer}/jwks"))
        mesh.start("store", "gateway")
        yield mesh
    finally:
        mesh.close()
        process.kill()
        process.wait()
        broker.kill()
