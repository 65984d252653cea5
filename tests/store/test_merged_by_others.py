"""What a process writes of a task for another one: all of it, or nothing where it is stale."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pytest

from bridge.errors import StoreConflict, StoreError
from bridge.model.entities import Ref
from bridge.model.manifests import TranslatedManifest, Translation, Verdict
from bridge.model.problems import Problem
from bridge.model.scrape import Project
from bridge.model.statements import Checked, Statement, Taken
from bridge.model.work import Claim, OnCatalog, Part, SweepPlan, Task
from bridge.passes.merge import merged_of
from bridge.store import SqlStore, open_store
from tests.fakes import WordMaker, WordRenderer
from tests.store.conftest import database

pytestmark = pytest.mark.store

TOWN = "town"
WORDS = [f"w{n}" for n in range(6)]
READING = SweepPlan("", told=("qm.yaml",))
MERGING = SweepPlan("", Task.MERGE, "words")
CHECKING = SweepPlan("", Task.CHECK, "words")


def said(words: Collection[str]) -> Taken:
    """A manifest for each word, that says it."""
    statements = {}
    for number, word in enumerate(sorted(words), start=1):
        translation = Translation(Verdict.VALID, "", "words")
        manifest = TranslatedManifest(Project(number, f"group/{word}"), "qm.yaml", "", translation)
        body = {"apiVersion": "v1", "kind": "Component", "metadata": {"name": word}}
        statements[number, "qm.yaml"] = [Statement(Ref.of(body), body, manifest, 0)]
    return Taken(statements=statements)


@dataclass
class Shared:
    """A catalog of which two parts of three words each are to be merged."""

    store: SqlStore
    sweep: int = 0

    async def begin(self) -> None:
        model, parts = self.store.model, self.store.parts
        edition = await model.take(TOWN, 0, said(WORDS), "merge")
        self.sweep, edition = await parts.begin(TOWN, edition, MERGING)
        refs = await model.todo(TOWN, "merge")
        for number in range(2):
            some = tuple(refs[3 * number : 3 * number + 3])
            what = OnCatalog(Task.MERGE, some, "words", edition)
            await parts.put(Part(TOWN, "", self.sweep, number, on_catalog=what))

    async def claim(self, number: int, store: SqlStore | None = None) -> Claim:
        found = await (store or self.store).parts.claim(self.sweep, number, "worker")
        assert found is not None
        return found

    async def merged(self, claim: Claim, store: SqlStore | None = None) -> bool:
        store, what = store or self.store, claim.part.on_catalog
        assert what is not None
        made = await merged_of(what.items, TOWN, store.model, WordMaker(), WordRenderer())
        return await store.parts.merged(claim, made)

    async def edition(self) -> int:
        return (await self.store.model.state(TOWN)).edition

    async def figures(self) -> dict[str, int]:
        return dict((await self.store.model.state(TOWN)).figures)

    async def there(self) -> set[str]:
        found = [each async for part in self.store.model.catalog(TOWN) for each in part]
        return {each.ref.name for each in found}


@pytest.fixture
async def shared(url: str) -> AsyncIterator[Shared]:
    store = await open_store(url)
    made = Shared(store)
    await made.begin()
    yield made
    await store.close()


async def test_what_was_merged_is_written_with_its_figures(shared: Shared) -> None:
    edition = await shared.edition()
    for number in range(2):
        assert await shared.merged(await shared.claim(number))
    assert await shared.there() == set(WORDS)
    assert await shared.figures() == {"entities.Component": 6}
    assert await shared.store.model.todo(TOWN, "merge") == []
    assert len(await shared.store.model.todo(TOWN, "check")) == 6
    assert await shared.edition() == edition  # else of two who merge one would be refused
    settled = await shared.store.parts.settled(shared.sweep)
    put = [ref for each in settled if each.read is not None for ref in each.read.put]
    assert put == [f"component:default/{word}" for word in WORDS]
    (told,) = await shared.store.parts.progress(TOWN)
    assert (told.task, told.done, told.projects_done) == (Task.MERGE, 2, 6)


async def test_what_one_brings_that_was_taken_for_dead_is_refused(shared: Shared) -> None:
    first = await shared.claim(0)
    second = await shared.claim(0)
    assert not await shared.merged(first)
    assert (await shared.there(), await shared.figures()) == (set(), {})
    assert await shared.merged(second)
    assert not await shared.merged(first)
    assert not await shared.merged(second)
    assert await shared.figures() == {"entities.Component": 3}


async def test_what_comes_after_another_edition_is_refused(shared: Shared) -> None:
    """Another process leads, or this one went on: what it builds on is no more."""
    claim = await shared.claim(0)
    await shared.store.model.written_by_others(TOWN, await shared.edition())
    assert not await shared.merged(claim)
    assert await shared.there() == set()
    assert len(await shared.store.model.todo(TOWN, "merge")) == 6
    (settled,) = await shared.store.parts.settled(shared.sweep)  # nobody waits for it
    assert (settled.read, "another Fester wrote" in settled.reason) == (None, True)


async def test_what_comes_after_the_end_of_a_sweep_is_refused(shared: Shared) -> None:
    claim = await shared.claim(0)
    await shared.store.parts.drop(shared.sweep)
    assert not await shared.merged(claim)
    assert await shared.there() == set()


async def test_what_was_checked_counts_as_what_was_merged_does(shared: Shared) -> None:
    """Once, of who began it last, and in the edition in which it was handed out."""
    parts, model = shared.store.parts, shared.store.model
    for number in range(2):
        assert await shared.merged(await shared.claim(number))
    refs = await model.todo(TOWN, "check")
    shared.sweep, edition = await parts.begin(TOWN, await shared.edition(), CHECKING)
    for number in range(2):
        some = tuple(refs[3 * number : 3 * number + 3])
        what = OnCatalog(Task.CHECK, some, "words", edition)
        await parts.put(Part(TOWN, "", shared.sweep, number, on_catalog=what))
    problem = Problem("nowhere", "a-word")
    found = Checked(refs[:3], problems={f"links {refs[0]}": [problem]})
    first, second = await shared.claim(0), await shared.claim(0)
    assert not await parts.checked(first, found)
    assert (await model.todo(TOWN, "check"), await model.problems(TOWN)) == (refs, [])
    assert await parts.checked(second, found)
    assert not await parts.checked(second, found)
    assert await model.todo(TOWN, "check") == refs[3:]
    last = await shared.claim(1)
    await model.written_by_others(TOWN, edition)
    assert await model.problems(TOWN) == [problem]
    assert not await parts.checked(last, Checked(refs[3:]))
    assert await model.todo(TOWN, "check") == refs[3:]
    assert [each.task for each in await parts.progress(TOWN)] == [Task.MERGE, Task.CHECK]


async def test_what_could_not_be_merged_is_not_tried_again(shared: Shared) -> None:
    """Who leads does it sooner than the next try."""
    assert not await shared.store.parts.fail(await shared.claim(0), "why")
    (settled,) = await shared.store.parts.settled(shared.sweep)
    assert (settled.read, settled.reason) == (None, "why")


async def test_a_sweep_that_is_read_begins_anew_and_what_follows_stands_beside_it(
    shared: Shared,
) -> None:
    """Else what a leader left that was killed would be shown, and done, for ever."""
    parts = shared.store.parts
    reading, edition = await parts.begin(TOWN, await shared.edition(), READING)
    with pytest.raises(StoreConflict):
        await parts.settled(shared.sweep)
    merging, _ = await parts.begin(TOWN, edition, MERGING)
    assert await parts.settled(reading) == []
    assert [each.task for each in await parts.progress(TOWN)] == [Task.READ, Task.MERGE]
    assert merging != shared.sweep


# What only PostgreSQL can show: transactions side by side.


@dataclass
class Two:
    """The same, and the store as a second process has it."""

    shared: Shared
    other: SqlStore
    url: str


@pytest.fixture
async def two(server: str) -> AsyncIterator[Two]:
    url = database(server)
    store, other = await open_store(url, patience=1), await open_store(url, patience=60)
    made = Shared(store)
    await made.begin()
    yield Two(made, other, url)
    await store.close()
    await other.close()


async def waits(url: str) -> None:
    """Until a transaction waits for the lock by which figures are added one after the other."""
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    connect = import_module("psycopg").AsyncConnection.connect

    async def nobody(connection: Any) -> bool:
        return not (await (await connection.execute(waiting)).fetchone())[0]

    async with asyncio.timeout(20), await connect(url, autocommit=True) as connection:
        while await nobody(connection):  # noqa: ASYNC110 — nobody tells of it
            await asyncio.sleep(0)


@pytest.mark.real
async def test_two_who_merge_at_once_lose_nothing_of_the_figures(two: Two) -> None:
    it = two.shared
    claims = await it.claim(0), await it.claim(1, two.other)
    assert all(await asyncio.gather(it.merged(claims[0]), it.merged(claims[1], two.other)))
    assert await it.figures() == {"entities.Component": 6}
    assert await it.there() == set(WORDS)


@pytest.mark.real
async def test_nobody_goes_on_before_one_ends_that_was_paused_in_the_middle(two: Two) -> None:
    """Neither who would merge the same, nor who would make another edition, but all do after it."""
    it, psycopg = two.shared, import_module("psycopg")
    claim, edition = await it.claim(0, two.other), await it.edition()
    async with await psycopg.AsyncConnection.connect(two.url) as holder:
        await holder.execute("SELECT pg_advisory_xact_lock(%s)", (it.sweep,))
        paused = asyncio.create_task(it.merged(claim, two.other))
        await waits(two.url)
        other = await it.claim(1)
        with pytest.raises(StoreError, match="lock timeout"):
            await it.claim(0)
        with pytest.raises(StoreError, match="lock timeout"):
            await it.store.model.written_by_others(TOWN, edition)
        assert await it.there() == set()
        await holder.rollback()
        assert await paused
    assert await it.merged(other)
    await it.store.model.written_by_others(TOWN, edition)
    assert await it.there() == set(WORDS)


@pytest.mark.real
async def test_what_many_refer_to_is_noted_by_all_who_merge(two: Two) -> None:
    """Each notes the same in one order: none waits for one who waits for it."""
    it, stores = two.shared, (two.shared.store, two.other)

    class Referring(WordMaker):
        def targets(self, body: Any) -> frozenset[Ref]:
            return frozenset(Ref("resource", "default", f"r{n}") for n in range(50))

    async def merge(number: int) -> bool:
        claim = await it.claim(number, stores[number])
        assert claim.part.on_catalog is not None
        refs, model = claim.part.on_catalog.items, stores[number].model
        made = await merged_of(refs, TOWN, model, Referring(), WordRenderer())
        return await stores[number].parts.merged(claim, made)

    assert all(await asyncio.gather(merge(0), merge(1)))
    assert len(await it.store.model.todo(TOWN, "derive")) == 50
