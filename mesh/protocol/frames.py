"""Tokens on their way: what an engine yielded, for many requests in one message."""

from msgspec import Struct

from mesh.protocol.numbers import Number


class Entry(Struct, frozen=True, array_like=True, gc=False):
    """Consecutive pieces of one answer, written under claim `n`, the first being piece `index`.

    A piece is the text that became certain with one engine step: usually one token; more than
    one where a character or a possible stop string had to be waited for. `ids[k]` are the token
    ids of `texts[k]`; `ids` is None where the engine does not give them.
    """

    rid: str
    n: Number
    index: Number
    texts: list[str]
    ids: list[tuple[int, ...]] | None = None


class Odds(Struct, frozen=True, array_like=True, gc=False):
    """How likely a piece was, as a natural logarithm: of its tokens together.

    top: the likeliest tokens in the place of its last one, and their logarithms, best first.
    """

    logprob: float
    top: tuple[tuple[str, float], ...] = ()


class Frame(Struct, frozen=True, tag="frame", gc=False, omit_defaults=True):
    """One message of tokens: what an engine yielded, for all requests of one reply address.

    odds: where some request asked for them, a list for each entry: one for each of its texts, or
    none where nobody asked.
    """

    entries: list[Entry]
    odds: list[list[Odds]] = []

    def odds_of(self, at: int) -> list[Odds]:
        """The odds of entry `at`, one for each of its texts; none, if they are not as many."""
        found = self.odds[at] if at < len(self.odds) else []
        return found if len(found) == len(self.entries[at].texts) else []
