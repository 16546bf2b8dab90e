"""`python -m mesh`: the same as the command `mesh`."""

from mesh.cli.main import main

main()
