"""The grammar of JSON itself, from strings to any value. Behind `,` and `:` a space may stand."""

from mesh.gateway.grammar.build import Builder
from mesh.gateway.grammar.numbers import DIGIT, between
from mesh.protocol.grammar import Alternative, Chars

_PLAIN = Chars('\x00\x1f""\\\\\x7f\x7f', negated=True)
_HEX = Chars("09afAF")


class Json:
    """Rules for JSON texts, made in a builder as they are needed."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder

    def space(self) -> int:
        return self.builder.named("space", lambda: self.builder.rule((), (" ",)))

    def character(self) -> int:
        """One character of a string, as it stands or escaped; never half of a pair."""
        escapes: tuple[Alternative, ...] = (
            (_PLAIN,),
            ("\\", Chars('""\\\\//bbffnnrrtt')),
            ("\\u", Chars("09acefACEF"), _HEX, _HEX, _HEX),
            ("\\u", Chars("ddDD"), Chars("07"), _HEX, _HEX),
        )
        return self.builder.named("character", lambda: self.builder.rule(*escapes))

    def string(self, least: int = 0, most: int | None = None) -> int:
        """A string of so many characters."""

        def make() -> int:
            return self.builder.rule(('"', self.builder.times(self.character(), least, most), '"'))

        return self.builder.named(f"string {least} {most}", make)

    def integer(self) -> int:
        return self.builder.named("integer", lambda: self.builder.rule(*between(None, None)))

    def number(self) -> int:
        """An integer, a fraction of at most 15 digits, an exponent of at most two."""
        b = self.builder

        def make() -> int:
            fraction = b.rule((), (".", b.times(DIGIT, 1, 15)))
            sign = b.rule((), (Chars("++--"),))
            exponent = b.rule((), (Chars("eeEE"), sign, b.times(DIGIT, 1, 2)))
            return b.rule((self.integer(), fraction, exponent))

        return b.named("number", make)

    def any_value(self) -> int:
        def make() -> int:
            value = self.builder.reserve()
            return self.builder.fill(
                value,
                (self.string(),),
                (self.number(),),
                ("true",),
                ("false",),
                ("null",),
                (self.mapping(value),),
                (self.array(value, 0, None),),
            )

        return self.builder.named("any value", make)

    def mapping(self, value: int) -> int:
        """An object with any keys."""
        b = self.builder
        member = b.rule((self.string(), ":", self.space(), value))
        more = b.some(b.rule((",", self.space(), member)))
        return b.rule(("{", member, more, "}"), ("{}",))

    def array(self, item: int, least: int, most: int | None) -> int:
        """An array of so many items."""
        b = self.builder
        more = b.rule((",", self.space(), item))
        rest = b.times(more, max(0, least - 1), None if most is None else max(0, most - 1))
        filled: Alternative = ("[", item, rest, "]")
        empty: Alternative = ("[]",)
        if most == 0:
            return b.rule(empty)
        return b.rule(filled) if least else b.rule(filled, empty)

    def formatted(self, name: str) -> int | None:
        """A string of a format, or None for one that is not known. Days end with the 28th."""
        b = self.builder
        two_of_60: Alternative = (Chars("05"), DIGIT)

        def date() -> Alternative:
            month = b.rule(("0", Chars("19")), ("1", Chars("02")))
            day = b.rule(("0", Chars("19")), ("1", DIGIT), ("2", Chars("08")))
            return (Chars("12"), DIGIT, DIGIT, DIGIT, "-", month, "-", day)

        def time() -> Alternative:
            hour = b.rule((Chars("01"), DIGIT), ("2", Chars("03")))
            return (hour, ":", *two_of_60, ":", *two_of_60, "Z")

        def uuid() -> Alternative:
            low = Chars("09af")
            four: Alternative = ("-", *[low] * 4)
            return (*[low] * 8, *four, *four, *four, "-", *[low] * 12)

        def email() -> Alternative:
            word = b.times(Chars("azAZ09"), 1, 40)
            return (word, "@", word, ".", b.times(Chars("az"), 2, 6))

        makers = {
            "date": date,
            "time": time,
            "date-time": lambda: (*date(), "T", *time()),
            "uuid": uuid,
            "email": email,
        }
        make = makers.get(name)
        return None if make is None else b.rule(('"', *make(), '"'))
