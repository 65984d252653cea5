"""Remediation's memory: a row a service and a row an issue, written when they differ."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.errors import StoreError
from bridge.model.entities import Ref
from bridge.model.remediation import Case, IssueKey, RemediationRun, RemediationState, Streak
from bridge.store.codec import Undecodable, pack, unpack
from bridge.store.lease import Open
from bridge.store.ox_tables import remediation_cases, remediation_runs, remediation_streaks
from bridge.store.sources import claim_source, source_id_of
from bridge.store.upsert import put_rows

RUNS_KEPT = 50
_CHUNK = 500

Noun = TypeVar("Noun")
Row = dict[str, Any]

_STREAKS = TypeAdapter(dict[str, Streak])
_CASE = TypeAdapter(Case)
_RUN = TypeAdapter(RemediationRun)


class SqlRemediation:
    """A `bridge.ox.interfaces.RemediationStore`; get one from `SqlStore.remediation`."""

    def __init__(self, writing: Open, reading: Open) -> None:
        self._writing = writing
        self._reading = reading

    async def load(self, source: str) -> RemediationState:
        """All streaks and cases of a source. Raises `StoreError` for what is not understood."""
        async with self._reading(f"load the remediation of {source}") as connection:
            number = await source_id_of(connection, source)
            if number is None:
                return RemediationState()
            mine = remediation_streaks.c.source_id == number
            wanted = select(remediation_streaks.c.entity, remediation_streaks.c.body).where(mine)
            streaks = (await connection.execute(wanted)).all()
            bodies = select(remediation_cases.c.body).where(remediation_cases.c.source_id == number)
            cases = (await connection.execute(bodies)).all()
        return await asyncio.to_thread(_state, streaks, cases)

    async def save(self, source: str, before: RemediationState, after: RemediationState) -> None:
        """Write what differs, in one transaction. Raises `StoreError`."""
        streaks = _differing(before.streaks, after.streaks)
        cases = _differing(before.cases, after.cases)
        forgotten = before.streaks.keys() - after.streaks.keys()
        dropped = before.cases.keys() - after.cases.keys()
        async with self._writing(f"save the remediation of {source}") as connection:
            number = await claim_source(connection, source)
            rows = [
                {"source_id": number, "entity": str(ref), "body": _text(_STREAKS, dict(known))}
                for ref, known in streaks.items()
            ]
            await _put(connection, remediation_streaks, rows)
            rows = [_case_row(number, case) for case in cases.values()]
            await _put(connection, remediation_cases, rows)
            for ref in forgotten:
                mine = remediation_streaks.c.source_id == number
                await connection.execute(
                    delete(remediation_streaks).where(
                        mine, remediation_streaks.c.entity == str(ref)
                    )
                )
            for key in dropped:
                await _drop(connection, number, key)

    async def cases(self, source: str) -> dict[IssueKey, Case]:
        """All cases of a source, without the streaks. Raises `StoreError`."""
        async with self._reading(f"load the issues of {source}") as connection:
            number = await source_id_of(connection, source)
            mine = remediation_cases.c.source_id == number
            found = (await connection.execute(select(remediation_cases.c.body).where(mine))).all()
        state = await asyncio.to_thread(_state, [], found)
        return dict(state.cases)

    async def put_case(self, source: str, case: Case) -> None:
        """Remember one case. Raises `StoreError`."""
        async with self._writing(f"remember {case.key}") as connection:
            number = await claim_source(connection, source)
            await _put(connection, remediation_cases, [_case_row(number, case)])

    async def drop_case(self, source: str, key: IssueKey) -> None:
        """Forget one case. Raises `StoreError`."""
        async with self._writing(f"forget {key}") as connection:
            await _drop(connection, await claim_source(connection, source), key)

    async def record_run(self, source: str, run: RemediationRun) -> None:
        """Add a run's account and forget the oldest. Raises `StoreError`."""
        body = await asyncio.to_thread(lambda: pack(_text(_RUN, run)))
        async with self._writing(f"record a remediation run of {source}") as connection:
            number = await claim_source(connection, source)
            row = {"source_id": number, "body": body}
            await connection.execute(remediation_runs.insert(), [row])
            mine, order = remediation_runs.c.source_id == number, remediation_runs.c.id.desc()
            kept = select(remediation_runs.c.id).where(mine).order_by(order).limit(RUNS_KEPT)
            oldest = select(func.min(kept.subquery().c.id)).scalar_subquery()
            await connection.execute(
                delete(remediation_runs).where(mine, remediation_runs.c.id < oldest)
            )

    async def latest_run(self, source: str) -> RemediationRun | None:
        """The account that was recorded last. Raises `StoreError`."""
        async with self._reading(f"load the latest remediation run of {source}") as connection:
            number = await source_id_of(connection, source)
            wanted = (
                select(remediation_runs.c.body)
                .where(remediation_runs.c.source_id == number)
                .order_by(remediation_runs.c.id.desc())
                .limit(1)
            )
            body = (await connection.execute(wanted)).scalar_one_or_none()
        if body is None:
            return None
        try:
            text = unpack(body)
        except Undecodable as error:
            raise StoreError(f"the latest remediation run of {source}: {error}") from error
        return await asyncio.to_thread(_noun, _RUN, text, f"the remediation run of {source}")


def _differing(before: Mapping[Any, Noun], after: Mapping[Any, Noun]) -> dict[Any, Noun]:
    return {key: value for key, value in after.items() if before.get(key) != value}


def _case_row(number: int, case: Case) -> Row:
    key = case.key
    place = {"source_id": number, "project_id": key.project_id, "entity": str(key.entity)}
    return {**place, "check_id": key.check, "body": _text(_CASE, case)}


async def _put(connection: AsyncConnection, table: Any, rows: Sequence[Row]) -> None:
    for start in range(0, len(rows), _CHUNK):
        await put_rows(connection, table, rows[start : start + _CHUNK])


async def _drop(connection: AsyncConnection, number: int, key: IssueKey) -> None:
    await connection.execute(
        delete(remediation_cases).where(
            remediation_cases.c.source_id == number,
            remediation_cases.c.project_id == key.project_id,
            remediation_cases.c.entity == str(key.entity),
            remediation_cases.c.check_id == key.check,
        )
    )


def _state(streaks: Sequence[Any], cases: Sequence[Any]) -> RemediationState:
    known = {
        Ref.parse(row.entity): _noun(_STREAKS, row.body, f"the streaks of {row.entity}")
        for row in streaks
    }
    found = [_noun(_CASE, row.body, "a case (table fester_remediation_cases)") for row in cases]
    return RemediationState(known, {case.key: case for case in found})


def _text(adapter: TypeAdapter[Noun], noun: Noun) -> str:
    """ASCII JSON: PostgreSQL's text cannot hold everything that a text may hold."""
    return json.dumps(adapter.dump_python(noun, mode="json"), separators=(",", ":"))


def _noun(adapter: TypeAdapter[Noun], text: str, what: str) -> Noun:
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise StoreError(
            f"{what} cannot be understood: {first['msg']} at {first['loc']}. Nothing was changed; "
            "restore the store from a backup, or remove this row: issues are then found again by "
            "their markers"
        ) from error
