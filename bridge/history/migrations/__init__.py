"""How the tables came to be; run by `bridge.history.schema` through Alembic."""
