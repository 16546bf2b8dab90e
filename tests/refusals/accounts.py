"""What the routes of accounts, sign-ins and admins refuse besides what many do."""

from mesh.protocol.errors import ErrorCode
from tests.refusals.rows import Part, Table, bad, refused

NAME = "A name is one word of 1 to 100 characters without : and /."
PASSWORD = "A password has 8 to 1,024 characters."
LONG_NAME = "Give a name of 1 to 100 characters."
HIDDEN = "A name is text in UTF-8 without control and invisible characters."
DEBUG = "The debug login is there on loopback only; this gateway serves a network."
NOT_A_DAY = "{} is a day of the calendar, written as 2026-11-21; {} is none."
IN_PERSON = (
    "Neither a key nor a trusted client makes keys or lifts their limits, lets a worker in, or "
    "gives anybody a password or a role: sign in, and send the access token."
)
ONLY_ADMIN = (
    "… is the only admin who can sign in; make somebody else one first, with `mesh user role NAME "
    "admin`."
)
NOT_OF_A_KEY = (
    "A key's weight is 1 or more: who has less makes others wait who have less, too. "
    "An admin can give its user less."
)
NO_REFRESH = "Send your refresh token as: Refresh: …"
NO_USER = "There is no user 'nobody'; `mesh user list` shows them."
NO_WAY = "Nobody can sign in here by that way."
NO_WORKERS_NAME = (
    "A worker cannot be named '…': use up to 40 letters, digits, - and _, and none of …."
)


def _days() -> Part:
    """The rows of usage by day."""
    none = [
        bad(name, NOT_A_DAY.format(name, day), query={name: day})
        for name in ("since", "until")
        for day in ("yesterday", "2026-W47", "2026-02-30")
    ]
    long = [
        bad(
            name,
            f"{name}: Expected `str` of length <= {most}.",
            query={name: "x" * (most + 1)},
            what=f"`?{name}=` and {most + 1:,} characters",
        )
        for name, most in (("key", 100), ("model", 1000))
    ]
    after = "after is the `next` of the page before; this is none. Begin without it."
    lost = bad("after", after, query={"after": "nothing"})
    return Part("days, keys and models", (*none, *long, lost))


ROWS: dict[str, Table] = {
    "POST /account/keys": (
        bad("name", "A key has a name of 1 to 100 printable characters.", {"name": " "}),
        bad("name", "A key has a name of 1 to 100 printable characters.", {"name": "a\nb"}),
        bad(
            "scopes[0]", "Invalid enum value 'everything'.", {"name": "x", "scopes": ["everything"]}
        ),
        bad("expires_in", "Expected `float` >= 1.0.…", {"name": "x", "expires_in": 0.5}),
        refused(
            ErrorCode.FORBIDDEN,
            IN_PERSON,
            {"name": "x"},
            "asked with a key",
            by="full key",
        ),
    ),
    "PUT /account/keys/{key_id}/limits": (
        bad("priority", "Invalid enum value 'most'.", {"priority": "most"}),
        bad("weight", NOT_OF_A_KEY, {"weight": 0.5}),
        refused(ErrorCode.FORBIDDEN, IN_PERSON, {}, "asked with a key", by="full key"),
    ),
    "DELETE /account": (
        refused(
            ErrorCode.CONFLICT,
            ONLY_ADMIN,
            what="the only admin's own account",
            by="admin",
        ),
    ),
    "PUT /account/password": (
        bad(
            None,
            "… signs in by debug and has no password here.",
            {"old": "x", "new": "another horse battery"},
            "of somebody who signs in without one",
        ),
        bad(
            "new",
            PASSWORD,
            {"old": "$admin_password", "new": "short"},
            "a `new` one of 5 characters",
            by="admin",
        ),
        refused(
            ErrorCode.INVALID_TOKEN,
            "This name and this password do not belong together.",
            {"old": "wrong horse battery", "new": "another horse battery"},
            "an `old` one that is not one's password",
            by="admin",
        ),
        refused(
            ErrorCode.FORBIDDEN,
            IN_PERSON,
            {"old": "$admin_password", "new": "another horse battery"},
            "asked with a key",
            by="full key",
        ),
    ),
    "GET /account/usage": (_days(),),
    "GET /admin/usage": (
        _days(),
        bad(
            "user",
            "user: Expected `str` of length <= 200.",
            query={"user": "x" * 201},
            what="`?user=` and 201 characters",
        ),
    ),
    "GET /admin/export": (
        *(
            bad(
                name,
                f"{name} is a date or a time, such as 2026-11-21 or 2026-11-21T08:00:00.",
                query={name: "yesterday"},
            )
            for name in ("since", "until")
        ),
        refused(ErrorCode.NOT_FOUND, "There is no user 'nobody'.", query={"user": "nobody"}),
    ),
    "GET /admin/users": (
        refused(ErrorCode.NOT_FOUND, "There is no such user.", query={"after": "nobody"}),
    ),
    "POST /admin/users": (
        bad(
            "account",
            NAME,
            {"account": "two words", "password": "correct horse battery"},
            '`"account": "two words"`',
        ),
        bad(
            "account", NAME, {"account": "", "password": "correct horse battery"}, '`"account": ""`'
        ),
        bad(
            "password",
            PASSWORD,
            {"account": "somebody", "password": "short"},
            "a password of 5 characters",
        ),
        bad(
            "role",
            "Invalid enum value 'king'.",
            {"account": "somebody", "password": "correct horse battery", "role": "king"},
            '`"role": "king"`',
        ),
        refused(
            ErrorCode.CONFLICT,
            "There is a user 'admin' already.",
            {"account": "admin", "password": "correct horse battery"},
            "a name that somebody has",
        ),
        refused(
            ErrorCode.FORBIDDEN,
            IN_PERSON,
            {"account": "somebody", "password": "correct horse battery"},
            "asked with a key",
            by="full key",
        ),
    ),
    "DELETE /admin/users/{user_id}": (
        refused(
            ErrorCode.CONFLICT,
            ONLY_ADMIN,
            ids={"user_id": "admin"},
            what="the only admin",
        ),
    ),
    "PUT /admin/users/{user_id}/limits": (
        bad("weight", "Expected `float` …", {"weight": 0}),
        bad("priority", "Invalid enum value 'most'.", {"priority": "most"}),
    ),
    "PUT /admin/users/{user_id}/password": (
        bad(
            None,
            "… signs in by debug and has no password here.",
            {"password": "another horse battery"},
            "of somebody who signs in without one",
        ),
        bad(
            "password",
            PASSWORD,
            {"password": "short"},
            ids={"user_id": "admin"},
            what="a password of 5 characters",
        ),
        refused(
            ErrorCode.FORBIDDEN,
            IN_PERSON,
            {"password": "another horse battery"},
            "asked with a key",
            by="full key",
        ),
    ),
    "PUT /admin/users/{user_id}/role": (
        bad("role", "Invalid enum value 'king'.", {"role": "king"}),
        refused(
            ErrorCode.CONFLICT,
            ONLY_ADMIN,
            {"role": "user"},
            "the only admin",
            ids={"user_id": "admin"},
        ),
        refused(
            ErrorCode.FORBIDDEN, IN_PERSON, {"role": "user"}, "asked with a key", by="full key"
        ),
    ),
    "PUT /admin/workers": (
        bad(None, NO_WORKERS_NAME, {"name": "two words"}),
        bad(None, NO_WORKERS_NAME, {"name": ""}),
        bad(None, NO_WORKERS_NAME, {"name": "gateway"}),
        refused(
            ErrorCode.FORBIDDEN, IN_PERSON, {"name": "attic"}, "asked with a key", by="full key"
        ),
    ),
    "DELETE /admin/workers/{worker_id}": (
        refused(
            ErrorCode.NOT_FOUND,
            "No worker named 'nobody' is enrolled.",
            ids={"worker_id": "nobody"},
        ),
    ),
    "GET /v1/users": (
        refused(ErrorCode.NOT_FOUND, "There is no such user.", query={"after": "nobody"}),
    ),
    "POST /v1/users": (
        bad("name", LONG_NAME, {"name": " "}),
        bad("name", HIDDEN, {"name": "a\u202eb"}, '`{"name": "a\\u202eb"}`'),
        bad(
            "name",
            NAME,
            {"name": "two words", "password": "correct horse battery"},
            "with a password, a name of two words",
        ),
        bad(
            "password",
            PASSWORD,
            {"name": "somebody", "password": "short"},
            "a password of 5 characters",
        ),
        refused(
            ErrorCode.CONFLICT,
            "There is a user 'admin' already.",
            {"name": "admin", "password": "correct horse battery"},
            "with a password, a name that somebody has",
        ),
        refused(
            ErrorCode.FORBIDDEN,
            IN_PERSON,
            {"name": "somebody", "password": "correct horse battery"},
            "a password, asked with a key",
            by="full key",
        ),
    ),
    "PUT /v1/users/{user_id}": (
        bad("name", LONG_NAME, {"name": " "}),
        bad("name", HIDDEN, {"name": "a\u202eb"}, '`{"name": "a\\u202eb"}`'),
    ),
    "DELETE /v1/users/{user_id}": (
        refused(
            ErrorCode.CONFLICT,
            ONLY_ADMIN,
            what="the only admin",
            by="admin",
            ids={"user_id": "$admin"},
        ),
    ),
    "POST /auth/login": (
        refused(
            ErrorCode.INVALID_TOKEN,
            "This name and this password do not belong together.",
            {"username": "nobody", "password": "wrong"},
        ),
    ),
    "GET /auth/login/debug": (
        refused(ErrorCode.FORBIDDEN, DEBUG, query={"username": "ada"}),
        bad("code", LONG_NAME, what="no `username`", loopback=True),
    ),
    "GET /auth/callback/debug": (
        refused(ErrorCode.FORBIDDEN, DEBUG, query={"code": "ada"}),
        bad("code", LONG_NAME, what="no `code`", loopback=True),
        bad(
            "code",
            LONG_NAME,
            what="a `code` of 101 characters",
            query={"code": "x" * 101},
            loopback=True,
        ),
        bad("code", HIDDEN, query={"code": "a%00b"}, loopback=True),
    ),
    "GET /auth/login/{provider}": (
        refused(ErrorCode.NOT_FOUND, NO_WAY, ids={"provider": "nowhere"}),
    ),
    "GET /auth/callback/{provider}": (
        refused(ErrorCode.NOT_FOUND, NO_WAY, ids={"provider": "nowhere"}),
    ),
    "GET /auth/refresh": (
        refused(ErrorCode.NOT_AUTHENTICATED, NO_REFRESH, what="no `Refresh`"),
        refused(ErrorCode.INVALID_TOKEN, headers={"Refresh": "nonsense"}),
        bad(
            None,
            "This is an access token; send the refresh token instead.",
            headers={"Refresh": "$access_token"},
            what="an access token",
        ),
    ),
    "POST /auth/logout": (
        refused(ErrorCode.NOT_AUTHENTICATED, NO_REFRESH, what="no `Refresh`"),
        bad(
            None,
            "This is an access token; send the refresh token instead.",
            headers={"Refresh": "$access_token"},
            what="an access token",
        ),
    ),
    "POST /auth/ticket": (
        refused(
            ErrorCode.NOT_AUTHENTICATED,
            "Nobody has just come back here from signing in; begin at GET /auth/login/{provider}.",
            what="no cookie of a sign-in",
        ),
        refused(
            ErrorCode.INVALID_TOKEN,
            what="a cookie that is not worth anything",
            headers={"Cookie": "mesh_ticket=nonsense"},
        ),
    ),
    "POST /auth/trusted": (
        refused(
            ErrorCode.INVALID_TOKEN,
            "Say whom you speak for, in the header TrustedClient.",
            what="no `TrustedClient`",
        ),
        refused(
            ErrorCode.INVALID_TOKEN,
            "This key does not belong to a trusted client of this name.",
            what="a key that is none of a trusted client's",
            headers={
                "TrustedClient": "eyJhcGlfa2V5IjoieCIsImNsaWVudCI6InNpdGUiLCJ1c2VyX2lkIjoiNyJ9"
            },
        ),
    ),
}
