"""A gateway that was started again under its name: what it accepts from then on is its own."""

from collections.abc import Callable

from tests.whole_mesh import SLOW, Mesh


async def test_an_answer_that_begins_right_after_a_restart_is_not_taken_for_one_from_before(
    new_mesh: Callable[..., Mesh],
) -> None:
    """Some seconds pass until it is sure that nobody else has this name, and it looks for those."""
    mesh = new_mesh()
    mesh.start("store", "gateway", SLOW)
    mesh.stop("gateway")
    mesh.start("gateway")
    body = {"prompt": "/repeat word", "model": SLOW, "params": {"max_tokens": 160}}
    async with mesh.anonymous() as http:
        text = (await http.post("/generate", json=body)).text
    assert text.rstrip().endswith('data: {"done":true,"total_tokens":160}'), text[-200:]
