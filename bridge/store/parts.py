"""The parts of sweeps that several processes do: who began which, and what came of it.

Every time that a part is begun its fence grows: what a process writes that began it before, and
was paused or cut off since, is refused. A sweep that was begun anew has another number, so all of
the one before is refused.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Final

from sqlalchemy import and_, case, delete, func, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.errors import StoreConflict
from bridge.model.scrape import number_of
from bridge.model.statements import Checked, Merged, StoredEntity
from bridge.model.work import (
    Claim,
    OnCatalog,
    Part,
    PartRead,
    Settled,
    SweepPlan,
    SweepProgress,
    Task,
)
from bridge.store.codec import Undecodable, pack, unpack
from bridge.store.merging import write_checked, write_merged
from bridge.store.model_codec import dumped, loaded
from bridge.store.moments import microseconds, moment_of
from bridge.store.part_codec import decode_part, encode_part
from bridge.store.sources import source_name, with_figures
from bridge.store.tables import parts, sources, sweeps

Open = Callable[[str], AbstractAsyncContextManager[AsyncConnection]]
Changing = Callable[
    [str, int, dict[str, int]], AbstractAsyncContextManager[tuple[AsyncConnection, int]]
]
Writing = Callable[[AsyncConnection, int], Awaitable[None]]

TRIES: Final = 5  # times that a part is begun: one that ends whoever reads it ends no more
_WAITING, _READING, _DONE, _FAILED = "waiting", "reading", "done", "failed"
_AT_ONCE = 2  # parts taken in at once: each holds the texts of some hundred manifests
_OVERTAKEN: Final = "another Fester wrote to the catalog meanwhile; a later pass does it"
_TOLD = 5  # failures told of, of each sweep
_REASON = 500  # characters of one: an answer that is no JSON may be a whole page


class SqlParts:
    """Parts of sweeps in a store; get one from `SqlStore.parts`.

    Every method raises `StoreError`; `StoreConflict` where the sweep was begun anew by another.
    """

    def __init__(
        self, writing: Open, reading: Open, changing: Changing, clock: Callable[[], datetime]
    ) -> None:
        self._writing = writing
        self._reading = reading
        self._changing = changing
        self._clock = clock

    async def begin(self, source: str, edition: int, plan: SweepPlan) -> tuple[int, int]:
        """Begin a sweep in place of the one before of its task; its number, and the edition.

        One that is read begins a pass: what is left of the tasks of another one goes, too. Only
        who builds on what was saved last may: `StoreConflict` for another.
        """
        sweep = secrets.randbits(62)
        async with self._changing(source, edition, {}) as (connection, source_id):
            mine = sweeps.c.source_id == source_id, sweeps.c.reading == plan.reading
            over = sweeps.c.task == plan.task if plan.task is not Task.READ else true()
            await connection.execute(delete(sweeps).where(*mine, over))
            row = {
                "id": sweep,
                "source_id": source_id,
                "reading": plan.reading,
                "began": microseconds(self._clock()),
                "told": dumped(list(plan.told)),
                "listed": 0,
                "task": plan.task,
                "rules": plan.rules,
                "edition": edition + 1,
            }
            await connection.execute(sweeps.insert(), row)
        return sweep, edition + 1

    async def put(self, part: Part) -> None:
        """Add a part that is to be done."""
        what: list[Any] = [list(each) for each in part.projects]
        if part.on_catalog is not None:
            what = list(part.on_catalog.items)
        row = {
            "sweep_id": part.sweep,
            "number": part.number,
            "projects": pack(dumped(what)),
            "count": len(what),
            "state": _WAITING,
            "fence": 0,
            "worker": dumped(""),
            "reason": dumped(""),
            "found": None,
            "taken": 0,
        }
        async with self._writing("add a part of a sweep") as connection:
            await _refuse_another(connection, part.sweep)
            await connection.execute(parts.insert(), row)

    async def listed(self, sweep: int) -> None:
        """Say that all parts of a sweep are there."""
        async with self._writing("end the list of a sweep") as connection:
            await _refuse_another(connection, sweep)
            await connection.execute(update(sweeps).where(sweeps.c.id == sweep).values(listed=1))

    async def drop(self, sweep: int) -> None:
        """Forget a sweep: what is still read of it is refused."""
        async with self._writing("drop a sweep") as connection:
            await connection.execute(delete(sweeps).where(sweeps.c.id == sweep))

    async def claim(self, sweep: int, number: int, worker: str) -> Claim | None:
        """Begin a part, also one that another process began; None where nothing is to be done."""
        mine = parts.c.sweep_id == sweep, parts.c.number == number
        open_ = parts.c.state.in_((_WAITING, _READING))
        worn = parts.c.fence >= TRIES
        why = f"{TRIES} processes began it and none came to an end"
        begun = (
            update(parts)
            .where(*mine, open_)
            .values(
                fence=parts.c.fence + 1,
                state=case((worn, _FAILED), else_=_READING),
                worker=dumped(worker),
                reason=case((worn, dumped(why)), else_=parts.c.reason),
            )
            .returning(parts.c.state, parts.c.fence, parts.c.projects)
        )
        async with self._writing("begin a part of a sweep") as connection:
            row = (await connection.execute(begun)).one_or_none()
            if row is None or row.state != _READING:
                return None
            wanted = select(sweeps, sources.c.name).join_from(
                sweeps, sources, sweeps.c.source_id == sources.c.id
            )
            of = (await connection.execute(wanted.where(sweeps.c.id == sweep))).one()
        return Claim(_part(of, number, loaded(unpack(row.projects))), row.fence)

    async def finish(self, claim: Claim, read: PartRead) -> bool:
        """Write what was read; whether it counts: another one may have begun the part since."""
        found = await asyncio.to_thread(encode_part, read)
        left = {"count": len(set(map(number_of, read.records)))} if read.cut else {}
        return await self._end(claim, state=_DONE, reason=dumped(""), found=found, **left)

    async def fail(self, claim: Claim, reason: str) -> bool:
        """Say why a part could not be done; whether it is to be tried again.

        What is not to be read is not: who leads does it sooner.
        """
        again = claim.fence < TRIES and claim.part.on_catalog is None
        state = _WAITING if again else _FAILED
        return await self._end(claim, state=state, reason=dumped(reason[:_REASON])) and again

    async def merged(self, claim: Claim, done: Merged) -> bool:
        """Write what merging a part gave; whether it counts."""

        async def write(connection: AsyncConnection, source_id: int) -> None:
            await write_merged(connection, source_id, done)
            await _add_figures(connection, source_id, claim.part.sweep, done.figures)

        return await self._written(claim, done.put, write)

    async def checked(self, claim: Claim, done: Checked) -> bool:
        """Write what checking a part gave; whether it counts."""

        async def write(connection: AsyncConnection, source_id: int) -> None:
            await write_checked(connection, source_id, done)

        return await self._written(claim, done.put, write)

    async def _written(self, claim: Claim, put: Sequence[StoredEntity], write: Writing) -> bool:
        """Write to the catalog what a part gave, of which some was `put`; whether it counts.

        It does not where another process began the part since, or wrote to the catalog: then the
        part ends, as it can count no more. All of it is one transaction, in which nobody can: who
        wants to waits for its end.
        """
        changed = PartRead(put=tuple(str(each.entity.ref) for each in put))
        found = await asyncio.to_thread(encode_part, changed)
        async with self._writing("save what was done of a part") as connection:
            source_id = await _still_in(connection, claim)
            ended = update(parts).where(*_begun(claim))
            if source_id is None:  # who leads would wait for it
                await connection.execute(ended.values(state=_FAILED, reason=dumped(_OVERTAKEN)))
                return False
            await write(connection, source_id)
            await connection.execute(ended.values(state=_DONE, reason=dumped(""), found=found))
        return True

    async def _end(self, claim: Claim, **values: Any) -> bool:
        ended = update(parts).where(*_begun(claim)).values(values)
        async with self._writing("end a part of a sweep") as connection:
            return (await connection.execute(ended)).rowcount == 1

    async def settled(self, sweep: int) -> list[Settled]:
        """Some parts that are settled and were not given before; each is given once."""
        # One question, as it is asked ten times a second: a row without a part is the sweep itself.
        mine = parts.c.sweep_id == sweeps.c.id, parts.c.state.in_((_DONE, _FAILED))
        wanted = (
            select(parts.c.number, parts.c.state, parts.c.reason, parts.c.found)
            .select_from(sweeps.outerjoin(parts, and_(*mine, parts.c.taken == 0)))
            .where(sweeps.c.id == sweep)
            .order_by(parts.c.number)
            .limit(_AT_ONCE)
        )
        async with self._reading("look at a sweep") as connection:
            rows = (await connection.execute(wanted)).all()
        if not rows:
            raise _begun_anew()
        found = [row for row in rows if row.number is not None]
        if not found:
            return []
        made = [await asyncio.to_thread(_settled, row) for row in found]
        numbers = [each.number for each in made]
        taken = update(parts).where(parts.c.sweep_id == sweep, parts.c.number.in_(numbers))
        async with self._writing("take in parts of a sweep") as connection:
            await connection.execute(taken.values(taken=1, found=None))
        return made

    async def open(self, sweep: int) -> dict[int, bool]:
        """The parts that are not settled, and whether a process began them."""
        open_ = parts.c.state.in_((_WAITING, _READING))
        wanted = select(parts.c.number, parts.c.state).where(parts.c.sweep_id == sweep, open_)
        async with self._reading("look at a sweep") as connection:
            found = (await connection.execute(wanted.order_by(parts.c.number))).all()
        return {row.number: row.state == _READING for row in found}

    async def progress(self, source: str) -> list[SweepProgress]:
        """How far the latest sweep over each source of a catalog is, by the source's name."""
        of = select(sources.c.id).where(sources.c.name == source_name(source)).scalar_subquery()
        counted = (
            select(
                sweeps.c.id,
                parts.c.state,
                func.count().label("parts"),
                func.sum(parts.c.count).label("projects"),
            )
            .join_from(sweeps, parts, sweeps.c.id == parts.c.sweep_id)
            .where(sweeps.c.source_id == of)
            .group_by(sweeps.c.id, parts.c.state)
        )
        async with self._reading("look at sweeps") as connection:
            told = select(sweeps).where(sweeps.c.source_id == of)
            told = told.order_by(sweeps.c.reading, sweeps.c.edition)
            found = (await connection.execute(told)).all()
            counts = (await connection.execute(counted)).all()
            reasons = {row.id: await _reasons(connection, row.id) for row in found}
        return [
            _progress(
                row,
                {each.state: each for each in counts if each.id == row.id},
                reasons[row.id],
            )
            for row in found
        ]


def _begun(claim: Claim) -> tuple[Any, ...]:
    """The condition of a part that nobody began since."""
    return (
        parts.c.sweep_id == claim.part.sweep,
        parts.c.number == claim.part.number,
        parts.c.fence == claim.fence,
        parts.c.state == _READING,
    )


async def _still_in(connection: AsyncConnection, claim: Claim) -> int | None:
    """The source's number, where the edition and the part are those that were begun.

    Until the transaction ends nobody makes another edition, nor begins the part: a process that is
    paused in the middle is given up by PostgreSQL first. The source comes first, as for who leads.
    """
    part = claim.part
    wanted = select(sources.c.id, sources.c.edition).where(
        sources.c.name == source_name(part.source)
    )
    # Others may merge other parts at once, and add to the figures: the key is what they share.
    row = (
        await connection.execute(wanted.with_for_update(read=True, key_share=True))
    ).one_or_none()
    if row is None or part.on_catalog is None or row.edition != part.on_catalog.edition:
        return None
    mine = select(parts.c.number).where(*_begun(claim)).with_for_update()
    begun = (await connection.execute(mine)).one_or_none()
    return None if begun is None else int(row.id)


async def _add_figures(
    connection: AsyncConnection, source_id: int, sweep: int, figures: Mapping[str, int]
) -> None:
    if not figures:
        return
    if connection.dialect.name == "postgresql":  # one after the other, to the transaction's end
        await connection.execute(select(func.pg_advisory_xact_lock(sweep)))
    mine = sources.c.id == source_id
    before = (await connection.execute(select(sources.c.figures).where(mine))).scalar_one()
    await connection.execute(
        update(sources).where(mine).values(figures=with_figures(before, figures))
    )


async def _refuse_another(connection: AsyncConnection, sweep: int) -> None:
    wanted = select(sweeps.c.id).where(sweeps.c.id == sweep)
    if (await connection.execute(wanted)).one_or_none() is None:
        raise _begun_anew()


def _begun_anew() -> StoreConflict:
    return StoreConflict(
        "another Fester began this sweep anew; this one ends, and publishes nothing of it"
    )


async def _reasons(connection: AsyncConnection, sweep: int) -> list[str]:
    """Why the last parts of a sweep could not be read."""
    why = select(parts.c.reason).where(parts.c.sweep_id == sweep, parts.c.reason != dumped(""))
    last = why.order_by(parts.c.number.desc()).limit(_TOLD)
    return list((await connection.execute(last)).scalars())[::-1]


def _part(of: Any, number: int, what: list[Any]) -> Part:
    told = tuple(map(str, loaded(of.told)))
    if of.task != Task.READ:
        wanted = OnCatalog(Task(of.task), tuple(map(str, what)), of.rules, of.edition, told)
        return Part(of.name, of.reading, of.id, number, on_catalog=wanted)
    projects = tuple((int(n), str(path)) for n, path in what)
    return Part(of.name, of.reading, of.id, number, told, projects)


def _settled(row: Any) -> Settled:
    reason = str(loaded(row.reason))
    if row.found is None:
        return Settled(row.number, None, reason)
    try:
        return Settled(row.number, decode_part(row.found))
    except Undecodable as error:  # its projects are gaps; the rest of the sweep counts
        message = f"what was read of part {row.number} of a sweep (table fester_parts): {error}"
        return Settled(row.number, None, message)


def _progress(row: Any, by_state: dict[str, Any], reasons: list[str]) -> SweepProgress:
    def parts_in(state: str) -> int:
        return int(by_state[state].parts) if state in by_state else 0

    projects = {state: int(each.projects) for state, each in by_state.items()}
    return SweepProgress(
        reading=row.reading,
        began=moment_of(row.began),
        listed=bool(row.listed),
        waiting=parts_in(_WAITING),
        under_way=parts_in(_READING),
        done=parts_in(_DONE),
        failed=parts_in(_FAILED),
        projects=sum(projects.values()),
        projects_done=projects.get(_DONE, 0),
        failures=tuple(str(loaded(each)) for each in reasons),
        task=Task(row.task),
    )
