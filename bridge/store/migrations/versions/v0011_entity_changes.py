"""What became of each entity, and how those are that the pass under way changes were before it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_REF = sa.String(600).with_variant(sa.String(600, collation="C"), "postgresql")


def _source() -> sa.Column[int]:
    owner = sa.ForeignKey("fester_sources.id", ondelete="CASCADE")
    return sa.Column("source_id", _NUMBER, owner, nullable=False, autoincrement=False)


def upgrade() -> None:
    """The history begins with the next pass."""
    op.create_table(
        "fester_before",
        _source(),
        sa.Column("ref", _REF, nullable=False),
        sa.Column("body", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("source_id", "ref"),
    )
    op.create_table(
        "fester_entity_changes",
        sa.Column("id", _NUMBER, primary_key=True),
        _source(),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("ref", _REF, nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("fester_entity_changes_by_ref", "fester_entity_changes", ["source_id", "ref"])
    op.create_index("fester_entity_changes_by_time", "fester_entity_changes", ["source_id", "at"])
