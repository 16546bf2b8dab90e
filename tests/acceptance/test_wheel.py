"""What a person gets who installs the wheel somewhere else: all that a mesh needs is in it."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import httpx
import pytest

from tests.acceptance.whole import Mesh

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel built from this tree, offline."""
    folder = tmp_path_factory.mktemp("wheel")
    build = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([sys.executable, "-m", *build, str(ROOT)], check=True, cwd=folder)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment with the wheel in it, and our dependencies in sight."""
    folder = tmp_path_factory.mktemp("elsewhere")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    install = ["pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run([sys.executable, "-m", *install], check=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return python


@pytest.mark.parametrize(
    "suffix",
    [
        "mesh/nats.conf",
        ".gguf",
        "mesh/gateway/page/index.html",
        "mesh/store/migrations/env.py",
        "mesh_client/__init__.py",
    ],
)
def test_the_wheel_holds_what_is_no_code(wheel: Path, suffix: str) -> None:
    assert any(name.endswith(suffix) for name in zipfile.ZipFile(wheel).namelist())


def test_the_wheel_holds_no_tests_and_no_tools(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"mesh", "mesh_client"}


def test_the_installed_package_is_the_one_that_runs(elsewhere: Path, tmp_path: Path) -> None:
    command = [str(elsewhere), "-c", "import mesh; print(mesh.__file__)"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path)
    assert Path(printed.stdout.strip()).is_relative_to(elsewhere.parents[1])


def test_an_installed_wheel_runs_a_mesh_that_answers(elsewhere: Path, tmp_path: Path) -> None:
    mesh = Mesh(tmp_path, python=str(elsewhere), engine="auto")
    mesh.environment["PATH"] = f"{Path(sys.executable).parent}:{mesh.environment['PATH']}"
    try:
        mesh.start()
        assert httpx.get(f"{mesh.url}/v1/health", timeout=60).json()["status"] == "ok"
        answer = httpx.post(f"{mesh.url}/generate", json={"prompt": "Hello!"}, timeout=30)
        assert answer.status_code == 200 and "data:" in answer.text
    finally:
        mesh.end()
