"""The names of the workers on this machine: each is one running process's, while it runs."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count

from mesh.cli.enrol import BrokerFolder, check_name
from mesh.cli.locks import Held, file_lock
from mesh.protocol.errors import ErrorCode, MeshError


@contextmanager
def name_held(folder: BrokerFolder, wanted: str = "") -> Iterator[str]:
    """Hold a worker's name: the wanted one, or else the first free one of w1, w2, ...

    Raises MeshError (conflict) while another process here has the wanted one.
    """
    folder.workers.mkdir(exist_ok=True, mode=0o700)
    with ExitStack() as held:
        yield _hold(held, folder, [wanted] if wanted else _free(folder))


def _hold(held: ExitStack, folder: BrokerFolder, names: Iterable[str]) -> str:
    name = ""
    for name in names:
        check_name(name)
        with suppress(Held):
            held.enter_context(file_lock(folder.workers / name))
            return name
    raise MeshError(
        ErrorCode.CONFLICT,
        f"A worker named {name} runs on this machine: choose another name, or give none.",
    )


def _free(folder: BrokerFolder) -> Iterator[str]:
    """Names that were not given to other machines, without end."""
    elsewhere = folder.secrets().elsewhere
    return (name for number in count(1) if (name := f"w{number}") not in elsewhere)
