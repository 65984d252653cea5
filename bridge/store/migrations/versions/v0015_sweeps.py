"""Sweeps that several processes read, and their parts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """No sweep is under way: who reads alone goes on so."""
    source = sa.ForeignKey("fester_sources.id", ondelete="CASCADE")
    op.create_table(
        "fester_sweeps",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("source_id", _NUMBER, source, nullable=False, autoincrement=False),
        sa.Column("reading", sa.String(60), nullable=False),
        sa.Column("began", sa.BigInteger, nullable=False),
        sa.Column("files", sa.Text, nullable=False),
        sa.Column("listed", sa.Integer, nullable=False),
    )
    op.create_index("fester_sweeps_by_source", "fester_sweeps", ["source_id", "reading"])
    sweep = sa.ForeignKey("fester_sweeps.id", ondelete="CASCADE")
    op.create_table(
        "fester_parts",
        sa.Column("sweep_id", sa.BigInteger, sweep, nullable=False, autoincrement=False),
        sa.Column("number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("projects", sa.LargeBinary, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("found", sa.LargeBinary, nullable=True),
        sa.Column("taken", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("sweep_id", "number"),
    )
    op.create_index("fester_parts_by_state", "fester_parts", ["sweep_id", "state"])
