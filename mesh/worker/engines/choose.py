"""Chooses the engine by the settings and by what the model is, and loads it. Imports no other."""

from asyncio import to_thread
from pathlib import Path

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.settings import WorkerSettings
from mesh.worker.engines.base import Engine


async def load(settings: WorkerSettings) -> Engine:
    """Load what the settings ask for; a download shows its progress on stderr.

    Raises MeshError when the model is not there, the engine's extra is not installed, or the
    model will not load.
    """
    engine = settings.engine
    if engine == "auto" and settings.upstream:
        engine = "openai"
    try:
        match engine:
            case "echo":
                from mesh.worker.engines.echo import EchoEngine

                return EchoEngine(settings)
            case "openai":
                from mesh.worker.engines.openai import OpenAIEngine

                return OpenAIEngine(settings)
        path = await to_thread(_find, settings)
        if engine == "auto":
            engine = _engine_for(path)
        if engine == "llamacpp":
            from mesh.worker.engines.llamacpp import LlamaCppEngine

            return await LlamaCppEngine.load(path, settings)
        from mesh.worker.engines.exllamav2.start import load as load_exllamav2

        return await load_exllamav2(path, settings)
    except ModuleNotFoundError as error:
        raise _not_installed(engine, error) from error


def check(settings: WorkerSettings) -> None:
    """Raise MeshError for a model that is surely not there. Quick: downloads and loads nothing."""
    if _has_files(settings) and not settings.model.startswith("hf:"):
        path = _find(settings)
        if settings.engine == "auto":
            _engine_for(path)


async def fetch(settings: WorkerSettings) -> None:
    """Have the model on this machine, to be loaded without waiting. Raises MeshError."""
    if _has_files(settings):
        await to_thread(_find, settings)


def _has_files(settings: WorkerSettings) -> bool:
    return settings.engine in ("llamacpp", "exllamav2") or (
        settings.engine == "auto" and not settings.upstream
    )


def _find(settings: WorkerSettings) -> Path:
    """A model in the folder of models may be called by its name there, the bundled one by its."""
    from mesh.worker.bundled import PATH

    if settings.model in ("", PATH.stem):
        return PATH
    if settings.models_dir and not settings.model.startswith("hf:"):
        folder = Path(settings.models_dir).expanduser()
        for place in (folder / settings.model, folder / f"{settings.model}.gguf"):
            if place.exists():
                return place
    from mesh.worker.hub import find

    return find(settings.model)


def _engine_for(path: Path) -> str:
    """A folder is for ExLlamaV2, a GGUF file for llama.cpp."""
    if path.is_dir():
        if any(path.glob("*.safetensors")) and (path / "config.json").is_file():
            return "exllamav2"
        raise MeshError(
            ErrorCode.BAD_REQUEST,
            f"{path} is a folder without config.json and safetensors; give a model's folder, or"
            " the path of a GGUF file.",
        )
    if path.suffix == ".gguf":
        return "llamacpp"
    raise MeshError(
        ErrorCode.BAD_REQUEST,
        f"{path} is neither a GGUF file nor a model's folder; say with --engine what it is.",
    )


def _not_installed(engine: str, error: ModuleNotFoundError) -> MeshError:
    extra = "worker" if engine == "auto" else engine
    return MeshError(
        ErrorCode.UNSUPPORTED,
        f"The Python package {error.name} is missing; install what this worker needs with:"
        f" pip install 'inference-mesh[{extra}]'",
    )
