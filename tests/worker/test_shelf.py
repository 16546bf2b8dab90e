"""What is on this machine's disk: found where it may be, and named as a worker is told it."""

from pathlib import Path

import pytest

from mesh.settings import WorkerSettings
from mesh.worker.bundled import PATH as DEMO
from mesh.worker.engines.choose import check
from mesh.worker.engines.files import size_of
from mesh.worker.shelf import Shelved, hub_cache, on_disk


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub's cache of one's own, empty."""
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.delenv("HUGGINGFACE_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return tmp_path / "hf" / "hub"


def found(models_dir: Path | str = "") -> dict[str, Shelved]:
    return {each.name: each for each in on_disk(str(models_dir))}


def copy_to(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(DEMO)
    return path


def test_the_bundled_model_is_always_there() -> None:
    demo = found()["mesh-demo"]
    assert (demo.place, demo.engine, demo.size) == ("bundled", "llamacpp", DEMO.stat().st_size)
    assert len(demo.fingerprint) == 64
    check(WorkerSettings(model="mesh-demo"))


def test_files_of_the_folder_of_models_are_named_as_a_worker_is_told(tmp_path: Path) -> None:
    models = tmp_path / "models"
    copy_to(models / "one.gguf")
    copy_to(models / "deep" / "two.gguf")
    shelf = found(models)
    assert {"one", "deep/two"} < set(shelf)
    for name in ("one", "deep/two"):
        check(WorkerSettings(model=name, models_dir=str(models)))


def test_what_was_downloaded_is_found_under_its_name_on_the_hub(cache: Path) -> None:
    repository = cache / "models--owner--some--name"
    copy_to(repository / "snapshots" / "old" / "gone.gguf")
    copy_to(repository / "snapshots" / "new" / "q4.gguf")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("new")
    shelf = found()
    assert set(shelf) == {"mesh-demo", "hf:owner/some--name:q4.gguf"}
    assert shelf["hf:owner/some--name:q4.gguf"].place == "cache"


def test_a_model_in_parts_is_one_model(tmp_path: Path) -> None:
    copy_to(tmp_path / "m-00001-of-00002.gguf")
    copy_to(tmp_path / "m-00002-of-00002.gguf")
    shelf = found(tmp_path)
    assert set(shelf) == {"mesh-demo", "m-00001-of-00002"}
    assert shelf["m-00001-of-00002"].size == 2 * DEMO.stat().st_size
    assert size_of(tmp_path / "m-00002-of-00002.gguf") == 2 * DEMO.stat().st_size


def test_what_cannot_be_served_is_listed_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"nothing")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(8))
    shelf = found(tmp_path)
    assert "is not a GGUF file" in shelf["broken"].trouble
    assert shelf["folder"].engine == "exllamav2"
    assert "config.json" in shelf["folder"].trouble


def test_a_folder_of_models_that_is_not_there_has_none(tmp_path: Path) -> None:
    assert set(found(tmp_path / "nowhere")) == {"mesh-demo"}


def test_the_cache_is_where_the_hub_s_own_library_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hub_cache() == tmp_path / "hf" / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "elsewhere"))
    assert hub_cache() == tmp_path / "elsewhere"
