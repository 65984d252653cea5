"""How far receivers were told, in both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from bridge.model.entities import Ref
from bridge.model.entity_changes import ChangeKind, ChangeQuery, EntityChange
from bridge.model.receivers import Backlog, ReceiverState
from bridge.store import open_store
from bridge.store.store import SqlStore
from tests.fakes import NOON
from tests.store.saving import changed, forgotten

pytestmark = pytest.mark.store

SOURCE = "https://gitlab.test"
CART = EntityChange(Ref("component", "default", "cart"), ChangeKind.ADDED, NOON, "cart")
LATER = replace(CART, at=NOON + timedelta(hours=1))


@pytest.fixture
async def store(url: str) -> AsyncIterator[SqlStore]:
    opened = await open_store(url)
    yield opened
    await opened.close()


async def test_a_new_receiver_begins_with_what_comes(store: SqlStore) -> None:
    assert await store.receivers.state(SOURCE, "audit") is None  # of no pass nothing is known
    assert await store.sources() == []
    await changed(store, SOURCE, CART, LATER)
    begun = await store.receivers.state(SOURCE, "audit")
    assert begun is not None
    (newest, _) = await store.entity_changes.find(SOURCE, ChangeQuery())
    assert begun == ReceiverState(newest.number)
    assert await store.receivers.known(SOURCE, "audit") == begun
    assert await store.receivers.known(SOURCE, "other") is None


async def test_a_state_is_kept_whole_and_taken_for_another_once(store: SqlStore) -> None:
    await changed(store, SOURCE, CART)
    begun = await store.receivers.state(SOURCE, "audit")
    assert begun is not None
    failed = replace(begun, sending=9).failed("it answered 500 \\0 é", NOON, timedelta(0))
    assert await store.receivers.save(SOURCE, "audit", begun, failed)
    assert await store.receivers.state(SOURCE, "audit") == failed
    assert not await store.receivers.save(SOURCE, "audit", begun, begun)
    assert not await store.receivers.save("elsewhere", "audit", begun, begun)
    done = failed.delivered(NOON)
    assert await store.receivers.save(SOURCE, "audit", failed, done)
    assert await store.receivers.known(SOURCE, "audit") == ReceiverState(9, delivered_at=NOON)
    current = done.up_to_date(NOON, timedelta(days=90))
    assert await store.receivers.save(SOURCE, "audit", done, current)
    known = await store.receivers.known(SOURCE, "audit")
    assert known is not None
    assert known.told_until == NOON


async def test_what_a_receiver_was_not_told_is_counted(store: SqlStore) -> None:
    assert await store.receivers.backlog(SOURCE, 0) == Backlog()
    await changed(store, SOURCE, CART, LATER, LATER)
    _, second, _ = await store.entity_changes.find(SOURCE, ChangeQuery())
    assert await store.receivers.backlog(SOURCE, 0) == Backlog(3, NOON)
    assert await store.receivers.backlog(SOURCE, second.number) == Backlog(1, LATER.at)


async def test_the_number_of_what_was_forgotten_is_never_used_again(store: SqlStore) -> None:
    """A receiver that was told up to it would never hear of the one that has it next."""
    await changed(store, SOURCE, CART, CART)
    (newest, _) = await store.entity_changes.find(SOURCE, ChangeQuery())
    await forgotten(store, SOURCE, LATER.at)
    assert await store.entity_changes.find(SOURCE, ChangeQuery()) == []
    await changed(store, SOURCE, LATER)
    (new,) = await store.entity_changes.find(SOURCE, ChangeQuery())
    assert new.number > newest.number
    query = ChangeQuery(above=newest.number, oldest_first=True, limit=1)
    assert await store.entity_changes.find(SOURCE, query) == [new]
