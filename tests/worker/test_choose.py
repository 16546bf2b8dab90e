"""Choosing the engine by the settings and by what the model is."""

import subprocess
import sys
from pathlib import Path

import pytest

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.settings import WorkerSettings
from mesh.worker.bundled import PATH
from mesh.worker.engines.choose import load
from tests.worker import chain_model


async def test_echo_is_echo() -> None:
    engine = await load(WorkerSettings(engine="echo"))
    assert engine.info.engine == "echo"
    await engine.close()


async def test_an_upstream_is_forwarded_to() -> None:
    engine = await load(WorkerSettings(upstream="http://127.0.0.1:1/v1", model="big"))
    assert (engine.info.engine, engine.info.model) == ("openai", "big")
    await engine.close()


async def test_a_gguf_file_is_for_llamacpp(tmp_path: Path) -> None:
    path = chain_model.write(tmp_path / "chain.gguf", context=512)
    engine = await load(WorkerSettings(model=str(path), model_name="mine"))
    assert (engine.info.engine, engine.info.model) == ("llamacpp", "mine")
    await engine.close()


async def test_no_model_is_the_bundled_one() -> None:
    engine = await load(WorkerSettings(slots=1))
    assert engine.info.model == PATH.stem
    await engine.close()


async def test_a_folder_of_safetensors_is_for_exllamav2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").touch()
    monkeypatch.setitem(sys.modules, "mesh.worker.engines.exllamav2.start", None)
    with pytest.raises(MeshError, match="exllamav2"):
        await load(WorkerSettings(model=str(tmp_path)))


@pytest.mark.parametrize("name", ["", "model.bin"])
async def test_what_is_no_model_is_refused_with_its_path(tmp_path: Path, name: str) -> None:
    (tmp_path / "model.bin").touch()
    with pytest.raises(MeshError, match=str(tmp_path)) as refused:
        await load(WorkerSettings(model=str(tmp_path / name)))
    assert refused.value.code == ErrorCode.BAD_REQUEST


@pytest.mark.parametrize(
    ("package", "settings", "extra"),
    [
        ("xllamacpp", "engine='llamacpp'", "llamacpp"),
        ("torch", "engine='exllamav2', model='.'", "exllamav2"),
        ("httpx", "upstream='http://127.0.0.1/v1', model='m'", "openai"),
        ("huggingface_hub", "model='hf:a/b'", "worker"),
    ],
)
def test_a_missing_package_is_named_with_the_extra_to_install(
    package: str, settings: str, extra: str
) -> None:
    code = f"""
import asyncio, sys
sys.modules[{package!r}] = None
from mesh.settings import WorkerSettings
from mesh.worker.engines.choose import load
asyncio.run(load(WorkerSettings({settings})))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert f"pip install 'inference-mesh[{extra}]'" in ran.stderr
    assert package in ran.stderr.splitlines()[-1]


@pytest.mark.parametrize("engine", ["echo", "llamacpp", "openai"])
def test_only_the_chosen_engine_s_packages_are_imported(engine: str) -> None:
    code = f"""
import asyncio, sys
from mesh.settings import WorkerSettings
from mesh.worker.engines.choose import load
async def main():
    settings = WorkerSettings(engine={engine!r}, slots=1)
    if settings.engine == "openai":
        settings = WorkerSettings(upstream="http://127.0.0.1/v1", model="m")
    await (await load(settings)).close()
asyncio.run(main())
print(*(name for name in ("xllamacpp", "httpx", "huggingface_hub") if name in sys.modules))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    needed = {"echo": [], "llamacpp": ["xllamacpp"], "openai": ["httpx"]}
    assert ran.stdout.split() == needed[engine]
