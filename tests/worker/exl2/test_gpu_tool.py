"""The tool that measures on a GPU: where there is none it says so, and leaves the report alone."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mesh.worker.bundled import PATH
from mesh.worker.engines.exllamav2.folder import read_folder
from mesh.worker.engines.gguf_header import read_header
from tools.gpu import models
from tools.gpu.__main__ import PAGE, ROOT


@pytest.mark.skipif(torch.version.cuda is not None, reason="this PyTorch has CUDA")
def test_without_a_gpu_it_ends_with_what_to_do(tmp_path: Path) -> None:
    before = PAGE.read_text()
    ran = subprocess.run(
        [sys.executable, "-m", "tools.gpu", "--work", str(tmp_path / "work")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 1
    assert "has no CUDA, which ExLlamaV2 needs" in ran.stderr and "--stand-in" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert PAGE.read_text() == before and not (tmp_path / "work").exists()


def test_the_bundled_model_is_written_as_a_folder_that_the_engine_reads(tmp_path: Path) -> None:
    folder, file = models.bundled(tmp_path)
    found, header = read_folder(folder), read_header(PATH)
    assert found.form == "16 bits" and found.context == header.context_length
    assert found.chat_template == header.chat_template
    assert found.eos_token == header.eos_token
    assert read_header(file).context_length == header.context_length
