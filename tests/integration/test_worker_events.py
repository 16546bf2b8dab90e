"""What happened to workers, over HTTP."""

from collections.abc import Callable

from tests.chatting import ok, refusal
from tests.whole_mesh import ECHO, SLOW, Mesh


async def test_the_lives_of_workers_are_told_to_those_who_are_signed_in(
    new_mesh: Callable[..., Mesh],
) -> None:
    mesh = new_mesh()
    mesh.start()
    async with mesh.anonymous() as nobody:
        refusal(await nobody.get("/workers/events"), 403, "not_authenticated")
    async with await mesh.client("event reader") as http:
        started: set[str] = set()
        while not {ECHO, SLOW} <= started:  # the store is a little behind
            found = ok(await http.get("/workers/events"))["events"]
            started = {event["worker"] for event in found if event["kind"] == "started"}
        assert [event["at"] for event in found] == sorted(event["at"] for event in found)
        assert all(event.keys() == {"at", "worker", "kind", "detail"} for event in found)
        one = ok(await http.get("/workers/events", params={"worker": SLOW, "limit": 1}))["events"]
        assert [event["worker"] for event in one] == [SLOW]
        wrong = await http.get("/workers/events", params={"limit": 0})
        assert "limit" in refusal(wrong, 400, "bad_request")
