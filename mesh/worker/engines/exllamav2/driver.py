"""The thread that drives the library's generator, which no other thread may touch.

It takes answers in and out between two steps, and hands what a step gave to the event loop at
once. When a step fails, the answers in it fail, and the others go on in a new generator.
"""

import logging
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any

from mesh.worker.engines.base import EngineBroken, EngineError, Step
from mesh.worker.engines.exllamav2.answer import Answer, Task
from mesh.worker.engines.relay import Relay

log = logging.getLogger(__name__)

CLOSED = "The ExLlamaV2 engine was closed."
FATAL = ("CUDA error", "device-side assert", "cudaError", "CUBLAS_STATUS", "unspecified launch")
"""What errors say after which the GPU answers nothing more in this process."""

Order = Callable[[], None]


class Driver:
    """`make` makes a generator over the loaded model; what it raises, the constructor does.

    slots: answers in the generator at once; others wait their turn, first come, first served.
    """

    def __init__(self, make: Callable[[], Any], slots: int, loop: AbstractEventLoop) -> None:
        self._make = make
        self._slots = slots
        self._loop = loop
        self._orders: SimpleQueue[Order] = SimpleQueue()
        self._waiting: deque[Answer] = deque()
        self._running: dict[Answer, Task] = {}
        self._mail: list[tuple[Relay, Step | EngineError]] = []
        self._broken: EngineError | None = None
        self._generator = make()
        self._thread = Thread(target=self._run, name="exllamav2", daemon=True)
        self._thread.start()

    # --- from the event loop ----------------------------------------------------------------------

    def begin(self, answer: Answer) -> None:
        """Answer as soon as there is room."""
        self._orders.put(lambda: self._begin(answer))

    def cancel(self, answer: Answer) -> None:
        """Have nothing more to do with an answer, whether it waits, runs or has ended."""
        self._orders.put(lambda: self._cancel(answer))

    def close(self) -> None:
        """End all answers with an error, and the thread. Blocks until it has ended."""
        self._orders.put(self._close)
        self._thread.join()

    # --- the thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        while not isinstance(self._broken, _Closed):
            self._obey()
            self._admit()
            if self._running:
                self._step()
            self._post()
        _dispose(self._generator)
        self._generator = None  # it holds the cache

    def _obey(self) -> None:
        """Do what was asked for; with nothing else to do, wait for it."""
        if not self._running and not self._waiting:
            self._orders.get()()
        while not self._orders.empty():
            self._orders.get()()

    def _begin(self, answer: Answer) -> None:
        if self._broken:
            self._mail.append((answer.relay, self._broken))
        else:
            self._waiting.append(answer)

    def _cancel(self, answer: Answer) -> None:
        if answer in self._waiting:
            self._waiting.remove(answer)
        task = self._running.pop(answer, None)
        if task is None:
            return
        try:
            self._generator.cancel(task)
        except Exception as error:  # after the last one it moves pages about, on the GPU
            self._recover(error)

    def _close(self) -> None:
        self._end_all(_Closed(CLOSED))

    def _admit(self) -> None:
        while self._waiting and len(self._running) < self._slots:
            answer = self._waiting.popleft()
            try:
                task = answer.task()
                self._generator.enqueue(task)
            except Exception as error:  # it alone: without this thread all others would wait
                self._mail.append((answer.relay, EngineError(f"ExLlamaV2 refused it: {error}.")))
            else:
                self._running[answer] = task

    def _step(self) -> None:
        try:
            results = self._generator.iterate()
        except Exception as error:
            self._recover(error)
            return
        for result in results:
            if result["stage"] == "streaming" and result["job"].answer in self._running:
                self._read(result["job"], result)

    def _read(self, task: Task, result: dict[str, object]) -> None:
        answer = task.answer
        try:
            steps = list(answer.advance(task, result))
        except Exception as error:  # with this thread all other answers would end as well
            self._fail(answer, task, error)
        else:
            self._mail += [(answer.relay, step) for step in steps]
            if result["eos"]:
                del self._running[answer]

    def _fail(self, answer: Answer, task: Task, error: Exception) -> None:
        """End one answer, and let its generator know."""
        if not isinstance(error, EngineError):
            log.error("What ExLlamaV2 gave cannot be read", exc_info=error)
            error = EngineError(f"What ExLlamaV2 gave cannot be read: {error}")
        self._mail.append((answer.relay, error))
        self._cancel(answer)
        for page in task.pages:
            _forget(page)

    def _recover(self, error: Exception) -> None:
        """Fail the answers that were in the step; take the others into a new generator."""
        log.error("ExLlamaV2 failed in a step with %d answers", len(self._running), exc_info=error)
        said = f"{type(error).__name__}: {error}"
        if any(sign in said for sign in FATAL):
            self._end_all(EngineBroken(f"The GPU has failed: {said.splitlines()[0]}"))
            return
        begun = [task for task in self._running.values() if task in self._generator.active_jobs]
        for task in begun:
            del self._running[task.answer]
            self._mail.append((task.answer.relay, EngineError(f"ExLlamaV2 failed: {said}")))
        self._waiting.extendleft(reversed(self._running))
        self._running.clear()
        _dispose(self._generator)
        try:
            self._generator = self._make()
        except Exception as again:
            self._end_all(EngineBroken(f"ExLlamaV2 cannot be started again: {again}"))

    def _end_all(self, error: EngineError) -> None:
        self._broken = error
        for answer in [*self._running, *self._waiting]:
            self._mail.append((answer.relay, error))
        self._running.clear()
        self._waiting.clear()

    def _post(self) -> None:
        """Hand everything to the event loop, which is woken once."""
        if self._mail:
            mail, self._mail = self._mail, []
            try:
                self._loop.call_soon_threadsafe(_deliver, mail)
            except RuntimeError:  # The event loop is closed: nobody will read on.
                self._end_all(_Closed(CLOSED))
                self._mail = []


class _Closed(EngineError):
    """The engine was closed."""


def _deliver(mail: list[tuple[Relay, Step | EngineError]]) -> None:
    for relay, item in mail:
        if isinstance(item, Step):
            relay.put(item)
        else:
            relay.fail(item)


def _forget(page: Any) -> None:
    """Keep a page's broken values from those who begin with the same text."""
    if page.ref_count == 0:
        page.clear()


def _dispose(generator: Any) -> None:
    """End the threads of a generator's pools."""
    for pool in (generator.sampling_pool, generator.filter_pool):
        pool.shutdown(wait=False, cancel_futures=True)
