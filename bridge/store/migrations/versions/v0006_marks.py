"""Whose what is published is: an id for each source, and a number that grows with each publish."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """A source that was known before gets its id with its next publish."""
    identity = sa.Column("identity", sa.String(32), nullable=False, server_default="")
    op.add_column("fester_sources", identity)
    fence = sa.Column("fence", sa.BigInteger, nullable=False, server_default="0")
    op.add_column("fester_sources", fence)
