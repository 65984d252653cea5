"""What is left of what each token may ask of a GitLab, for all processes that ask with it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Nothing is known of any yet: the first answers tell."""
    op.create_table(
        "fester_rates",
        sa.Column("name", sa.String(80), primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
    )
