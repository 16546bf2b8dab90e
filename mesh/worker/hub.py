"""Finds a model: a path on this machine, or `hf:owner/name[:file]`, downloaded once and kept.

Downloading, resuming, checking the size and the progress bar on stderr are huggingface_hub's, and
so are the variables HF_HOME, HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE. What was downloaded before
is used when the hub cannot be reached.
"""

from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.worker.engines.files import parts

PREFIX = "hf:"
FOLDER_FILES = ["*.json", "*.jinja", "*.safetensors"]
"""What is fetched of a repository without a GGUF file."""

_SHOWN = 12


def find(model: str, *, endpoint: str | None = None, cache: Path | None = None) -> Path:
    """The model's file, or its folder for a model in the Hugging Face form. Blocks.

    endpoint and cache stand in for HF_ENDPOINT and the hub's cache folder. Raises MeshError
    (model_not_found, bad_request) with a sentence that says what to do.
    """
    if model.startswith(PREFIX):
        return _Repository(model, endpoint, cache).fetch()
    path = Path(model).expanduser()
    if not path.exists():
        raise MeshError(
            ErrorCode.MODEL_NOT_FOUND,
            f"There is no model at {path}; give a path, or hf:owner/name:file to download one.",
        )
    return path


class _Repository:
    """One repository of the hub, and the file asked for, "" for whichever it has."""

    def __init__(self, model: str, endpoint: str | None, cache: Path | None) -> None:
        self._model = model
        self._repo, _, self._file = model.removeprefix(PREFIX).partition(":")
        self._endpoint = endpoint
        self._cache = cache

    def fetch(self) -> Path:
        try:
            return self._fetch()
        except HFValidationError as error:
            raise self._error(f"is not of the form hf:owner/name[:file]: {error}") from error
        except GatedRepoError as error:
            raise self._error("needs its licence accepted on the hub, and HF_TOKEN set") from error
        except RepositoryNotFoundError as error:
            raise self._error("is not on the hub; a private one needs HF_TOKEN set") from error
        except LocalEntryNotFoundError as error:
            raise self._error(
                "was not downloaded before, and the hub cannot be reached; look at the network"
            ) from error
        except EntryNotFoundError as error:
            raise self._error(f"has no such file; it has {_listed(self._files())}") from error
        except MeshError:
            raise
        except Exception as error:  # The disk's, or the HTTP library's, whichever that is.
            raise self._error(
                f"could not be downloaded; start again to go on where it broke off: {error}"
            ) from error

    def _fetch(self) -> Path:
        file = self._file or self._choose()
        if not file:
            return Path(
                snapshot_download(
                    self._repo,
                    allow_patterns=FOLDER_FILES,
                    endpoint=self._endpoint,
                    cache_dir=self._cache,
                )
            )
        return [self._download(part.as_posix()) for part in parts(Path(file))][0]

    def _download(self, file: str) -> Path:
        return Path(
            hf_hub_download(self._repo, file, endpoint=self._endpoint, cache_dir=self._cache)
        )

    def _choose(self) -> str:
        """The only GGUF file, or "" for a repository that is a folder of safetensors."""
        files = self._files()
        models = [name for name in files if name.endswith(".gguf") and "mmproj" not in name]
        choices = [name for name in models if parts(Path(name))[0] == Path(name)]
        if len(choices) == 1:
            return choices[0]
        if choices:
            raise self._error(f"has several files; name one after a colon: {_listed(choices)}")
        if any(name.endswith(".safetensors") for name in files):
            return ""
        raise self._error("has neither a GGUF file nor safetensors")

    def _files(self) -> list[str]:
        """The repository's files; those in the cache when the hub cannot be reached."""
        try:
            info = HfApi(endpoint=self._endpoint).model_info(self._repo)
            return [file.rfilename for file in info.siblings or ()]
        except (RepositoryNotFoundError, HFValidationError):
            raise
        except Exception:  # Of the HTTP library, which differs between versions of the hub's.
            folder = Path(
                snapshot_download(self._repo, local_files_only=True, cache_dir=self._cache)
            )
            found = (path for path in folder.rglob("*") if path.is_file())
            return [path.relative_to(folder).as_posix() for path in found]

    def _error(self, what: str) -> MeshError:
        return MeshError(ErrorCode.MODEL_NOT_FOUND, f"The model {self._model} {what}.")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(sorted(names)[:_SHOWN]) + more
