"""The first start: a mesh without an admin gets one, whose password lies in the data folder.

In a file that only its owner reads, and not in the log: logs are kept and sent elsewhere.
"""

import logging
import os
from pathlib import Path
from secrets import token_urlsafe

from mesh.protocol.accounts import AddUser
from mesh.protocol.errors import MeshError
from mesh.store.accounts import Accounts

log = logging.getLogger(__name__)

NAME = "admin"
FILE = "admin-password"


async def first_admin(accounts: Accounts, folder: Path) -> None:
    """Make the admin if there is none, and say where the password is."""
    if await accounts.has_admin():
        return
    password = token_urlsafe(18)
    path = folder / FILE
    try:
        _write(path, password)
        await accounts.add_user(AddUser(account=NAME, password=password, role="admin"))
    except (OSError, MeshError) as error:
        log.warning("No admin could be made (%s); do it with `mesh user add --role admin`.", error)
        return
    log.info("The first admin is called %s; the password is in %s", NAME, path)


def _write(path: Path, password: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{password}\n")
        file.flush()
        os.fsync(file.fileno())
