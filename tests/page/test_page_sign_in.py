"""Signing in to the page: by name on one's own machine, by password anywhere; staying; leaving."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Route, expect

from tests.identity import issuer as issuer
from tests.identity import sites
from tests.page.tab import Tab
from tests.whole_mesh import ECHO, Mesh

LOADING = "Failed to load resource"


def password_of(mesh: Mesh) -> str:
    """The admin's, whom the first start has made."""
    return (mesh.broker.data_dir / "admin-password").read_text().strip()


@pytest.fixture
def network(new_mesh: Callable[..., Mesh]) -> Mesh:
    """A mesh on a network, as far as it knows: nobody gets in without an account."""
    mesh = new_mesh(allowed_hosts="127.0.0.1", access_ttl=2.0, refresh_leeway=0.0)
    mesh.start("store", "gateway", ECHO)
    return mesh


def test_on_a_network_one_signs_in_with_a_password(
    network: Mesh, new_tab: Callable[..., Tab]
) -> None:
    tab = new_tab(network.url)
    tab.expect_error(LOADING)
    tab.sign_in_with("admin", "wrong")
    expect(tab.page.get_by_role("alert")).to_contain_text("password")
    tab.sign_in_with("admin", password_of(network))
    tab.ask("hello")
    expect(tab.answers).to_have_text("hello")
    tab.page.reload()
    expect(tab.answers).to_have_text("hello")
    tab.page.get_by_role("link", name="The mesh", exact=True).click()
    expect(tab.button("Drain")).to_be_visible()  # an admin may


def test_a_session_outlasts_many_access_tokens(network: Mesh, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab(network.url)
    tab.expect_error(LOADING)
    tab.sign_in_with("admin", password_of(network))
    for number in range(3):
        tab.page.wait_for_timeout(2100)  # each refresh token is good for one of these
        tab.ask(f"question {number}")
        expect(tab.answers.nth(number)).to_have_text(f"question {number}")
    assert sum("/auth/refresh" in url for url in tab.requests) >= 3


def test_signing_out_ends_the_session_at_the_gateway_too(
    network: Mesh, new_tab: Callable[..., Tab]
) -> None:
    tab = new_tab(network.url)
    tab.expect_error(LOADING)
    tab.sign_in_with("admin", password_of(network))
    expect(tab.input).to_be_focused()
    kept = tab.page.evaluate("localStorage.getItem('mesh.session')")
    tab.page.locator(".account").click()
    with tab.page.expect_response(lambda response: response.url.endswith("/auth/logout")) as found:
        tab.page.get_by_role("menuitem", name="Sign out").click()
    assert found.value.status == 200
    tab.page.evaluate("(kept) => localStorage.setItem('mesh.session', kept)", kept)
    tab.page.wait_for_timeout(2100)  # the access token has run out
    tab.page.reload()
    expect(tab.page.get_by_label("Password")).to_be_visible()


def test_a_gateway_that_is_away_is_said_where_one_signs_in(
    new_mesh: Callable[..., Mesh], new_tab: Callable[..., Tab]
) -> None:
    mesh = new_mesh()
    mesh.start("store", "gateway", ECHO)
    tab = new_tab(mesh.url)
    tab.expect_error(LOADING)
    expect(tab.button("Begin")).to_be_visible()
    mesh.stop("gateway")
    tab.page.get_by_label("Your name").fill("ada")
    tab.button("Begin").click()
    expect(tab.page.get_by_role("alert")).to_have_text("The gateway does not answer.")
    mesh.start("gateway")
    tab.button("Begin").click()
    expect(tab.page.locator(".who")).to_have_text("ada")


def test_on_ones_own_machine_a_name_is_enough_and_a_password_will_do(
    mesh: Mesh, new_tab: Callable[..., Tab]
) -> None:
    tab = new_tab(mesh.url)
    expect(tab.button("Begin")).to_be_visible()
    tab.button("Sign in with a password").click()
    tab.sign_in_with("admin", password_of(mesh))
    expect(tab.page.locator(".who")).to_have_text("admin")


def as_ada(route: Route) -> None:
    """On its way out the browser says who will sign in there."""
    response = route.fetch(max_redirects=0)
    headers = dict(response.headers)
    headers["location"] += "&login_as=ada"
    route.fulfill(response=response, headers=headers)


def test_one_signs_in_through_another_site(
    new_mesh: Callable[..., Mesh], new_tab: Callable[..., Tab], issuer: str
) -> None:
    mesh = new_mesh(**sites(issuer), oauth_allow="@example.org", access_ttl=2.0)
    mesh.start("store", "gateway", ECHO)
    tab = new_tab(mesh.url)
    tab.expect_error(LOADING)
    tab.expect_leaving(issuer)
    tab.page.route("**/auth/login/oidc", as_ada)
    tab.page.get_by_role("link", name="Sign in with your organisation").click()
    expect(tab.page.locator(".who")).to_have_text("Ada of OIDC")
    tab.ask("hello")
    expect(tab.answers).to_have_text("hello")
    tab.page.wait_for_timeout(2100)  # the session goes on with the next refresh token
    tab.page.reload()
    expect(tab.answers).to_have_text("hello")


def test_coming_back_from_another_site_with_nothing_says_so(
    mesh: Mesh, new_tab: Callable[..., Tab]
) -> None:
    tab = new_tab(f"{mesh.url}/#/signed-in")
    tab.expect_error(LOADING)
    expect(tab.page.get_by_role("alert")).not_to_be_empty()
    tab.sign_in("somebody")
    assert tab.page.url.endswith("/#/")
