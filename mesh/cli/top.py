"""`mesh top`: the whole mesh on one screen, as it is now and was the last minute."""

import asyncio
import sys
import time
from collections import deque
from typing import Any

import click
from prompt_toolkit.application import Application
from prompt_toolkit.formatted_text import ANSI
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import Layout, Window
from prompt_toolkit.layout.controls import FormattedTextControl

from mesh.bus.connection import BusError
from mesh.bus.jetstream import JetStream
from mesh.bus.tail import Tail
from mesh.cli.fleet import connected
from mesh.cli.lines import Line, lines
from mesh.cli.local import settings_of
from mesh.cli.options import options
from mesh.cli.overview import Overview, draw
from mesh.cli.ps import look_at
from mesh.protocol.errors import MeshError
from mesh.settings import OperatorSettings

EVERY = 1.0
"""Seconds between two looks."""

EVENTS = 200
"""Events that are kept, to be shown as far as there is room."""


@click.command("top")
@options(OperatorSettings, "data_dir", "nats")
def command(**flags: Any) -> None:
    """Watch workers, queue, tokens per second and the last events on one screen.

    \b
        q  leave
        p  pause

    Asks the broker alone, so it works while the gateway is down. `mesh ps --watch --json` is the
    same for programs.
    """
    settings = settings_of("operator", OperatorSettings, flags)
    asyncio.run(_watch(settings))


async def _watch(settings: OperatorSettings) -> None:
    async with connected(settings) as js:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise click.UsageError("`mesh top` needs a terminal; in a pipe, use `mesh ps --watch`.")
        screen = Screen(", ".join(settings.servers))
        screen.overview.see(await look_at(js))
        looking = [
            asyncio.create_task(_look(js, screen)),
            asyncio.create_task(_follow(js, screen)),
        ]
        try:
            await screen.run()
        finally:
            for task in looking:
                task.cancel()
            await asyncio.gather(*looking, return_exceptions=True)


class Screen:
    """What is shown, full screen, until somebody leaves."""

    def __init__(self, where: str) -> None:
        self.overview = Overview(where=where)
        self.events: deque[Line] = deque(maxlen=EVENTS)
        self.paused = False
        self._app: Application[None] = Application(
            Layout(Window(FormattedTextControl(self._picture), always_hide_cursor=True)),
            key_bindings=self._keys(),
            full_screen=True,
        )

    async def run(self) -> None:
        """Be on screen."""
        await self._app.run_async()

    def changed(self) -> None:
        """Something is to be drawn anew, unless one wants to look at it in peace."""
        if not self.paused:
            self._app.invalidate()

    def _picture(self) -> ANSI:
        size = self._app.output.get_size()
        picture = draw(self.overview, self.events, size.columns, size.rows, time.time())
        return ANSI(picture)

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("q")
        @keys.add("escape", eager=True)
        @keys.add("c-c")
        @keys.add("c-d")
        def leave(event: KeyPressEvent) -> None:
            event.app.exit()

        @keys.add("p")
        def pause(event: KeyPressEvent) -> None:
            self.paused = not self.paused
            self.overview.paused = self.paused
            event.app.invalidate()

        return keys


async def _look(js: JetStream, screen: Screen) -> None:
    """Look again and again; a broker that is away is waited for."""
    while True:
        await asyncio.sleep(EVERY)
        if screen.paused:
            continue
        try:
            screen.overview.see(await look_at(js))
        except MeshError as error:
            screen.overview.trouble = error.detail
        screen.changed()


async def _follow(js: JetStream, screen: Screen) -> None:
    """Note the events of the log, from its end on; a log that is not there yet is waited for."""
    tail = Tail(js.bus, js)
    after: int | None = None
    while True:
        try:
            if after is None:
                after = max(0, (await tail.head()).last - EVENTS)
            batch = await tail.read(after, EVENTS)
        except BusError:
            batch = []
        for stored in batch:
            screen.events.extend(lines(stored))
            after = stored.seq
        if batch:
            screen.changed()
        else:
            await tail.wait(EVERY)
