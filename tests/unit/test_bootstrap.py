"""What `make setup` says on a machine that lacks something."""

import subprocess
import sys

from tools.bootstrap import no_venv, too_old


def test_an_old_python_is_told_which_newer_one_to_use() -> None:
    assert "make setup PYTHON=python3.12" in too_old("python3.12")
    assert "install a newer one" in too_old("")


def test_a_python_without_venv_is_told_which_package_to_install() -> None:
    assert "python3-venv" in no_venv() and "apt install python3." in no_venv()


def test_a_missing_module_ends_the_setup_with_the_sentence() -> None:
    code = (
        "import sys; sys.modules['ensurepip'] = None; from tools.bootstrap import main; main('x')"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode != 0
    assert ended.stderr.strip() == no_venv()
