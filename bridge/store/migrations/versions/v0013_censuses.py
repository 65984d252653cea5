"""How everything stood at the end of each day's last full pass."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """The first census is that of the next full pass."""
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    owner = sa.ForeignKey("fester_sources.id", ondelete="CASCADE")
    op.create_table(
        "fester_censuses",
        sa.Column("source_id", number, owner, primary_key=True, autoincrement=False),
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
