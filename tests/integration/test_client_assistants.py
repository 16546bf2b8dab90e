"""`mesh_client.assistants` and `.inference` against a real mesh: what they begin, ends."""

from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from mesh_client import Client, MemoryStore, Rejected
from mesh_client.assistants import (
    Assistants,
    RunContent,
    RunFailed,
    RunReasoning,
    RunStatus,
    described,
)
from mesh_client.inference import get_inference
from mesh_client.run_events import RunEvent
from tests.whole_mesh import ECHO, FAILING, SLOW, Mesh

DOCS = Path(__file__).parents[2] / "docs"


def get_weather(city: str, days: int = 1) -> str:
    """The weather in a city."""
    return f"It rains in {city} for {days} days."


def broken() -> str:
    """Does nothing."""
    raise ValueError("no radar")


@pytest.fixture
def client(mesh: Mesh) -> Iterator[Client]:
    name = f"assistants-{token_hex(4)}"
    with Client(mesh.url, username=name, store=MemoryStore()) as client:
        yield client


def content(events: list[RunEvent]) -> str:
    return "".join(event.content for event in events if isinstance(event, RunContent))


def states(events: list[RunEvent]) -> list[str]:
    return [event.status for event in events if isinstance(event, RunStatus)]


def test_a_function_that_is_given_is_called_here(client: Client) -> None:
    assistants = Assistants(client)
    ada = assistants.create(model=ECHO, functions=[get_weather, broken])
    thread = assistants.thread()
    thread.say('/call get_weather {"city": "Oslo", "days": 2}')
    events = list(thread.ask(ada, functions=[get_weather]))
    assert content(events) == "It rains in Oslo for 2 days."
    assert "requires_action" in states(events)
    assert states(events)[-1] == "completed"
    thread.say("/call broken {}")
    assert content(list(thread.ask(ada, functions=[broken]))) == "ERROR: no radar"
    same = assistants.open(thread.id)
    assert [said.role for said in same.messages()] == ["user", "assistant", "tool", "assistant"] * 2
    assistants.delete(ada)
    with pytest.raises(Rejected, match="no such assistant"):
        list(thread.ask(ada))


def test_what_cannot_be_told_of_a_call_stops_nobody_from_reading(client: Client) -> None:
    assistants = Assistants(client)
    thread = assistants.thread()
    heard: list[RunEvent] = []

    def opaque() -> object:
        """Makes what is no JSON."""
        return object()

    def hasty() -> str:
        """Stops the run that waits for it."""
        (run_id,) = {event.run_id for event in heard if isinstance(event, RunStatus)}
        thread.cancel(run_id)
        return "too late"

    ada = assistants.create(model=ECHO, functions=[opaque, hasty])
    thread.say("/call opaque {}")
    assert content(list(thread.ask(ada, functions=[opaque]))).startswith("ERROR: ")
    thread.say("/call hasty {}")
    for event in thread.ask(ada, functions=[hasty]):
        heard.append(event)
    assert states(heard)[-1] == "cancelled"


def test_thoughts_and_failures_are_told_apart(client: Client) -> None:
    assistants = Assistants(client)
    thread = assistants.thread()
    thread.say("<think>Hm. </think>Well.")
    events = list(thread.ask(assistants.create(model=ECHO)))
    assert [type(event) for event in events if not isinstance(event, RunStatus)] == [
        RunReasoning,
        RunContent,
    ]
    thread.say("/repeat a")
    *_, error, _ = thread.ask(assistants.create(model=FAILING))
    assert isinstance(error, RunFailed)
    assert error.code == "engine_failed"


def test_a_run_is_stopped_and_keeps_what_it_said(client: Client) -> None:
    assistants = Assistants(client)
    thread = assistants.thread()
    thread.say("/repeat a b")
    heard: list[RunEvent] = []
    run_id = ""
    for event in thread.ask(assistants.create(model=SLOW)):
        heard.append(event)
        if isinstance(event, RunStatus):
            run_id = event.run_id
        elif run_id:
            thread.cancel(run_id)
            run_id = ""
    assert states(heard)[-1] == "cancelled"
    last = thread.messages()[-1]
    assert (last.role, last.status, last.content) == ("assistant", "incomplete", content(heard))


def test_functions_are_described_by_what_they_are() -> None:
    assert described(get_weather) == {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather in a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["city"],
            },
        },
    }


def test_inference_is_of_two_kinds_and_made_once_of_each(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = get_inference(client, "local", get_weather)
    for functions in ((), (broken,)):
        get_inference(client, "local", *functions)
    assert get_inference(client, "local", get_weather) is local
    with pytest.raises(ValueError, match="local and cloud, not 'magic'"):
        get_inference(client, "magic")
    with pytest.raises(LookupError, match="No model for cloud inference"):
        list(get_inference(client, "cloud").ask("hello"))
    assert local.model in {ECHO, SLOW, FAILING, "single"}
    monkeypatch.setattr(type(local), "model", ECHO)
    events = list(local.ask('/call get_weather {"city": "Oslo"}'))
    assert content(events) == "It rains in Oslo for 1 days."
    assert content(list(local.ask("And then?"))) == "And then?"
    assert len(local.thread.messages()) == 6


def test_the_example_in_the_documents_runs(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    page = (DOCS / "tools.md").read_text()
    (example,) = [part for part in page.split("```")[1::2] if "Assistants(client)" in part]
    monkeypatch.setenv("MESH_URL", mesh.url)
    monkeypatch.setenv("MESH_USER", f"assistants-{token_hex(4)}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    code = example.removeprefix("python\n").replace("create(", f"create(model={ECHO!r}, ")
    exec(compile(code, "docs/tools.md", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out == "What is the weather in Oslo?"
