"""What teams are told, and what was seen when they were told last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _source() -> sa.Column[int]:
    owner = sa.ForeignKey("fester_sources.id", ondelete="CASCADE")
    return sa.Column("source_id", _NUMBER, owner, nullable=False, autoincrement=False)


def upgrade() -> None:
    """Nothing was seen yet, so that the first look takes what fails as known."""
    op.create_table(
        "fester_notices",
        _source(),
        sa.Column("key", sa.String(32), nullable=False),
        sa.Column("channel", sa.String(20), nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("made", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("batch", sa.String(32), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("source_id", "key", "channel"),
    )
    op.create_index("fester_notices_by_state", "fester_notices", ["source_id", "state"])
    op.create_table(
        "fester_notice_memory",
        _source(),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("source_id"),
    )
