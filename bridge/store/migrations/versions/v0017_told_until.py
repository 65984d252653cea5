"""Until when a receiver of changes had been told all, so that one that was away hears of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Rows that are there begin with NULL: nothing is known."""
    op.add_column("fester_receivers", sa.Column("told_until", sa.BigInteger, nullable=True))
