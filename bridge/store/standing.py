"""What is wrong as things stand: read once, then kept up with what this process writes.

Every pass tells all of it, a push too; only what changed may cost something then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import delete, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.model.problems import Problem
from bridge.model.work import Task
from bridge.store import model_codec, rows
from bridge.store.sources import batched, parts_of
from bridge.store.tables import problems, sources, sweeps
from bridge.store.upsert import put_rows

# While several processes merge and check they write problems, and the edition stays as it is.
_written_by_several: Final = (
    exists()
    .where(
        sweeps.c.source_id == sources.c.id,
        sweeps.c.task.in_((Task.MERGE, Task.CHECK)),
        sweeps.c.edition == sources.c.edition,
    )
    .label("changing")
)


@dataclass(slots=True)
class _Kept:
    """The problems of a source by what they are about, as they are in an edition of it."""

    edition: int | None
    by_about: dict[str, Sequence[Problem]]


class StandingProblems:
    """The problems of sources. Where another process wrote, they are read again."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}

    async def all(
        self, connection: AsyncConnection, source: str, source_id: int | None
    ) -> list[Problem]:
        """All problems of a source, in the order of their places."""
        wanted = select(sources.c.edition, _written_by_several).where(sources.c.id == source_id)
        row = (await connection.execute(wanted)).one_or_none()
        edition, changing = (row.edition, row.changing) if row is not None else (None, False)
        kept = self._kept.get(source)
        if kept is None or kept.edition != edition or changing:
            kept = _Kept(edition, await _read(connection, source_id))
            if not changing:
                self._kept[source] = kept
        return sorted((one for each in kept.by_about.values() for one in each), key=_order)

    def forget(self, source: str) -> None:
        """Others write problems of a source from now on: they are read again."""
        self._kept.pop(source, None)

    def moved(self, source: str, edition: int) -> None:
        """This process made the next edition after this one."""
        kept = self._kept.get(source)
        if kept is not None and kept.edition == edition:
            kept.edition = edition + 1

    def replaced(self, source: str, edition: int, found: Mapping[str, Sequence[Problem]]) -> None:
        """With this edition came these problems, in place of those that were about the same."""
        kept = self._kept.get(source)
        if kept is not None and kept.edition == edition:
            for about, now in found.items():
                if now:
                    kept.by_about[about] = tuple(now)
                else:
                    kept.by_about.pop(about, None)


async def replace_problems(
    connection: AsyncConnection, source_id: int, found: Mapping[str, Sequence[Problem]]
) -> None:
    """Replace problems by what they are about."""
    for part in batched(found):
        await connection.execute(
            delete(problems).where(problems.c.source_id == source_id, problems.c.about.in_(part))
        )
        made = [
            row
            for about in part
            for row in model_codec.problem_rows(source_id, about, found[about])
        ]
        await put_rows(connection, problems, made)


async def _read(connection: AsyncConnection, source_id: int | None) -> dict[str, Sequence[Problem]]:
    found: dict[str, list[Problem]] = {}
    wanted = select(problems.c.about, problems.c.body).where(problems.c.source_id == source_id)
    async for part in parts_of(connection, wanted.order_by(problems.c.about, problems.c.n)):
        for row in part:
            found.setdefault(row.about, []).append(rows.stored_problem(row.body))
    return dict(found)


def _order(problem: Problem) -> tuple[Any, ...]:
    """By place, so that a project's stand together."""
    place = problem.project, problem.gitlab, problem.file, problem.line, problem.column
    return *place, problem.rule, problem.ref, problem.message
