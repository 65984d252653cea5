"""Scores in the store: the latest board, and a history that is written only when it changes.

History has a row for a day on which an entity's score or one of its checks changed, and the last
row stands until the next one. So a service that nobody touches costs nothing, and a day on which
Fester did not run looks like the day before.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Table, and_, bindparam, delete, exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.model.entities import Ref
from bridge.model.scores import Rollup, RollupDay, RollupKind, Rubric, Score, Scoreboard, ScoreDay
from bridge.store import score_rows
from bridge.store.ox_tables import boards, rollup_days, rubrics, score_days, scores
from bridge.store.score_rows import Packed, Read
from bridge.store.sources import claim_source, source_id_of, source_name
from bridge.store.upsert import add_rows, put_rows

Connect = Callable[[str], AbstractAsyncContextManager[AsyncConnection]]
Values = dict[str, Any]

_CHUNK: Final = 500
_WEEK: Final = 7


@dataclass(frozen=True, slots=True)
class ScoreHistory:
    """How much is kept, in days: every change at first, then the last of a week, then nothing.

    What still stood when the kept time begins is kept, however old.
    """

    whole: int = 90
    keep: int = 730


class SqlScoreStore:
    """A `bridge.ox.interfaces.ScoreStore`; made by `SqlStore.scores`."""

    def __init__(self, writing: Connect, reading: Connect, history: ScoreHistory) -> None:
        self._writing = writing
        self._reading = reading
        self._history = history
        # By source and entity: what was written and read last, so that it is not worked on again.
        self._written: Mapping[str, Mapping[str, Packed]] = {}
        self._read: Mapping[str, Mapping[str, Read]] = {}

    async def record_scores(self, source: str, board: Scoreboard, rubric: Rubric) -> None:
        """Make `board` the latest, and add to the history what differs from the day before.

        Raises `StoreError`; then nothing is recorded.
        """
        day = board.at.astimezone(UTC).date().toordinal()
        before = self._written.get(source, {})
        packed = await asyncio.to_thread(_packed, board, rubric, before)
        async with self._writing(f"save the scores of {source}") as connection:
            source_id = await claim_source(connection, source)
            await _keep_rubric(connection, source_id, rubric)
            last = await _board_row(connection, source_id, source)
            await _keep_scores(connection, source_id, day, packed)
            rollups = last.rollups if last else ()
            await _keep_rollups(connection, source_id, day, rollups, board.rollups)
            body = await asyncio.to_thread(score_rows.board_body, board)
            row = {"source_id": source_id, "made_at": board.at.isoformat(), "body": body}
            await put_rows(connection, boards, [row])
            if last is None or last.at.astimezone(UTC).date().toordinal() < day:
                await _prune(connection, source_id, day, self._history)
        self._written = {source: {name: each.stored() for name, each in packed.items()}}

    async def latest_scores(self, source: str) -> Scoreboard | None:
        """The board that was recorded last. Raises `StoreError`."""
        before, found = self._read.get(source, {}), {}
        async with self._reading(f"load the scores of {source}") as connection:
            source_id = await source_id_of(connection, source)
            last = await _board_row(connection, source_id, source)
            if last is None:
                return None
            mine = scores.c.source_id == source_id
            wanted = select(scores.c.entity, scores.c.digest).where(mine).order_by(scores.c.entity)
            named = (await connection.execute(wanted)).all()
            other: list[str] = []
            for row in named:
                old = before.get(row.entity)
                if old is not None and old.digest == row.digest:
                    found[row.entity] = old
                else:
                    other.append(row.entity)
            for start in range(0, len(other), _CHUNK):
                part = scores.c.entity.in_(other[start : start + _CHUNK])
                rows = (await connection.execute(select(scores).where(mine, part))).all()
                found.update(await asyncio.to_thread(score_rows.scores, rows, last.at))
        self._read = {source: found}
        return await asyncio.to_thread(_board, last, [row.entity for row in named], found)

    async def score_of(self, source: str, entity: Ref) -> Score | None:
        """The latest score of one entity. Raises `StoreError`."""
        async with self._reading(f"load the score of {entity}") as connection:
            source_id = await source_id_of(connection, source)
            last = await _board_row(connection, source_id, source)
            if last is None:
                return None
            mine = scores.c.source_id == source_id, scores.c.entity == str(entity)
            found = (await connection.execute(select(scores).where(*mine))).all()
        return next((each.score for each in score_rows.scores(found, last.at).values()), None)

    async def scored_at(self, source: str) -> datetime | None:
        """When the latest board was made. Raises `StoreError`."""
        async with self._reading(f"look at the scores of {source}") as connection:
            source_id = await source_id_of(connection, source)
            wanted = select(boards.c.made_at).where(boards.c.source_id == source_id)
            found = (await connection.execute(wanted)).scalar_one_or_none()
        return None if found is None else datetime.fromisoformat(found)

    async def score_trend(
        self, source: str, entity: Ref, start: date, end: date
    ) -> Sequence[ScoreDay]:
        """The days on which an entity's score changed, oldest first. Raises `StoreError`."""
        async with self._reading(f"load the trend of {entity}") as connection:
            source_id = await source_id_of(connection, source)
            mine = and_(score_days.c.source_id == source_id, score_days.c.entity == str(entity))
            rows = await _between(connection, score_days, mine, start, end)
            checks = await _checks(connection, source_id)
        return score_rows.score_days(rows, checks)

    async def rollup_trend(
        self, source: str, kind: RollupKind, name: str, start: date, end: date
    ) -> Sequence[RollupDay]:
        """The same of a roll-up. Raises `StoreError`."""
        async with self._reading(f"load the trend of {kind} {name}") as connection:
            mine = and_(
                rollup_days.c.source_id == await source_id_of(connection, source),
                rollup_days.c.kind == kind.value,
                rollup_days.c.name == source_name(name),
            )
            rows = await _between(connection, rollup_days, mine, start, end)
        return [score_rows.rollup_day(row, kind, name) for row in rows]

    async def rollups_on(self, source: str, kind: RollupKind, day: date) -> Mapping[str, Rollup]:
        """How roll-ups of a kind stood at the end of a day, by name. Raises `StoreError`."""
        async with self._reading(f"load the {kind}s of {day.isoformat()}") as connection:
            mine = and_(
                rollup_days.c.source_id == await source_id_of(connection, source),
                rollup_days.c.kind == kind.value,
            )
            last = (
                select(rollup_days.c.name, func.max(rollup_days.c.day).label("day"))
                .where(mine, rollup_days.c.day <= day.toordinal())
                .group_by(rollup_days.c.name)
                .subquery()
            )
            same = and_(rollup_days.c.name == last.c.name, rollup_days.c.day == last.c.day)
            wanted = select(rollup_days).join(last, same).where(mine, rollup_days.c.gone == 0)
            rows = (await connection.execute(wanted)).all()
        days = [score_rows.rollup_day(row, kind, row.name) for row in rows]
        return {each.rollup.name: each.rollup for each in days}

    async def scores_on(
        self, source: str, entities: Sequence[Ref], day: date
    ) -> Mapping[Ref, ScoreDay]:
        """How scores stood at the end of a day; who had none is left out. Raises `StoreError`."""
        found: dict[Ref, ScoreDay] = {}
        names = {str(entity): entity for entity in entities}
        async with self._reading(f"load the scores of {day.isoformat()}") as connection:
            source_id = await source_id_of(connection, source)
            checks = await _checks(connection, source_id)
            wanted = list(names)
            for start in range(0, len(wanted), _CHUNK):
                part = wanted[start : start + _CHUNK]
                rows = await _standing(connection, source_id, part, day.toordinal())
                there = [row for row in rows if not row.gone]
                days = await asyncio.to_thread(score_rows.score_days, there, checks)
                found.update(zip((names[row.entity] for row in there), days, strict=True))
        return found


def _board(last: Scoreboard, order: Sequence[str], found: Mapping[str, Read]) -> Scoreboard:
    """A board with its scores; one that left while they were read is left out."""
    scores = (found[name].score for name in order if name in found)
    loaded = {score.entity: replace(score, at=last.at) for score in scores}
    return replace(last, scores=loaded)


def _packed(board: Scoreboard, rubric: Rubric, before: Mapping[str, Packed]) -> dict[str, Packed]:
    """What the store is to hold, by entity; a score that is as before is not packed again."""
    found = {}
    for ref, score in board.scores.items():
        old = before.get(str(ref))
        same = old is not None and replace(old.score, at=score.at) == score
        found[str(ref)] = old if old and same else score_rows.pack_score(score, rubric)
    return found


async def _keep_rubric(connection: AsyncConnection, source_id: int, rubric: Rubric) -> None:
    weights = {check.id: check.weight for check in rubric.checks}
    row = {"source_id": source_id, "version": rubric.version, "checks": json.dumps(weights)}
    await add_rows(connection, rubrics, [row])


async def _checks(
    connection: AsyncConnection, source_id: int | None
) -> dict[str, dict[str, float]]:
    """The weights of every rubric's checks, in order, by its version."""
    wanted = select(rubrics.c.version, rubrics.c.checks).where(rubrics.c.source_id == source_id)
    rows = (await connection.execute(wanted)).all()
    return {row.version: json.loads(row.checks) for row in rows}


async def _board_row(
    connection: AsyncConnection, source_id: int | None, source: str
) -> Scoreboard | None:
    wanted = select(boards.c.body).where(boards.c.source_id == source_id)
    body = (await connection.execute(wanted)).scalar_one_or_none()
    return None if body is None else await asyncio.to_thread(score_rows.board, body, source)


async def _keep_scores(
    connection: AsyncConnection,
    source_id: int,
    day: int,
    packed: Mapping[str, Packed],
) -> None:
    wanted = select(scores.c.entity, scores.c.mark, scores.c.digest)
    rows = await connection.execute(wanted.where(scores.c.source_id == source_id))
    known = {row.entity: row for row in rows}
    latest: list[Values] = []
    changed: list[Values] = []
    for entity, each in packed.items():
        old = known.get(entity)
        if old is None or old.digest != each.digest:
            row = {"source_id": source_id, "entity": entity, "mark": each.mark}
            latest.append(
                {
                    **row,
                    "digest": each.digest,
                    "body": each.body or score_rows.score_body(each.score),
                }
            )
        if old is None or old.mark != each.mark:
            changed.append({"source_id": source_id, "entity": entity, "day": day, **each.kept})
    gone = [entity for entity in known if entity not in packed]
    await _write(connection, scores, latest)
    await _write(connection, score_days, changed)
    await _bury(connection, source_id, day, gone)


async def _bury(connection: AsyncConnection, source_id: int, day: int, gone: Sequence[str]) -> None:
    """Entities that are no longer there: their history says so."""
    empty = {"value": None, "coverage": 0.0, "sufficient": 0, "level": "", "tier": None}
    tail = {"target": None, "rubric": "", "states": "", "gone": 1}
    rows: list[Values] = [
        {"source_id": source_id, "entity": entity, "day": day, **empty, **tail} for entity in gone
    ]
    await _write(connection, score_days, rows)
    if gone:
        mine = and_(scores.c.source_id == source_id, scores.c.entity == bindparam("gone"))
        await connection.execute(delete(scores).where(mine), [{"gone": name} for name in gone])


async def _keep_rollups(
    connection: AsyncConnection,
    source_id: int,
    day: int,
    before: Sequence[Rollup],
    after: Sequence[Rollup],
) -> None:
    old = {(each.kind.value, each.name): score_rows.rollup_values(each) for each in before}
    new = {(each.kind.value, each.name): score_rows.rollup_values(each) for each in after}
    rows = [(key, kept) for key, kept in new.items() if old.get(key) != kept]
    rows += [(key, {**kept, "gone": 1}) for key, kept in old.items() if key not in new]
    await _write(
        connection,
        rollup_days,
        [
            {"source_id": source_id, "kind": kind, "name": source_name(name), "day": day, **kept}
            for (kind, name), kept in rows
        ],
    )


async def _write(connection: AsyncConnection, table: Table, rows: Sequence[Values]) -> None:
    for start in range(0, len(rows), _CHUNK):
        await put_rows(connection, table, rows[start : start + _CHUNK])


async def _between(
    connection: AsyncConnection, table: Table, mine: ColumnElement[bool], start: date, end: date
) -> Sequence[Row[Any]]:
    """The rows of a span of days, and the one that still stood when it begins."""
    first = select(func.max(table.c.day)).where(mine, table.c.day <= start.toordinal())
    begin = func.coalesce(first.scalar_subquery(), start.toordinal())
    wanted = select(table).where(mine, table.c.day >= begin, table.c.day <= end.toordinal())
    return (await connection.execute(wanted.order_by(table.c.day))).all()


async def _standing(
    connection: AsyncConnection, source_id: int | None, entities: Sequence[str], day: int
) -> Sequence[Row[Any]]:
    """The last row of each entity until a day."""
    mine = and_(
        score_days.c.source_id == source_id,
        score_days.c.entity.in_(entities),
        score_days.c.day <= day,
    )
    last = (
        select(score_days.c.entity, func.max(score_days.c.day).label("day"))
        .where(mine)
        .group_by(score_days.c.entity)
        .subquery()
    )
    same = and_(score_days.c.entity == last.c.entity, score_days.c.day == last.c.day)
    wanted = select(score_days).join(last, same).where(score_days.c.source_id == source_id)
    return (await connection.execute(wanted)).all()


async def _prune(
    connection: AsyncConnection, source_id: int, today: int, history: ScoreHistory
) -> None:
    """Thin and forget; once a day is often enough."""
    for table, keys in ((score_days, ("entity",)), (rollup_days, ("kind", "name"))):
        later = table.alias("later")
        same = and_(
            later.c.source_id == table.c.source_id,
            *(later.c[key] == table.c[key] for key in keys),
            later.c.day > table.c.day,
        )
        mine = table.c.source_id == source_id
        whole, oldest = today - history.whole, today - history.keep
        week = later.c.day // _WEEK == table.c.day // _WEEK
        thin = exists().where(same, later.c.day < whole, week)
        await connection.execute(delete(table).where(mine, table.c.day < whole, thin))
        stood = exists().where(same, later.c.day <= oldest)
        await connection.execute(delete(table).where(mine, table.c.day < oldest, stood))
        buried = and_(table.c.day < oldest, table.c.gone == 1)
        await connection.execute(delete(table).where(mine, buried))
