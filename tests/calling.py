"""Tools and formats that a model is offered, and runs that call them, as many tests need them."""

import asyncio
from typing import Any

import httpx
from pydantic import BaseModel

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
CLOCK: Any = {"type": "function", "function": {"name": "clock"}}
CALL = '/call get_weather {"city": "Oslo"}'
"""What makes the echo engine call the first of them."""


class Person(BaseModel):
    """What a format asks for."""

    name: str
    age: int


def told_outcome(called: Any, outcome: str) -> Any:
    """The dialogue so far, with what came of the one call that a model has made."""
    (call,) = called.tool_calls
    return [
        {"role": "user", "content": CALL},
        called.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": outcome},
    ]


async def settled(http: httpx.AsyncClient, run_id: str) -> dict[str, Any]:
    """How a run stands once it goes on by itself no more."""
    async with asyncio.timeout(60):
        while True:
            response = await http.get(f"/v1/runs/{run_id}", params={"wait": 10})
            run: dict[str, Any] = response.raise_for_status().json()
            if run["status"] not in ("queued", "in_progress"):
                return run
