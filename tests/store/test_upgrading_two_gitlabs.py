"""A store of two GitLabs that a Fester wrote before problems named theirs.

`two_gitlabs_0017.sql` are its rows. Both GitLabs have the projects shop/p1 and shop/p2, and both
shop/p2 describe one component.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.model.numbers import mark_of
from bridge.model.problems import Problem
from bridge.store import open_store
from tests.store.older_stores import older_store

pytestmark = pytest.mark.store

SOURCE = "https://gitlab.test"
LAB = mark_of("lab")


def told(problems: list[Problem]) -> set[tuple[str, str, int]]:
    return {(each.rule, each.project, each.gitlab) for each in problems}


async def test_old_problems_are_of_the_gitlab_that_their_place_tells(tmp_path: Path) -> None:
    """What two GitLabs may have said is told anew: the next pass merges that entity."""
    store = await open_store(older_store(tmp_path / "s.db", "0017", "two_gitlabs_0017.sql"))
    try:
        assert told(await store.model.problems(SOURCE)) == {
            ("claim-lost", "shop/p2", 0),
            ("dangling-ref", "shop/p1", LAB),
            ("unknown-key", "shop/p1", LAB),
            ("manifest-invalid", "shop/p3", LAB),
        }
        assert await store.model.todo(SOURCE, "merge") == ["component:default/cart"]
    finally:
        await store.close()


async def test_the_address_of_each_gitlab_is_that_of_its_projects(tmp_path: Path) -> None:
    store = await open_store(older_store(tmp_path / "s.db", "0017", "two_gitlabs_0017.sql"))
    try:
        assert await store.model.gitlabs(SOURCE, ["", "lab", "other"]) == {
            "": "https://gitlab.test",
            "lab": "https://gitlab.lab.test",
        }
    finally:
        await store.close()
