"""Up to when a source is known whole, how many passes were saved, and hints of webhooks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """A source that was known before is swept anew."""
    passes = sa.Column("passes", sa.BigInteger, nullable=False, server_default="0")
    op.add_column("fester_sources", passes)
    horizon = sa.Column("horizon", sa.Text, nullable=False, server_default="{}")
    op.add_column("fester_sources", horizon)
    op.create_table(
        "fester_hints",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("project_id", sa.BigInteger, nullable=False),
        sa.Column("group_path", sa.Text, nullable=False),
        sa.UniqueConstraint("source", "project_id", "group_path", name="fester_hints_once"),
    )
