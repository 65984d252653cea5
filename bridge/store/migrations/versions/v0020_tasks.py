"""More tasks of a pass that several processes share than reading and merging."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """What has rules as yet is merged."""
    op.execute("ALTER TABLE fester_sweeps RENAME COLUMN files TO told")
    task = sa.Column("task", sa.String(10), nullable=False, server_default="read")
    op.add_column("fester_sweeps", task)
    op.execute("UPDATE fester_sweeps SET task = 'merge' WHERE rules <> ''")
