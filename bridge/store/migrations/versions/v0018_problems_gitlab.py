"""Of which GitLab a problem is, where a store knows several: the path alone does not tell.

What the problems are kept under tells it, or the manifests that speak of the entity. Where two
GitLabs may be meant the entity is merged anew by the next pass, which tells it again.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

_FURTHER = 1 << 62
_ID_BITS = 32

_sources = sa.table("fester_sources", sa.column("id"), sa.column("horizon"))
_problems = sa.table(
    "fester_problems",
    *(sa.column(name) for name in ("source_id", "about", "n", "body")),
)
_statements = sa.table(
    "fester_statements",
    *(sa.column(name) for name in ("source_id", "ref", "project_id", "file", "body")),
)
_stale = sa.table("fester_stale", *(sa.column(name) for name in ("source_id", "stage", "item")))


def upgrade() -> None:
    """Problems of the first GitLab stay as they are."""
    connection = op.get_bind()
    for row in connection.execute(sa.select(_sources.c.id, _sources.c.horizon)).all():
        if json.loads(row.horizon or "{}").get("others"):
            _of_source(connection, row.id)


def _of_source(connection: sa.Connection, source_id: int) -> None:
    wanted = sa.select(_problems).where(_problems.c.source_id == source_id)
    again: set[str] = set()
    for row in connection.execute(wanted).all():
        tree = json.loads(row.body)
        what, _, rest = row.about.partition(" ")
        if what in ("entity", "links"):
            marks = _speaking(connection, source_id, rest, tree)
            again |= {rest} if len(marks) > 1 else set()
        else:
            marks = {_mark(int(rest.partition(" ")[0]))}
        if len(marks) == 1 and marks != {0}:
            mine = _problems.c.source_id == source_id, _problems.c.about == row.about
            body = json.dumps({**tree, "gitlab": min(marks)})
            connection.execute(
                sa.update(_problems).where(*mine, _problems.c.n == row.n).values(body=body)
            )
    _merge_anew(connection, source_id, again)


def _speaking(
    connection: sa.Connection, source_id: int, ref: str, problem: dict[str, Any]
) -> set[int]:
    """The marks of the GitLabs from which a manifest of the problem's place speaks of an entity."""
    columns = _statements.c
    found = connection.execute(
        sa.select(columns.project_id, columns.body).where(
            columns.source_id == source_id,
            columns.ref == ref,
            columns.file == problem.get("file", ""),
        )
    )
    project = problem.get("project")
    return {_mark(each.project_id) for each in found if json.loads(each.body)["path"] == project}


def _merge_anew(connection: sa.Connection, source_id: int, refs: set[str]) -> None:
    mine = _stale.c.source_id == source_id, _stale.c.stage == "merge"
    noted = set(connection.execute(sa.select(_stale.c.item).where(*mine)).scalars())
    new = [{"source_id": source_id, "stage": "merge", "item": ref} for ref in refs - noted]
    if new:
        connection.execute(sa.insert(_stale), new)


def _mark(number: int) -> int:
    """The mark of the GitLab to which a number belongs, 0 of the first."""
    size = abs(number)
    return (size & (_FURTHER - 1)) >> _ID_BITS if size >= _FURTHER else 0
