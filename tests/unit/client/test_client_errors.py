"""Refusals in each dialect become one tree."""

import httpx
import msgspec
import pytest

from mesh_client.errors import NotFound, NotSignedIn, Refused, Rejected, rejection


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Rejected), (401, NotSignedIn), (403, NotSignedIn), (404, NotFound),
        (413, Rejected), (429, Refused), (500, Rejected), (503, Refused),
    ],
)  # fmt: skip
def test_the_status_chooses_the_exception(status: int, kind: type[Rejected]) -> None:
    error = rejection(status, httpx.Headers(), b"")
    assert type(error) is kind
    assert (error.status, error.code) == (status, f"http_{status}")


@pytest.mark.parametrize(
    ("status", "code", "forbidden"),
    [
        (401, "not_authenticated", False), (403, "not_authenticated", False),
        (401, "token_expired", False), (403, "forbidden", True),
    ],
)  # fmt: skip
def test_a_403_without_a_token_is_no_word_on_who_asks(
    status: int, code: str, forbidden: bool
) -> None:
    body = msgspec.json.encode({"detail": "No.", "code": code, "request_id": "r1"})
    error = rejection(status, httpx.Headers(), body)
    assert isinstance(error, NotSignedIn) and error.forbidden is forbidden


def test_a_native_refusal_keeps_its_particulars() -> None:
    body = b'{"detail": "Busy.", "code": "queue_full", "request_id": "r1"}'
    error = rejection(503, httpx.Headers({"Retry-After": "2.5"}), body)
    assert (error.sentence, error.code) == ("Busy.", "queue_full")
    assert (error.request_id, error.retry_after) == ("r1", 2.5)


def test_a_refusal_of_an_openai_route_is_understood_too() -> None:
    body = b'{"error": {"message": "No such model.", "type": "x", "code": "model_not_found"}}'
    error = rejection(404, httpx.Headers({"X-Request-Id": "r2"}), body)
    assert (error.sentence, error.code, error.request_id) == (
        "No such model.", "model_not_found", "r2",
    )  # fmt: skip


@pytest.mark.parametrize("body", [b"<html>", b"\xff", b'{"error": 3}', b"[]"])
def test_a_foreign_body_still_makes_a_sentence(body: bytes) -> None:
    error = rejection(502, httpx.Headers({"retry-after": "tomorrow"}), body)
    assert "502" in error.sentence and error.retry_after is None
