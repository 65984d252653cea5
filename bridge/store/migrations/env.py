"""Alembic's entry: runs the steps on the connection that `bridge.store.schema` hands over."""

from __future__ import annotations

from alembic import context

from bridge.store.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
# The caller holds the transaction and its lock; this begins none of its own.
with context.begin_transaction():
    context.run_migrations()
