"""Who a site says somebody is, and whether such a person may come in. Pure."""

from string import ascii_lowercase, ascii_uppercase

from msgspec import Struct

_ASCII_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


class Identity(Struct, frozen=True, kw_only=True):
    """A person at a site. account: the id that never changes; username: what the site calls them
    and nobody else at the time, which may change; email: only one that the site has verified.

    By OpenID Connect there is no username: `preferred_username` is neither the person's for good
    nor theirs alone (OpenID Connect Core 1.0, section 5.7), and many issuers let people choose it.
    """

    account: str
    name: str
    username: str = ""
    email: str = ""


def is_welcome(provider: str, who: Identity, listed: str) -> bool:
    """Whether a new account may be made for somebody.

    listed: `*` for everybody, `@example.org` for an e-mail domain, `ada@example.org` for an
    address, `github:ada` for a name at a site, of a site of OpenID Connect `oidc:248289761001` for
    an id there (its claim `sub`); separated by commas. In names and addresses the case of ASCII
    letters does not matter, and nothing else is taken for something else: to fold `straße.de` into
    `strasse.de` would let in whoever owns the one where the other is listed.
    """
    given = {name.strip() for name in listed.split(",") if name.strip()}
    if not who.username and f"{provider}:{who.account}" in given:  # ids differ by case, names not
        return True
    names = {_lower(name) for name in given}
    mine = {"*", _lower(f"{provider}:{who.username}")} if who.username else {"*"}
    if who.email:
        email = _lower(who.email)
        mine |= {email, f"@{email.rpartition('@')[2]}"}
    return bool(names & mine)


def _lower(text: str) -> str:
    """A text with its ASCII letters in lower case, and no others: a kelvin sign is no k."""
    return text.translate(_ASCII_LOWER)
