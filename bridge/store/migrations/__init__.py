"""How the tables came to be; run by `bridge.store.schema` through Alembic."""
