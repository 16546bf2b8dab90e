"""Finding models: paths, and downloads from a stand-in of the hub, faults included."""

import os
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.worker.hub import find
from tests.worker.standin_hub import Hub, running

DATA = os.urandom(3 << 20)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running() as hub:
        hub.repos["owner/one"] = {"model-Q4.gguf": DATA, "README.md": b"hello"}
        yield hub


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.touch()
    assert find(str(path)) == path


def test_a_path_without_a_model_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(MeshError, match=str(tmp_path / "none")) as missing:
        find(str(tmp_path / "none"))
    assert missing.value.code == ErrorCode.MODEL_NOT_FOUND


def test_a_named_file_is_downloaded_once(hub: Hub, cache: Path) -> None:
    for _ in range(2):
        path = find("hf:owner/one:model-Q4.gguf", endpoint=hub.url, cache=cache)
        assert path.read_bytes() == DATA
    assert len(hub.ranges) == 1


def test_the_only_model_of_a_repository_needs_no_name(hub: Hub, cache: Path) -> None:
    path = find("hf:owner/one", endpoint=hub.url, cache=cache)
    assert path.name == "model-Q4.gguf"


def test_of_several_models_one_must_be_named(hub: Hub, cache: Path) -> None:
    hub.repos["owner/two"] = {"a-Q4.gguf": b"4", "a-Q8.gguf": b"8", "mmproj-a.gguf": b"v"}
    with pytest.raises(MeshError, match=r"after a colon: a-Q4.gguf, a-Q8.gguf\.$"):
        find("hf:owner/two", endpoint=hub.url, cache=cache)


def test_a_model_in_parts_is_fetched_whole(hub: Hub, cache: Path) -> None:
    parts = {f"big-0000{n}-of-00003.gguf": bytes([n]) for n in (1, 2, 3)}
    hub.repos["owner/big"] = parts
    path = find("hf:owner/big", endpoint=hub.url, cache=cache)
    assert path.name == "big-00001-of-00003.gguf"
    assert {name: (path.parent / name).read_bytes() for name in parts} == parts


def test_a_repository_of_safetensors_is_a_folder(hub: Hub, cache: Path) -> None:
    files = {"config.json": b"{}", "model.safetensors": b"w", "tokenizer.json": b"{}"}
    hub.repos["owner/folder"] = files | {"pytorch_model.bin": b"never"}
    path = find("hf:owner/folder", endpoint=hub.url, cache=cache)
    assert {file.name for file in path.iterdir()} == set(files)


def test_a_repository_without_a_model_is_an_error(hub: Hub, cache: Path) -> None:
    hub.repos["owner/empty"] = {"README.md": b"hello"}
    with pytest.raises(MeshError, match="neither a GGUF file nor safetensors"):
        find("hf:owner/empty", endpoint=hub.url, cache=cache)


@pytest.mark.parametrize("model", ["hf:owner/none", "hf:owner/none:a.gguf"])
def test_an_unknown_repository_is_an_error(hub: Hub, cache: Path, model: str) -> None:
    with pytest.raises(MeshError, match=f"{model} is not on the hub") as missing:
        find(model, endpoint=hub.url, cache=cache)
    assert missing.value.code == ErrorCode.MODEL_NOT_FOUND


def test_an_unknown_file_is_an_error_that_names_those_there_are(hub: Hub, cache: Path) -> None:
    with pytest.raises(MeshError, match="it has README.md, model-Q4.gguf"):
        find("hf:owner/one:model-Q9.gguf", endpoint=hub.url, cache=cache)


def test_a_gated_repository_is_an_error_that_says_what_to_do(hub: Hub, cache: Path) -> None:
    hub.gated.add("owner/one")
    with pytest.raises(MeshError, match="licence accepted on the hub, and HF_TOKEN"):
        find("hf:owner/one:model-Q4.gguf", endpoint=hub.url, cache=cache)


@pytest.mark.parametrize("model", ["hf:", "hf:a/b/c", "hf:a b/c", "hf:../x"])
def test_a_name_that_is_none_is_an_error(hub: Hub, cache: Path, model: str) -> None:
    with pytest.raises(MeshError, match="form|not on the hub"):
        find(model, endpoint=hub.url, cache=cache)


def test_a_download_that_breaks_off_is_resumed_where_it_broke(hub: Hub, cache: Path) -> None:
    hub.repos["owner/large"] = {"large.gguf": DATA * 5}
    hub.cut = [11 << 20]  # The library keeps what it got in whole pieces of 10 MiB.
    path = find("hf:owner/large:large.gguf", endpoint=hub.url, cache=cache)
    assert path.read_bytes() == DATA * 5
    assert hub.ranges == [None, f"bytes={10 << 20}-"]


@pytest.mark.parametrize("model", ["hf:owner/one", "hf:owner/one:model-Q4.gguf"])
def test_what_was_downloaded_is_used_without_the_hub(cache: Path, model: str) -> None:
    with running() as hub:
        hub.repos["owner/one"] = {"model-Q4.gguf": DATA}
        path = find(model, endpoint=hub.url, cache=cache)
    assert find(model, endpoint=hub.url, cache=cache) == path


def test_without_the_hub_and_without_a_copy_it_is_an_error(cache: Path) -> None:
    with running() as hub:
        gone = hub.url
    with pytest.raises(MeshError, match="not downloaded before, and the hub cannot be reached"):
        find("hf:owner/one", endpoint=gone, cache=cache)


def test_offline_by_choice_a_named_file_without_a_copy_is_an_error(cache: Path) -> None:
    ran = find_in_a_process(HF_HUB_OFFLINE="1", HF_HOME=str(cache))
    assert "not downloaded before, and the hub cannot be reached" in ran.stderr


def test_a_download_shows_its_progress_in_a_terminal(hub: Hub, cache: Path) -> None:
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    ran = find_in_a_process(theirs, HF_ENDPOINT=hub.url, HF_HOME=str(cache))
    os.close(theirs)
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert Path(ran.stdout.strip()).read_bytes() == DATA
    assert "model-Q4.gguf" in shown
    assert "100%" in shown


def find_in_a_process(
    stderr: int = subprocess.PIPE, **variables: str
) -> subprocess.CompletedProcess[str]:
    """The hub's library reads its variables when it is imported, so set them before."""
    code = "from mesh.worker.hub import find; print(find('hf:owner/one:model-Q4.gguf'))"
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )
