"""One's account in the page: password, keys, one's data, leaving everywhere and for good."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Locator, expect

from tests.page.tab import Tab
from tests.page.test_page_rules import NAMELESS
from tests.whole_mesh import ECHO, Mesh

ADA, SECRET = "ada", "correct horse battery"

FITS = """() => [...document.querySelectorAll("dialog *")]
  .filter((each) => each.checkVisibility() && !each.closest("svg"))
  .filter((each) => each.getBoundingClientRect().right > innerWidth + 1)
  .map((each) => each.outerHTML)"""


@pytest.fixture
def network(new_mesh: Callable[..., Mesh]) -> Mesh:
    """A mesh on a network, as far as it knows, with an account for Ada."""
    mesh = new_mesh(allowed_hosts="127.0.0.1", refresh_leeway=0.0)
    mesh.start("store", "gateway", ECHO)
    admin = (mesh.broker.data_dir / "admin-password").read_text().strip()
    token = token_of(mesh, "admin", admin)
    body = {"account": ADA, "password": SECRET}
    signed = {"Authorization": f"Bearer {token}"}
    httpx.post(f"{mesh.url}/admin/users", json=body, headers=signed, timeout=60).raise_for_status()
    return mesh


def log_in(mesh: Mesh, name: str, password: str) -> httpx.Response:
    body = {"username": name, "password": password}
    return httpx.post(f"{mesh.url}/auth/login", json=body, timeout=60)


def token_of(mesh: Mesh, name: str, password: str) -> str:
    pair = log_in(mesh, name, password).raise_for_status().json()
    token: str = pair["access_token"]["access_token"]
    return token


def signed_in(network: Mesh, new_tab: Callable[..., Tab], **options: object) -> Tab:
    tab = new_tab(network.url, **options)
    tab.expect_error("Failed to load resource")  # the console tells of each refusal
    tab.sign_in_with(ADA, SECRET)
    expect(tab.page.locator(".who")).to_have_text(ADA)
    return tab


def account_of(tab: Tab) -> Locator:
    """Open the dialog."""
    if not tab.page.locator(".account").is_visible():
        tab.button("Your chats").click()
    tab.page.locator(".account").click()
    tab.page.get_by_role("menuitem", name="Account …").click()
    dialog = tab.page.get_by_role("dialog", name="Account", exact=True)
    expect(dialog).to_be_visible()
    return dialog


def test_a_password_is_changed_and_one_stays_signed_in_here_alone(
    network: Mesh, new_tab: Callable[..., Tab]
) -> None:
    tab = signed_in(network, new_tab)
    elsewhere = {"Authorization": f"Bearer {token_of(network, ADA, SECRET)}"}
    account_of(tab).get_by_role("button", name="Change password …").click()
    box = tab.page.get_by_role("dialog", name="Change password")
    for old, new, again, said in (
        (SECRET, "another secret", "another secre", "typed in two ways"),
        ("wrong wrong", "another secret", "another secret", "password"),
        (SECRET, "another secret", "another secret", ""),
    ):
        box.get_by_label("Password until now").fill(old)
        box.get_by_label("New password", exact=True).fill(new)
        box.get_by_label("New password, again").fill(again)
        box.get_by_role("button", name="Change", exact=True).click()
        if said:
            expect(box.get_by_role("alert")).to_contain_text(said)
    expect(box).to_have_count(0)
    assert sum(url.endswith("/account/password") for url in tab.requests) == 2, "one for each try"
    assert log_in(network, ADA, SECRET).status_code == 401
    assert log_in(network, ADA, "another secret").status_code == 200
    assert httpx.get(f"{network.url}/account", headers=elsewhere, timeout=60).status_code == 401
    tab.page.keyboard.press("Escape")
    tab.ask("still here")
    expect(tab.answers).to_have_text("still here")


def test_a_key_is_made_shown_once_used_and_revoked(
    network: Mesh, new_tab: Callable[..., Tab]
) -> None:
    tab = signed_in(network, new_tab)
    tab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    dialog = account_of(tab)
    expect(dialog).to_contain_text("None yet")
    dialog.get_by_role("button", name="Make a key …").click()
    box = tab.page.get_by_role("dialog", name="Make a key")
    box.get_by_label("What it is for").fill("laptop")
    expect(box.get_by_label("This account")).not_to_be_checked()
    box.get_by_label("The mesh").uncheck()
    box.get_by_label("How long it lasts").select_option("30")
    box.get_by_role("button", name="Make it").click()
    shown = tab.page.get_by_role("dialog", name="Your new key")
    secret = shown.get_by_label("The key", exact=True).input_value()
    shown.get_by_role("button", name="Copy the key").click()
    expect(tab.page.get_by_role("status")).to_have_text("Copied.")
    assert tab.page.evaluate("navigator.clipboard.readText()") == secret
    shown.get_by_role("button", name="Done").click()
    expect(dialog.get_by_role("listitem")).to_contain_text("ask, chats · not used yet · until")
    expect(dialog.get_by_role("button", name="Make a key …")).to_be_focused()
    assert secret not in tab.page.content()
    signed = {"Authorization": f"Bearer {secret}"}
    assert httpx.get(f"{network.url}/chats", headers=signed, timeout=60).status_code == 200
    dialog.get_by_role("button", name="Revoke “laptop”").click()
    tab.page.get_by_role("dialog", name="Revoke this key?").get_by_role(
        "button", name="Revoke", exact=True
    ).click()
    expect(dialog).to_contain_text("None yet")
    assert httpx.get(f"{network.url}/chats", headers=signed, timeout=60).status_code == 401


def test_all_of_ones_data_is_downloaded(
    network: Mesh, new_tab: Callable[..., Tab], tmp_path: Path
) -> None:
    tab = signed_in(network, new_tab)
    tab.ask("to be taken along")
    expect(tab.answers).to_have_text("to be taken along")
    dialog = account_of(tab)
    with tab.page.expect_download() as found:
        dialog.get_by_role("button", name="Download all of it").click()
    assert found.value.suggested_filename == "mesh-export.jsonl"
    found.value.save_as(tmp_path / "export")
    lines = [json.loads(line) for line in (tmp_path / "export").read_text().splitlines()]
    kinds = [line["kind"] for line in lines]
    by_now = ("run", "usage")  # of what gave the title, and as far as the store has counted
    assert [kind for kind in kinds if kind not in by_now] == ["account", "chat", "end"]
    assert "to be taken along" in json.dumps(lines[1])


def test_an_export_that_was_cut_off_is_not_taken_for_whole(
    network: Mesh, new_tab: Callable[..., Tab]
) -> None:
    tab = signed_in(network, new_tab)
    tab.page.route("**/account/export", lambda route: route.fulfill(body='{"kind":"account"}\n'))
    dialog = account_of(tab)
    dialog.get_by_role("button", name="Download all of it").click()
    expect(dialog.get_by_role("alert")).to_contain_text("cut off")


def test_signing_out_everywhere_ends_every_session(
    network: Mesh, new_tab: Callable[..., Tab]
) -> None:
    tab = signed_in(network, new_tab)
    elsewhere = {"Authorization": f"Bearer {token_of(network, ADA, SECRET)}"}
    account_of(tab).get_by_role("button", name="Sign out everywhere …").click()
    tab.button("Sign out").click()
    expect(tab.page.get_by_label("Password")).to_be_visible()
    expect(tab.page.get_by_role("dialog")).to_have_count(0)
    assert httpx.get(f"{network.url}/account", headers=elsewhere, timeout=60).status_code == 401
    tab.sign_in_with(ADA, SECRET)
    expect(tab.page.locator(".who")).to_have_text(ADA)


def test_an_account_is_deleted_once_its_name_is_typed(
    network: Mesh, new_tab: Callable[..., Tab]
) -> None:
    tab = signed_in(network, new_tab)
    tab.input.fill("a draft")
    account_of(tab).get_by_role("button", name="Delete the account …").click()
    box = tab.page.get_by_role("dialog", name="Delete the account?")
    box.get_by_label(f"Type “{ADA}” to go on").fill("bob")
    box.get_by_role("button", name="Delete for good").click()
    expect(box.get_by_role("alert")).to_contain_text("nothing was deleted")
    assert log_in(network, ADA, SECRET).status_code == 200
    box.get_by_label(f"Type “{ADA}” to go on").fill(ADA)
    box.get_by_role("button", name="Delete for good").click()
    expect(tab.page.get_by_label("Password")).to_be_visible()
    assert log_in(network, ADA, SECRET).status_code == 401
    kept = tab.page.evaluate("Object.keys(localStorage)")
    assert [name for name in kept if ADA in name or name == "mesh.name"] == []


def test_a_gateway_that_is_away_is_said_in_the_dialog_and_costs_nothing_typed(
    network: Mesh, new_tab: Callable[..., Tab]
) -> None:
    tab = signed_in(network, new_tab)
    dialog = account_of(tab)
    network.stop("gateway")
    dialog.get_by_role("button", name="Download all of it").click()
    expect(dialog.get_by_role("alert")).to_contain_text("does not answer")
    dialog.get_by_role("button", name="Make a key …").click()
    box = tab.page.get_by_role("dialog", name="Make a key")
    box.get_by_label("What it is for").fill("laptop")
    box.get_by_role("button", name="Make it").click()
    expect(box.get_by_role("alert")).to_contain_text("does not answer")
    network.start("gateway")
    expect(box.get_by_label("What it is for")).to_have_value("laptop")
    box.get_by_role("button", name="Make it").click()
    tab.page.get_by_role("dialog", name="Your new key").get_by_role("button", name="Done").click()
    expect(dialog.get_by_role("listitem")).to_contain_text("laptop")
    tab.page.keyboard.press("Escape")
    network.stop("gateway")
    tab.page.locator(".account").click()
    tab.page.get_by_role("menuitem", name="Account …").click()
    expect(tab.page.locator(".notice")).to_contain_text("does not answer")
    expect(tab.page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.parametrize("width", [320, 375, 1280])
def test_the_keyboard_and_a_phone_will_do_for_the_account(
    network: Mesh, new_tab: Callable[..., Tab], width: int
) -> None:
    tab = signed_in(network, new_tab, viewport={"width": width, "height": 700})
    for name in ("laptop", "a name as long as may be " * 4):
        signed = {"Authorization": f"Bearer {token_of(network, ADA, SECRET)}"}
        body = {"name": name[:100]}
        httpx.post(
            f"{network.url}/account/keys", json=body, headers=signed, timeout=60
        ).raise_for_status()
    dialog = account_of(tab)
    expect(dialog.get_by_role("listitem")).to_have_count(2)
    assert tab.page.evaluate(FITS) == [] and tab.page.evaluate(NAMELESS) == []
    make = dialog.get_by_role("button", name="Make a key …")
    make.focus()
    tab.page.keyboard.press("Enter")
    box = tab.page.get_by_role("dialog", name="Make a key")
    expect(box.get_by_label("What it is for")).to_be_visible()
    assert tab.page.evaluate(FITS) == [] and tab.page.evaluate(NAMELESS) == []
    tab.page.keyboard.press("Escape")
    expect(box).to_have_count(0)
    expect(make).to_be_focused()
    tab.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_who_signed_in_by_name_alone_has_no_password_to_change(tab: Tab) -> None:
    dialog = account_of(tab)
    expect(dialog).to_contain_text("By name alone")
    expect(dialog.get_by_role("button", name="Change password …")).to_have_count(0)
