"""What several processes do is what one does, and nothing stale or half comes of any."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bridge.errors import StoreConflict, StoreError
from bridge.model.entities import Body, CatalogEntity, Ref
from bridge.model.problems import Problem
from bridge.model.runs import Outcome
from bridge.model.scrape import ScrapeRequest
from bridge.model.statements import Linked, Statement
from bridge.model.work import Claim, Task
from bridge.passes import shared_task, sharing, task_sharing
from bridge.passes.stages import PassOptions, Stages
from bridge.store import SqlStore, open_store
from tests.fakes import WordMaker, fresh
from tests.passes.test_runner import FILES, Bench, Gitlab
from tests.passes.test_sharing import Shop, a_town

pytestmark = pytest.mark.store

NOWHERE = Ref("component", "default", "nowhere")
WORDS = [f"s{n:02}" for n in range(1, 15) if n not in {3, 5, 6}]


@dataclass(frozen=True)
class Counting(WordMaker):
    """Keeps which references it merged and checked, and has a word to say of each.

    All of them point nowhere: that is said as it is `judged`.
    """

    merged: list[str] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)

    def judging(self, judged: tuple[str, ...]) -> Counting:
        return replace(self, judged=judged)

    def targets(self, body: Body) -> frozenset[Ref]:
        return frozenset({NOWHERE})

    def dangling(
        self,
        linked: Linked,
        nearest: Mapping[Ref, Sequence[str]],
        statements: Sequence[Statement],
    ) -> Sequence[Problem]:
        self.checked.append(str(linked.entity.ref))
        return (Problem(f"{linked.entity.ref} is {self.judged}", "a-word"),)

    def merge(
        self, statements: Sequence[Statement]
    ) -> tuple[CatalogEntity | None, Sequence[Problem]]:
        ref = str(statements[0].ref)
        self.merged.append(ref)
        return super().merge(statements)[0], (Problem(f"of {ref}", "a-word"),)


class Merged(Shop):
    """A shop whose two makers tell what they merged."""

    their_maker: Counting

    def __init__(self, gitlab: Gitlab, store: SqlStore) -> None:
        self.our_maker = Counting(judged=("ours",))
        super().__init__(gitlab, store)
        self.their_maker = Counting()

    def stages(self) -> Stages:
        return replace(super().stages(), maker=self.our_maker)

    def rules(self, ours: str, theirs: str) -> None:
        """Other rules of merging from now on."""
        self.our_maker = replace(
            self.our_maker, fingerprint=ours, merges_by=ours, checks_by=ours, merged=[], checked=[]
        )
        self.their_maker = replace(
            self.their_maker, merges_by=theirs, checks_by=theirs, merged=[], checked=[]
        )
        self.passes.stages = self.stages()


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "PART", 4)
    monkeypatch.setattr(task_sharing, "PART", 4)
    monkeypatch.setattr(task_sharing, "LEAST", 8)


class Alone(Bench):
    def stages(self) -> Stages:
        return replace(super().stages(), maker=Counting(judged=("ours",)))


async def test_it_gives_what_one_that_merges_alone_gives(store: SqlStore, tmp_path: Path) -> None:
    """The same files, figures, changes and problems; and the leader has done nothing itself."""
    shop = Merged(a_town(), store)
    shared = await shop.passes.run(PassOptions())
    assert (shop.our_maker.merged, shop.our_maker.checked) == ([], [])
    for done in (shop.their_maker.merged, shop.their_maker.checked):
        assert sorted(done) == [f"component:default/{word}" for word in WORDS]

    other = await open_store(fresh(tmp_path, "alone.db"))
    alone = Alone(a_town(), other)
    told = await alone.passes.run(PassOptions())
    assert shop.published == alone.published
    assert shared.digests == told.digests
    assert shared.changes == told.changes
    assert len(shared.changes.put) == len(WORDS)
    assert shared.report.entities == told.report.entities
    name = shop.gitlab.name
    problems = await store.model.problems(name)
    assert problems == await other.model.problems(name)
    assert {f"component:default/{word} is ('ours',)" for word in WORDS} <= {
        each.message for each in problems
    }
    assert (await store.model.state(name)).figures == (await other.model.state(name)).figures
    _, *others = await store.parts.progress(name)
    assert [each.task for each in others] == [Task.MERGE, Task.CHECK]
    for each in others:
        assert (each.done, each.failed, each.left) == (3, 0, 0)
        assert (each.projects, each.projects_done) == (len(WORDS), len(WORDS))
    await other.close()


async def test_problems_that_others_wrote_are_told(store: SqlStore) -> None:
    """Those that the leader knew of before stand beside them, of which it has not heard."""
    shop = Merged(a_town(), store)
    name = shop.gitlab.name
    assert await store.model.problems(name) == []
    await shop.passes.run(PassOptions())
    found = {each.message for each in await store.model.problems(name)}
    assert {f"of component:default/{word}" for word in WORDS} <= found


async def test_problems_that_others_wrote_are_told_after_a_pass_that_broke_off(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were asked for before and meanwhile, when some were not written yet."""
    shop = Merged(a_town(), store)
    model, name, write = store.model, shop.gitlab.name, shop.write
    assert await model.problems(name) == []

    async def looked_at(claim: Claim) -> bool:
        await model.problems(name)
        return await write(claim)

    async def broken(source: str, edition: int) -> int:
        raise StoreError("lock timeout")

    shop.reader.write = looked_at
    monkeypatch.setattr(model, "written_by_others", broken)
    with pytest.raises(StoreError, match="lock timeout"):
        await shop.passes.run(PassOptions())
    monkeypatch.undo()
    shop.queue.hands_ = 0
    await shop.passes.run(PassOptions())
    found = {each.message for each in await model.problems(name)}
    assert {f"of component:default/{word}" for word in WORDS} <= found


async def test_with_other_rules_of_merging_the_others_merge_all_anew(store: SqlStore) -> None:
    shop = Merged(a_town(), store)
    await shop.passes.run(PassOptions())
    shop.rules("others", "others")
    await shop.passes.run(PassOptions())
    assert (len(shop.their_maker.merged), shop.our_maker.merged) == (len(WORDS), [])


async def test_few_are_sooner_merged_than_handed_out(store: SqlStore) -> None:
    """A push is merged by the leader, too, as it is read."""
    shop = Merged(a_town(6), store)
    await shop.passes.run(PassOptions())
    assert (len(shop.our_maker.merged), shop.their_maker.merged) == (3, [])
    shop.gitlab.texts |= {n: f"s{n:02}" for n in range(20, 40)}
    await shop.passes.run(PassOptions(request=ScrapeRequest(FILES, only=tuple(range(20, 40)))))
    assert (len(shop.our_maker.merged), shop.their_maker.merged) == (23, [])


async def test_where_nobody_else_is_it_merges_alone(store: SqlStore) -> None:
    shop = Merged(a_town(), store)
    shop.queue.hands_ = 0
    await shop.passes.run(PassOptions())
    assert (len(shop.our_maker.merged), shop.queue.put_) == (len(WORDS), [])


async def test_whose_rules_are_others_merges_nothing(store: SqlStore) -> None:
    """The leader does it, and why is told."""
    shop = Merged(a_town(), store)
    shop.rules("words", "others")
    done = await shop.passes.run(PassOptions())
    assert done.report.outcome is Outcome.COMPLETE
    assert (len(shop.our_maker.merged), shop.their_maker.merged) == (len(WORDS), [])
    _, merged, checked = await store.parts.progress(shop.gitlab.name)
    assert (merged.failed, merged.done, checked.failed, checked.done) == (3, 0, 3, 0)
    assert "merge.yaml" in merged.failures[0]
    assert "Backstage" in checked.failures[0]
    assert (len(shop.our_maker.checked), shop.their_maker.checked) == (len(WORDS), [])


async def test_what_nobody_could_merge_the_leader_merges(store: SqlStore) -> None:
    """It waits for no second try, and merges no more than that."""
    shop = Merged(a_town(), store)
    write = shop.write

    async def breaks(claim: Claim) -> bool:
        if claim.part.number == 1:
            raise ZeroDivisionError
        return await write(claim)

    shop.reader.write = breaks
    done = await shop.passes.run(PassOptions())
    assert done.report.outcome is Outcome.COMPLETE
    assert (len(shop.our_maker.merged), len(shop.their_maker.merged)) == (4, len(WORDS) - 4)
    assert shop.published == WORDS


async def test_a_job_that_was_lost_is_put_again(store: SqlStore) -> None:
    shop = Merged(a_town(), store)
    await shop.passes.run(PassOptions())
    shop.rules("others", "others")
    shop.queue.loses = 6  # those of reading, and then two
    await shop.passes.run(PassOptions())
    assert (len(shop.their_maker.merged), shop.our_maker.merged) == (len(WORDS), [])


async def test_when_nobody_takes_jobs_any_more_the_leader_merges_on(store: SqlStore) -> None:
    shop = Merged(a_town(), store)
    shop.queue.loses, shop.queue.alive = 99, False
    async with asyncio.timeout(20):
        done = await shop.passes.run(PassOptions())
    assert done.report.outcome is Outcome.COMPLETE
    assert (len(shop.our_maker.merged), shop.their_maker.merged) == (len(WORDS), [])


async def test_the_leader_waits_for_no_hands_that_live_and_take_nothing(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may hang, or be full; pushes wait while it waits."""
    monkeypatch.setattr(shared_task, "_IDLE", 20)
    shop = Merged(a_town(), store)
    await shop.passes.run(PassOptions())
    shop.rules("others", "others")
    waiting = set(range(4))

    async def known(sweep: int) -> dict[int, bool]:
        return dict.fromkeys(waiting, False)

    put = shop.queue.put

    async def never(queue: str, sweep: int, numbers: Sequence[int]) -> None:
        if len(shop.queue.put_) < 14:  # those of the pass before, and four that are read
            await put(queue, sweep, numbers)

    shop.queue.put, shop.queue.known = never, known  # type: ignore[method-assign,assignment]
    async with asyncio.timeout(20):
        done = await shop.passes.run(PassOptions())
    assert done.report.outcome is Outcome.COMPLETE
    assert (len(shop.our_maker.merged), shop.their_maker.merged) == (len(WORDS), [])


async def test_where_the_queue_breaks_the_leader_merges_on(store: SqlStore) -> None:
    """What others merged of it counts, and is merged no second time."""
    shop = Merged(a_town(), store)
    put = shop.queue.put

    async def breaks(queue: str, sweep: int, numbers: Sequence[int]) -> None:
        if len(shop.queue.put_) == 5:  # four that are read, one that is merged
            await asyncio.wait(set(shop.queue._tasks))
            raise StoreError("the queue is away")
        await put(queue, sweep, numbers)

    shop.queue.put = breaks  # type: ignore[method-assign,assignment]
    done = await shop.passes.run(PassOptions())
    assert done.report.outcome is Outcome.COMPLETE
    assert (len(shop.our_maker.merged), len(shop.their_maker.merged)) == (len(WORDS) - 4, 4)
    assert shop.published == WORDS
    assert done.changes.everything  # of what others merged before nobody told


async def test_where_another_process_writes_meanwhile_nobody_waits_for_what_is_refused(
    store: SqlStore,
) -> None:
    """The pass ends at once: each part is begun once, and none waits for a sign of life."""
    shop = overtaken_at_once(Merged(a_town(), store))
    with pytest.raises(StoreConflict):
        await shop.passes.run(PassOptions())
    merged = [number for _, number in shop.queue.put_[4:]]
    assert merged == [0, 1, 2]
    assert (shop.queue.looked, shop.exporter.published) == (0, [])


async def test_where_another_process_writes_meanwhile_nothing_more_is_handed_out(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_task, "_AHEAD", 1)
    shop = overtaken_at_once(Merged(a_town(), store))
    with pytest.raises(StoreConflict):
        await shop.passes.run(PassOptions())
    assert [number for _, number in shop.queue.put_[4:]] == [0]
    assert shop.exporter.published == []


def overtaken_at_once(shop: Merged) -> Merged:
    """Another process writes to the catalog before the first part is merged."""
    model, name, write = shop.passes.stages.store.model, shop.gitlab.name, shop.write

    async def overtaken(claim: Claim) -> bool:
        if claim.part.number == 0:
            await model.written_by_others(name, (await model.state(name)).edition)
        return await write(claim)

    shop.reader.write = overtaken
    return shop
