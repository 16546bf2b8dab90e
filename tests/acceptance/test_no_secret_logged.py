"""Nothing that lets anybody in is told to a log: all that was handed out on a mesh at its most
talkative is looked for in all that its processes have said."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from mesh.cli.enrol import Secrets
from tests.acceptance.whole import Mesh
from tests.fleet import wait_until
from tests.identity import issuer as issuer
from tests.identity import sites
from tests.identity_server import CLIENT_SECRET

PASSWORD, WRONG, NEXT = "correct horse battery", "a wrong horse", "another horse battery"
AT_THE_COLLECTOR = "a-password-in-an-address"


class Heard:
    """What was handed out, by what it is."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.secrets: dict[str, str] = {}

    def note(self, what: str, secret: str) -> str:
        assert len(secret) >= 8, what
        self.secrets[what] = secret
        return secret

    def pair(self, what: str, found: dict[str, Any]) -> dict[str, str]:
        """Note a pair of tokens; returns the headers of who has them."""
        access = self.note(f"{what}: access token", found["access_token"]["access_token"])
        refresh = self.note(f"{what}: refresh token", found["refresh_token"]["access_token"])
        return {"Authorization": f"Bearer {access}", "Refresh": refresh}


@pytest.fixture
def heard(tmp_path: Path, issuer: str) -> Iterator[Heard]:
    """A mesh that logs all it can, and people sign in to by every way there is."""
    collector = f"http://x:{AT_THE_COLLECTOR}@127.0.0.1:9"
    mesh = Mesh(
        tmp_path, log_level="debug", otlp=collector, oauth_allow="@example.org", **sites(issuer)
    )
    try:
        mesh.start()
        yield Heard(mesh)
    finally:
        mesh.end()


def test_no_secret_that_is_handed_out_reaches_a_log(heard: Heard, tmp_path: Path) -> None:
    mesh = heard.mesh
    heard.note("of the client at the site", CLIENT_SECRET)
    heard.note("in an address", AT_THE_COLLECTOR)
    with httpx.Client(base_url=mesh.url, timeout=60) as http:
        admin = by_password(heard, http)
        keys(heard, http, admin)
        links(heard, http, admin)
        for site in ("oidc", "github", "discord"):
            through(heard, site)
        worker(heard, http, admin, tmp_path)
    by_command(heard)
    broker = msgspec.json.decode((mesh.data_dir / "broker/secrets.json").read_bytes(), type=Secrets)
    for name in ("gateway", "store", "operator", *broker.workers):
        heard.note(f"of {name} at the broker", broker.of(name))
    heard.note("signing key", (mesh.data_dir / "token.key").read_text().strip())
    words = [word for child in mesh.children().values() for word in child.cmdline()]
    mesh.stop()
    logs = {path: path.read_text(errors="replace") for path in tmp_path.rglob("*.log")}
    said = "\n".join(logs.values())
    for landmark in ("enrolled the worker attic", "collector of traces", " DEBUG "):
        assert landmark in said, "this is where they would stand"
    found = [what for what, secret in heard.secrets.items() if secret in said]
    assert found == []
    assert [what for what, secret in heard.secrets.items() if secret in " ".join(words)] == []
    assert len(heard.secrets) >= 30, heard.secrets.keys()


def by_password(heard: Heard, http: httpx.Client) -> dict[str, str]:
    """Signing in right and wrong, staying so, and with what is worth nothing any more."""
    first = heard.note(
        "first password", (heard.mesh.data_dir / "admin-password").read_text().strip()
    )
    login = {"username": "admin", "password": first}
    old = heard.pair("login", http.post("/auth/login", json=login).raise_for_status().json())
    for password in (heard.note("wrong password", WRONG), f"{first}x"):
        http.post("/auth/login", json=login | {"password": password})
    http.post("/auth/login", json={"username": WRONG, "password": [WRONG]})
    http.post("/auth/login", content=f'{{"username": "admin", "password": "{first}')
    renewed = http.get("/auth/refresh", headers={"Refresh": old["Refresh"]}).json()
    following = heard.note("refresh token, the next", renewed["refresh_token"]["access_token"])
    heard.note("access token, the next", renewed["access_token"])
    for token in (old["Refresh"], old["Authorization"].removeprefix("Bearer "), following):
        for name in ("Refresh", "Authorization", "TrustedClient"):
            http.get("/auth/refresh", headers={name: token})
            http.get("/chats", headers={name: f"Bearer {token}x"})
    http.post("/auth/logout", headers={"Refresh": following}).raise_for_status()
    http.get("/chats", headers=old)
    again = http.post("/auth/login", json=login).raise_for_status().json()
    admin = heard.pair("login again", again)
    made = {"account": "ada", "password": heard.note("given password", PASSWORD)}
    ada = http.post("/admin/users", json=made, headers=admin).raise_for_status().json()["id"]
    changed = {"password": heard.note("changed password", NEXT)}
    http.put(f"/admin/users/{ada}/password", json=changed, headers=admin).raise_for_status()
    return admin


def keys(heard: Heard, http: httpx.Client, admin: dict[str, str]) -> None:
    """A key that is used, mistyped and revoked, and a trusted client's."""
    made = http.post("/account/keys", json={"name": "n"}, headers=admin).raise_for_status().json()
    key = heard.note("key", made["secret"])
    for sent in (key, f"{key}x", f"{key},"):
        for path in ("/v1/models", "/account", "/admin/users", "/nowhere"):
            http.get(path, headers={"Authorization": f"Bearer {sent}"})
    body = {"model": "echo", "messages": [{"role": "user", "content": "Hello"}]}
    spoken = {"Authorization": f"Bearer {key}"}
    http.post("/v1/chat/completions", json=body, headers=spoken).raise_for_status()
    http.delete(f"/account/keys/{made['key']['id']}", headers=admin).raise_for_status()
    assert http.get("/v1/models", headers=spoken).status_code == 401
    words = ("key", "create", "admin", "--name", "site", "--trusted-client", "site")
    trusted = heard.note("key of a trusted client", heard.mesh.run(*words).stdout.strip())
    for sent in (trusted, f"{trusted}x"):
        claims = {"api_key": sent, "client": "site", "user_id": "7", "username": "Bob"}
        header = base64.b64encode(json.dumps(claims).encode()).decode()
        heard.note(f"header of {len(sent)}", header)
        http.post("/auth/trusted", headers={"TrustedClient": header})
        http.get("/chats", headers={"TrustedClient": header})


def links(heard: Heard, http: httpx.Client, admin: dict[str, str]) -> None:
    """A link to a chat, which is all that it takes to read it."""
    chat = http.post("/chats", json={}, headers=admin).raise_for_status().json()["id"]
    shared = http.post(f"/chats/{chat}/shares", headers=admin).raise_for_status().json()
    link = heard.note("link", shared["id"])
    http.get(f"/shared/{link}").raise_for_status()
    http.get(f"/shared/{link}", headers={"Accept": "text/html"})
    http.delete(f"/chats/{chat}/shares/{link}", headers=admin).raise_for_status()
    assert http.get(f"/shared/{link}").status_code == 404


def through(heard: Heard, site: str) -> None:
    """To a site and back, as a browser goes and as a program does; and once too often."""
    for accept in ("text/html", "application/json"):
        with httpx.Client(base_url=heard.mesh.url, timeout=60) as browser:
            away = httpx.URL(browser.get(f"/auth/login/{site}").headers["location"])
            what = f"{site} {accept}"
            heard.note(f"{what}: attempt", browser.cookies["mesh_login"])
            heard.note(f"{what}: state", away.params["state"])
            back = httpx.get(away.copy_merge_params({"login_as": "ada"})).headers["location"]
            heard.note(f"{what}: code", httpx.URL(back).params["code"])
            arrived = browser.get(back, headers={"Accept": accept})
            if accept == "text/html":
                heard.note(f"{what}: ticket", browser.cookies["mesh_ticket"])
                renewed = browser.post("/auth/ticket").raise_for_status().json()
                heard.note(f"{what}: access token", renewed["access_token"])
            else:
                heard.pair(what, arrived.raise_for_status().json())
            assert browser.get(back).status_code == 401


def worker(heard: Heard, http: httpx.Client, admin: dict[str, str], folder: Path) -> None:
    """A worker that is let in over HTTP, is there, and is put out again."""
    made = http.put("/admin/workers", json={"name": "attic"}, headers=admin)
    key = heard.note("key of a worker", made.raise_for_status().json()["api_key"])
    words = [
        sys.executable,
        "-m",
        "mesh",
        "worker",
        "--worker-name",
        "attic",
        "--log-level",
        "debug",
    ]
    words += ["--nats", f"nats://127.0.0.1:{heard.mesh.nats_port}", "--engine", "echo"]
    given = {"HOME": str(folder), "MESH_DATA_DIR": str(folder / "elsewhere")}
    environment = os.environ | given | {"MESH_WORKER_PASSWORD": key}
    with (folder / "attic.log").open("wb") as log:
        attic = subprocess.Popen(words, env=environment, stdout=log, stderr=log)
    try:
        wait_until("it is there", lambda: "attic" in http.get("/workers", headers=admin).text)
        http.delete("/admin/workers/attic", headers=admin).raise_for_status()
        attic.wait(60)
    finally:
        attic.kill()
        attic.wait()


def by_command(heard: Heard) -> None:
    """`mesh join`, `mesh login` and `mesh logout`, as people type them."""
    line = heard.mesh.run("join", "cellar", "--host", "127.0.0.1").stdout
    assert "MESH_WORKER_PASSWORD" in line or "cellar" in line, line
    environment = heard.mesh.environment | {"MESH_URL": heard.mesh.url}
    for words in (("login", "ada", "--password-stdin"), ("logout",)):
        done = subprocess.run(
            [sys.executable, "-m", "mesh", *words],
            env=environment,
            input=f"{NEXT}\n",
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0 and NEXT not in done.stdout + done.stderr, done.stderr
