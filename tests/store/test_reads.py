"""What was read of repositories besides their manifests, kept for many projects at once."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from bridge.errors import StoreConflict
from bridge.model.memory import KnownProject
from bridge.model.reads import KeptReads, ReadFile, ReadKind, Reads
from bridge.model.scrape import Project
from bridge.model.statements import Taken
from bridge.store import open_store
from bridge.store.store import SqlStore
from tests.fakes import NOON

pytestmark = pytest.mark.store


@pytest.fixture
async def store() -> AsyncIterator[SqlStore]:
    store = await open_store("sqlite://")
    yield store
    await store.close()


def kept(number: int, *oids: str, needed: str = "", key: str = "k") -> KeptReads:
    files = {oid: ReadFile(oid, ReadKind.FILE, oid, 4, f"text of {oid}") for oid in oids}
    return KeptReads(number, "tip", key, Reads(files), frozenset(needed.split()))


async def test_each_project_keeps_what_it_names_and_loses_the_rest(store: SqlStore) -> None:
    reads = store.model.reads
    await reads.keep("s", 0, [kept(1, "a", "b", "c"), kept(2, "a", "d"), kept(3, "e")])
    await reads.keep("s", 1, [kept(1, "b", "f", needed="c"), kept(3, key="")])
    assert await reads.texts("s", 1, ["a", "b", "c", "f"]) == {
        "b": "text of b",
        "c": "text of c",
        "f": "text of f",
    }
    # What the first one lost, the second one still has; the third one wants nothing any more.
    assert await reads.anybodys("s", ["a", "d", "e"]) == {"a": "text of a", "d": "text of d"}
    assert set(await reads.known("s", [1, 2, 3])) == {1, 2}


async def test_many_projects_take_as_many_statements_as_one(store: SqlStore) -> None:
    async def taken(edition: int, projects: range) -> int:
        sent: list[object] = []

        def note(*given: object) -> None:
            sent.append(given)

        event.listen(Engine, "before_cursor_execute", note)
        try:
            some = [kept(number, f"a{number}", f"b{number}") for number in projects]
            await store.model.reads.keep("s", edition, some)
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        return len(sent)

    await taken(0, range(1))
    assert await taken(1, range(1, 2)) == await taken(2, range(100, 200))


async def test_texts_of_a_destination_stay_until_their_project_is_read_again(url: str) -> None:
    opened = await open_store(url)
    try:
        reads = opened.model.reads
        await reads.keep("s", 0, [kept(2, "b")])
        await reads.adopt("s", 1, [(1, "a", "adopted a"), (1, "c", "c"), (2, "b", "other")])
        assert await reads.texts("s", 1, ["a", "c"]) == {"a": "adopted a", "c": "c"}
        # What was read itself stands; of a project that was not, nothing is known.
        assert await reads.texts("s", 2, ["b"]) == {"b": "text of b"}
        known = await reads.known("s", [1, 2])
        assert (known[1].tip, dict(known[1].reads.files)) == ("", {})
        assert known[2].key == "k"
        await reads.keep("s", 2, [kept(1, "d", needed="c")])
        assert set(await reads.texts("s", 1, ["a", "c", "d"])) == {"c", "d"}
        await reads.keep("s", 3, [kept(1, key="")])
        assert await reads.texts("s", 1, ["a", "c", "d"]) == {}
    finally:
        await opened.close()


async def test_projects_that_nobody_knows_are_told_and_forgotten(url: str) -> None:
    opened = await open_store(url)
    try:
        reads = opened.model.reads
        taken = Taken(projects=[KnownProject(Project(1, "a/b"), NOON)])
        await opened.model.take("s", 0, taken, "merge")
        await reads.keep("s", 1, [kept(1, "a"), kept(2, "b"), kept(3, "c")])
        await reads.keep("s", 2, [kept(3, key="", needed="c")])
        assert await reads.strangers("s") == {2, 3}
        await reads.forget("s", 3, [2, 3])
        assert await reads.strangers("s") == frozenset()
        assert await reads.anybodys("s", ["a", "b", "c"]) == {"a": "text of a"}
        with pytest.raises(StoreConflict):
            await reads.forget("s", 3, [1])
    finally:
        await opened.close()


async def test_projects_of_many_groups_are_found_by_as_many_statements_as_of_one(
    url: str,
) -> None:
    opened = await open_store(url)
    sent: list[object] = []

    def note(*given: object) -> None:
        sent.append(given)

    paths = ["Shop/cart", "shop/web/site", "shopping/list", "pay/desk", "alone"]
    known = [KnownProject(Project(n, path), NOON) for n, path in enumerate(paths, 1)]
    try:
        await opened.model.take("s", 0, Taken(projects=known), "merge")
        assert await opened.model.in_groups("s", ["shop/web", "pay"]) == {2, 4}
        assert await opened.model.in_groups("s", ["shop/web", "shop"]) == {1, 2}
        event.listen(Engine, "before_cursor_execute", note)
        try:
            many = ["shop", *(f"group-{n}" for n in range(3_000))]
            assert await opened.model.in_groups("s", many) == {1, 2}
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        assert len(sent) <= 3
    finally:
        await opened.close()


async def test_texts_of_projects_come_together_however_many_share_a_blob(url: str) -> None:
    opened = await open_store(url)
    try:
        reads = opened.model.reads
        await reads.keep("s", 0, [kept(1, "a", "b"), kept(2, "a"), kept(3, "c")])
        assert await reads.texts_of("s", [1, 2]) == {"a": "text of a", "b": "text of b"}
        assert await reads.texts_of("s", []) == {}
    finally:
        await opened.close()
