"""An identity provider for tests: a real server of OpenID Connect, and of GitHub's and Discord's
shapes of OAuth 2.0. Strict where a client could be careless, and on request wrong in one point.

    python -m tests.identity_server PORT

The browser says who signs in and what goes wrong by two parameters that it adds to the address it
is sent to: `login_as` and `fault`. Everybody called `NAME` has the id `id-NAME` (GitHub: a number).
"""

import base64
import hashlib
import json
import secrets
import sys
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

CLIENT_ID, CLIENT_SECRET = "mesh-test", "a secret of client and provider, long enough to sign"


@dataclass
class Grant:
    """What was granted to whoever brings the code, once."""

    user: str
    fault: str
    redirect_uri: str
    challenge: str
    nonce: str
    oidc: bool


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class State:
    """What the server knows. keys: those it publishes, by id; the last one signs."""

    issuer: str
    keys: dict[str, rsa.RSAPrivateKey] = field(default_factory=lambda: {"k1": new_key()})
    codes: dict[str, Grant] = field(default_factory=dict)
    tokens: dict[str, Grant] = field(default_factory=dict)


class Handler(BaseHTTPRequestHandler):
    state: State

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        match url.path:
            case "/.well-known/openid-configuration":
                self._json(self._discovery())
            case "/jwks":
                self._json({"keys": [public(kid, key) for kid, key in self.state.keys.items()]})
            case "/authorize" | "/login/oauth/authorize" | "/oauth2/authorize":
                self._authorize(query, oidc=url.path == "/authorize")
            case "/userinfo" | "/api/v3/user" | "/api/v3/user/emails" | "/api/users/@me":
                self._person(url.path)
            case _:
                self._json({"error": "not_found"}, 404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        self._token(form)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _discovery(self) -> dict[str, Any]:
        issuer = self.state.issuer
        return {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
            "userinfo_endpoint": f"{issuer}/userinfo",
            "jwks_uri": f"{issuer}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        }

    def _authorize(self, query: dict[str, str], oidc: bool) -> None:
        wanted = {"client_id": CLIENT_ID, "response_type": "code", "code_challenge_method": "S256"}
        right = all(query.get(name) == value for name, value in wanted.items())
        if oidc:
            right = right and "openid" in query["scope"].split() and bool(query.get("nonce"))
        if not right or not query.get("state") or len(query["code_challenge"]) != 43:
            self._json({"error": "invalid_request"}, 400)
            return
        fault = query.get("fault", "")
        code = secrets.token_urlsafe(16)
        self.state.codes[code] = Grant(
            user=query["login_as"],
            fault=fault,
            redirect_uri=query["redirect_uri"],
            challenge=query["code_challenge"],
            nonce=query.get("nonce", ""),
            oidc=oidc,
        )
        back = {"state": query["state"], "code": code}
        if oidc:
            back["iss"] = "https://evil.example" if fault == "mix_up" else self.state.issuer
        if fault == "denied":
            back = {"state": query["state"], "error": "access_denied"}
        self.send_response(302)
        self.send_header("Location", f"{query['redirect_uri']}?{urlencode(back)}")
        self.end_headers()

    def _token(self, form: dict[str, str]) -> None:
        if not self._is_client(form):
            if "login/oauth" in self.path:
                self._json({"error": "incorrect_client_credentials"})  # as GitHub does: 200
            else:
                self._json({"error": "invalid_client"}, 401)
            return
        grant = self.state.codes.pop(form.get("code", ""), None)  # once
        if grant is None or not proves(form, grant):
            self._json({"error": "invalid_grant"}, 400)
            return
        if grant.fault == "down":
            self._json({"error": "server_error"}, 500)
            return
        token = secrets.token_urlsafe(16)
        self.state.tokens[token] = grant
        answer = {"access_token": token, "token_type": "bearer"}
        if grant.oidc:
            answer["id_token"] = self._id_token(grant)
        self._json(answer)

    def _is_client(self, form: dict[str, str]) -> bool:
        given = f"{form.get('client_id')}:{form.get('client_secret')}"
        basic = self.headers.get("Authorization", "")
        if basic:
            given = unquote_plus(base64.b64decode(basic.removeprefix("Basic ")).decode())
        return given == f"{CLIENT_ID}:{CLIENT_SECRET}"

    def _id_token(self, grant: Grant) -> str:
        now, fault = time.time(), grant.fault
        claims: dict[str, Any] = {
            "iss": "https://evil.example" if fault == "wrong_issuer" else self.state.issuer,
            "sub": f"id-{grant.user}",
            "aud": "another" if fault == "wrong_audience" else CLIENT_ID,
            "iat": int(now) - (7200 if fault == "expired" else 0),
            "exp": int(now) + (-3600 if fault == "expired" else 600),
            "nonce": "another" if fault == "wrong_nonce" else grant.nonce,
        }
        if fault == "no_nonce":
            del claims["nonce"]
        if fault == "shared_audience":
            claims["aud"] = [CLIENT_ID, "another"]
        if fault == "wrong_party":
            claims["azp"] = "another"
        if fault == "no_subject":
            del claims["sub"]
        if fault == "rotated":
            self.state.keys[f"k{len(self.state.keys) + 1}"] = new_key()
        kid, key = list(self.state.keys.items())[-1]
        if fault == "unsigned":
            return jwt.encode(claims, "", "none", headers={"kid": kid})
        if fault == "shared_secret":
            return jwt.encode(claims, CLIENT_SECRET, "HS256", headers={"kid": kid})
        if fault == "unknown_key":
            kid, key = "k0", new_key()
        if fault == "forged":
            key = new_key()
        return jwt.encode(claims, key, "RS256", headers={"kid": kid})

    def _person(self, path: str) -> None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        grant = self.state.tokens.get(token)
        if grant is None:
            self._json({"error": "invalid_token"}, 401)
            return
        user, verified = grant.user, grant.fault != "unverified"
        email = f"{user}@example.org"
        number = int.from_bytes(hashlib.sha256(user.encode()).digest()[:6])
        somebody = "id-somebody-else" if grant.fault == "wrong_person" else f"id-{user}"
        people: dict[str, Any] = {
            "/userinfo": {
                "sub": somebody,
                "name": f"{user.title()} of OIDC",
                "preferred_username": user,
                "email": email,
                "email_verified": verified,
            },
            "/api/v3/user": {"id": number, "login": user, "name": None},
            "/api/v3/user/emails": [
                {"email": f"old-{email}", "primary": False, "verified": True},
                {"email": email, "primary": True, "verified": verified},
            ],
            "/api/users/@me": {
                "id": str(number),
                "username": user,
                "global_name": f"{user.title()} of Discord",
                "email": email,
                "verified": verified,
            },
        }
        self._json(people[path])

    def _json(self, value: Any, status: int = 200) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def public(kid: str, key: rsa.RSAPrivateKey) -> dict[str, Any]:
    """A key as the key set shows it."""
    found: dict[str, Any] = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return found | {"kid": kid, "use": "sig", "alg": "RS256"}


def proves(form: dict[str, str], grant: Grant) -> bool:
    """Whether whoever brings the code is who began (RFC 7636, section 4.6)."""
    digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    same = form.get("redirect_uri") == grant.redirect_uri
    return same and challenge == grant.challenge and form["grant_type"] == "authorization_code"


def main() -> None:
    port = int(sys.argv[1])
    Handler.state = State(f"http://127.0.0.1:{port}")
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
