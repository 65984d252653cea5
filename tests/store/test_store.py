"""The store, on SQLite always and on PostgreSQL where there is one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from sqlalchemy import Connection, event, text

from bridge.errors import StoreError
from bridge.model.entities import Catalog, CatalogEntity, Draft, Ref
from bridge.model.hints import Hint
from bridge.model.manifests import Translation, Verdict
from bridge.model.memory import KnownManifest, KnownProject, Memory, PassRecord
from bridge.model.runs import Outcome, Report
from bridge.model.scrape import Project
from bridge.passes.interfaces import Store
from bridge.store import SqlStore, concluded, open_store
from bridge.store.tables import VERSION_TABLE, metadata
from tests.laws import examples
from tests.store import nouns
from tests.store.saving import save

pytestmark = pytest.mark.store

SOURCE = "https://gitlab.example.com"
NOTHING = Memory()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[SqlStore]:
    store = await open_store(url)
    try:
        yield store
    finally:
        await store.close()


@contextmanager
def statements(store: SqlStore) -> Iterator[list[tuple[str, int]]]:
    """What reaches the database meanwhile: each statement with its number of rows."""
    seen: list[tuple[str, int]] = []

    def listen(_c: Any, _cur: Any, statement: str, parameters: Any, _ctx: Any, many: bool) -> None:
        seen.append((" ".join(statement.split()[:3]), len(parameters) if many else 1))

    engine = store._engine.sync_engine
    event.listen(engine, "before_cursor_execute", listen)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", listen)


def memory_of(count: int) -> Memory:
    """That many projects, each with a manifest."""
    numbers = range(1, count + 1)
    return Memory(
        {
            n: KnownProject(Project(n, f"group/p{n}"), datetime(2024, 5, 1, 10, tzinfo=UTC))
            for n in numbers
        },
        {
            (n, "qm.yaml"): KnownManifest(n, "qm.yaml", "oid", Translation(Verdict.VALID, "f"))
            for n in numbers
        },
    )


def record_of(number: int) -> PassRecord:
    body = {"kind": "Component", "metadata": {"name": "x"}}
    entity = CatalogEntity(Ref("component", "default", "x"), body, ())
    return PassRecord(Report(Outcome.COMPLETE, float(number)), Catalog((entity,)))


async def test_it_is_a_store(url: str) -> None:
    """It fits the port, and what was never seen is empty."""
    async with opened(url) as store:
        port: Store = store
        assert await port.load(SOURCE) == NOTHING
        assert await port.latest(SOURCE) is None
        assert await store.sources() == []
        assert await store.passes(SOURCE, 10) == []


async def test_all_survives_a_restart(url: str) -> None:
    """What one process saved, the next one loads."""
    memory, record = memory_of(3), record_of(1)
    async with opened(url) as store:
        await save(store, SOURCE, NOTHING, memory, record)
    async with opened(url) as store:
        assert await store.load(SOURCE) == memory
        assert await store.latest(SOURCE) == record
        assert await store.passes(SOURCE, 5) == [record.report]
        assert await store.sources() == [SOURCE]


@settings(
    max_examples=examples(6),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(first=nouns.memories, second=nouns.memories, record=nouns.records)
def test_load_gives_what_was_taken(
    url: str, first: Memory, second: Memory, record: PassRecord
) -> None:
    """Law: after a → b the source is b, whatever a and b are."""

    async def saved_and_loaded() -> None:
        async with opened(url) as store:
            await save(store, SOURCE, await store.load(SOURCE), first, None)
            await save(store, SOURCE, first, second, record)
            assert await store.load(SOURCE) == second
            assert await store.latest(SOURCE) == record

    asyncio.run(saved_and_loaded())


async def test_sources_do_not_touch_each_other(url: str) -> None:
    """Deleting everything of one source leaves the other one whole."""
    async with opened(url) as store:
        await save(store, "a", NOTHING, memory_of(2), record_of(1))
        await save(store, "b", NOTHING, memory_of(2), record_of(2))
        await save(store, "a", memory_of(2), NOTHING, None)
        assert await store.load("a") == NOTHING
        assert await store.load("b") == memory_of(2)
        assert await store.latest("b") == record_of(2)
        assert await store.sources() == ["a", "b"]


async def test_only_what_differs_is_written(url: str) -> None:
    """One project changed, one manifest gone: one row written, one deleted."""
    before = memory_of(1200)
    changed = replace(
        before.projects[7], gap_since=datetime(2024, 5, 2, tzinfo=UTC), gap_reason="403"
    )
    after = Memory(
        {**before.projects, 7: changed},
        {key: known for key, known in before.manifests.items() if key != (9, "qm.yaml")},
    )
    async with opened(url) as store:
        with statements(store) as first:
            await save(store, SOURCE, NOTHING, before, None)
        with statements(store) as second:
            await save(store, SOURCE, before, after, None)
        assert await store.load(SOURCE) == after
    inserted = [rows for statement, rows in first if statement == "INSERT INTO fester_projects"]
    assert inserted == [500, 500, 200]
    touched = [s for s in second if "fester_projects" in s[0] or "fester_manifests" in s[0]]
    assert sorted(touched) == [
        ("DELETE FROM fester_manifests", 1),
        ("INSERT INTO fester_projects", 1),
    ]


async def test_a_failed_save_changes_nothing(url: str) -> None:
    """A save is one transaction: when its last step fails, its first one is undone."""
    async with opened(url) as store:
        await save(store, SOURCE, NOTHING, memory_of(2), record_of(1))
        async with store._engine.begin() as connection:
            await connection.execute(text("ALTER TABLE fester_passes RENAME TO elsewhere"))
        with pytest.raises(StoreError, match="cannot save"):
            await save(store, SOURCE, memory_of(2), memory_of(2), record_of(2))
        async with store._engine.begin() as connection:
            await connection.execute(text("ALTER TABLE elsewhere RENAME TO fester_passes"))
        assert await store.load(SOURCE) == memory_of(2)
        assert await store.latest(SOURCE) == record_of(1)


async def test_what_cannot_be_kept_is_refused_before_anything_is_written(url: str) -> None:
    """A value that is no JSON is a StoreError, and the store stands as it was."""
    translation = Translation(Verdict.VALID, "f", drafts=(Draft({"spec": {1, 2}}),))
    odd = KnownManifest(1, "qm.yaml", "oid", translation)
    async with opened(url) as store:
        with pytest.raises(StoreError, match="a set cannot be stored as JSON"):
            await save(store, SOURCE, NOTHING, Memory({}, {(1, "qm.yaml"): odd}), None)
        assert await store.load(SOURCE) == NOTHING


async def test_the_newest_passes_are_kept(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The history is bounded a source; the newest comes first."""
    assert concluded.PASSES_KEPT == 200
    monkeypatch.setattr(concluded, "PASSES_KEPT", 5)
    async with opened(url) as store:
        await save(store, "other", NOTHING, NOTHING, record_of(100))
        for number in range(8):
            await save(store, SOURCE, NOTHING, NOTHING, record_of(number))
        assert [r.seconds for r in await store.passes(SOURCE, 99)] == [7.0, 6.0, 5.0, 4.0, 3.0]
        assert [r.seconds for r in await store.passes(SOURCE, 2)] == [7.0, 6.0]
        assert await store.passes(SOURCE, -1) == []
        assert len(await store.passes("other", 99)) == 1


async def test_many_may_open_and_save_at_once(url: str) -> None:
    """Stores opened side by side on nothing all work, and their saves wait for each other."""
    stores = await asyncio.gather(*(open_store(url) for _ in range(4)))
    try:
        await asyncio.gather(
            *(
                save(store, f"source {n}", NOTHING, memory_of(20), record_of(n))
                for n, store in enumerate(stores)
            )
        )
        assert await stores[0].sources() == [f"source {n}" for n in range(4)]
    finally:
        for store in stores:
            await store.close()


async def test_the_migrations_give_the_tables_that_the_code_expects(url: str) -> None:
    """Alembic finds no difference between the migrated database and the tables."""

    def differences(connection: Connection) -> Any:
        options = {"version_table": VERSION_TABLE}
        context = MigrationContext.configure(connection, opts=options)
        return compare_metadata(context, metadata)

    async with opened(url) as store, store._engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_newer_store_is_left_alone(url: str) -> None:
    """A revision that this Fester does not know is an error that says to upgrade."""
    async with opened(url) as store, store._engine.begin() as connection:
        await connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(StoreError, match=r"newer Fester.*9999"):
        await open_store(url)


async def test_a_damaged_row_is_an_error_that_says_what_to_do(url: str) -> None:
    """Not a traceback of zlib's or json's."""
    async with opened(url) as store:
        await save(store, SOURCE, NOTHING, memory_of(1), record_of(1))
        async with store._engine.begin() as connection:
            await connection.execute(text("UPDATE fester_projects SET body = '[tru'"))
            await connection.execute(text("UPDATE fester_passes SET report = :bad"), {"bad": b"xx"})
        with pytest.raises(StoreError, match="backup"):
            await store.load(SOURCE)
        with pytest.raises(StoreError):
            await store.latest(SOURCE)


async def test_close_is_safe_to_call_twice(url: str) -> None:
    """And a store never shows its password."""
    store = await open_store(url)
    await store.close()
    await store.close()
    assert "hunter2" not in repr(store)


async def test_a_hint_stays_until_it_is_done_and_is_another_one_when_it_is_left_again(
    url: str,
) -> None:
    async with opened(url) as store:
        await store.hints.leave("corp", [Hint(1), Hint(2), Hint(1)])
        await store.hints.leave("else", [Hint(1)])
        first = await store.hints.waiting("corp")
        assert sorted(first.values()) == [Hint(1), Hint(2)]
        assert await store.hints.waiting("corp") == first
        await store.hints.leave("corp", [Hint(1)])  # while a pass follows it
        await store.hints.done("corp", list(first))
        again = await store.hints.waiting("corp")
        assert list(again.values()) == [Hint(1)]
        await store.hints.done("else", list(again))  # another's are not touched
        await store.hints.done("corp", [])
        assert await store.hints.waiting("corp") == again
        await store.hints.done("corp", list(again))
        assert await store.hints.waiting("corp") == {}
        assert len(await store.hints.waiting("else")) == 1
