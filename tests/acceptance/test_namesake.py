"""A second gateway under a living one's name leaves, and has touched nothing of the first's."""

from tests.acceptance.conftest import Processes, until
from tests.acceptance.reading import Reading, said
from tests.conftest import free_port


def test_a_gateway_with_a_living_ones_name_says_so_and_ends_nobodys_answer(
    processes: Processes,
) -> None:
    processes.gateway()
    processes.worker("w1", "--echo-rate", "20")
    processes.await_workers(1)
    reading = Reading(processes.url, 120)  # without a key: whoever thinks it is lost, cancels it
    reading.start()
    reading.await_tokens(5)
    twin = processes.process("twin", "gateway", "--port", str(free_port()))
    until("the second one leaves", lambda: not twin.running)
    assert twin.popen.returncode == 78, "starting it again would not help"
    assert "MESH_GATEWAY_NAME" in twin.log.read_text().splitlines()[-1]
    reading.finish()
    assert reading.texts == said(120)
    assert reading.last == {"done": True, "total_tokens": 120}
