"""Looks for what ExLlamaV2 needs before it is imported: GPUs, and its CUDA extension.

Importing the library builds the extension where it is not installed, which takes minutes, and
fails in ways that only a compiler's user understands.
"""

import importlib
import logging
from importlib.util import find_spec

import torch

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.worker.engines.exllamav2.memory import Device

log = logging.getLogger(__name__)


def devices() -> list[Device]:
    """The GPUs, as CUDA_VISIBLE_DEVICES has them. Raises MeshError where there is none."""
    built_for = torch.version.cuda
    if not built_for:
        raise _unsupported(
            f"PyTorch {torch.__version__} here has no CUDA, which ExLlamaV2 needs: install"
            " one for your driver's CUDA version, or serve a GGUF file, which needs no GPU."
        )
    try:
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        found = [_device(number) for number in range(count)]
    except RuntimeError as error:
        raise _unsupported(
            f"PyTorch {torch.__version__} cannot use the GPU: {_first_line(error)}. See whether"
            f" nvidia-smi works, and whether its CUDA version is at least {built_for}."
        ) from error
    if not found:
        raise _unsupported(
            f"There is no GPU that PyTorch {torch.__version__} (for CUDA {built_for}) can use: see"
            " whether nvidia-smi lists one, whether its CUDA version is at least that, and what"
            " CUDA_VISIBLE_DEVICES says. A GGUF file needs no GPU."
        )
    return found


def import_library() -> None:
    """Import the library; blocks for minutes where its extension is to be built first.

    Raises MeshError when it cannot be built or does not fit this PyTorch.
    """
    if find_spec("exllamav2_ext") is None:
        log.info("Building ExLlamaV2's CUDA extension; the first time this takes some minutes")
    try:
        importlib.import_module("exllamav2")
    except ModuleNotFoundError:
        raise
    except (ImportError, OSError, RuntimeError) as error:
        raise _unsupported(
            f"ExLlamaV2's CUDA extension cannot be loaded: {_first_line(error)}. It is to be built"
            f" with this PyTorch ({torch.__version__}, CUDA {torch.version.cuda}): install the CUDA"
            " toolkit of that version, point CUDA_HOME at it, and remove what was built before in"
            " ~/.cache/torch_extensions."
        ) from error


def _device(number: int) -> Device:
    free, total = torch.cuda.mem_get_info(number)
    return Device(torch.cuda.get_device_name(number), free, total)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _unsupported(detail: str) -> MeshError:
    return MeshError(ErrorCode.UNSUPPORTED, detail)
