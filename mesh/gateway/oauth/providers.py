"""The sites one can sign in through, as the settings name them. Pure: nobody is asked anything.

A site of OpenID Connect is known by its issuer and tells the rest itself (OpenID Connect Discovery
1.0). GitHub and Discord speak plain OAuth 2.0: their addresses and the shape of what they say of a
person are written here, as their documentation has them.
"""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.hidden import without_userinfo
from mesh.settings import GatewaySettings

GOOGLE = "https://accounts.google.com"
GITHUB = "https://github.com"

Kind = Literal["oidc", "github", "discord"]


@dataclass(frozen=True)
class Provider:
    """A site. url: of OpenID Connect the issuer, else where the site itself is."""

    name: str
    kind: Kind
    url: str
    client_id: str
    client_secret: str

    @property
    def scope(self) -> str:
        """What we want to know of a person: an id, a name, an e-mail address, and no more."""
        scopes: dict[Kind, str] = {
            "oidc": "openid profile email",
            "github": "read:user user:email",
            "discord": "identify email",
        }
        return scopes[self.kind]


def providers(settings: GatewaySettings) -> dict[str, Provider]:
    """The sites that are set up, by name.

    Raises MeshError (bad_request) for one whose address is not safe, or which has no secret.
    """
    named = (
        (settings.oidc_name, "oidc", settings.oidc_issuer, "oidc"),
        ("google", "oidc", GOOGLE, "google"),
        ("github", "github", settings.github_url, "github"),
        ("discord", "discord", settings.discord_url, "discord"),
    )
    found: dict[str, Provider] = {}
    for name, kind, url, prefix in named:
        client_id: str = getattr(settings, f"{prefix}_client_id")
        secret: str = getattr(settings, f"{prefix}_client_secret")
        if client_id:
            provider = Provider(name, kind, url.rstrip("/"), client_id, secret)  # type: ignore[arg-type]
            _check(provider, prefix)
            found[name] = provider
    return found


def _check(provider: Provider, prefix: str) -> None:
    if not provider.client_secret:
        raise MeshError(ErrorCode.BAD_REQUEST, f"Set MESH_{prefix.upper()}_CLIENT_SECRET too.")
    if not is_safe(provider.url):
        raise MeshError(
            ErrorCode.BAD_REQUEST,
            f"Signing in through {provider.name} needs an https:// address, not "
            f"{without_userinfo(provider.url)!r}.",
        )


def is_safe(url: str) -> bool:
    """Whether what is sent there stays secret: https, or this machine itself."""
    parts = urlsplit(url)
    if parts.scheme == "http":
        try:
            return ip_address(parts.hostname or "").is_loopback
        except ValueError:
            return parts.hostname == "localhost"
    return parts.scheme == "https" and bool(parts.hostname)
