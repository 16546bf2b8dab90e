"""A grammar as it travels: what an answer has to be a text of. Data only; nobody runs it here.

Context-free, without left recursion. A rule is a choice of alternatives, an alternative a
sequence of elements: a text as it stands, the number of another rule, or one character of a set.
Rule 0 is the whole answer.
"""

from msgspec import Struct


class Chars(Struct, frozen=True, array_like=True):
    """One character of a set. ranges: pairs of characters, from and to; negated: any other."""

    ranges: str
    negated: bool = False

    def has(self, character: str) -> bool:
        """Whether a character is in the set."""
        ranges = self.ranges
        found = any(
            ranges[at] <= character <= ranges[at + 1] for at in range(0, len(ranges) - 1, 2)
        )
        return found is not self.negated

    def meets(self, low: int, high: int) -> bool:
        """Whether a code point from `low` to `high` is in the set."""
        ranges = [ord(bound) for bound in self.ranges]
        pairs = sorted(zip(ranges[::2], ranges[1::2], strict=True))
        if not self.negated:
            return any(first <= high and low <= last for first, last in pairs)
        for first, last in pairs:
            if low < first:
                break
            low = max(low, last + 1)
        return low <= high


Element = str | int | Chars
Alternative = tuple[Element, ...]
Rule = tuple[Alternative, ...]


class Wish(Struct, frozen=True, omit_defaults=True):
    """What a grammar was made for, in OpenAI's words: for engines that ask somebody else for it.

    schema: JSON text of the JSON Schema that the content has to be of, "": any text; name, strict:
    of that schema, as asked; must_call: a function has to be called; only: which one, "": any;
    parallel: there may be several calls.
    """

    schema: str = ""
    name: str = ""
    strict: bool = False
    must_call: bool = False
    only: str = ""
    parallel: bool = True


class Grammar(Struct, frozen=True, omit_defaults=True):
    """Rules by their number. wish: None, where whoever made it did not say."""

    rules: tuple[Rule, ...]
    wish: Wish | None = None
