"""`mesh login` and `mesh logout`: a sign-in that is kept for `mesh ask`, `mesh chat` and notebooks.

They keep what they get where every client of this gateway looks (`credentials`). Exit statuses are
those of `mesh ask`.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import click
import msgspec
from msgspec import Struct

from mesh.protocol.hidden import without_userinfo
from mesh_client.asking import Status, status_of
from mesh_client.client import Client
from mesh_client.config import surroundings
from mesh_client.credentials import Credentials, FileStore, known_user
from mesh_client.errors import MeshClientError, NotSignedIn
from mesh_client.passwords import asked_password, can_ask
from mesh_client.rendering import complain

NO_PASSWORD = (
    "There is no terminal to ask for a password: give it with --password-stdin, or a key in "
    "MESH_TOKEN."
)

TOKEN_FIRST = "MESH_TOKEN is set, and goes before this sign-in until it is unset."

where = click.option("--url", default="", metavar="URL", help="Address of the gateway [MESH_URL].")
as_object = click.option("--json", "as_json", is_flag=True, help="One JSON object.")


class SignedIn(Struct, frozen=True, kw_only=True):
    """Who is signed in now, and by what."""

    url: str
    username: str
    by: Literal["password", "name", "key"]


class SignedOut(Struct, frozen=True, kw_only=True):
    """Who was signed in, None: nobody; ended: the gateway was told, and honours it no more."""

    url: str
    username: str | None
    ended: bool


@click.command("login")
@click.argument("name", default="")
@click.option(
    "--password-stdin", is_flag=True, help="Read the password from the first line of stdin."
)
@where
@as_object
def login(name: str, password_stdin: bool, url: str, as_json: bool) -> None:
    """Sign in at a gateway, once for `mesh ask`, `mesh chat` and notebooks.

    NAME is that of your account, by default MESH_USER, or who was signed in last. The password is
    asked for. Without NAME and with a key in MESH_TOKEN, that key is checked and kept.

    \b
        mesh login ada
        mesh login ada --password-stdin < password
        MESH_TOKEN=sk-mesh-… mesh login
    """
    with _said():
        said = surroundings(url)
        store = FileStore(said.url)
        if said.token and not name and not password_stdin:
            done = _by_key(store, said.token)
        else:
            done = _by_password(store, name or said.username or known_user(store), password_stdin)
    if store.trouble:
        complain(f"{store.trouble}, so this sign-in is not kept.")
        sys.exit(1)
    if said.token and done.by != "key":
        complain(TOKEN_FIRST)
    _show(done, as_json, f"{done.username} is signed in at {done.url}.")


@click.command("logout")
@where
@as_object
def logout(url: str, as_json: bool) -> None:
    """Sign out: the gateway ends the session, and its tokens are forgotten here.

    A key that was kept is forgotten and stays valid: `mesh key revoke`, or the page, ends it.
    """
    with _said():
        said = surroundings(url)
        store = FileStore(said.url)
        kept = store.load()
        with Client(store.url, store=store) as client:
            client.logout()
    if store.trouble:
        complain(f"{store.trouble}: the session has ended, and its tokens stand there still.")
        sys.exit(1)
    if said.token:
        complain("MESH_TOKEN is set, and goes on signing in until it is unset.")
    username = kept.username if kept else None
    ended = kept is not None and bool(kept.refresh_token)
    done = SignedOut(url=without_userinfo(store.url), username=username, ended=ended)
    _show(done, as_json, f"{username or 'Nobody'} was signed in at {done.url}, and is not now.")


def _by_password(store: FileStore, username: str, from_stdin: bool) -> SignedIn:
    """Sign in with what is typed or piped in; on a gateway's own machine by name alone, too."""
    with Client(store.url, store=store) as client:
        if from_stdin:
            password = _piped()
        elif can_ask():
            password = asked_password(username, store.url, by_name="debug" in client.providers())
        else:
            raise click.UsageError(NO_PASSWORD)
        client.login(username, password)
    where = without_userinfo(store.url)
    return SignedIn(url=where, username=username, by="password" if password else "name")


def _piped() -> str:
    """The first line of stdin. Raises UsageError where that is no password."""
    try:
        password = sys.stdin.buffer.readline().decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise click.UsageError("The password on stdin is not UTF-8 text.") from error
    if not password:
        raise click.UsageError("There is no password in the first line of stdin.")
    return password


def _by_key(store: FileStore, token: str) -> SignedIn:
    """Keep a key that the gateway knows."""
    with Client(store.url, token=token) as client:
        username = _owner(client)
    store.save(Credentials(username=username, access_token=token, refresh_token="", by_name=False))
    return SignedIn(url=without_userinfo(store.url), username=username, by="key")


def _owner(client: Client) -> str:
    """The name of a key's owner, or their id where the key may not be used to look at the name."""
    try:
        return client.account().account
    except NotSignedIn as error:
        if error.code != "forbidden":
            raise
        return client.user()


@contextmanager
def _said() -> Iterator[None]:
    """What goes wrong is a sentence and an exit status."""
    try:
        yield
    except MeshClientError as error:
        complain(error.sentence)
        sys.exit(status_of(error))
    except click.Abort:
        sys.exit(Status.INTERRUPTED)


def _show(done: SignedIn | SignedOut, as_json: bool, sentence: str) -> None:
    click.echo(msgspec.json.encode(done) if as_json else sentence)
