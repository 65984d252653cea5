"""Law: whatever happens in whatever order, every manifest ends with the defaults that there are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import get_ident
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import SourceError, StoreConflict
from bridge.exporters.render import ShardRenderer
from bridge.model.blob_ids import blob_id
from bridge.model.group_defaults import DefaultsPlace
from bridge.model.numbers import FIRST
from bridge.model.reads import ReadFile, ReadKind
from bridge.model.scrape import Gap, ManifestFile, Project, ProjectRead, Record, ScrapeRequest
from bridge.passes import runner
from bridge.passes.inheritance import Inheritance
from bridge.passes.interfaces import Store
from bridge.passes.ledger import Ledger
from bridge.passes.merge import Guard
from bridge.passes.runner import Passes
from bridge.passes.stages import PassOptions, Stages
from bridge.processors.backstage import BackstageProcessor
from bridge.processors.mapping import Mappings, load_mappings, shipped_folder
from bridge.processors.merge_file import load_merge_rules
from bridge.store import open_store
from bridge.store.model import SqlModel
from tests.fakes import NOON, RecordingExporter, fresh
from tests.laws import examples
from tests.passes.test_runner import Gitlab

pytestmark = pytest.mark.store

PLACE = DefaultsPlace("keep/defaults", "qm.defaults.yaml")
KEEPER = 99
MAPPINGS = load_mappings()
RULES = load_merge_rules(shipped_folder() / "merge.yaml")
GROUPS = ("a", "a/b", "c")
BROKEN = ("version: 1\ndefaults: {a: {tier: x}}\n", "")
TEXTS = (
    "version: 1\nservice: {name: bare}\n",
    "version: 1\nservice: {name: own, owner: {team: own}}\n",
    "version: 1\nservices: [{name: one}, {name: two, tier: tier_3}]\n",
)


@dataclass
class Town(Gitlab):
    """Projects with paths of their own, one of which keeps defaults."""

    paths: dict[int, str] = field(default_factory=dict)
    kept: str | None = "version: 1\n"
    hidden: bool = False
    dies: bool = False

    async def scrape(self, request: ScrapeRequest) -> AsyncIterator[Record]:
        if self.dies:
            raise SourceError("GitLab went away")
        async for record in super().scrape(request):
            yield record

    async def look(self, project: str, path: str) -> tuple[int, ReadFile]:
        if self.hidden:
            raise SourceError("500")
        if self.kept is None:
            return KEEPER, ReadFile(path, ReadKind.ABSENT)
        return KEEPER, ReadFile(path, ReadKind.FILE, "oid", len(self.kept), self.kept)

    def record(self, number: int) -> Any:
        if number in self.unreadable:
            return Gap("403", number, self.paths.get(number, ""))
        if number == KEEPER:
            return ProjectRead(Project(KEEPER, PLACE.project))
        return ProjectRead(*self.truth(number))

    def truth(self, number: int) -> tuple[Project, tuple[ManifestFile, ...]]:
        text = self.texts[number] or ""
        file = ManifestFile("qm.yaml", blob_id(text.encode()), len(text), text)
        return Project(number, self.paths[number]), (file,)


@dataclass
class Clock:
    now: datetime = NOON

    def moment(self) -> datetime:
        self.now += timedelta(hours=2)
        return self.now


def stages(town: Town, store: Store, clock: Clock) -> Stages:
    return Stages(
        town,
        MAPPINGS,
        BackstageProcessor(RULES),
        ShardRenderer(),
        [RecordingExporter()],
        store,
        clock.moment,
        guard=Guard(share=1.0),
        defaults=PLACE,
    )


def written(said: Iterable[tuple[str, int]]) -> str:
    lines = [
        f"  {g}/**: {{owner: {{team: team-{n}}}, tier: tier_{n}}}" for g, n in dict(said).items()
    ]
    return "\n".join(["version: 1", "defaults:" if lines else "", *lines, ""])


DEFAULTS = st.one_of(
    st.lists(st.tuples(st.sampled_from(GROUPS), st.integers(1, 3)), max_size=3).map(written),
    st.none(),
)
NUMBERS = st.integers(1, 4)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("defaults"), DEFAULTS),
        st.tuples(st.just("broken"), st.sampled_from(BROKEN)),
        st.tuples(st.just("hidden"), st.booleans()),
        st.tuples(st.just("dies"), st.booleans()),
        st.tuples(st.just("gap"), st.sets(NUMBERS, max_size=2)),
        st.tuples(st.just("move"), st.tuples(NUMBERS, st.sampled_from(GROUPS))),
        st.tuples(st.just("commit"), st.tuples(NUMBERS, st.sampled_from(TEXTS))),
        st.tuples(st.just("push"), st.just(KEEPER)),
        st.tuples(st.just("pass"), st.sampled_from(["due", "sweep"])),
        st.tuples(st.just("restart"), st.none()),
    ),
    max_size=14,
)


@dataclass
class Story:
    """A town, and what happens in it."""

    town: Town
    store: Store
    clock: Clock = field(default_factory=Clock)
    passes: Passes = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self, _: object = None) -> None:
        self.passes = Passes(stages(self.town, self.store, self.clock), full_every=1e9)

    async def step(self, what: str, given: Any) -> None:
        if what in ("defaults", "broken"):
            self.town.kept = given
        elif what == "hidden":
            self.town.hidden = given
        elif what == "dies":
            self.town.dies = given
        elif what == "gap":
            self.town.unreadable = given
        elif what == "restart":
            self.restart()
        elif what == "pass":
            await (self.due() if given == "due" else self.passes.run(PassOptions()))
        elif what == "push":
            await self.hinted(given)
        else:
            number, value = given
            there = self.town.paths if what == "move" else self.town.texts
            there[number] = f"{value}/p{number}" if what == "move" else value
            self.town.changed.add(number)  # GitLab lists it, whatever becomes of the hint
            await self.hinted(number)

    async def due(self) -> None:
        await self.passes.run(await self.passes.next_pass(PassOptions()))

    async def hinted(self, number: int) -> None:
        request = ScrapeRequest(MAPPINGS.files, only=(number,))
        await self.passes.run(replace(PassOptions(), request=request))

    async def is_as_the_truth(self) -> None:
        """What stands is what one pass over all that there is would give."""
        truth, faults = MAPPINGS.with_file(FIRST, PLACE, self.town.kept)
        assert not faults
        known = (await self.passes.known()).memory
        for number in self.town.texts:
            project, (file,) = self.town.truth(number)
            found = known.manifests[number, "qm.yaml"].current
            assert found == truth.translate(project, file)


@settings(max_examples=examples(30), deadline=None)
@given(STEPS)
def test_any_history_ends_with_the_defaults_that_there_are(steps: list[tuple[str, Any]]) -> None:
    async def run(folder: Path) -> None:
        places = {1: "a/p1", 2: "a/b/p2", 3: "c/p3", 4: "d/p4"}
        town = Town({n: TEXTS[n % 3] for n in places}, paths=places, kept=written([("a", 1)]))
        store = await open_store(fresh(folder))
        try:
            story = Story(town, store)
            await story.passes.run(PassOptions())
            for what, given_ in steps:
                await story.step(what, given_)
            town.hidden, town.dies, town.unreadable = False, False, set()
            if town.kept is not None and town.kept in BROKEN:
                town.kept = written([("a", 2), ("c", 3)])
            # What nobody was told of is found by a pass that asks what changed: twice, for gaps.
            await story.due()
            await story.due()
            await story.is_as_the_truth()
        finally:
            await store.close()

    with TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


async def test_who_was_held_up_past_its_lead_keeps_no_defaults(tmp_path: Path) -> None:
    town = Town({1: TEXTS[0]}, paths={1: "a/p1"}, kept=written([("a", 1)]))
    store = await open_store(fresh(tmp_path))
    try:
        usual = stages(town, store, Clock())
        ours, theirs = Ledger(store, town.name), Ledger(store, town.name)
        await Inheritance().renew(usual, PassOptions(), ours)

        async def held_up() -> None:
            """The lease is ours; before we write, another process has taken it and written."""
            town.kept = written([("a", 3)])
            await Inheritance().renew(usual, PassOptions(), theirs)

        town.kept = written([("a", 2)])
        with pytest.raises(StoreConflict):
            await Inheritance().renew(replace(usual, fence=held_up), PassOptions(), ours)
        assert "team-3" in await store.group_defaults.load(town.name)
    finally:
        await store.close()


async def test_what_is_too_much_for_a_push_is_not_looked_at_by_every_push(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_MOST_INHERITING", 1)
    places = {1: "a/p1", 2: "a/b/p2", 3: "c/p3"}
    town = Town(dict.fromkeys(places, TEXTS[0]), paths=places, kept=written([("a", 1)]))
    store = await open_store(fresh(tmp_path))
    asked: list[int] = []
    real = SqlModel.marks

    async def marks(model: SqlModel, source: str, ids: Collection[int]) -> Any:
        asked.extend(ids)
        return await real(model, source, ids)

    try:
        story = Story(town, store)
        await story.passes.run(PassOptions())
        town.kept = written([("a", 2)])
        await story.hinted(KEEPER)  # which finds out that it is too much
        monkeypatch.setattr(SqlModel, "marks", marks)
        await story.hinted(3)
        assert set(asked) == {3}
        await story.due()
        await story.is_as_the_truth()
    finally:
        await store.close()


async def test_defaults_are_checked_beside_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = Town({1: TEXTS[0]}, paths={1: "a/p1"}, kept=written([("a", 1)]))
    store = await open_store(fresh(tmp_path))
    threads: set[int] = set()
    real = Mappings.with_file

    def with_file(mappings: Mappings, *given_: Any) -> Any:
        threads.add(get_ident())
        return real(mappings, *given_)

    monkeypatch.setattr(Mappings, "with_file", with_file)
    try:
        ledger = Ledger(store, town.name)
        await Inheritance().renew(stages(town, store, Clock()), PassOptions(), ledger)
        assert threads
        assert get_ident() not in threads
    finally:
        await store.close()
