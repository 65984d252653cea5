"""How far receivers of changes have been told; the number of a change is never used again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _source() -> sa.Column[int]:
    owner = sa.ForeignKey("fester_sources.id", ondelete="CASCADE")
    return sa.Column("source_id", _NUMBER, owner, nullable=False, autoincrement=False)


def upgrade() -> None:
    """PostgreSQL's numbers only grow anyway; SQLite's do with AUTOINCREMENT."""
    op.create_table(
        "fester_receivers",
        _source(),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("cursor", sa.BigInteger, nullable=False),
        sa.Column("sending", sa.BigInteger, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("next_at", sa.BigInteger, nullable=True),
        sa.Column("failing_since", sa.BigInteger, nullable=True),
        sa.Column("delivered_at", sa.BigInteger, nullable=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("source_id", "name"),
    )
    if op.get_bind().dialect.name == "sqlite":
        _number_anew()


def _number_anew() -> None:
    op.create_table(
        "fester_entity_changes_numbered",
        sa.Column("id", _NUMBER, primary_key=True),
        _source(),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("ref", sa.String(600), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.execute(
        "INSERT INTO fester_entity_changes_numbered "
        "(id, source_id, at, ref, kind, about, body) "
        "SELECT id, source_id, at, ref, kind, about, body FROM fester_entity_changes"
    )
    op.drop_table("fester_entity_changes")
    op.rename_table("fester_entity_changes_numbered", "fester_entity_changes")
    op.create_index("fester_entity_changes_by_ref", "fester_entity_changes", ["source_id", "ref"])
    op.create_index("fester_entity_changes_by_time", "fester_entity_changes", ["source_id", "at"])
