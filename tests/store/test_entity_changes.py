"""The history of entities: what passes record, from real manifests through the real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from bridge.exporters.render import ShardRenderer
from bridge.model.entities import Ref
from bridge.model.entity_changes import (
    ChangedManifest,
    ChangeKind,
    ChangeQuery,
    EntityChange,
    FieldChange,
)
from bridge.model.scrape import ManifestFile, ProjectRead
from bridge.passes.merge import Guard
from bridge.passes.runner import Passes
from bridge.passes.stages import PassOptions, Stages
from bridge.processors.backstage import BackstageProcessor
from bridge.processors.mapping import load_mappings
from bridge.store import open_store
from bridge.store.store import SqlStore
from bridge.wiring.mappings import mappings_and_rules
from tests.fakes import NOON, ListScraper, RecordingExporter, project

pytestmark = pytest.mark.store

SOURCE = "https://gitlab.test"
MAPPINGS = load_mappings()
MAKER = BackstageProcessor(mappings_and_rules(None)[1])


def service(number: int, name: str, **more: str) -> ProjectRead:
    """A project with a service of team crew; `more` are lines of its manifest."""
    lines = [f"  {key}: {value}" for key, value in {"owner": "{team: crew}", **more}.items()]
    text = "\n".join(["version: 1", "service:", f"  name: {name}", *lines, ""])
    file = ManifestFile("qm.yaml", f"{abs(hash(text)):040x}", len(text), text)
    return ProjectRead(project(number), (file,))


class Shop:
    """A source whose projects a test chooses, pass by pass, a minute apart."""

    def __init__(self, store: SqlStore) -> None:
        self.store, self.now = store, NOON
        self.stages = Stages(
            ListScraper([]),
            MAPPINGS,
            MAKER,
            ShardRenderer(),
            [RecordingExporter()],
            store,
            lambda: self.now,
            guard=Guard(share=1.0),
        )

    async def holds(self, *records: ProjectRead) -> None:
        self.now += timedelta(minutes=1)
        stages = replace(self.stages, scraper=ListScraper(records))
        await Passes(stages).run(PassOptions(accept_removals=True))

    async def changes(self, query: ChangeQuery | None = None) -> list[EntityChange]:
        return await self.store.entity_changes.find(SOURCE, query or ChangeQuery())


@pytest.fixture
async def shop(url: str) -> AsyncIterator[Shop]:
    store = await open_store(url)
    yield Shop(store)
    await store.close()


async def test_a_change_tells_who_what_and_when(shop: Shop) -> None:
    await shop.holds(service(1, "cart", description="old"), service(2, "pay"))
    assert await shop.changes() == []  # what a first pass finds did not change
    changed = service(1, "cart", description="new")
    await shop.holds(changed, service(2, "pay"))
    (change,) = await shop.changes()
    assert (str(change.ref), change.kind) == ("component:default/cart", ChangeKind.CHANGED)
    assert change.at == shop.now
    assert change.owner == "group:default/crew"
    assert change.manifests == (ChangedManifest("group/p1", "qm.yaml", changed.files[0].oid),)
    assert change.fields == (FieldChange("metadata.description", "old", "new"),)


async def test_what_comes_and_what_goes_is_told_and_found_again(shop: Shop) -> None:
    await shop.holds(service(1, "cart"))
    await shop.holds(service(1, "cart"), service(2, "pay", owner="{team: bank}"))
    await shop.holds(service(2, "pay", owner="{team: bank}"))
    told = [(str(each.ref), each.kind.value) for each in await shop.changes()]
    assert ("component:default/pay", "added") in told
    assert ("component:default/cart", "removed") in told
    for query, refs in (
        (ChangeQuery(entity_kind="component", owner="group:default/bank"), ["pay"]),
        (ChangeQuery(entity_kind="component", project="group/P1"), ["cart"]),
        (ChangeQuery(entity_kind="component", kind="removed"), ["cart"]),
        (ChangeQuery(refs=("component:default/pay",)), ["pay"]),
        (ChangeQuery(entity_kind="component", since=shop.now), ["cart"]),
        (ChangeQuery(entity_kind="component", until=shop.now), ["pay"]),
        (ChangeQuery(project="group/p"), []),
        (ChangeQuery(limit=1, below=1), []),
    ):
        assert [each.ref.name for each in await shop.changes(query)] == refs, query


async def test_what_is_the_same_after_a_pass_is_no_change(shop: Shop) -> None:
    """References are put right after the merge: what that takes back was never published."""
    needs = "[{name: nowhere}]"
    await shop.holds(service(1, "cart", description="old", dependencies=needs))
    await shop.holds(service(1, "cart", description="new", dependencies=needs))
    (change,) = await shop.changes()
    assert [each.path for each in change.fields] == ["metadata.description"]
    await shop.holds(service(1, "cart", description="new", dependencies=needs))
    assert len(await shop.changes()) == 1


async def test_what_is_old_is_forgotten(shop: Shop) -> None:
    shop.stages = replace(shop.stages, history=timedelta(minutes=90))
    await shop.holds(service(1, "cart", description="a"))
    await shop.holds(service(1, "cart", description="b"))
    shop.now += timedelta(hours=1)
    await shop.holds(service(1, "cart", description="c"))
    assert len(await shop.changes()) == 2
    shop.now += timedelta(hours=1)
    await shop.holds(service(1, "cart", description="c"))
    assert [each.fields[0].after for each in await shop.changes()] == ["c"]


async def test_a_long_value_is_bounded_and_holds_one_printable_line(shop: Shop) -> None:
    await shop.holds(service(1, "cart", description="old"))
    await shop.holds(service(1, "cart", description='"' + "x" * 900 + '\\e[31m"'))
    (change,) = await shop.changes()
    after = change.fields[0].after
    assert after is not None
    assert len(after) == 200
    assert after.isprintable()


async def test_changes_from_elsewhere_lie_before_those_that_passes_find(shop: Shop) -> None:
    first = EntityChange(
        Ref("component", "default", "cart"),
        ChangeKind.CHANGED,
        NOON - timedelta(days=9),
        "cart",
        owner="group:default/crew",
        fields=(FieldChange("spec.owner", "group:default/old", "group:default/crew"),),
    )
    await shop.store.entity_changes.add(SOURCE, [first, replace(first, at=NOON)])
    await shop.store.entity_changes.add(SOURCE, [])
    await shop.holds(service(1, "cart"))
    await shop.holds(service(1, "cart"), service(2, "pay"))
    found = await shop.changes()
    assert [str(each.ref) for each in found[:-2]] != []
    assert found[-1] == replace(first, number=found[-1].number)
    assert found[0].number > found[-2].number > found[-1].number
    assert await shop.changes(ChangeQuery(owner="group:default/crew", until=NOON)) == found[-1:]
