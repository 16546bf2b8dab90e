"""Who a site says somebody is, and whether such a person may come in. Pure."""

from msgspec import Struct


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
    an id there (its claim `sub`); separated by commas.
    """
    given = {name.strip() for name in listed.split(",") if name.strip()}
    if not who.username and f"{provider}:{who.account}" in given:  # ids differ by case, names not
        return True
    names = {name.casefold() for name in given}
    mine = {"*", f"{provider}:{who.username}".casefold()} if who.username else {"*"}
    if who.email:
        email = who.email.casefold()
        mine |= {email, f"@{email.rpartition('@')[2]}"}
    return bool(names & mine)
