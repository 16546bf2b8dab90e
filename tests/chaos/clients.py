"""The people of a campaign: they ask, read, leave, come back, hang up, and note what they read."""

import asyncio
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.checker import Transcript
from tests.chaos.door import AGAIN, Door, GaveUp
from tests.chaos.generating import body_of, note_last, refused
from tests.chaos.plan import ECHO, LETTERS, Ask
from tests.chaos.web import Broken, Response

GRANTED = 60.0
"""Seconds in which a stop, or a look at a message, has to be granted: the gateway that is asked may
be frozen for 25 s, and its broker away after that."""

PATIENCE = 150.0
"""Seconds after which a client believes no more that its answer will have an end, as a rule."""

APART = 0.9
"""Seconds by which two are apart at most that ask the same: a slow wire needs that long for three
looks, after which a question is believed to be new."""

AWAY = 3.0
"""Seconds for which a slow reader reads nothing, once the answer has begun."""

HEAP = 6 * LETTERS
"""Bytes that come at once where pieces have gathered while a gateway could not write. A stream that
goes on begins with all that there is as well."""

USERS = 8


@dataclass
class People:
    """All clients of one mesh. forgetful: a control, clients that take no heed of ids.

    hung_up: when each one hung up or asked to stop; pressed: who has kept a gateway waiting by
    reading slowly; never_granted: a sentence for each that gave up asking; wordless: how many meant
    to hang up, and were refused or cut off before they heard anything; narrow: as `Mesh` has it.
    """

    gateways: list[str]
    rng: random.Random
    forgetful: bool = False
    patience: float = PATIENCE
    transcripts: list[Transcript] = field(default_factory=list)
    hung_up: dict[int, float] = field(default_factory=dict)
    pressed: set[int] = field(default_factory=set)
    never_granted: list[str] = field(default_factory=list)
    wordless: int = 0
    tokens: dict[int, str] = field(default_factory=dict)
    narrow: Mapping[str, str] = field(default_factory=dict)
    door: Door = field(init=False)

    def __post_init__(self) -> None:
        self.door = Door(self.gateways, self.rng, self.narrow)

    async def ask(self, ask: Ask) -> None:
        """Behave as one client does, to the end of its interest or of its patience."""
        try:
            await self._behave(ask)
        except GaveUp as why:
            self.give_up(ask, why)

    def give_up(self, ask: Ask, why: GaveUp) -> None:
        """Note that a client was never granted something; what it has read stays what it is."""
        self.never_granted.append(f"#{ask.number} ({ask.client}): {why}")
        mute = (t for t in self.transcripts if t.number == ask.number and not t.pieces)
        for transcript in [each for each in mute if not each.ended]:
            self.transcripts.remove(transcript)

    async def _behave(self, ask: Ask) -> None:
        match ask.client:
            case "reader" | "slow":
                await self._read(ask, slow=ask.client == "slow")
            case "leaver":
                await self._read(ask, leave_after=ask.after)
            case "retrier":
                await asyncio.gather(self._read(ask), self._read(ask))
            case "hanger":
                await self._hang_up(ask)
            case "chatter" | "doubler":
                await self._chat(ask)

    def _transcript(self, ask: Ask) -> Transcript:
        transcript = Transcript(ask.number)
        self.transcripts.append(transcript)
        return transcript

    # --- /generate with a key ---------------------------------------------------------------------

    async def _read(self, ask: Ask, leave_after: int = 0, slow: bool = False) -> None:
        transcript = self._transcript(ask)
        with suppress(TimeoutError):
            async with asyncio.timeout(self.patience):
                while not transcript.ended:
                    with suppress(*Broken), _noted(transcript):
                        await self._connection(ask, transcript, leave_after, slow)
                    leave_after = 0
                    if not transcript.ended:
                        await asyncio.sleep(AGAIN)
        transcript.ended = transcript.ended or "nothing"

    async def _connection(
        self, ask: Ask, transcript: Transcript, leave_after: int, slow: bool
    ) -> None:
        headers = {"Idempotency-Key": f"k{ask.number}"}
        if transcript.pieces and not self.forgetful:
            headers["Last-Event-ID"] = str(transcript.pieces[-1][0])
        async with self.door.send("POST", "/generate", body_of(ask), headers, slow) as response:
            transcript.calls[-1] = f"{response.status} of {response.url}"
            if response.status != 200:
                refused(response.status, transcript, [event async for event in response.events()])
                return
            async for number, event in response.events():
                if "token" in event:
                    assert number is not None
                    transcript.pieces.append((number, event["token"]))
                    if len(transcript.pieces) == leave_after:
                        return
                    if slow and number == 0:
                        await asyncio.sleep(AWAY)
                else:
                    note_last(event, transcript)
            if slow and max(response.chunks[1:], default=0) > HEAP:
                self.pressed.add(ask.number)
            if not transcript.ended:
                self.door.broke_off(ask.number, response)

    # --- /generate without a key: hanging up cancels ----------------------------------------------

    async def _hang_up(self, ask: Ask) -> None:
        transcript = self._transcript(ask)
        with suppress(*Broken):
            async with self.door.send("POST", "/generate", body_of(ask)) as response:
                with suppress(*Broken):
                    if response.status == 200:
                        await self._hear_a_while(ask, transcript, response)
                if transcript.pieces and not (transcript.ended or ask.number in self.hung_up):
                    self.door.broke_off(ask.number, response)
        if not transcript.pieces:  # it may never have been accepted, and nobody can know
            self.transcripts.remove(transcript)
            self.wordless += 1

    async def _hear_a_while(self, ask: Ask, transcript: Transcript, response: Response) -> None:
        async for number, event in response.events():
            if number is None:
                note_last(event, transcript)
                break
            transcript.pieces.append((number, event["token"]))
            if len(transcript.pieces) == min(ask.after, ask.tokens - 5):
                self.hung_up[ask.number] = time.time()
                break

    # --- chats ------------------------------------------------------------------------------------

    async def _chat(self, ask: Ask) -> None:
        """Ask in a new chat, follow the answer, and as a chatter stop every other one.

        A doubler asks at all gateways at once, under one key: that is still one question. It words
        anew what it has said before, for in a chat without messages nothing can be unfinished.
        """
        transcript = self._transcript(ask)
        signed = {"Authorization": f"Bearer {self.tokens[ask.number % USERS]}"}
        until = time.monotonic() + self.patience
        doubles = ask.client == "doubler"
        chat, said = await self._begun(signed, until, said=doubles)
        question = {
            "beside": said,
            "content": ask.prompt,
            "model_config_name": ask.model or ECHO,
            "sampling_parameters": {"max_new_tokens": ask.tokens, "temperature": 0},
        }
        path = f"/chats/{chat}/messages"
        keyed = signed | {"Idempotency-Key": f"k{ask.number}"}
        at = self.gateways if doubles else [""]
        first = self.rng.randrange(len(at))
        asking = (
            self._question(path, question, keyed, until, each, waits=number != first)
            for number, each in enumerate(at)
        )
        exchange, *_ = await asyncio.gather(*asking)
        path += f"/{exchange['assistant_message']['id']}"
        stop_after = ask.after if ask.number % 2 and ask.client == "chatter" else 0
        with suppress(TimeoutError):
            async with asyncio.timeout(self.patience):
                while not transcript.ended:
                    with suppress(*Broken):
                        await self._follow(path, signed, transcript, stop_after)
                    await asyncio.sleep(AGAIN)
        transcript.ended = transcript.ended or "nothing"

    async def _begun(
        self, signed: dict[str, str], until: float, said: bool
    ) -> tuple[str, str | None]:
        """A new chat; said: and a message in it. Whether a try was heard is not known, so each is

        made in a chat of its own.
        """
        while True:
            chat = (await self.door.insist("POST", "/chats", {}, signed, until))["id"]
            if not said:
                return chat, None
            with suppress(GaveUp):
                path, first = f"/chats/{chat}/prompter_message", {"content": "Hm"}
                once = time.monotonic() + 0.01
                message = await self.door.insist("POST", path, first, signed, once)
                return chat, message["id"]

    async def _question(
        self,
        path: str,
        question: object,
        keyed: dict[str, str],
        until: float,
        only: str,
        waits: bool,
    ) -> Any:
        """Ask in a chat; only: at this gateway alone; waits: a little, for another comes first."""
        if waits:
            await asyncio.sleep(self.rng.uniform(0.0, APART))
        return await self.door.insist("POST", path, question, keyed, until, only)

    async def _follow(
        self, path: str, signed: dict[str, str], transcript: Transcript, stop_after: int
    ) -> None:
        last = str(transcript.pieces[-1][0]) if transcript.pieces else ""
        headers = signed | ({"Last-Event-ID": last} if last else {})
        stopping: asyncio.Task[object] | None = None
        async with self.door.send("GET", f"{path}/events", None, headers) as response:
            if response.status == 204:
                await self._by_message(path, signed, transcript)
                return
            if response.status != 200:
                return
            async for number, event in response.events():
                kind = event["event_type"]
                if kind == "token":
                    assert number is not None
                    transcript.pieces.append((number, event["text"]))
                    if len(transcript.pieces) == stop_after:
                        self.hung_up[transcript.number] = time.time()
                        soon = time.monotonic() + GRANTED
                        stop = self.door.insist("POST", f"{path}/cancel", None, signed, soon)
                        stopping = asyncio.create_task(stop)
                elif kind == "message":
                    state = event["message"]["state"]
                    transcript.ended = "done" if state == "complete" else state
                elif kind == "error":
                    transcript.ended = f"error: {event['error']}"
            if not transcript.ended:
                self.door.broke_off(transcript.number, response)
        if stopping is not None:
            await stopping

    async def _by_message(self, path: str, signed: dict[str, str], transcript: Transcript) -> None:
        """It has ended, and what the stream has told is all of it, or nothing."""
        message = await self.door.insist("GET", path, None, signed, time.monotonic() + GRANTED)
        transcript.whole = message["content"]
        if message["state"] in ("complete", "cancelled"):
            transcript.ended = "done" if message["state"] == "complete" else "cancelled"
        else:
            transcript.ended = f"error: {message['state']}"

    async def sign_in(self) -> None:
        """Everybody gets a token that lasts as long as the campaign."""
        for user in range(USERS):
            url = f"/auth/callback/debug?code=user{user}"
            until = time.monotonic() + self.patience
            login = await self.door.insist("GET", url, None, {}, until)
            self.tokens[user] = login["access_token"]["access_token"]


@contextmanager
def _noted(transcript: Transcript) -> Iterator[None]:
    """Note what became of one connection."""
    begun, heard, why = time.time(), len(transcript.pieces), "closed"
    transcript.calls.append("no answer")
    try:
        yield
    except BaseException as error:
        why = repr(error)
        raise
    finally:
        pieces = len(transcript.pieces) - heard
        transcript.calls[-1] += (
            f" at {begun:.1f} for {time.time() - begun:.1f} s: {pieces} pieces, {why}"
        )
