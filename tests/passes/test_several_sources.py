"""Several sources of one catalog: none is held up by another, nor vanishes for another's sake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import SourceError
from bridge.model.memory import Horizon
from bridge.model.numbers import TooLarge, lane_of, mark_in, mark_of, number_of, own_id
from bridge.model.runs import Outcome, Receipt, Report
from bridge.model.scrape import (
    Coverage,
    Gap,
    Observation,
    ProjectGone,
    ProjectRead,
    ProjectSkipped,
    Record,
    ScrapeEnd,
    ScrapeRequest,
)
from bridge.passes.interfaces import Store
from bridge.passes.runner import Passes
from bridge.passes.stages import FurtherSource, Pass, PassOptions, Stages
from bridge.passes.together import together
from bridge.scrapers.numbered import Numbered
from bridge.store import open_store
from bridge.store.codec import decode_horizon, decode_report, encode_horizon, encode_report
from tests.fakes import NOON, at, fresh, project
from tests.laws import examples
from tests.passes.test_incremental_law import (
    ACCEPTED,
    MAPPINGS,
    SOURCE,
    Manifests,
    a_manifest,
    is_as_made_at_once,
    stages,
    texts,
)

LAB = "lab"
ids = st.integers(0, 2**32 - 1)
source_names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True)


@given(source_names, ids)
def test_a_number_tells_its_source_and_its_id(name: str, project_id: int) -> None:
    """It fits a signed column of 64 bits, and is that of no checkout and of no first source."""
    number = number_of(name, project_id)
    assert (mark_in(number), own_id(number)) == (mark_of(name), project_id)
    group = number_of(name, -project_id - 1) if project_id < 2**32 - 1 else -number
    assert group < -(2**53)
    assert mark_in(group) == mark_of(name)
    assert own_id(group) in (-project_id - 1, -project_id)
    assert 2**53 < number < 2**63
    assert len(lane_of(name)) <= 10


@pytest.mark.parametrize("number", [0, 1, -7, 2**31, 2**53 - 1])
def test_the_first_source_keeps_its_own_ids(number: int) -> None:
    assert (number_of("", number), own_id(number), mark_in(number)) == (number, number, 0)


@pytest.mark.parametrize(("name", "number"), [("lab", 2**32), ("lab", -(2**32)), ("", 2**62)])
def test_an_id_beyond_all_numbers_is_refused(name: str, number: int) -> None:
    """Else one GitLab could speak of another's projects."""
    with pytest.raises(TooLarge):
        number_of(name, number)


@dataclass
class Told(Manifests):
    """Tells just these records, whatever is asked."""

    records: list[Record] = field(default_factory=list)
    asked: list[ScrapeRequest] = field(default_factory=list)

    async def scrape(self, request: ScrapeRequest) -> AsyncIterator[Record]:
        self.asked.append(request)
        for each in self.records:
            yield each


async def test_records_go_up_and_requests_go_down_under_the_right_numbers() -> None:
    """An id that is too large is a gap in the list: nothing is taken for gone."""
    seen = Observation(3, NOON)
    inner = Told({}, records=[
        ProjectRead(project(3), (), seen), ProjectSkipped(project(4), "archived"),
        ProjectGone(5, "404"), Gap("403", 6), Gap("a page", None),
        ProjectRead(project(2**40)), ScrapeEnd(Coverage.FULL, 7),
    ])  # fmt: skip
    numbered = Numbered(inner, LAB)
    three, four, five, six = (number_of(LAB, n) for n in (3, 4, 5, 6))
    found = [each async for each in numbered.scrape(ScrapeRequest((), only=(three,), also=(six,)))]
    assert (inner.asked[0].only, inner.asked[0].also) == ((3,), (6,))
    assert isinstance(found[0], ProjectRead)
    assert isinstance(found[1], ProjectSkipped)
    assert found[0].observation == replace(seen, project_id=three)
    assert (found[0].project.id, found[1].project.id) == (three, four)
    assert found[2:5] == [ProjectGone(five, "404"), Gap("403", six), Gap("a page", None)]
    assert isinstance(found[5], Gap)
    assert found[5].project_id is None
    assert "too large" in found[5].reason
    assert found[6] == ScrapeEnd(Coverage.FULL, 7)


@dataclass
class Fallible(Manifests):
    """A GitLab that may be away."""

    away: bool = False

    async def scrape(self, request: ScrapeRequest) -> AsyncIterator[Record]:
        if self.away:
            raise SourceError("no answer")
        async for record in super().scrape(request):
            yield record


def two(first: Manifests, lab: Manifests, store: Store) -> Stages:
    return replace(stages(first, store), further={LAB: FurtherSource(Numbered(lab, LAB), "lab's")})


names = st.sampled_from(["", LAB])
steps = st.lists(
    st.tuples(
        names,
        st.integers(1, 3),
        st.sampled_from(
            ["push", "push", "gap", "gone", "sweep", "lost", "away", "both", "restart"]
        ),
        texts,
    ),
    max_size=10,
)


@pytest.mark.store
@settings(max_examples=examples(25), deadline=None)
@given(st.dictionaries(st.integers(1, 3), texts), st.dictionaries(st.integers(1, 3), texts), steps)
def test_any_history_of_two_sources_gives_what_one_pass_over_the_truth_gives(
    start: dict[int, str | None],
    lab_start: dict[int, str | None],
    changes: list[tuple[str, int, str, str | None]],
) -> None:
    """The same ids in both. What is away or cut short loses nothing, and holds nothing up."""

    async def run(folder: Path) -> None:
        gitlabs = {"": Fallible(dict(start)), LAB: Fallible(dict(lab_start))}
        store = await open_store(fresh(folder))
        try:
            passes = Passes(two(gitlabs[""], gitlabs[LAB], store))
            await passes.run_all([replace(ACCEPTED, source=name) for name in ("", LAB)])
            for each in changes:
                passes = await step(passes, gitlabs, each)
                await is_as_made_at_once(passes, store)
            await passes.run_all([replace(ACCEPTED, source=name) for name in ("", LAB)])
            await is_as_made_at_once(passes, store)
            known = await passes.known()
            truth = {number_of(name, n) for name, each in gitlabs.items() for n in each.texts}
            assert known.memory.projects.keys() == truth
        finally:
            await store.close()

    with TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


async def step(
    passes: Passes, gitlabs: dict[str, Fallible], change: tuple[str, int, str, str | None]
) -> Passes:
    """One change, and the pass that meets it."""
    source, number, fate, text = change
    gitlab = gitlabs[source]
    before = (await passes.known()).memory.projects.keys()
    wish = replace(ACCEPTED, source=source)
    gitlab.unreadable = {number} if fate == "gap" else set()
    gitlab.lost = "page 2" if fate == "lost" else ""
    gitlab.away = fate == "away"
    if fate == "push":
        gitlab.texts[number] = text
    elif fate in ("gone", "lost"):
        gitlab.texts.pop(number, None)
    if fate == "restart":
        return Passes(passes.stages)
    if fate in ("both", "away"):
        done = await passes.run_all([replace(ACCEPTED, source=name) for name in ("", LAB)])
        assert (fate == "away") <= (done.report.outcome is Outcome.INCOMPLETE)
    elif fate in ("sweep", "lost"):
        await passes.run(wish)
    else:
        request = ScrapeRequest(MAPPINGS.files, only=(number_of(source, number),))
        await passes.run(replace(wish, request=request))
    gitlab.lost, gitlab.away, gitlab.unreadable = "", False, set()
    after = (await passes.known()).memory.projects.keys()
    other = {n for n in before if mark_in(n) != mark_of(source)}
    assert fate in {"both", "away"} or other <= after
    if fate in ("lost", "away"):
        assert before - after <= (other if fate == "away" else set())
    return passes


@pytest.mark.store
async def test_the_older_claim_wins_between_sources_and_a_tie_is_the_first_ones(
    tmp_path: Path,
) -> None:
    """As between projects: who has described it longest, then by the order of numbers."""
    one = a_manifest("cart", "here", "shop", "x", 1)
    other = a_manifest("cart", "there", "shop", "x", 1)
    first, lab = Fallible({7: one}), Fallible({7: other})
    store = await open_store(fresh(tmp_path))
    now = NOON
    passes = Passes(replace(two(first, lab, store), clock=lambda: now))
    await passes.run_all([replace(ACCEPTED, source=name) for name in (LAB, "")])

    async def owner() -> str:
        found = await store.model.entities(SOURCE, ["component:default/cart"])
        return str(found["component:default/cart"].entity.body["spec"]["owner"])

    assert "here" in await owner()
    del first.texts[7]
    await passes.run(ACCEPTED)
    assert "there" in await owner()
    first.texts[7] = one  # it comes back, and its claim is the younger one now
    now = NOON.replace(hour=13)
    await passes.run(ACCEPTED)
    assert "there" in await owner()
    await store.close()


@pytest.mark.store
async def test_each_source_has_its_own_watermark_sweeps_and_gaps(tmp_path: Path) -> None:
    """One that was away is asked from where it was known; it is swept when its own sweep is due."""
    first, lab = Fallible({1: None}), Fallible({1: None, 2: None}, away=True)
    store = await open_store(fresh(tmp_path))
    now = NOON
    passes = Passes(replace(two(first, lab, store), clock=lambda: now), full_every=1e6)
    done = await passes.run_all([replace(ACCEPTED, source=name) for name in ("", LAB)])
    assert done.report.outcome is Outcome.INCOMPLETE
    assert [each.rule for each in done.report.problems] == ["source-unread"]
    horizon = await passes.horizon()
    assert (bool(horizon.listed_at), horizon.of(LAB), horizon.whole_at) == (True, Horizon(), None)
    assert (await passes.next_pass(ACCEPTED)).request != ScrapeRequest(MAPPINGS.files)
    due = await passes.next_pass(replace(ACCEPTED, source=LAB))
    assert due.request == ScrapeRequest(MAPPINGS.files)
    lab.away, lab.unreadable = False, {2}
    await passes.run(due)
    now = NOON.replace(hour=14)
    later = await passes.next_pass(replace(ACCEPTED, source=LAB))
    assert later.request is not None
    assert (later.request.since, later.request.also) == (NOON, (number_of(LAB, 2),))
    mine = await passes.next_pass(ACCEPTED)
    assert mine.request is not None
    assert mine.request.also == ()
    await store.close()


@pytest.mark.store
async def test_a_source_that_is_taken_out_goes_with_a_reason_and_by_the_guard(
    tmp_path: Path,
) -> None:
    lab = Fallible({1: a_manifest("stock", "b", "s", "x", 1)})
    first = Fallible({n: a_manifest(f"s{n}", "a", "s", "x", 1) for n in range(1, 9)})
    store = await open_store(fresh(tmp_path))
    several = two(first, lab, store)
    await Passes(several).run_all([replace(ACCEPTED, source=name) for name in ("", LAB)])
    assert "component:default/stock" in await store.model.digests(SOURCE)
    alone = replace(several, further={}, scope="another")
    passes = Passes(alone)
    due = await passes.next_pass(ACCEPTED)
    assert due.request == ScrapeRequest(MAPPINGS.files)  # its scope is another: a sweep
    done = await passes.run(due)
    assert "component:default/stock" not in await store.model.digests(SOURCE)
    told = [each.message for each in done.report.problems if each.rule == "project-left-out"]
    assert len(told) == 1
    assert "its GitLab is no longer one of the sources" in told[0]
    assert (await passes.horizon()).others == {}
    await is_as_made_at_once(passes, store)
    await store.close()


@dataclass
class Slow(Manifests):
    """Stops after so many records, until it may go on."""

    stop_after: int = 110
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    slow: bool = False

    async def scrape(self, request: ScrapeRequest) -> AsyncIterator[Record]:
        count = 0
        async for record in super().scrape(request):
            yield record
            count += 1
            if self.slow and count == self.stop_after:
                self.reached.set()
                await self.go_on.wait()


@pytest.mark.store
async def test_what_half_a_sweep_saw_is_not_merged_by_another_sources_sweep(
    tmp_path: Path,
) -> None:
    """A service that moved to a project that is not read yet does not vanish in between."""
    moving = a_manifest("moving", "a", "s", "x", 1)
    lab = Slow({n: moving if n == 1 else None for n in range(1, 121)})
    first = Manifests({1: a_manifest("cart", "a", "s", "x", 1)})
    store = await open_store(fresh(tmp_path))
    passes = Passes(two(first, lab, store))
    await passes.run_all([replace(ACCEPTED, source=name) for name in ("", LAB)])
    lab.texts[1], lab.texts[120], lab.slow = None, moving, True
    sweep = asyncio.create_task(passes.run(replace(ACCEPTED, source=LAB)))
    await lab.reached.wait()
    first.texts[1] = a_manifest("basket", "a", "s", "x", 1)
    await passes.run(ACCEPTED)
    there = await store.model.digests(SOURCE)
    assert {"component:default/basket", "component:default/moving"} <= there.keys()
    lab.go_on.set()
    await sweep
    assert "component:default/moving" in await store.model.digests(SOURCE)
    await is_as_made_at_once(passes, store)
    await store.close()


def a_pass(outcome: Outcome, source: str, **more: object) -> Pass:
    async def known() -> object:
        raise AssertionError

    report = Report(outcome, 2.0, source=source, started_at=datetime(2024, 5, 1, 12, tzinfo=UTC))
    return Pass(replace(report, **more), Horizon(), known)  # type: ignore[arg-type]


def test_passes_are_told_as_one() -> None:
    """Figures of one add up; a failure of one is a problem; all failing is a failure."""
    good = a_pass(
        Outcome.COMPLETE,
        "",
        gitlab_requests=3,
        this_pass={"seen": 2},
        published=(Receipt("o", 2, 1, 0, ("a",)),),
    )
    more = a_pass(
        Outcome.COMPLETE,
        LAB,
        gitlab_requests=4,
        this_pass={"seen": 5},
        published=(Receipt("o", 1, 2, 1, ("b",)),),
    )
    bad = a_pass(Outcome.FAILED, LAB, failure="no answer")
    both = together([("a", good), ("b", more)]).report
    assert (both.outcome, both.gitlab_requests, both.this_pass) == (
        Outcome.COMPLETE,
        7,
        {"seen": 7},
    )
    assert both.published == (Receipt("o", 3, 2, 1, ("a", "b")),)
    part = together([("a", good), ("b", bad)]).report
    assert part.outcome is Outcome.INCOMPLETE
    assert [each.message for each in part.problems] == ["b: no answer; what is known of it is kept"]
    none = together([("a", replace(bad, report=replace(bad.report, failure="401"))), ("b", bad)])
    assert (none.report.outcome, none.report.failure) == (Outcome.FAILED, "401; no answer")


def test_horizons_and_reports_of_several_sources_come_back_from_the_store() -> None:
    """And what an older Fester wrote of one source is read as before."""
    horizon = Horizon(at(1), at(2), "c", at(3), 7, {LAB: Horizon(at(4), None, "g", at(5))})
    assert decode_horizon(encode_horizon(horizon), 7) == horizon
    assert "others" not in encode_horizon(replace(horizon, others={}))
    report = Report(Outcome.COMPLETE, 1.0, source=LAB)
    assert decode_report(encode_report(report)) == report
    assert decode_report(encode_report(Report(Outcome.COMPLETE, 1.0))).source == ""


def test_a_horizon_is_as_old_as_its_oldest_source() -> None:
    young, old = Horizon(at(5), at(5), "", at(5)), Horizon(at(3), at(2), "", at(1))
    moved = young.moved(LAB, old, ["", LAB])
    assert (moved.whole_at, moved.swept_by_all_at) == (at(1), at(2))
    assert moved.moved("", young, ["", "new"]).others == {"new": Horizon()}
    assert moved.moved("", young, ["", "new"]).whole_at is None


@pytest.mark.store
async def test_a_dry_run_over_several_sources_writes_nothing(tmp_path: Path) -> None:
    first, lab = Fallible({1: None}), Fallible({1: a_manifest("stock", "b", "s", "x", 1)})
    store = await open_store(fresh(tmp_path))
    passes = Passes(two(first, lab, store))
    wishes = [PassOptions(dry_run=True, source=name) for name in ("", LAB)]
    done = await passes.run_all(wishes)
    assert done.report.entities["Component"] == 1
    assert await store.model.digests(SOURCE) == {}
    await store.close()
