"""The teams that Backstage has from others, as its catalog told them last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """A source that was known before has none yet."""
    teams = sa.Column("teams_elsewhere", sa.Text, nullable=False, server_default="")
    op.add_column("fester_sources", teams)
