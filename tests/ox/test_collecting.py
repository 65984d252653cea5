"""The step after each pass: who is asked, and what becomes of what they say or fail to say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bridge.model.entities import Catalog, CatalogEntity, Origin, Ref
from bridge.model.facts import (
    Fact,
    FactBoard,
    FactDefinition,
    FactSchema,
    FactType,
    Reading,
    Standing,
    Subject,
)
from bridge.model.memory import KnownProject, Memory
from bridge.model.scrape import Observation, Project
from bridge.ox.facts.collecting import FactService, due
from bridge.ox.facts.manifest import ManifestCollector
from bridge.ox.facts.subjects import matches, subjects_of
from bridge.store import FactHistory, SqlFactStore, open_store
from tests.ox.subjects import NOW, component, fact, told

SCHEMA = FactSchema(
    "mine",
    "1.0.0",
    "Mine",
    "Facts of a test",
    (FactDefinition("size", FactType.INTEGER, "A size"),),
    cadence=86_400.0,
    entity_filter={"kind": "component"},
)


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Collector:
    """Says what `say` says of each subject; remembers whom it was asked about."""

    clock: Clock
    schema: FactSchema = SCHEMA
    say: Callable[[Subject], Any] = lambda subject: 1
    asked: list[list[str]] = field(default_factory=list)

    async def collect(self, subjects: Sequence[Subject]) -> AsyncIterator[Reading]:
        self.asked.append([subject.ref.name for subject in subjects])
        for subject in subjects:
            said = self.say(subject)
            if isinstance(said, Exception):
                raise said
            if isinstance(said, asyncio.Event):
                await said.wait()
            elif isinstance(said, Reading):
                yield said
            else:
                seen = Fact("size", said, self.clock(), "a test")
                yield Reading(subject.ref, self.schema.id, "1.0.0", self.clock(), (seen,))

    async def close(self) -> None:
        """Nothing is held."""


def catalog(*names: str, kind: str = "Component") -> Catalog:
    bodies = [{**component(name), "kind": kind} for name in names]
    entities = [
        CatalogEntity(Ref.of(body), body, (Origin(n, f"shop/{n}", "qm.yaml", "o", "qm-v1"),))
        for n, body in enumerate(bodies, 1)
    ]
    return Catalog(tuple(entities))


def ref(name: str) -> Ref:
    return Ref("component", "default", name)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlFactStore]:
    whole = await open_store(f"sqlite:///{tmp_path}/facts.db")
    yield whole.facts(FactHistory())
    await whole.close()


def collecting(store: SqlFactStore, clock: Clock, *collectors: Any, **options: Any) -> FactService:
    return FactService("here", collectors, store, clock, **options)


async def test_a_failing_collector_leaves_the_others_and_says_why(store: SqlFactStore) -> None:
    clock = Clock()
    broken = Collector(
        clock,
        replace(SCHEMA, id="broken"),
        lambda s: RuntimeError("x" * 999) if s.ref.name == "b" else 1,
    )
    step = collecting(store, clock, broken, Collector(clock), ManifestCollector(clock))
    await step.after_pass(catalog("a", "b"), Memory(), {})
    assert told(step.board.latest[ref("a")]["broken"], "size") == 1
    lost = fact(step.board.latest[ref("b")]["broken"], "size")
    assert lost.standing is Standing.UNKNOWN
    assert lost.reason.startswith("the collector failed: RuntimeError: xxx")
    assert len(lost.reason) <= 300
    assert told(step.board.latest[ref("b")]["mine"], "size") == 1
    assert told(step.board.latest[ref("b")]["manifest"], "owner_given") is True


async def test_one_that_hangs_is_given_up_and_what_it_said_is_kept(store: SqlFactStore) -> None:
    clock, never = Clock(), asyncio.Event()
    hanging = Collector(clock, say=lambda s: never if s.ref.name == "b" else 7)
    step = collecting(store, clock, hanging, round_timeout=0.05)
    await step.after_pass(catalog("a", "b"), Memory(), {})
    assert told(step.board.latest[ref("a")]["mine"], "size") == 7
    assert "did not end within" in fact(step.board.latest[ref("b")]["mine"], "size").reason


async def test_one_that_hangs_keeps_nobody_from_hearing_what_the_others_said(
    store: SqlFactStore,
) -> None:
    clock, never = Clock(), asyncio.Event()
    heard: asyncio.Queue[FactBoard] = asyncio.Queue()
    hanging = Collector(clock, replace(SCHEMA, id="hanging"), say=lambda s: never)
    step = collecting(
        store, clock, hanging, Collector(clock), on_change=heard.put, notify_every=0.01
    )
    work = asyncio.create_task(step.after_pass(catalog("a"), Memory(), {}))
    board = await heard.get()
    assert board.latest[ref("a")].keys() == {"mine"}
    never.set()
    await work
    assert (await heard.get()) is step.board
    assert heard.empty()


async def test_a_time_out_of_a_collectors_own_is_not_taken_for_ours(store: SqlFactStore) -> None:
    clock = Clock()
    step = collecting(store, clock, Collector(clock, say=lambda s: TimeoutError("socket")))
    await step.after_pass(catalog("a"), Memory(), {})
    assert fact(step.board.latest[ref("a")]["mine"], "size").reason == (
        "the collector failed: TimeoutError: socket"
    )


async def test_one_that_gives_readings_without_end_is_stopped_and_others_have_their_turn(
    store: SqlFactStore,
) -> None:
    clock, other_asked, flood_begun = Clock(), asyncio.Event(), asyncio.Event()

    class Flooding(Collector):
        async def collect(self, subjects: Sequence[Subject]) -> AsyncIterator[Reading]:
            self.asked.append([])
            await other_asked.wait()
            flood_begun.set()
            while True:  # from here on it never waits for anything
                self.asked[-1].append("again")
                yield Reading(ref("nobody"), "flooding", "1.0.0", NOW, ())

    flooding = Flooding(clock, replace(SCHEMA, id="flooding"))
    seen: list[int] = []

    class Other(Collector):
        async def collect(self, subjects: Sequence[Subject]) -> AsyncIterator[Reading]:
            other_asked.set()
            await flood_begun.wait()
            seen.append(len(flooding.asked[-1]))
            async for reading in super().collect(subjects):
                yield reading

    step = collecting(store, clock, flooding, Other(clock))
    async with asyncio.timeout(30):
        await step.after_pass(catalog("a"), Memory(), {})
    assert told(step.board.latest[ref("a")]["mine"], "size") == 1
    assert "without end" in fact(step.board.latest[ref("a")]["flooding"], "size").reason
    assert seen[0] < len(flooding.asked[-1])


async def test_who_makes_one_pass_asks_about_everybody_batch_by_batch(store: SqlFactStore) -> None:
    clock = Clock()
    recorded: list[int] = []
    collector = Collector(clock, replace(SCHEMA, batch=2))
    silent = Collector(clock, replace(SCHEMA, id="silent"), say=partial(_said, _elsewhere()))
    step = collecting(store, clock, collector, silent)
    await step.after_pass(
        catalog("c", "b", "a"), Memory(), {}, all_batches=True, on_record=recorded.append
    )
    assert collector.asked == [["a", "b"], ["c"]]
    assert silent.asked == [["a", "b", "c"]]  # nobody is asked twice, whatever is said
    assert recorded == [2, 1]


async def test_when_the_time_is_over_who_was_not_asked_about_stays_as_it_was(
    store: SqlFactStore,
) -> None:
    clock, never = Clock(), asyncio.Event()
    hanging = Collector(clock, replace(SCHEMA, batch=1), say=lambda s: never)
    step = collecting(store, clock, hanging, round_timeout=0.05)
    await step.after_pass(catalog("a", "b"), Memory(), {}, all_batches=True)
    assert hanging.asked == [["a"]]
    assert step.board.latest.keys() == {ref("a")}


def _elsewhere() -> Reading:
    return Reading(ref("elsewhere"), "silent", "1.0.0", NOW, ())


@pytest.mark.parametrize(
    "value",
    ["1", True, 1.0, None, [1], 2**64],
    ids=["text", "bool", "float", "none", "list", "big"],
)
async def test_a_value_of_another_type_is_unknown(store: SqlFactStore, value: object) -> None:
    clock = Clock()
    step = collecting(store, clock, Collector(clock, say=lambda s: value))
    await step.after_pass(catalog("a"), Memory(), {})
    assert "something else" in fact(step.board.latest[ref("a")]["mine"], "size").reason


async def test_readings_that_nobody_asked_for_are_left_out(store: SqlFactStore) -> None:
    """Of another entity, in another's name, or of the future."""
    clock = Clock()
    for odd in (
        Reading(ref("other"), "mine", "1.0.0", NOW, ()),
        Reading(ref("a"), "manifest", "1.0.0", NOW, ()),
        Reading(ref("a"), "mine", "1.0.0", NOW + timedelta(hours=1), ()),
        Reading(ref("a"), "mine", "1.0.0", NOW.replace(tzinfo=None), ()),
        Reading(ref("a"), "mine", "1.0.0", NOW.replace(year=1), ()),
    ):
        step = collecting(store, clock, Collector(clock, say=partial(_said, odd)))
        await step.after_pass(catalog("a"), Memory(), {})
        assert step.board.latest == {}


@pytest.mark.parametrize("moment", [NOW + timedelta(days=9), NOW.replace(year=1)])
async def test_a_fact_that_was_seen_when_nobody_can_have_seen_it_is_unknown(
    store: SqlFactStore, moment: datetime
) -> None:
    """One of the future would never be stale."""
    clock = Clock()
    odd = Reading(ref("a"), "mine", "1.0.0", NOW, (Fact("size", 1, moment, "a test"),))
    step = collecting(store, clock, Collector(clock, say=partial(_said, odd)))
    await step.after_pass(catalog("a"), Memory(), {})
    assert fact(step.board.latest[ref("a")]["mine"], "size").reason == (
        "seen at no moment that can be"
    )


def _said(reading: Reading, _: Subject) -> Reading:
    return reading


async def test_who_was_asked_is_asked_again_after_its_cadence(store: SqlFactStore) -> None:
    clock = Clock()
    collector = Collector(clock)
    step = collecting(store, clock, collector)
    for hours in (0, 23, 24, 25):
        clock.now = NOW + timedelta(hours=hours)
        await step.after_pass(catalog("a"), Memory(), {})
    assert len(collector.asked) == 2


async def test_what_is_unknown_is_asked_again_sooner(store: SqlFactStore) -> None:
    clock = Clock()
    collector = Collector(clock, say=lambda s: RuntimeError("down"))
    step = collecting(store, clock, collector)
    for minutes in (0, 30, 60):
        clock.now = NOW + timedelta(minutes=minutes)
        await step.after_pass(catalog("a"), Memory(), {})
    assert len(collector.asked) == 2


async def test_a_batch_takes_the_longest_unseen_first(store: SqlFactStore) -> None:
    clock = Clock()
    collector = Collector(clock, replace(SCHEMA, batch=2))
    step = collecting(store, clock, collector)
    for _ in range(3):
        await step.after_pass(catalog("c", "b", "a"), Memory(), {})
    assert collector.asked == [["a", "b"], ["c"]]


async def test_a_pass_that_looked_at_few_projects_turns_no_other_unknown(
    store: SqlFactStore,
) -> None:
    """With the crawl: those looked at are read again at once, the others stay as they were."""
    clock = Clock()
    collector = Collector(clock, replace(SCHEMA, with_crawl=True))
    step = collecting(store, clock, collector)
    await step.after_pass(catalog("a", "b"), Memory(), {})
    clock.now += timedelta(minutes=5)
    await step.after_pass(catalog("a", "b"), Memory(), {2: Observation(2, clock.now)})
    assert collector.asked == [["a", "b"], ["b"]]
    seen = {each.name: known["mine"].seen_at for each, known in step.board.latest.items()}
    assert seen == {"a": NOW, "b": clock.now}


async def test_only_entities_that_the_filter_wants_are_asked_about(store: SqlFactStore) -> None:
    clock = Clock()
    collector = Collector(clock)
    await collecting(store, clock, collector).after_pass(catalog("a", kind="API"), Memory(), {})
    assert collector.asked == []


async def test_after_a_restart_the_board_is_as_before_and_nobody_is_asked(
    store: SqlFactStore,
) -> None:
    clock = Clock()
    first = collecting(store, clock, Collector(clock))
    await first.after_pass(catalog("a"), Memory(), {})
    again = Collector(clock)
    step = collecting(store, clock, again)
    await step.load()
    assert step.board.latest == first.board.latest
    await step.after_pass(catalog("a"), Memory(), {})
    assert again.asked == []


async def test_a_replica_shows_what_another_one_recorded(store: SqlFactStore) -> None:
    clock = Clock()
    leader = collecting(store, clock, Collector(clock))
    heard: list[FactBoard] = []

    async def hear(board: FactBoard) -> None:
        heard.append(board)

    other = collecting(store, clock, Collector(clock), on_change=hear)
    await other.catch_up()
    assert other.board.latest == {}
    await leader.after_pass(catalog("a"), Memory(), {})
    await other.catch_up()
    assert other.board.latest == leader.board.latest
    board = other.board
    await other.catch_up()
    assert other.board is board  # nothing newer, nothing loaded
    assert heard == [board]


async def test_an_entity_that_is_gone_is_shown_no_more_and_whoever_listens_hears(
    store: SqlFactStore,
) -> None:
    clock, heard = Clock(), []

    async def hear(board: FactBoard) -> None:
        heard.append(sorted(each.name for each in board.latest))

    step = collecting(store, clock, Collector(clock), on_change=hear)
    await step.after_pass(catalog("a", "b"), Memory(), {})
    await step.after_pass(catalog("a"), Memory(), {})
    assert heard == [["a", "b"], ["a"]]
    assert len(await step.between(ref("b"), ["mine"], NOW, NOW)) == 1


def test_a_subject_knows_its_project_and_what_was_seen_of_it() -> None:
    project = Project(1, "shop/1")
    memory = Memory({1: KnownProject(project, NOW)})
    seen = Observation(1, NOW)
    one, other = subjects_of(catalog("a", "b"), memory, {1: seen})
    assert (one.project, one.observation, one.manifest_file) == (project, seen, "qm.yaml")
    assert (other.project, other.observation) == (None, None)
    assert one.catalog == {ref("a"), ref("b")}


@pytest.mark.parametrize(
    ("entity_filter", "wanted"),
    [
        (None, True),
        ({"kind": "COMPONENT"}, True),
        ({"kind": ["api", "component"], "spec.type": "service"}, True),
        ({"kind": "component", "spec.type": "website"}, False),
        ([{"kind": "api"}, {"kind": "component"}], True),
        ({"metadata.annotations.a.b/c": "x"}, True),
        ({"metadata.tags": "java"}, True),
        ({"metadata.tags.java": "x"}, False),
        ("component", False),
        ([], False),
    ],
)
def test_a_filter_is_backstages(entity_filter: Any, wanted: bool) -> None:
    body = component(annotations={"a.b/c": "x"}, tags=["go", "java"])
    assert matches(entity_filter, body) is wanted


def test_nobody_is_due_twice() -> None:
    subjects = subjects_of(catalog("a", "b"), Memory(), {1: Observation(1, NOW)})
    asked = due(replace(SCHEMA, with_crawl=True), subjects, {}, NOW)
    assert [subject.ref.name for subject in asked] == ["a", "b"]
