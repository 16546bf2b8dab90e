"""One of everything that a person can own, made over HTTP, and what its routes are sent."""

from dataclasses import dataclass
from secrets import token_hex
from typing import Any

import httpx

from tests.calling import CALL, WEATHER
from tests.whole_mesh import ECHO

METHODS = {"GET": 0, "POST": 1, "PUT": 2, "DELETE": 3}
"""In which order all routes of one's own are called: what is deleted is called no more."""


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in, and the ids of what is theirs, by kind."""

    http: httpx.Client
    ids: dict[str, str]


BODIES: dict[str, dict[str, Any]] = {
    "PUT /chats/{chat_id}": {"hidden": False},
    "POST /chats/{chat_id}/prompter_message": {"content": "x", "parent_id": "$answer"},
    "POST /chats/{chat_id}/assistant_message": {"parent_id": "$question"},
    "POST /chats/{chat_id}/messages": {"content": "x", "parent_id": "$answer"},
    "POST /chats/{chat_id}/drafts": {"parent_id": "$question", "n": 1},
    "POST /chats/{chat_id}/messages/{message_id}/votes": {"score": 1},
    "POST /chats/{chat_id}/messages/{message_id}/reports": {"report_type": "spam"},
    "POST /fetch": {"chat_id": 1},
    "PUT /v1/users/{user_id}": {"name": "somebody"},
    "PUT /v1/tools/{tool_id}": {"function": {"name": "$tool_name", "description": "x"}},
    "POST /v1/threads/{thread_id}/messages": {"content": "x"},
    "POST /v1/threads/{thread_id}/runs": {"assistant_id": "$assistant"},
    "POST /v1/runs/{run_id}/submit_tool_outputs": {
        "tool_outputs": [{"tool_call_id": "$call", "output": "x"}]
    },
    "PUT /v1/runs/{run_id}/status": {"status": "cancelled"},
    "PUT /v1/actions/{action_id}": {"status": "completed", "result": "x"},
    "PUT /admin/users/{user_id}/password": {"password": "another horse battery"},
    "PUT /admin/users/{user_id}/role": {"role": "operator"},
}
"""What is valid, where `{}` is not: `$kind` stands for the id of one of the owner's. A refusal for
the body's sake would hide whether the route looks whose the path's object is."""


QUERIES = {"GET /chats/search": {"q": "x"}}
"""What has to stand behind a path."""


def body_of(operation: str, owner: Person) -> Any:
    """What a route is sent, with what is the owner's."""
    return filled(BODIES.get(operation, {}), owner)


def filled(part: Any, owner: Person) -> Any:
    """The same with the ids of what is the owner's."""
    match part:
        case dict():
            return {name: filled(value, owner) for name, value in part.items()}
        case list():
            return [filled(value, owner) for value in part]
        case str() if part.startswith("$"):
            return owner.ids[part[1:]]
    return part


def owner_of_all(http: httpx.Client) -> Person:
    """Somebody who owns one of everything. http: signed in as them."""
    user = _post(http, "/v1/threads")["owner_id"]
    ids = {"user": user, "anybody": user}
    ids |= _chat(http) | _assistant(http) | _thread(http) | _run(http)
    ids["key"] = _post(http, "/account/keys", name="a key")["key"]["id"]
    ids["response"] = _post(http, "/v1/responses", model=ECHO, input="hello")["id"]
    ids["request"] = ids["response"].removeprefix("resp_")
    return Person(http, ids)


def _chat(http: httpx.Client) -> dict[str, str]:
    """A chat with a question and its answer, and a link to it."""
    chat = _post(http, "/chats")["id"]
    asked = _post(http, f"/chats/{chat}/messages", content="hello", model_config_name=ECHO)
    question, answer = asked["prompter_message"]["id"], asked["assistant_message"]["id"]
    with http.stream("GET", f"/chats/{chat}/messages/{answer}/events") as events:
        events.read()  # to its end
    share = _post(http, f"/chats/{chat}/shares")["id"]
    return {"chat": chat, "question": question, "answer": answer, "share": share}


def _assistant(http: httpx.Client) -> dict[str, str]:
    name = f"tool_{token_hex(4)}"
    tool = _post(http, "/v1/tools", function={"name": name, "description": "x"})["id"]
    assistant = _post(http, "/v1/assistants", model=ECHO)["id"]
    return {"tool": tool, "tool_name": name, "assistant": assistant}


def _thread(http: httpx.Client) -> dict[str, str]:
    thread = _post(http, "/v1/threads")["id"]
    message = _post(http, f"/v1/threads/{thread}/messages", content="hello")["id"]
    return {"thread": thread, "message": message}


def _run(http: httpx.Client) -> dict[str, str]:
    """A run that waits for what comes of a call."""
    said = [{"role": "user", "content": CALL}]
    run = _post(http, "/v1/runs", model=ECHO, messages=said, tools=[WEATHER])["id"]
    http.get(f"/v1/runs/{run}", params={"wait": 30}).raise_for_status()
    (action,) = http.get(f"/v1/runs/{run}/actions/status").raise_for_status().json()
    return {"run": run, "action": action["id"], "call": action["tool_call_id"]}


def _post(http: httpx.Client, path: str, **body: Any) -> Any:
    response = http.post(path, json=body)
    assert response.is_success, (path, response.text)
    return response.json()
