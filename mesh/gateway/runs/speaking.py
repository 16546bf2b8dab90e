"""How the answers of a run are read: whether there are calls and thoughts in them."""

from mesh.gateway.models import Models
from mesh.gateway.openai.speech import Speech
from mesh.protocol.abilities import Ability
from mesh.protocol.tools import ToolRun


def speech_of(models: Models, run: ToolRun, rid: str) -> Speech:
    """A reader of the answer to one of a run's requests, from its beginning."""
    card = models.cards().get(run.model)
    abilities = card.abilities if card is not None else ()
    tools = bool(run.tools)
    thinking = (tools or run.grammar is None) and Ability.REASON_AT_ONCE.value in abilities
    return Speech(rid, tools, Ability.REASON.value in abilities, thinking)
