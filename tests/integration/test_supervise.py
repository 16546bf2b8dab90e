"""The supervisor with real processes, small ones that stand in for the mesh's."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from mesh.cli.leash import Leash
from mesh.cli.supervise import Child, Program
from mesh.protocol.errors import MeshError

Lines = list[tuple[str, str]]


def program(code: str, grace: float = 5.0) -> Program:
    return Program(
        name="stand-in",
        command=[sys.executable, "-c", textwrap.dedent(code)],
        environment=dict(os.environ),
        grace=grace,
    )


async def until(condition: Callable[[], bool], timeout: float = 30.0) -> None:
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running(program: Program) -> AsyncIterator[tuple[Child, Lines, asyncio.Task[None]]]:
    lines: Lines = []
    with Leash() as leash:
        child = Child(program, leash, lambda name, line: lines.append((name, line)))
        task = asyncio.create_task(child.run())
        try:
            yield child, lines, task
        finally:
            child.kill()
            await asyncio.wait([task])


async def test_a_killed_child_is_started_again() -> None:
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    async with running(program(code)) as (child, lines, _):
        await until(lambda: len(lines) == 1)
        os.kill(int(lines[0][1]), signal.SIGKILL)
        await until(lambda: len(lines) == 3)
    assert "killed by SIGKILL" in lines[1][1]
    assert lines[2][1] != lines[0][1]


async def test_a_child_that_is_renewed_begins_again_at_once_and_is_not_blamed() -> None:
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    async with running(program(code)) as (child, lines, _):
        for count in range(1, 8):  # more often than a program may end by itself
            await until(lambda count=count: len(lines) == count)  # type: ignore[misc]
            await child.renew()
        await until(lambda: len(lines) == 8)
    assert len({line for _, line in lines}) == 8, "each is another process, and nothing is said"


async def test_who_renews_a_child_has_heard_its_last_line() -> None:
    code = """
        import signal, subprocess, sys, time
        def leave(*_):
            last = "import time; time.sleep(0.3); print('the last', flush=True)"
            subprocess.Popen([sys.executable, "-c", last], start_new_session=True)
            sys.exit()
        signal.signal(signal.SIGTERM, leave)
        print("ready", flush=True)
        time.sleep(60)
    """
    async with running(program(code)) as (child, lines, _):
        await until(lambda: len(lines) == 1)
        await child.renew()
        assert [line for _, line in lines] == ["ready", "the last"]
        await until(lambda: len(lines) == 3)


async def test_a_crash_loop_ends_in_the_childs_own_words() -> None:
    code = "import sys; print('the disk is full', file=sys.stderr); sys.exit(3)"
    async with running(program(code)) as (child, _, task):
        child.restarts.first = 0.01
        with pytest.raises(
            MeshError, match="stand-in ended 5 times.*status 3. .*said: the disk is full"
        ):
            await asyncio.wait_for(task, 30)


async def test_who_dies_of_its_work_again_and_again_is_started_each_time() -> None:
    code = """
        import os, signal
        from mesh.cli.at_work import AtWork
        at_work = AtWork()
        for busy in (True, False, True):
            at_work(busy)
        print("working", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    async with running(replace(program(code), tells=True)) as (child, lines, task):
        child.restarts.first = 0.01
        child.restarts.longest = 0.01
        await until(lambda: lines.count(("stand-in", "working")) > 6)
        assert not task.done()


async def test_who_dies_with_its_work_done_may_be_in_a_loop() -> None:
    code = """
        from mesh.cli.at_work import AtWork
        at_work = AtWork()
        at_work(True)
        at_work(False)
        raise SystemExit(1)
    """
    async with running(replace(program(code), tells=True)) as (child, _, task):
        child.restarts.first = 0.01
        with pytest.raises(MeshError, match="ended 5 times"):
            await asyncio.wait_for(task, 60)


async def test_what_only_a_person_can_mend_is_not_tried_again() -> None:
    code = "import sys; print('mesh: there is no model x'); sys.exit(78)"
    async with running(program(code)) as (_, _, task):
        with pytest.raises(MeshError, match="^The stand-in cannot run: there is no model x$"):
            await asyncio.wait_for(task, 30)


async def test_stopping_lets_a_child_finish_its_work() -> None:
    code = """
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: (print("finished"), sys.exit(0)))
        print("ready", flush=True)
        time.sleep(60)
    """
    async with running(program(code)) as (child, lines, task):
        await until(lambda: bool(lines))
        await child.stop()
        await asyncio.wait_for(task, 30)
    assert lines[-1] == ("stand-in", "finished")


async def test_a_child_that_will_not_leave_is_killed_after_its_grace() -> None:
    code = """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("ready", flush=True)
        time.sleep(60)
    """
    async with running(program(code, grace=0.2)) as (child, lines, task):
        await until(lambda: bool(lines))
        await child.stop()
        await asyncio.wait_for(task, 30)
    assert "did not leave" in lines[-1][1]


async def test_stopping_right_after_starting_leaves_nothing() -> None:
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    async with running(program(code)) as (child, _, task):
        await child.stop()
        await asyncio.wait_for(task, 30)
        assert not child.pid


async def test_stopping_does_not_wait_for_the_next_start() -> None:
    async with running(program("raise SystemExit(1)")) as (child, lines, task):
        child.restarts.first = child.restarts.longest = 600
        await until(lambda: bool(lines))
        await child.stop()
        await asyncio.wait_for(task, 30)
    assert "starting it again in 600 s" in lines[-1][1]


async def test_a_childs_own_children_end_with_it() -> None:
    code = """
        import subprocess, sys
        other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        print(other.pid, flush=True)
        other.wait()
    """
    async with running(program(code)) as (child, lines, _):
        await until(lambda: bool(lines))
        os.kill(child.pid, signal.SIGKILL)
        await until(lambda: len(lines) > 1)
        await until(lambda: not alive(int(lines[0][1])))


async def test_a_very_long_line_does_not_stop_the_reading() -> None:
    code = "import time; print('x' * 3_000_000); print('after', flush=True); time.sleep(60)"
    async with running(program(code)) as (_, lines, _):
        await until(lambda: bool(lines) and lines[-1][1] == "after")


SUPERVISOR = """
    import asyncio, os, sys
    from mesh.cli.leash import Leash
    from mesh.cli.supervise import Child, Program

    CHILD = '''
    import os, subprocess, sys, time
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    print(os.getpid(), other.pid, flush=True)
    time.sleep(60)
    '''

    async def main():
        program = Program(
            name="child", command=[sys.executable, "-c", CHILD], environment=dict(os.environ)
        )
        with Leash() as leash:
            await Child(program, leash, lambda name, line: print(line, flush=True)).run()

    asyncio.run(main())
"""


def test_nothing_survives_the_kill_of_the_supervisor(tmp_path: Path) -> None:
    script = tmp_path / "supervisor.py"
    script.write_text(textwrap.dedent(SUPERVISOR))
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        family = [psutil.Process(pid) for pid in pids] + psutil.Process(parent.pid).children()
        parent.kill()
    assert len(pids) == 2
    gone, left = psutil.wait_procs(family, timeout=30)
    assert not left


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
