"""Shows on a machine with CUDA GPUs what a machine without one cannot, and writes a report of it.

    python -m tools.gpu --work /tmp/gpu [--wheels FOLDER] [--quick]

Needs no network: with --wheels everything is installed from a folder first. Then, each stage
whatever became of the others: ExLlamaV2's extension is built; the bundled model is exported; the
engine's contract and exact continuation are tested for real; greedy answers are held against
llama.cpp and transformers; a worker is killed in mid-answer; throughput is measured through the
mesh and in the bare generator loop, in turns, in the same run. The report replaces
docs/gpu-report.md. Where there is no GPU it says so, and writes none. --stand-in tries all of that
without a GPU, and writes its report elsewhere.
"""

import argparse
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "gpu-report.md"


def install(wheels: Path) -> None:
    """Install the project and what it can do without, but not well, from a folder."""
    pip = [sys.executable, "-m", "pip", "install", "--no-index", "--find-links", str(wheels)]
    subprocess.run([*pip, "-e", f"{ROOT}[dev,exllamav2]"], check=True)
    for extra in ("flash-attn", "transformers"):
        subprocess.run([*pip, extra], check=False)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.gpu", description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for models, data and logs")
    parser.add_argument("--wheels", type=Path, help="folder of wheels to install from, offline")
    parser.add_argument("--quick", action="store_true", help="the bundled model only, short loads")
    parser.add_argument("--stand-in", action="store_true", help="try this tool without a GPU")
    options = parser.parse_args()
    if options.wheels is not None:
        install(options.wheels)
    if find_spec("torch") is None:
        raise SystemExit("PyTorch is not installed: pip install -e '.[dev,exllamav2]'")
    from tools.gpu.run import Run, look_for_gpus  # Needs what has just been installed.

    if not options.stand_in:
        look_for_gpus()
    run = Run(options)
    run.all()
    page = options.work / "gpu-report.md" if options.stand_in else PAGE
    page.write_text(run.report.text())
    print(f"wrote {page}")
    raise SystemExit(bool(run.report.failures))


if __name__ == "__main__":
    main()
