"""The defaults for GitLab groups, as they were read last: one text a source."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Nothing was read yet."""
    defaults = sa.Column("group_defaults", sa.Text, nullable=False, server_default="")
    op.add_column("fester_sources", defaults)
