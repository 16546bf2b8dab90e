"""Which view a notebook has: the smooth one, else plain ipywidgets, else none but its outputs."""

from importlib.util import find_spec

from mesh_client.notebook.live import Talk
from mesh_client.notebook.mesh import Mesh


def widgets() -> bool:
    """Whether there are widgets at all."""
    return find_spec("ipywidgets") is not None


def talk(mesh: Mesh, *, composer: bool = False) -> Talk | None:
    """A new view; None where ipywidgets is not installed."""
    if find_spec("anywidget") is not None:
        from mesh_client.notebook.smooth import Smooth

        return Smooth(mesh, composer=composer)
    if widgets():
        from mesh_client.notebook.plain import Plain

        return Plain(composer=composer)
    return None
