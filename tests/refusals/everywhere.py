"""What every route refuses, and every route that asks who one is. Pure."""

from mesh.gateway.trusted_clients import UNREADABLE
from mesh.protocol.errors import ErrorCode
from tests.refusals.groups import Group, same
from tests.refusals.operations import Operation
from tests.refusals.rows import bad, refused

MOST = 300_000
"""Bytes that the gateway of these tests takes in a body."""

FOREIGN = "https://elsewhere.example"


def _elsewhere(operation: Operation) -> bool:
    return operation.path != "/cancel"  # which pages of any origin may call


EVERY = Group(
    "Every route",
    "everybody's",
    "All of them, before anything else is looked at.",
    lambda operation: True,
    (
        same(
            refused(
                ErrorCode.FORBIDDEN,
                "This gateway does not go by the name 'elsewhere.example'; set MESH_ALLOWED_HOSTS "
                "if it should.",
                headers={"Host": "elsewhere.example"},
            )
        ),
        same(
            bad(None, "The Host header is no host name with a port.", headers={"Host": "a/b"}),
        ),
        same(
            refused(
                ErrorCode.FORBIDDEN,
                f"Pages from {FOREIGN} may not call this gateway; set MESH_ALLOWED_ORIGINS if they "
                "should.",
                what=f"`Origin: {FOREIGN}`, except for `POST /cancel`",
                headers={"Origin": FOREIGN},
            ),
            _elsewhere,
        ),
        same(
            refused(
                ErrorCode.FORBIDDEN,
                "Pages of other sites may not call this gateway.",
                what="`Sec-Fetch-Site: cross-site`, except for `POST /cancel`",
                headers={"Sec-Fetch-Site": "cross-site"},
            ),
            _elsewhere,
        ),
        same(
            refused(
                ErrorCode.TOO_LARGE,
                "The body has … bytes; at most … are accepted.",
                body=b"x" * (MOST + 1),
                what="a body of more than `MESH_MAX_BODY` bytes",
            )
        ),
        same(
            bad(
                None,
                "This route does not take this method; the header Allow says which ones it takes.",
                method="PATCH",
                status=405,
                what="a method that it does not take",
            )
        ),
        same(
            refused(
                ErrorCode.INVALID_TOKEN,
                UNREADABLE,
                headers={"TrustedClient": "nonsense"},
            ),
        ),
    ),
)

SIGNED_IN = Group(
    "Every route that asks who one is",
    "who asks",
    "All but those that the OpenAPI document has without `security`.",
    lambda operation: operation.signed_in,
    (
        same(
            refused(
                ErrorCode.NOT_AUTHENTICATED,
                by="nobody",
                what="no `Authorization`",
            )
        ),
        same(
            refused(
                ErrorCode.INVALID_TOKEN,
                "Send the header as: Authorization: Bearer …",
                headers={"Authorization": "Basic eDp5"},
            )
        ),
        same(
            refused(ErrorCode.INVALID_TOKEN, headers={"Authorization": "Bearer nonsense"}),
        ),
        same(
            refused(
                ErrorCode.FORBIDDEN,
                "This key may not be used here: it lacks the scope '…'.",
                by="key",
                what="a key without the scope that the route needs; `GET /auth/check` needs none",
            ),
            lambda operation: operation.path != "/auth/check",
        ),
        same(
            refused(
                ErrorCode.FORBIDDEN,
                "This is for the role '…' only.",
                by="owner",
                what="somebody without the role that the route is for",
            ),
            lambda operation: operation.rule.role != "user" and "drain" not in operation.path,
        ),
        same(
            bad(
                "X-Priority",
                "Set X-Priority to one of ….",
                headers={"X-Priority": "soon"},
            )
        ),
    ),
)
