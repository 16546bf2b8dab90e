"""How the answers of a run are read: whether there are calls and thoughts in them."""

from mesh.gateway.models import Models
from mesh.gateway.openai.speech import Speech
from mesh.protocol.abilities import thoughts_of
from mesh.protocol.tools import ToolRun


def speech_of(models: Models, run: ToolRun, rid: str) -> Speech:
    """A reader of the answer to one of a run's requests, from its beginning.

    How the model marks its thoughts the run says itself, whoever serves it by now; of one that an
    older gateway has begun, the model's card does, while it is served.
    """
    thoughts = run.thoughts or thoughts_of(models.cards().get(run.model)) or "none"
    tools = bool(run.tools)
    thinking = (tools or run.grammar is None) and thoughts == "begun"
    return Speech(rid, tools, thoughts != "none", thinking)
