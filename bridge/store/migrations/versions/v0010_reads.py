"""What is read of a repository besides its manifests, so that it is not read again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def _keys() -> tuple[sa.Column[int], sa.Column[int]]:
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    owner = sa.ForeignKey("fester_sources.id", ondelete="CASCADE")
    return (
        sa.Column("source_id", number, owner, primary_key=True, autoincrement=False),
        sa.Column("project_id", sa.BigInteger, primary_key=True, autoincrement=False),
    )


def upgrade() -> None:
    """Nothing is known of it yet: the next full sweep reads it."""
    op.create_table(
        "fester_reads",
        *_keys(),
        sa.Column("tip", sa.String(64), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "fester_blobs",
        *_keys(),
        sa.Column("oid", sa.String(64), primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("fester_blobs_by_oid", "fester_blobs", ["source_id", "oid"])
