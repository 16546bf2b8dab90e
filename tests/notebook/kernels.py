"""Kernels in processes of their own, of the ipykernel that a test asks for, and what they say.

Another ipykernel is laid over this environment: its files in a folder of their own, before the
rest on the kernel's path. They are fetched once per environment.
"""

import json
import os
import queue
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

NEEDED = {"6": ["nest-asyncio==1.6.0"]}
"""What a major version of ipykernel needs that the environment's own does not."""

READY = 60.0
"""Seconds that a kernel may take for a step on a busy machine."""


def overlay(version: str) -> Path:
    """The folder with this ipykernel; skips the test where it cannot be fetched."""
    folder = Path(sys.prefix) / "share" / "mesh-tests" / f"ipykernel-{version}"
    if not (folder / "ipykernel").is_dir():
        wanted = [f"ipykernel=={version}", *NEEDED.get(version.partition(".")[0], [])]
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
        done = subprocess.run(
            [*command, "--target", str(folder), *wanted], capture_output=True, text=True
        )
        if done.returncode:
            said = done.stderr.strip().splitlines()[-1:]
            message = f"ipykernel {version} could not be installed by pip: {said}"
            if os.environ.get("MESH_TEST_BROWSER") == "required":
                pytest.fail(message)
            pytest.skip(message)
    return folder


class Kernel:
    """A running kernel, its messages in the order in which they came."""

    def __init__(self, client: BlockingKernelClient, manager: KernelManager) -> None:
        self.client = client
        self.manager = manager
        self.heard: list[dict[str, Any]] = []

    def start(self, code: str) -> str:
        """Begin to execute something; returns the id to tell its messages by."""
        asked: str = self.client.execute(code)
        return asked

    def run(self, code: str) -> str:
        """Execute something to its end; returns what it printed. Fails on an error."""
        asked = self.start(code)
        self.until(f"the end of {code!r}", lambda: self.idle(asked))
        for message in self.of(asked, "error"):
            pytest.fail("\n".join(message["content"]["traceback"]))
        return "".join(message["content"]["text"] for message in self.of(asked, "stream"))

    def idle(self, asked: str) -> bool:
        """Whether the execution has ended."""
        return any(m["content"]["execution_state"] == "idle" for m in self.of(asked, "status"))

    def of(self, asked: str, kind: str) -> list[dict[str, Any]]:
        """The messages of a kind that belong to an execution."""
        return [
            message
            for message in self.heard
            if message["msg_type"] == kind and message["parent_header"].get("msg_id") == asked
        ]

    def until(self, what: str, holds: Callable[[], Any], seconds: float = READY) -> Any:
        """Hear messages until something holds; returns what it gave. Fails after `seconds`."""
        end = time.monotonic() + seconds
        while not (found := holds()):
            if time.monotonic() > end:
                pytest.fail(f"{what}: not within {seconds:g} s")
            try:
                self.heard.append(self.client.get_iopub_msg(timeout=0.1))
            except queue.Empty:
                continue
        return found

    def shown(self) -> dict[str, Any]:
        """What the newest view of an answer shows, put together from all that was sent."""
        shown: dict[str, Any] = {}
        for message in self.heard:
            data = message["content"].get("data", {})
            shown |= data.get("state", {}).get("shown", {})
            draw = (data.get("content") or {}).get("draw", {})
            shown |= draw.get("shown", {})
            if (part := draw.get("part")) and part["from"] == shown["pieces"]:
                shown |= {"text": shown["text"] + part["text"], "pieces": part["to"]}
        return shown

    def trait(self, name: str) -> Any:
        """The newest value of a widget's trait of this name, whichever widget it is."""
        states = [message["content"].get("data", {}).get("state", {}) for message in self.heard]
        return next((state[name] for state in reversed(states) if name in state), None)

    def markdown(self) -> list[str]:
        """All Markdown that was displayed, or put in the place of something, in order."""
        data = [
            message["content"]["data"]
            for message in self.heard
            if message["msg_type"] in ("display_data", "update_display_data")
        ]
        return [each["text/markdown"] for each in data if "text/markdown" in each]

    def failure(self, code: str) -> str:
        """Execute what has to fail; returns the error's sentence."""
        asked = self.start(code)
        self.until(f"the end of {code!r}", lambda: self.idle(asked))
        told = self.of(asked, "error")
        if told:
            value: str = told[0]["content"]["evalue"]
            return value
        return "".join(m["content"]["text"] for m in self.of(asked, "stream"))  # UsageError

    def comm(self) -> str:
        """The comm of the newest view."""
        opened = [
            m["content"]
            for m in self.heard
            if m["msg_type"] == "comm_open" and "shown" in m["content"]["data"].get("state", {})
        ]
        found: str = opened[-1]["comm_id"]
        return found

    def say(self, comm_id: str, content: object) -> None:
        """A custom message of a page to a widget."""
        self._tell(comm_id, {"method": "custom", "content": content})

    def change(self, comm_id: str, **state: object) -> None:
        """A page has other values of these traits."""
        self._tell(comm_id, {"method": "update", "state": state, "buffer_paths": []})

    def _tell(self, comm_id: str, data: dict[str, object]) -> None:
        message = self.client.session.msg("comm_msg", {"comm_id": comm_id, "data": data})
        self.client.shell_channel.send(message)


def spec(name: str, version: str = "", **environment: str) -> str:
    """What describes a kernel to Jupyter, as JSON."""
    path = {"PYTHONPATH": str(overlay(version))} if version else {}
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    said = {"argv": argv, "display_name": name, "language": "python", "env": path | environment}
    return json.dumps(said)


@contextmanager
def kernel(folder: Path, version: str = "", **environment: str) -> Iterator[Kernel]:
    """A kernel with a user's folder of its own; `version` of ipykernel, "": the installed one."""
    own = {"XDG_CONFIG_HOME": str(folder), "IPYTHONDIR": str(folder / "ipython")}
    described = folder / "kernels" / "mesh"
    described.mkdir(parents=True)
    (described / "kernel.json").write_text(spec("mesh", version, **own, **environment))
    specs = KernelSpecManager(kernel_dirs=[str(folder / "kernels")], ensure_native_kernel=False)
    manager = KernelManager(kernel_name="mesh", kernel_spec_manager=specs)
    manager.start_kernel()
    client = manager.blocking_client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=READY)
        yield Kernel(client, manager)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
