"""What teams are told, on SQLite always and on PostgreSQL where there is one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text

from bridge.errors import StoreError
from bridge.model.notices import (
    CountSeen,
    Delivery,
    DeliveryState,
    GateSeen,
    Notice,
    NoticeFilter,
    NoticeKind,
    NoticeMemory,
)
from bridge.ox.interfaces import NoticeStore
from tests.store.test_store import SOURCE, opened

pytestmark = pytest.mark.store

NOW = datetime(2026, 3, 1, 12, 0, 0, 123, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
ONE = Notice("gate|x|\x00é", NoticeKind.GATE, "group:default/a", "it\x00 broke \U0001f600")
TWO = replace(ONE, key="gate|y", team="group:default/b")
MEMORY = NoticeMemory(
    {"component:default/x": {"owner": GateSeen(False, NOW, date(2026, 3, 1))}},
    {"component:default/x": CountSeen(3, NOW)},
    {"vulnerability|x|KEY": date(2026, 3, 1)},
)


def delivery(notice: Notice, channel: str = "webhook") -> Delivery:
    return Delivery(notice, channel, NOW, NOW)


async def test_it_survives_a_restart(url: str) -> None:
    async with opened(url) as store:
        port: NoticeStore = store.notices
        assert await port.memory(SOURCE) is None
        assert await port.open(SOURCE) == []
        given = [delivery(ONE), delivery(ONE, "backstage"), delivery(TWO)]
        await port.note(SOURCE, MEMORY, given)
    async with opened(url) as store:
        assert await store.notices.memory(SOURCE) == MEMORY
        assert await store.notices.memory("another") is None
        assert set(await store.notices.open(SOURCE)) == set(given)
        changed = replace(delivery(ONE), made=LATER)
        await store.notices.note(SOURCE, NoticeMemory(), [changed])
        assert set(await store.notices.latest(SOURCE, 9)) == set(given), "each is noted once"


async def test_those_of_a_team_and_in_a_state_are_found(url: str) -> None:
    async with opened(url) as store:
        given = [delivery(ONE), delivery(TWO), delivery(TWO, "backstage")]
        await store.notices.note(SOURCE, MEMORY, given)
        await store.notices.claim(SOURCE, [given[2]], "b1", LATER)
        sending = NoticeFilter(state=DeliveryState.SENDING)
        for asked, count in (
            (NoticeFilter(), 3),
            (NoticeFilter(TWO.team), 2),
            (sending, 1),
            (replace(sending, team=ONE.team), 0),
        ):
            assert len(await store.notices.latest(SOURCE, 9, asked)) == count, asked


async def test_one_of_two_claims_a_message_and_settles_it(url: str) -> None:
    async with opened(url) as store, opened(url) as other:
        given = [delivery(ONE), delivery(TWO)]
        await store.notices.note(SOURCE, MEMORY, given)
        assert await store.notices.claim(SOURCE, [given[0]], "b1", LATER)
        assert not await other.notices.claim(SOURCE, given, "b2", LATER), "all of it or nothing"
        (sending,) = [
            d for d in await other.notices.open(SOURCE) if d.state is DeliveryState.SENDING
        ]
        assert (sending.batch, sending.at) == ("b1", LATER)
        await other.notices.settle(SOURCE, "b2", DeliveryState.SENT, LATER)
        assert len(await store.notices.open(SOURCE)) == 2
        await store.notices.settle(SOURCE, "b1", DeliveryState.WAITING, LATER, refused=True)
        (again,) = [d for d in await store.notices.open(SOURCE) if d.tries]
        assert await store.notices.claim(SOURCE, [again], "b3", LATER)
        await store.notices.settle(SOURCE, "b3", DeliveryState.SENT, LATER)
        assert await store.notices.last_sent(SOURCE) == {("webhook", ONE.team): LATER}
        (open_,) = await store.notices.open(SOURCE)
        await store.notices.drop(SOURCE, [open_], LATER)
        tallies = await store.notices.tallies(SOURCE)
        assert [(t.state.value, t.count, t.tries, t.oldest) for t in tallies] == [
            ("over", 1, 0, NOW),
            ("sent", 1, 1, NOW),
        ]
        await store.notices.prune(SOURCE, LATER)
        assert len(await store.notices.latest(SOURCE, 9)) == 2
        await store.notices.prune(SOURCE, LATER + timedelta(seconds=1))
        assert await store.notices.latest(SOURCE, 9) == []


async def test_what_is_not_understood_is_an_error_that_says_what_to_do(url: str) -> None:
    async with opened(url) as store:
        await store.notices.note(SOURCE, MEMORY, [delivery(ONE)])
        async with store._engine.begin() as connection:
            await connection.execute(text("UPDATE fester_notices SET body = '{}'"))
            statement = text("UPDATE fester_notice_memory SET body = :body")
            await connection.execute(statement, {"body": b"nothing"})
        with pytest.raises(StoreError, match="remove its row"):
            await store.notices.open(SOURCE)
        with pytest.raises(StoreError, match="the next look is then a first one"):
            await store.notices.memory(SOURCE)
