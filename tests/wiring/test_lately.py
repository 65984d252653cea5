"""What changed lately, when the store does not tell."""

from __future__ import annotations

from bridge.answers.lately import Lately
from bridge.api.live import Live
from bridge.errors import StoreError
from bridge.model.entity_changes import ChangeQuery, EntityChange
from bridge.wiring.showing import remember_lately


async def test_a_silent_store_leaves_an_old_state_that_says_so_until_it_tells() -> None:
    silent = False

    async def find(query: ChangeQuery) -> list[EntityChange]:
        if silent:
            raise StoreError("away")
        return []

    live = Live(changes=find)
    await remember_lately(live)
    first = live.lately
    assert first is not None
    assert not first.missed
    silent = True
    await remember_lately(live)
    assert live.lately == Lately(read_at=first.read_at, missed=True)
    silent = False
    await remember_lately(live)
    assert not live.lately.missed


async def test_a_store_that_never_told_is_not_taken_for_one_without_changes() -> None:
    async def find(query: ChangeQuery) -> list[EntityChange]:
        raise StoreError("away")

    live = Live(changes=find)
    await remember_lately(live)
    assert live.lately == Lately(missed=True)
