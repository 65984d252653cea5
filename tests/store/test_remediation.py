"""Remediation's memory, on SQLite always and on PostgreSQL where there is one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from bridge.errors import StoreError
from bridge.model.entities import Ref
from bridge.model.remediation import (
    Action,
    ActionKind,
    ActionOutcome,
    ActionRecord,
    Case,
    CaseStatus,
    Course,
    IssueDraft,
    IssueKey,
    Pause,
    RemediationRun,
    RemediationState,
    Streak,
)
from bridge.ox.interfaces import RemediationStore
from bridge.store.remediation import RUNS_KEPT
from tests.store.test_store import SOURCE, opened

pytestmark = pytest.mark.store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
REF = Ref("component", "default", "x")
KEY = IssueKey(7, REF, "owner")
CASE = Case(KEY, CaseStatus.SNOOZED, NOW, 3, "https://x/3", "d", ("owner",), ("owner",), NOW)
STREAKS = {"owner": Streak(Course.FAIL, 2, NOW, True), "ci": Streak()}
STATE = RemediationState({REF: STREAKS}, {KEY: CASE})
NOTHING = RemediationState()


async def test_it_survives_a_restart(url: str) -> None:
    async with opened(url) as store:
        port: RemediationStore = store.remediation
        assert await port.load(SOURCE) == NOTHING
        assert await port.latest_run(SOURCE) is None
        await port.save(SOURCE, NOTHING, STATE)
    async with opened(url) as store:
        assert await store.remediation.load(SOURCE) == STATE
        assert await store.remediation.load("another") == NOTHING
        await store.remediation.save(SOURCE, STATE, NOTHING)
        assert await store.remediation.load(SOURCE) == NOTHING


async def test_one_case_is_put_and_dropped(url: str) -> None:
    """Before the source was ever saved, too."""
    async with opened(url) as store:
        await store.remediation.put_case(SOURCE, CASE)
        changed = replace(CASE, status=CaseStatus.OPENED, intent=ActionKind.REOPEN)
        await store.remediation.put_case(SOURCE, changed)
        assert (await store.remediation.load(SOURCE)).cases == {KEY: changed}
        await store.remediation.drop_case(SOURCE, KEY)
        assert await store.remediation.load(SOURCE) == NOTHING


async def test_runs_are_kept_and_the_oldest_forgotten(url: str) -> None:
    draft = IssueDraft("title", "\0 text \u202e", "digest")
    action = Action(ActionKind.OPEN, KEY, "a/b", "owner fails", ("owner",), CASE, draft, True)
    record = ActionRecord(action, ActionOutcome.FAILED, "502", "https://x")
    run = RemediationRun(NOW, (record,), (Pause("ci", 9, 10),), 4, "", "429")
    async with opened(url) as store:
        for number in range(RUNS_KEPT + 3):
            await store.remediation.record_run(SOURCE, replace(run, baseline=number))
        latest = await store.remediation.latest_run(SOURCE)
        assert latest == replace(run, baseline=RUNS_KEPT + 2)
        async with store._reading("count") as connection:
            count = await connection.execute(text("SELECT count(*) FROM fester_remediation_runs"))
            assert count.scalar_one() == RUNS_KEPT


async def test_a_damaged_row_is_named(url: str) -> None:
    async with opened(url) as store:
        await store.remediation.save(SOURCE, NOTHING, STATE)
        async with store._writing("damage") as connection:
            await connection.execute(text("UPDATE fester_remediation_cases SET body = '{}'"))
        with pytest.raises(StoreError, match="found again by their markers"):
            await store.remediation.load(SOURCE)
