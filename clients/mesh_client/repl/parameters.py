"""What `/set` knows: the parameters of an answer, their meanings and their bounds. Pure."""

from typing import NamedTuple

from mesh_client.calls import AnswerOptions
from mesh_client.errors import MeshClientError
from mesh_client.repl.commands import nearest_name


class Parameter(NamedTuple):
    """One parameter with its bounds; whole: takes no fractions."""

    meaning: str
    least: float
    most: float
    whole: bool = False

    @property
    def takes(self) -> str:
        """The values it takes, in words."""
        kind = "a whole number" if self.whole else "a number"
        bounds = f"from {self.least:g} to {self.most:g}"
        return f"{kind} {bounds}" if self.most < _ANY else f"{kind}, at least {self.least:g}"


_ANY = 1e9

PARAMETERS = {
    "temperature": Parameter("how freely to choose; 0: always the likeliest token", 0, 5),
    "top_p": Parameter("choose among tokens that together have this probability", 0, 1),
    "top_k": Parameter("choose among this many of the likeliest tokens; 0: all", 0, _ANY, True),
    "typical_p": Parameter("choose among tokens as surprising as usual", 0, 1),
    "repetition_penalty": Parameter("how much to avoid what was said; 1: not at all", 0.01, 10),
    "max_tokens": Parameter("stop after so many tokens", 1, _ANY, True),
}


def setting(argument: str) -> tuple[str, float | None]:
    """The name and the value of `NAME VALUE` or `NAME=VALUE`; None: to be cleared.

    Raises MeshClientError with a sentence that says what would do.
    """
    name, _, value = argument.replace("=", " ", 1).partition(" ")
    parameter = PARAMETERS.get(name)
    if parameter is None:
        near = nearest_name(name, list(PARAMETERS))
        raise _bad(
            f"There is no parameter {name}{f' (did you mean {near}?)' if near else ''}; "
            "/set lists them."
        )
    if value.strip() in ("", "-"):
        return name, None
    return name, _number(name, parameter, value.strip())


def put(options: AnswerOptions, values: dict[str, float]) -> None:
    """Add the values that are set to the options of an answer."""
    for name, value in values.items():
        match name:
            case "temperature":
                options["temperature"] = value
            case "top_p":
                options["top_p"] = value
            case "top_k":
                options["top_k"] = int(value)
            case "typical_p":
                options["typical_p"] = value
            case "repetition_penalty":
                options["repetition_penalty"] = value
            case "max_tokens":
                options["max_tokens"] = int(value)


def _number(name: str, parameter: Parameter, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    whole = value.is_integer() or not parameter.whole
    if parameter.least <= value <= parameter.most and whole:
        return value
    raise _bad(f"{name} takes {parameter.takes}, not {text}.")


def _bad(sentence: str) -> MeshClientError:
    return MeshClientError(sentence, code="bad_request")
