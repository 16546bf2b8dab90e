"""What pages may send that call the gateway with OpenAI's own library."""

from collections.abc import Callable

from tests.whole_mesh import Mesh

FRONT = "https://front.example"

SENT = {
    "authorization",
    "content-type",
    "openai-beta",
    "openai-organization",
    "openai-project",
    "x-stainless-arch",
    "x-stainless-helper-method",
    "x-stainless-lang",
    "x-stainless-os",
    "x-stainless-package-version",
    "x-stainless-retry-count",
    "x-stainless-runtime",
    "x-stainless-runtime-version",
    "x-stainless-timeout",
}


async def test_headers_of_openai_s_library_are_allowed_and_no_others(
    new_mesh: Callable[..., Mesh],
) -> None:
    mesh = new_mesh(allowed_origins=FRONT)
    mesh.start("gateway")
    asked = SENT | {"x-evil", "trustedclient", "x-stainless-\u00fc", "x-stainless-" + "a" * 99}
    wish = {
        b"Access-Control-Request-Method": b"POST",
        b"Access-Control-Request-Headers": ",".join(sorted(asked)).encode("latin-1"),
    }
    async with mesh.anonymous(headers={"Origin": FRONT}) as page:
        preflight = await page.options("/v1/chat/completions", headers=wish)
        allowed = preflight.headers["access-control-allow-headers"].lower()
        found = {name.strip() for name in allowed.split(",")}
    assert preflight.status_code == 204
    assert found & asked == SENT
    assert "idempotency-key" in found
