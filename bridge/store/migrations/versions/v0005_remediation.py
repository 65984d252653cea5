"""What remediation knows of checks and issues, its runs, and digests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _source() -> sa.Column[int]:
    owner = sa.ForeignKey("fester_sources.id", ondelete="CASCADE")
    return sa.Column("source_id", _NUMBER, owner, nullable=False, autoincrement=False)


def upgrade() -> None:
    """Nothing is known yet, so that the first run takes what fails as its baseline."""
    op.create_table(
        "fester_remediation_streaks",
        _source(),
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("source_id", "entity"),
    )
    op.create_table(
        "fester_remediation_cases",
        _source(),
        sa.Column("project_id", sa.BigInteger, nullable=False),
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("check_id", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("source_id", "project_id", "entity", "check_id"),
    )
    op.create_table(
        "fester_remediation_runs",
        sa.Column("id", _NUMBER, primary_key=True),
        _source(),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index(
        "fester_remediation_runs_by_source", "fester_remediation_runs", ["source_id", "id"]
    )
    op.create_table(
        "fester_digests",
        _source(),
        sa.Column("week", sa.String(10), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("sent", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("source_id", "week"),
    )
