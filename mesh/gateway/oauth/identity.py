"""Who a site says somebody is, and whether such a person may come in. Pure."""

from msgspec import Struct


class Identity(Struct, frozen=True, kw_only=True):
    """A person at a site. account: the id that never changes; username: what the site calls them,
    which may; email: only one that the site has verified."""

    account: str
    name: str
    username: str = ""
    email: str = ""


def is_welcome(provider: str, who: Identity, listed: str) -> bool:
    """Whether a new account may be made for somebody.

    listed: `*` for everybody, `@example.org` for an e-mail domain, `ada@example.org` for an
    address, `github:ada` for a name at a site; separated by commas.
    """
    names = {name.strip().casefold() for name in listed.split(",") if name.strip()}
    mine = {"*", f"{provider}:{who.username}".casefold()} if who.username else {"*"}
    if who.email:
        email = who.email.casefold()
        mine |= {email, f"@{email.rpartition('@')[2]}"}
    return bool(names & mine)
