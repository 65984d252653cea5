"""What must survive: round trips, restarts, rivals and full disks; on every database."""

from __future__ import annotations

import asyncio
import json
import resource
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.ext.asyncio import create_async_engine

from bridge.errors import ConfigurationError, StoreConflict, StoreError
from bridge.model.entities import Catalog, CatalogEntity, Draft, Origin, Ref
from bridge.model.manifests import Translation, Verdict
from bridge.model.memory import Horizon, KnownManifest, KnownProject, Memory, PassRecord
from bridge.model.runs import Outcome, Report
from bridge.model.scrape import Project
from bridge.store import SqlStore, codec, concluded, model_codec, open_store
from bridge.store.tables import VERSION_TABLE, metadata
from tests.fakes import NOON
from tests.laws import examples
from tests.store import nouns
from tests.store.saving import save

SOURCE = "https://gitlab.example.com"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
few = settings(max_examples=examples(30), deadline=None, suppress_health_check=list(HealthCheck))


def known(count: int, generation: str = "g1") -> Memory:
    """A memory of `count` projects with one manifest each, all marked with a generation."""
    translation = Translation(Verdict.VALID, generation, "qm-v1", (Draft({"kind": "Component"}),))
    return Memory(
        {
            n: KnownProject(Project(n, f"shop/p{n}", description=generation), NOON)
            for n in range(count)
        },
        {(n, "qm.yaml"): KnownManifest(n, "qm.yaml", "b1", translation) for n in range(count)},
    )


def outcome_of(name: str, entities: int = 1) -> PassRecord:
    """A record whose report is told apart by its `failure`."""
    origin = Origin(1, "shop/p1", "qm.yaml", "b1", "qm-v1")
    catalog = tuple(
        CatalogEntity(Ref("component", "default", f"c{n:05}"), {"kind": "Component"}, (origin,))
        for n in range(entities)
    )
    return PassRecord(Report(Outcome.COMPLETE, 1.5, failure=name), Catalog(catalog))


@pytest.fixture
async def store(url: str) -> AsyncIterator[SqlStore]:
    opened = await open_store(url)
    yield opened
    await opened.close()


@few
@given(nouns.translations)
def test_a_translation_comes_back_as_it_was(translation: Translation) -> None:
    """NUL and half surrogates included, and whatever keys a newer Fester adds are ignored."""
    written = codec.encode_translation(translation)
    assert codec.decode_translation(written) == translation
    newer = json.dumps({**json.loads(written), "from_the_future": [1]})
    assert codec.decode_translation(newer) == translation


@few
@given(nouns.records, nouns.known_projects)
def test_reports_catalogs_and_projects_come_back(record: PassRecord, known: KnownProject) -> None:
    """decode(encode(x)) == x for everything else that is stored as JSON."""
    assert codec.decode_report(codec.encode_report(record.report)) == record.report
    for each in record.catalog.entities:
        assert model_codec.entity(str(each.ref), model_codec.encoded_entity(each)) == each
    columns = (codec.moment_text(known.read_at), codec.moment_text(known.gap_since))
    back = codec.decode_project(codec.encode_project(known), *columns)
    assert back == known


@pytest.mark.parametrize("stored", ["", "[]", "{", '{"verdict": "valid"}', '{"verdict": 1}'])
def test_what_the_codec_never_wrote_is_refused(stored: str) -> None:
    """Nothing is guessed into a damaged text."""
    with pytest.raises(codec.Undecodable):
        codec.decode_translation(stored)


@pytest.mark.store
async def test_what_was_saved_is_there_after_a_restart(url: str) -> None:
    """Memory, catalog and reports, byte for byte; another source knows nothing of it."""
    first = await open_store(url)
    before, after, record = Memory(), known(3), outcome_of("one", entities=2_500)
    await save(first, SOURCE, before, after, record)
    await first.close()
    second = await open_store(url)
    assert await second.load(SOURCE) == after
    latest = await second.latest(SOURCE)
    assert latest == record
    assert await second.load("elsewhere") == Memory()
    assert await second.latest("elsewhere") is None
    await second.close()


async def test_any_memory_replaces_any_other(store: SqlStore) -> None:
    """Rows that are gone from `after` go, changed ones change: load gives exactly `after`."""
    before = Memory()
    for after in (known(700), known(700, "g2"), known(3), Memory()):
        await save(store, SOURCE, before, after, None)
        before = after
        assert await store.load(SOURCE) == after


async def test_hostile_text_is_stored(store: SqlStore) -> None:
    """NUL and half surrogates in what strangers write stop no pass, on PostgreSQL either."""
    bad = "\x00\udc80"
    memory = Memory({1: KnownProject(Project(1, bad, description=bad), NOON, NOON, bad)})
    await save(store, f"/folder/{bad[1:]}", Memory(), memory, None)
    assert await store.load(f"/folder/{bad[1:]}") == memory


async def test_an_unchanged_save_writes_nothing(store: SqlStore) -> None:
    """One changed manifest costs one manifest row."""
    await save(store, SOURCE, Memory(), known(5), None)
    said: list[str] = []

    def listen(_c: object, _k: object, statement: str, *_: object) -> None:
        said.append(statement)

    event.listen(Engine, "before_cursor_execute", listen)
    try:
        changed = known(5)
        changed = replace(
            changed,
            manifests={**changed.manifests, (1, "qm.yaml"): known(2, "g9").manifests[1, "qm.yaml"]},
        )
        await save(store, SOURCE, known(5), changed, None)
    finally:
        event.remove(Engine, "before_cursor_execute", listen)
    assert not [each for each in said if "fester_projects" in each]
    assert len([each for each in said if "fester_manifests" in each]) == 1
    assert await store.load(SOURCE) == changed


async def test_reports_are_kept_newest_first_up_to_a_limit(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest report goes when there are too many; another source's stay."""
    assert concluded.PASSES_KEPT == 200
    monkeypatch.setattr(concluded, "PASSES_KEPT", 5)
    await save(store, "other", Memory(), Memory(), outcome_of("other"))
    for number in range(8):
        await save(store, SOURCE, Memory(), Memory(), outcome_of(str(number)))
    found = [report.failure for report in await store.passes(SOURCE, 1_000)]
    assert found == ["7", "6", "5", "4", "3"]
    assert len(await store.passes(SOURCE, 3)) == 3
    assert len(await store.passes("other", 3)) == 1


async def test_a_smaller_catalog_leaves_nothing_of_the_larger(store: SqlStore) -> None:
    await save(store, SOURCE, Memory(), Memory(), outcome_of("a", entities=2_001))
    smaller = outcome_of("b", entities=1)
    await save(store, SOURCE, Memory(), Memory(), smaller)
    assert await store.latest(SOURCE) == smaller


async def test_a_lease_is_held_by_one_at_a_time(store: SqlStore) -> None:
    """Taken once, renewed by its holder, free after release or expiry; the fence grows."""
    lease, later = store.lease, NOW + timedelta(seconds=61)
    assert await lease.acquire("pass", "a", 60, NOW)
    assert not await lease.acquire("pass", "b", 60, NOW)
    assert await lease.renew("pass", "a", 60, NOW)
    assert not await lease.renew("pass", "b", 60, NOW)
    assert not await lease.release("pass", "b")
    assert not await lease.renew("pass", "a", 60, later)
    assert await lease.acquire("pass", "b", 60, later)
    held = await lease.held("pass", later)
    assert held is not None
    assert (held.holder, held.fence, held.expires) == ("b", 2, later + timedelta(seconds=60))
    assert await lease.release("pass", "b")
    assert await lease.held("pass", later) is None


async def test_a_lease_goes_by_the_databases_clock(store: SqlStore) -> None:
    """No host says what time it is: one that lasts is kept, one that is over is free."""
    lease = store.lease
    assert await lease.acquire("pass", "a", 3600)
    assert not await lease.acquire("pass", "b", 3600)
    held = await lease.held("pass")
    assert held is not None
    assert abs(held.expires - datetime.now(UTC) - timedelta(seconds=3600)) < timedelta(minutes=1)
    assert await lease.renew("pass", "a", -1)  # over before it began
    assert not await lease.renew("pass", "a", 3600)
    assert await lease.held("pass") is None
    assert await lease.acquire("pass", "b", 3600)


async def test_marks_grow_and_who_was_overtaken_gets_none(store: SqlStore) -> None:
    assert await store.mark(SOURCE) is None
    first = await store.next_mark(SOURCE, 0)
    second = await store.next_mark(SOURCE, 0, above=41)
    assert (first.fence, second.fence) == (1, 42)
    assert first.store == second.store != ""
    assert await store.mark(SOURCE) == second
    await save(store, SOURCE, Memory(), Memory(horizon=Horizon(passes=1)), outcome_of("x"))
    with pytest.raises(StoreConflict):
        await store.next_mark(SOURCE, 0)
    assert (await store.next_mark(SOURCE, 1)).fence == 43


@pytest.mark.store
async def test_of_many_rivals_one_gets_the_lease(url: str) -> None:
    """Four stores open at once on an empty database, and one of them wins the lease."""
    stores = await asyncio.gather(*(open_store(url) for _ in range(4)))
    won = await asyncio.gather(
        *(each.lease.acquire("pass", str(n), 60, NOW) for n, each in enumerate(stores))
    )
    assert sum(won) == 1
    for each in stores:
        await each.close()


async def test_the_steps_give_the_tables(url: str, store: SqlStore) -> None:
    """Migrations and `tables.py` agree."""
    engine = create_async_engine(
        url.replace("sqlite:", "sqlite+aiosqlite:").replace("postgresql:", "postgresql+psycopg:")
    )

    def differences(connection: Connection) -> list[object]:
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        return list(
            compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
        )

    async with engine.begin() as connection:
        assert await connection.run_sync(differences) == []
        await connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    await engine.dispose()
    with pytest.raises(StoreError, match="written by a newer Fester"):
        await open_store(url)


async def test_a_closed_store_says_so(store: SqlStore) -> None:
    """Closing twice is safe; nothing reopens by itself."""
    await store.close()
    await store.close()
    with pytest.raises(StoreError, match="is closed"):
        await store.load(SOURCE)


@pytest.mark.parametrize("url", ["mysql://u:hunter2@host/db", "hunter2", "fester.db"])
async def test_other_urls_are_a_configuration_error(url: str) -> None:
    """It says what to write and repeats no password."""
    with pytest.raises(ConfigurationError, match=r"sqlite:///fester\.db") as caught:
        await open_store(url)
    assert "hunter2" not in str(caught.value)


async def test_an_unreachable_server_is_explained_without_the_password() -> None:
    """The address is shown, the password is not."""
    with pytest.raises(StoreError, match="check that PostgreSQL") as caught:
        await open_store("postgresql://me:hunter2@127.0.0.1:1/db")
    assert "hunter2" not in str(caught.value)


@pytest.mark.store
async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The file's path and what to check."""
    with pytest.raises(StoreError, match=r"absent/fester\.db.*folder exists"):
        await open_store(f"sqlite:///{tmp_path}/absent/fester.db")


@pytest.mark.store
async def test_another_kind_of_file_is_not_touched(tmp_path: Path) -> None:
    """A file that is no database stays as it was."""
    file = tmp_path / "notes.txt"
    file.write_text("not a database, but long enough to be looked at\n" * 50)
    with pytest.raises(StoreError, match="name another file"):
        await open_store(f"sqlite:///{file}")
    assert file.read_text().startswith("not a database")


@pytest.mark.store
async def test_a_locked_database_is_explained(tmp_path: Path) -> None:
    """A reader goes on while another process writes; a second writer is told why it cannot."""
    store = await open_store(f"sqlite:///{tmp_path}/s.db", patience=0.1)
    rival = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
    rival.execute("BEGIN IMMEDIATE")
    assert await store.load(SOURCE) == Memory()
    with pytest.raises(StoreError, match="another process holds it"):
        await save(store, SOURCE, Memory(), known(1), None)
    rival.close()
    await save(store, SOURCE, Memory(), known(1), None)
    await store.close()


@pytest.mark.store
async def test_a_damaged_row_stops_the_load(tmp_path: Path) -> None:
    """It is named; to go on without it would look like a deletion."""
    store = await open_store(f"sqlite:///{tmp_path}/s.db")
    await save(store, SOURCE, Memory(), known(2), None)
    with sqlite3.connect(tmp_path / "s.db") as rival:
        rival.execute("UPDATE fester_manifests SET current = '{' WHERE project_id = 1")
    rival.close()
    with pytest.raises(StoreError, match=r"'qm.yaml' of project 1 .* Restore the store"):
        await store.load(SOURCE)
    await store.close()


@pytest.mark.store
async def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """The save fails as a StoreError, and what was there before is there still."""
    store = await open_store(f"sqlite:///{tmp_path}/s.db")
    await save(store, SOURCE, Memory(), known(2), None)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limits[1]))
    try:
        with pytest.raises(StoreError, match="disk"):
            await save(store, SOURCE, known(2), known(9_000, "g2"), None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert await store.load(SOURCE) == known(2)
    await store.close()
