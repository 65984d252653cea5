"""The model of the catalog: what is said, by reference, and what was made and published of it.

The catalog that was published is taken over, so that nothing of it goes without the guard. What
manifests say is worked out by the next pass, from what is known of them.
"""

from __future__ import annotations

import json
import zlib
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def _source() -> sa.Column[int]:
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    owner = sa.ForeignKey("fester_sources.id", ondelete="CASCADE")
    return sa.Column("source_id", number, owner, primary_key=True, autoincrement=False)


def _text(name: str, length: int, *, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), primary_key=key, nullable=False)


def _ref(name: str, *, key: bool = True) -> sa.Column[str]:
    bytewise = sa.String(600).with_variant(sa.String(600, collation="C"), "postgresql")
    return sa.Column(name, bytewise, primary_key=key, nullable=False)


def _number(name: str, *, key: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, primary_key=key, nullable=False, autoincrement=False)


def _needed(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _added(kind: Any, name: str, default: str) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False, server_default=default)


def upgrade() -> None:
    """Make the tables; take over the catalog that was published."""
    op.add_column("fester_sources", _added(sa.BigInteger, "edition", "0"))
    op.add_column("fester_sources", _added(sa.Text, "figures", "{}"))
    op.add_column("fester_sources", _added(sa.String(40), "rules", ""))
    op.add_column("fester_projects", _added(sa.Text, "path", ""))
    op.create_index("fester_projects_by_gap", "fester_projects", ["source_id", "gap_since"])
    op.add_column("fester_manifests", _added(sa.Text, "fingerprint", ""))
    op.create_table(
        "fester_statements",
        _source(),
        _ref("ref"),
        sa.Column("project_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("file", sa.Text, primary_key=True),
        _number("n", key=True),
        _text("digest", 32),
        _needed("oid"),
        _number("line"),
        _number("col"),
        _needed("places"),
        _needed("body"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "fester_statements_by_project", "fester_statements", ["source_id", "project_id"]
    )
    entities = op.create_table(
        "fester_entities",
        _source(),
        _ref("ref"),
        _ref("mirror", key=False),
        _text("place", 40),
        _text("digest", 32),
        _text("shown", 32),
        _needed("body"),
        sa.Column("merged", sa.Text, nullable=True),
    )
    op.create_index("fester_entities_by_mirror", "fester_entities", ["source_id", "mirror"])
    op.create_index("fester_entities_by_place", "fester_entities", ["source_id", "place"])
    op.create_table(
        "fester_targets",
        _source(),
        _ref("ref"),
        _ref("target"),
        _ref("spelt", key=False),
        sqlite_with_rowid=False,
    )
    op.create_index("fester_targets_by_spelling", "fester_targets", ["source_id", "spelt"])
    op.create_table(
        "fester_names",
        _source(),
        _ref("ref"),
        _number("rank", key=True),
        _ref("name"),
        sqlite_with_rowid=False,
    )
    op.create_index("fester_names_by_name", "fester_names", ["source_id", "name"])
    op.create_table(
        "fester_stale",
        _source(),
        _text("stage", 10, key=True),
        _ref("item"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "fester_problems",
        _source(),
        sa.Column("about", sa.Text, primary_key=True),
        _number("n", key=True),
        _needed("body"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "fester_files",
        _source(),
        _ref("path"),
        _text("digest", 64),
        _needed("content_type"),
        _text("stage", 20),
        _number("entities"),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    connection = op.get_bind()
    slices = sa.text(
        "SELECT source_id, body FROM fester_catalog_slices ORDER BY source_id, ordinal"
    )
    for source_id, body in connection.execute(slices).all():
        rows = [_entity(source_id, tree) for tree in json.loads(zlib.decompress(body))]
        if rows:
            connection.execute(entities.insert(), rows)
    op.drop_table("fester_catalog_slices")
    # Not as a batch: SQLite would drop the table, and with it whatever belongs to its rows.
    op.drop_column("fester_sources", "catalog_made_at")


def _entity(source_id: int, tree: Any) -> dict[str, Any]:
    """A row. Its digest is none that merging makes: the next pass looks at each of them."""
    kind, namespace, name = tree["ref"]
    ref = f"{kind}:{namespace}/{name}"
    number = int.from_bytes(sha256(ref.encode()).digest()[:5], "big")
    body = {"body": tree["body"], "origins": tree["origins"]}
    return {
        "source_id": source_id,
        "ref": ref,
        "mirror": f"{kind}:{f'{namespace}/{name}'[::-1]}",
        "place": f"{number:040b}",
        "digest": "",
        "shown": "",
        "body": json.dumps(body, separators=(",", ":")),
    }
