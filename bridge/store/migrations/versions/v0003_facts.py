"""Facts, the latest and their history."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _whose() -> tuple[sa.Column[int], sa.Column[str], sa.Column[str]]:
    owner = sa.ForeignKey("fester_sources.id", ondelete="CASCADE")
    return (
        sa.Column("source_id", _NUMBER, owner, nullable=False, autoincrement=False),
        sa.Column("entity", sa.String(600), nullable=False),
        sa.Column("retriever", sa.String(100), nullable=False),
    )


def upgrade() -> None:
    """Create the tables of Ox's facts."""
    op.create_table(
        "fester_facts",
        *_whose(),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(32), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("source_id", "entity", "retriever"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "fester_fact_history",
        *_whose(),
        sa.Column("segment", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("thinned", sa.Integer, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("source_id", "entity", "retriever", "segment"),
        sqlite_with_rowid=False,
    )
