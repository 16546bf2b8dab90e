"""How long an access token counts: by the mesh's time, whatever the machines' clocks say."""

from base64 import urlsafe_b64encode

import pytest

from mesh.gateway.tokens import Tokens
from mesh.protocol.accounts import User
from mesh.protocol.errors import ErrorCode, MeshError

KEY = "k" * 32
TTL = 60.0
ADA = User(id="ada", provider="debug", account="ada", display_name="Ada", created_at=0.0)


@pytest.mark.parametrize("now", [1.0, 4e9])
def test_a_token_counts_for_its_time(now: float) -> None:
    """However far from that this machine's own clock is."""
    token = Tokens(KEY, TTL, lambda: now).access(ADA)
    later = Tokens(KEY, TTL, lambda: now + TTL - 1)
    who, issued = later.read(token)
    assert (who.user_id, issued) == ("ada", now)
    assert later.signed(token)


def test_a_token_says_what_sign_in_it_came_of() -> None:
    """One of an older gateway does not."""
    tokens = Tokens(KEY, TTL, lambda: 100.0)
    assert tokens.read(tokens.access(ADA, session="s"))[0].session == "s"
    assert tokens.read(tokens.access(ADA))[0].session == ""


@pytest.mark.parametrize("now", [1.0, 4e9])
def test_then_it_has_expired(now: float) -> None:
    token = Tokens(KEY, TTL, lambda: now).access(ADA)
    with pytest.raises(MeshError) as refusal:
        Tokens(KEY, TTL, lambda: now + TTL).read(token)
    assert refusal.value.code is ErrorCode.TOKEN_EXPIRED


def test_one_that_is_signed_at_another_gateway_counts_at_once() -> None:
    """Their clocks are a second apart, at most, where both go by the broker's."""
    token = Tokens(KEY, TTL, lambda: 101.5).access(ADA)
    assert Tokens(KEY, TTL, lambda: 100.0).read(token)[0].user_id == "ada"


def test_one_whose_head_is_nested_deeply_is_none() -> None:
    head = urlsafe_b64encode(b'{"x":' + b"[" * 3000 + b"]" * 3000 + b"}").rstrip(b"=").decode()
    tokens, token = Tokens(KEY, TTL), f"{head}.e30.AAAA"
    with pytest.raises(MeshError) as refusal:
        tokens.read(token)
    assert refusal.value.code is ErrorCode.INVALID_TOKEN
    assert not tokens.signed(token)
