"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _source() -> sa.Column[int]:
    owner = sa.ForeignKey("fester_sources.id", ondelete="CASCADE")
    return sa.Column("source_id", _NUMBER, owner, nullable=False, autoincrement=False)


def upgrade() -> None:
    """Create every table of the first release."""
    op.create_table(
        "fester_sources",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("catalog_made_at", sa.String(40), nullable=False, server_default=""),
    )
    _memory()
    _passes()
    op.create_table(
        "fester_leases",
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
    )


def _memory() -> None:
    op.create_table(
        "fester_projects",
        _source(),
        sa.Column("project_id", sa.BigInteger, nullable=False),
        sa.Column("read_at", sa.String(40), nullable=False),
        sa.Column("gap_since", sa.String(40), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("source_id", "project_id"),
    )
    op.create_table(
        "fester_manifests",
        _source(),
        sa.Column("project_id", sa.BigInteger, nullable=False),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("oid", sa.Text, nullable=False),
        sa.Column("good_oid", sa.Text, nullable=False),
        sa.Column("held_since", sa.String(40), nullable=False),
        sa.Column("broken_since", sa.String(40), nullable=False),
        sa.Column("current", sa.Text, nullable=False),
        sa.Column("good", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("source_id", "project_id", "file"),
    )


def _passes() -> None:
    op.create_table(
        "fester_passes",
        sa.Column("id", _NUMBER, primary_key=True),
        _source(),
        sa.Column("saved_at", sa.String(40), nullable=False),
        sa.Column("outcome", sa.String(40), nullable=False),
        sa.Column("report", sa.LargeBinary, nullable=False),
    )
    op.create_index("fester_passes_by_source", "fester_passes", ["source_id", "id"])
    op.create_table(
        "fester_catalog_slices",
        _source(),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("source_id", "ordinal"),
    )
