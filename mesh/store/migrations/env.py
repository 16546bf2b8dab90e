"""How alembic reaches the database: by the connection it is given, or `-x database=FILE`.

The second is for developers: `alembic -x database=dev.db revision --autogenerate -m "why"`.
"""

from typing import Any, Literal

from alembic import context
from sqlalchemy import Connection, create_engine

from mesh.store.models import Base, Encoded


def render(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Steps name no types of ours: those may change, a step may not."""
    return "sa.Text()" if kind == "type" and isinstance(item, Encoded) else False


def migrate(connection: Connection) -> None:
    """Run the steps; SQLite alters tables by copying them, hence `render_as_batch`."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        render_item=render,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    path = context.get_x_argument(as_dictionary=True)["database"]
    with create_engine(f"sqlite:///{path}").begin() as opened:
        migrate(opened)
