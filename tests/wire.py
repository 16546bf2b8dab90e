"""A broker connection by hand: says what it likes, and hears what the broker will not allow."""

import socket
from collections.abc import Iterable
from types import TracebackType
from typing import Self

import msgspec

from mesh.cli.enrol import Credential


class Wire:
    """A plain TCP connection that speaks the client protocol of NATS. Blocks."""

    def __init__(self, host: str, port: int, credential: Credential) -> None:
        login = {
            "user": credential.user,
            "pass": credential.password,
            "verbose": False,
            "pedantic": False,
            "headers": True,
        }
        self._socket = socket.create_connection((host, port), timeout=30)
        self._lines = self._socket.makefile("rb")
        self._sids = 0
        self._lines.readline()
        self.send(f"CONNECT {msgspec.json.encode(login).decode()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._lines.close()
        self._socket.close()

    def may_publish(self, subject: str, payload: str = "{}") -> bool:
        return not self.refusals([f"PUB {subject} {len(payload)}\r\n{payload}"])

    def may_subscribe(self, subject: str) -> bool:
        self._sids += 1
        return not self.refusals([f"SUB {subject} {self._sids}", f"UNSUB {self._sids}"])

    def refusals(self, lines: Iterable[str]) -> list[str]:
        """Say these lines; returns what the broker refused of them."""
        for line in lines:
            self.send(line)
        self.send("PING")
        return [line for line in self._until_pong() if line.startswith("-ERR")]

    def wait_until_hung_up(self) -> None:
        """Return when the broker has closed the connection; raises TimeoutError."""
        while self._lines.readline():
            pass

    def send(self, line: str) -> None:
        self._socket.sendall(line.encode() + b"\r\n")

    def _until_pong(self) -> list[str]:
        heard: list[str] = []
        for line in iter(self._lines.readline, b""):
            if line.startswith(b"PONG"):
                return heard
            if line.startswith(b"PING"):
                self.send("PONG")
            heard.append(line.decode().rstrip())
        raise ConnectionError(f"the broker hung up: {heard}")
