"""Merging that several processes share."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """What is shared as yet is read."""
    rules = sa.Column("rules", sa.String(60), nullable=False, server_default="")
    edition = sa.Column("edition", sa.BigInteger, nullable=False, server_default="0")
    for column in (rules, edition):
        op.add_column("fester_sweeps", column)
