"""`make conformance`: real clients against a whole mesh, each in an environment of its own.

    python -m tests.conformance [CLIENT ...] [--cases N] [--write] [--pin]

A client is a file of `clients/` (`openai`, `litellm`, ...), with those whose names begin with its
name, `canary`, or `openid`, which is no client but who lets people in. With --write what came of
it is kept for the table in docs/api.md; without, it has to be what is kept. --cases: how many
generated requests a user sends to each route, and an admin. Status 1 if a test failed or something
is not as it is kept; with MESH_TEST_CLIENTS=required also if an environment could not be made, of
which it tells anyway.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.conformance import environments, results
from tests.conformance.environments import NotMade
from tests.conformance.openid import sign_in
from tests.conformance.results import Counts, Results
from tests.conformance.served import SCRIPTED, ServedMesh, served
from tools.pin import resolve

CLIENTS = Path(__file__).parent / "clients"
ENVIRONMENTS = {
    "newest": ("openai",),
    "modern": ("llm", "langchain", "pydantic_ai", "instructor", "schemathesis"),
    "older": ("openai", "litellm"),
}
"""Which files run where; OpenAI's own client in both of its major versions."""
CANARY, OPENID = "canary", "openid"
EVERYBODY = *dict.fromkeys([c for group in ENVIRONMENTS.values() for c in group]), CANARY, OPENID


def files_of(client: str) -> list[Path]:
    """The files of a client's tests."""
    return [CLIENTS / f"client_{client}.py", *sorted(CLIENTS.glob(f"client_{client}_*.py"))]


class Run:
    """One run of some clients. cases: generated requests a route."""

    def __init__(self, clients: list[str], cases: int, cache: Path) -> None:
        self._clients = clients
        self._cases = cases
        self._cache = cache
        self.results: Results = {}
        self.failed: list[str] = []
        self.missing: list[str] = []

    def all(self) -> None:
        """Make the environments, start a mesh, and let the clients speak to it."""
        chosen = {name: self._of(group) for name, group in ENVIRONMENTS.items()}
        with ThreadPoolExecutor() as threads:
            made = {name: threads.submit(self._make, name) for name in chosen if chosen[name]}
        pythons = {name: found.result() for name, found in made.items()}
        with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as mesh:
            for name, python in pythons.items():
                if python is not None:
                    self._pytest(python, name, chosen[name], mesh)
            if CANARY in self._clients:
                self._canary(mesh.url)
        if OPENID in self._clients:
            self._openid()

    def _of(self, group: tuple[str, ...]) -> list[str]:
        return [client for client in group if client in self._clients]

    def _make(self, name: str) -> Path | None:
        try:
            return environments.python_of(self._cache, name)
        except NotMade as error:
            self.missing.append(f"The environment {name} could not be made: {error}.")
            return None

    def _pytest(self, python: Path, name: str, clients: list[str], mesh: ServedMesh) -> None:
        with tempfile.TemporaryDirectory() as folder:
            told = Path(folder) / "results.json"
            environment = os.environ | {
                "CONFORMANCE_URL": mesh.url,
                "CONFORMANCE_ADMIN": mesh.admin_password,
                "CONFORMANCE_RESULTS": str(told),
                "CONFORMANCE_CASES": str(self._cases),
            }
            files = [str(path) for client in clients for path in files_of(client)]
            command = [str(python), "-m", "pytest", "-c", str(CLIENTS / "pytest.ini"), *files]
            done = subprocess.run(command, env=environment, cwd=CLIENTS)
            if done.returncode:
                self.failed.append(name)
            if told.exists():
                self.results |= json.loads(told.read_text())

    def _canary(self, url: str) -> None:
        try:
            command = environments.canary(self._cache)
        except NotMade as error:
            self.missing.append(f"CompatCanary could not be fetched: {error}.")
            return
        options = ["--base-url", f"{url}/v1", "--model", SCRIPTED, "--format", "json"]
        done = subprocess.run(
            [*command, "scan", *options, "--fail-on", "any"],
            env=os.environ | {"OPENAI_API_KEY": "guest"},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            sys.stdout.write(done.stdout + done.stderr)
            self.failed.append(CANARY)
            return
        probes = json.loads(done.stdout)["results"]
        why = [
            f"{probe['id']}: {probe['summary']}" for probe in probes if probe["status"] != "pass"
        ]
        counts = Counts(passed=len(probes) - len(why), failed=0, skipped=len(why))
        if why:
            counts["why"] = dict.fromkeys(why, 1)
        self.results[environments.CANARY.replace("@", " ")] = {"CompatCanary's probes": counts}

    def _openid(self) -> None:
        try:
            provider = environments.provider(self._cache)
        except NotMade as error:
            self.missing.append(f"The provider of OpenID Connect could not be fetched: {error}.")
            return
        failed = sign_in.run(provider)
        if failed:
            sys.stdout.write("\n".join([*failed, ""]))
            self.failed.append(OPENID)
        passed = len(sign_in.CHECKS) - len(failed)
        counts = Counts(passed=passed, failed=len(failed), skipped=0)
        shown = {"signing in through a certified provider of OpenID Connect": counts}
        self.results[environments.provider_version()] = shown


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("clients", nargs="*", choices=[[], *EVERYBODY], default=[])
    parser.add_argument("--cases", type=int, default=12)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--pin", action="store_true", help="renew the environments' versions")
    parser.add_argument("--cache", type=Path, default=Path(".conformance"))
    arguments = parser.parse_args()
    if arguments.pin:
        return pin()
    begun = time.monotonic()
    run = Run(arguments.clients or list(EVERYBODY), arguments.cases, arguments.cache.resolve())
    run.all()
    sys.stdout.write(f"{time.monotonic() - begun:.0f} s\n")
    if arguments.write and not run.failed:
        some = arguments.clients or run.missing
        results.keep(results.kept() | run.results if some else run.results)
    failed = [f"Clients of {name} failed." for name in run.failed]
    failed += results.differences(run.results)
    sys.stdout.write("\n".join([*failed, *run.missing, ""]))
    required = os.environ.get("MESH_TEST_CLIENTS") == "required"
    sys.exit(bool(failed or (required and run.missing)))


def pin() -> None:
    """Renew the exact versions of every environment."""
    for name in environments.names():
        wanted = (environments.FOLDER / f"{name}.in").read_text().split()
        pins = resolve(*wanted)
        (environments.FOLDER / f"{name}.txt").write_text("\n".join(pins) + "\n")


if __name__ == "__main__":
    main()
