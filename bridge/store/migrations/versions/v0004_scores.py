"""Scores: the latest board, and the history of scores and roll-ups."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _source() -> sa.Column[int]:
    owner = sa.ForeignKey("fester_sources.id", ondelete="CASCADE")
    return sa.Column("source_id", _NUMBER, owner, nullable=False, autoincrement=False)


def upgrade() -> None:
    """Create the tables of Ox's scores."""
    op.create_table(
        "fester_rubrics",
        _source(),
        sa.Column("version", sa.String(32), nullable=False),
        sa.Column("checks", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("source_id", "version"),
    )
    op.create_table(
        "fester_boards",
        _source(),
        sa.Column("made_at", sa.String(40), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("source_id"),
    )
    op.create_table(
        "fester_scores",
        _source(),
        sa.Column("entity", sa.String(600), nullable=False),
        sa.Column("mark", sa.Text, nullable=False),
        sa.Column("digest", sa.String(32), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("source_id", "entity"),
    )
    _history()


def _history() -> None:
    op.create_table(
        "fester_score_days",
        _source(),
        sa.Column("entity", sa.String(600), nullable=False),
        sa.Column("day", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("value", sa.Float, nullable=True),
        sa.Column("coverage", sa.Float, nullable=False),
        sa.Column("sufficient", sa.Integer, nullable=False),
        sa.Column("level", sa.String(100), nullable=False),
        sa.Column("tier", sa.Integer, nullable=True),
        sa.Column("target", sa.Float, nullable=True),
        sa.Column("rubric", sa.String(32), nullable=False),
        sa.Column("states", sa.String(200), nullable=False),
        sa.Column("gone", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("source_id", "entity", "day"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "fester_rollup_days",
        _source(),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("name", sa.String(600), nullable=False),
        sa.Column("day", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("value", sa.Float, nullable=True),
        sa.Column("coverage", sa.Float, nullable=False),
        sa.Column("services", sa.Integer, nullable=False),
        sa.Column("unknown", sa.Integer, nullable=False),
        sa.Column("below_target", sa.Integer, nullable=False),
        sa.Column("levels", sa.Text, nullable=False),
        sa.Column("gone", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("source_id", "kind", "name", "day"),
        sqlite_with_rowid=False,
    )
