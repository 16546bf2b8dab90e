"""The way to llama.cpp's tokenizer, which its Python package offers over HTTP alone.

The library insists on listening. So it gets no TCP port, but a socket file in a folder that only
this user can enter, and a random key.
"""

import json
import os
import shutil
import socket
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory, gettempdir

import msgspec
from msgspec import Struct

from mesh.worker.engines.base import EngineError

PREFIX = "mesh-llamacpp-"


class TokenizerPort:
    """A socket file and a key for the library to listen with; close removes the file.

    So does the next one for those whose process was killed.
    """

    def __init__(self) -> None:
        _sweep()
        self._folder = TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-")
        self.path = str(Path(self._folder.name) / "http.sock")
        self.key = token_hex(32)

    def encode(self, text: str) -> list[int]:
        """Ids of the text, special tokens recognised, nothing added. Safe in any thread."""
        body = json.dumps({"content": text, "add_special": False, "parse_special": True})
        connection = _UnixConnection(self.path)
        try:
            connection.request("POST", "/tokenize", body, {"Authorization": f"Bearer {self.key}"})
            reply = connection.getresponse()
            data = reply.read()
        except (OSError, HTTPException) as error:
            raise EngineError(f"llama.cpp's tokenizer does not answer: {error}.") from error
        finally:
            connection.close()
        if reply.status != 200:
            raise EngineError(f"llama.cpp's tokenizer refused the text: {data.decode()}.")
        return msgspec.json.decode(data, type=_Tokens).tokens

    def close(self) -> None:
        self._folder.cleanup()


def _sweep() -> None:
    """Remove the folders that killed processes have left."""
    for folder in Path(gettempdir()).glob(f"{PREFIX}*-*"):
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and not _lives(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


class _Tokens(Struct):
    tokens: list[int]


class _UnixConnection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)
