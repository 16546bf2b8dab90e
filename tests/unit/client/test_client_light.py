"""The client takes little: nothing of a server, an engine, a terminal or a notebook."""

import subprocess
import sys

OTHERS = (
    *("litestar", "granian", "sqlalchemy", "alembic", "argon2", "jwt", "prometheus_client"),
    *("nats", "xllamacpp", "torch", "jinja2", "huggingface_hub", "psutil"),
    *("prompt_toolkit", "rich", "IPython", "ipywidgets", "anywidget", "pandas", "matplotlib"),
)


def test_the_client_needs_none_of_the_others_packages() -> None:
    missing = "import sys; sys.modules |= dict.fromkeys(sys.argv[1:])"
    used = "import mesh_client; mesh_client.Client('http://127.0.0.1:9'); mesh_client.AsyncClient"
    done = subprocess.run(
        [sys.executable, "-c", f"{missing}; {used}", *OTHERS], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
