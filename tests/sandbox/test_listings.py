"""A list that is paged through is kept, and made anew after any change."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from bridge.sandbox.world import World


def _world() -> World:
    world = World(lambda: datetime(2026, 1, 1, tzinfo=UTC))
    world.add_project("a/one")
    world.add_project("b/two")
    return world


def test_a_list_is_made_once_for_a_question() -> None:
    """The next page is cut from the same list."""
    world = _world()
    made = []
    for question in ("all", "all", "others"):
        world.listing(question, lambda: made.append(1) or world.projects)  # type: ignore[func-returns-value]
    assert len(made) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda world: world.add_project("c/three"),
        lambda world: world.delete(1),
        lambda world: world.rename(1, "uno"),
        lambda world: world.archive(1),
        lambda world: world.archive_group("a"),
        lambda world: world.schedule_group_deletion("a"),
        lambda world: world.transfer_group("a", "b"),
        lambda world: setattr(world.get(1), "hidden", True),
    ],
)
def test_any_change_makes_lists_stale(change: Callable[[World], object]) -> None:
    """Whatever a list was chosen or sorted by may be another now."""
    world = _world()
    world.listing("all", lambda: world.projects)
    change(world)
    made: list[bool] = []
    world.listing("all", lambda: made.append(True) or [])  # type: ignore[func-returns-value]
    assert made
