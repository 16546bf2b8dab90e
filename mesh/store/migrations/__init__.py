"""The steps of the database's schema, for alembic. `mesh.store.schema` runs them."""
