"""A pass from end to end, with fakes behind the ports."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.errors import SourceError
from bridge.model.entities import Catalog, CatalogEntity, Ref
from bridge.model.manifests import AggregatedManifests
from bridge.model.memory import Memory
from bridge.model.runs import Artifact, Outcome, Processed
from bridge.model.scrape import Coverage, Gap, ProjectSkipped, Record
from bridge.model.statements import Taken
from bridge.passes import intake, pipeline
from bridge.passes.makers import EntityMaker
from bridge.passes.merge import Guard
from bridge.passes.runner import Passes
from bridge.passes.stages import Pass, PassOptions, Stages
from bridge.ports import Processor
from bridge.store import open_store
from tests.fakes import (
    NOON,
    ListScraper,
    RecordingExporter,
    WordMaker,
    WordRenderer,
    WordTranslator,
    fresh,
    project,
    read,
    words_in,
)

pytestmark = pytest.mark.store


class Bench:
    """One store and destination, and passes over them, each by a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.url = fresh(folder)
        self.exporters = [RecordingExporter()]
        self.guard = Guard()
        self.processors: list[Processor] = []

    def make(
        self,
        *records: Record | Exception,
        wish: PassOptions | None = None,
        coverage: Coverage = Coverage.FULL,
    ) -> Pass:
        scraper = ListScraper(records, coverage=coverage)
        return asyncio.run(self._make(scraper, wish or PassOptions()))

    async def _make(self, scraper: ListScraper, wish: PassOptions) -> Pass:
        store = await open_store(self.url)
        try:
            stages = Stages(
                scraper,
                WordTranslator(),
                WordMaker(),
                WordRenderer(),
                self.exporters,
                store,
                lambda: NOON,
                processors=self.processors,
                guard=self.guard,
            )
            passes = Passes(stages)
            done = await passes.with_problems(await passes.run(wish))
            self.known = await done.known()
        finally:
            await store.close()
        return done

    @property
    def published(self) -> Sequence[str]:
        return words_in(self.exporters[0].published[-1])

    @property
    def catalog(self) -> list[str]:
        return [str(entity.ref) for entity in self.known.catalog.entities]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_complete_pass_publishes_remembers_and_reports(bench: Bench) -> None:
    report = bench.make(read(1, "a"), read(2, None), read(3, "broken")).report
    assert report.outcome is Outcome.COMPLETE
    assert report.outcome.exit_code == 0
    assert dict(report.projects) == {"seen": 3, "with_manifest": 2, "unreadable": 0}
    assert dict(report.manifests) == {"valid": 1, "quarantined": 1, "ignored": 0}
    assert dict(report.entities) == {"Component": 1}
    assert report.gitlab_requests == 3
    assert bench.published == ["component:default/a"]
    assert bench.known.record is not None
    assert bench.known.record.report == report


def test_a_small_passs_figures_stand_beside_those_of_all_projects(bench: Bench) -> None:
    """After a push, and while GitLab is away, everything is counted that is known."""
    fork = ProjectSkipped(project(5), "a fork")
    whole = bench.make(read(1, "a"), read(2, None), read(3, "b"), Gap("403", 4, "x/y"), fork)
    fleet = {"seen": 5, "with_manifest": 2, "unreadable": 1}
    assert dict(whole.report.projects) == fleet
    assert dict(whole.report.this_pass) == {"seen": 5, "unreadable": 1}
    pushed = bench.make(read(1, "a2"), coverage=Coverage.SELECTED).report
    assert (dict(pushed.projects), dict(pushed.this_pass)) == (fleet, {"seen": 1, "unreadable": 0})
    # Only a listing of what changed holds archived projects.
    archived = ProjectSkipped(replace(project(6), archived=True), "archived")
    quiet = bench.make(archived, coverage=Coverage.CHANGES).report
    assert (dict(quiet.projects), dict(quiet.this_pass)) == (fleet, {"seen": 1, "unreadable": 0})
    assert quiet.as_json()["this_pass"] == {"seen": 1, "unreadable": 0}
    failed = bench.make(SourceError("down")).report
    assert failed.outcome is Outcome.FAILED
    assert dict(failed.projects) == fleet
    assert dict(failed.entities) == {"Component": 2}
    assert dict(failed.manifests) == {"valid": 2, "quarantined": 0, "ignored": 0}


def test_a_gap_makes_the_pass_incomplete_and_keeps_the_entity(bench: Bench) -> None:
    bench.make(read(1, "a"), read(2, "b"))
    report = bench.make(Gap("403", 1), read(2, "b")).report
    assert report.outcome is Outcome.INCOMPLETE
    assert report.outcome.exit_code == 3
    assert bench.published == ["component:default/a", "component:default/b"]


@pytest.mark.parametrize("records", [(SourceError("401"),), (read(1, "x"), SourceError("gone"))])
def test_a_source_that_fails_publishes_nothing_and_forgets_nothing(
    bench: Bench,
    records: tuple[Record | Exception, ...],
) -> None:
    bench.make(read(1, "a"))
    memory = bench.known.memory
    done = bench.make(*records)
    assert done.report.outcome is Outcome.FAILED
    assert done.report.failure
    assert len(bench.exporters[0].published) == 1
    assert bench.known.memory.manifests.keys() >= memory.manifests.keys()
    assert bench.known.memory.horizon == memory.horizon
    assert bench.catalog == ["component:default/a"]


def test_what_a_first_sweep_read_before_it_broke_off_is_not_worked_out_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "BATCH", 1)
    assert bench.make(read(1, "a"), SourceError("gone")).report.outcome is Outcome.FAILED
    anew: list[int] = []

    def worked_out(
        before: Memory, now: Memory, maker: EntityMaker, *, whole: bool = False
    ) -> Taken:
        anew.extend(now.projects)
        return intake.difference(before, now, maker, whole=whole)

    monkeypatch.setattr(pipeline, "difference", worked_out)
    bench.make(read(1, "a"), read(2, "b"))
    assert anew == []
    assert bench.published == ["component:default/a", "component:default/b"]


def test_a_dry_run_writes_and_remembers_nothing(bench: Bench) -> None:
    done = bench.make(read(1, "a"), wish=PassOptions(dry_run=True))
    assert done.report.published[0].written == 2
    assert bench.exporters[0].published == []
    bench.make(SourceError("down"))
    assert bench.known.memory.projects == {}


def test_one_refusing_destination_does_not_hold_up_another(bench: Bench) -> None:
    bench.exporters.append(RecordingExporter("gs://gone", refuse=True))
    report = bench.make(read(1, "a")).report
    assert report.outcome is Outcome.INCOMPLETE
    assert bench.published == ["component:default/a"]
    assert any("gs://gone" in problem.message for problem in report.problems)


def test_when_every_destination_refuses_the_pass_fails_and_is_made_good(
    bench: Bench,
) -> None:
    bench.make(read(1, "a"))
    bench.exporters[0].refuse = True
    done = bench.make(read(1, "a"), read(2, "b"))
    assert done.report.outcome is Outcome.FAILED
    assert bench.published == ["component:default/a"]
    bench.exporters[0].refuse = False
    assert bench.make(read(1, "a"), read(2, "b")).report.outcome is Outcome.COMPLETE
    assert bench.published == ["component:default/a", "component:default/b"]


def test_too_many_removals_are_withheld_until_accepted_while_additions_go_out(bench: Bench) -> None:
    bench.guard = Guard(share=0.2, at_least=2)
    bench.make(*(read(i, f"c{i}") for i in range(1, 6)))
    report = bench.make(read(1, "c1"), read(6, "new")).report
    assert report.outcome is Outcome.INCOMPLETE
    assert report.problems[0].rule == "removals-withheld"
    assert "--accept-removals" in report.problems[0].message
    assert len(bench.published) == 6
    again = bench.make(read(1, "c1"), read(6, "new")).report
    assert again.problems[0].rule == "removals-withheld"
    accepted = bench.make(read(1, "c1"), read(6, "new"), wish=PassOptions(accept_removals=True))
    assert accepted.report.outcome is Outcome.COMPLETE
    assert bench.published == ["component:default/c1", "component:default/new"]


def test_a_few_removals_go_through(bench: Bench) -> None:
    bench.guard = Guard(share=0.2, at_least=2)
    bench.make(*(read(i, f"c{i}") for i in range(1, 6)))
    report = bench.make(*(read(i, f"c{i}") for i in range(1, 5))).report
    assert report.outcome is Outcome.COMPLETE
    assert len(bench.published) == 4


class Poster:
    """A processor that makes one file."""

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self._path = path

    def process(self, manifests: object) -> Processed:
        return Processed((Artifact(self._path, self.name.encode(), "text/plain"),))


def test_two_processors_that_make_the_same_file_are_reported(bench: Bench) -> None:
    bench.processors += [Poster("one", "x.txt"), Poster("two", "x.txt")]
    done = bench.make(read(1, "a"))
    (body,) = [a.body for a in bench.exporters[0].published[-1] if a.path == "x.txt"]
    assert body == b"one"
    assert [p.rule for p in done.report.problems] == ["artifact-collision"]


def test_a_pass_without_destinations_is_complete_and_remembered(bench: Bench) -> None:
    bench.exporters = []
    report = bench.make(read(1, "a")).report
    assert report.outcome is Outcome.COMPLETE
    assert report.published == ()
    assert bench.known.record is not None
    assert bench.known.record.report == report


class Titler:
    """Makes entities of its own: one that manifests speak of, and another."""

    name = "titles"

    def process(self, manifests: AggregatedManifests) -> Processed:
        bodies = [
            {"kind": "Component", "metadata": {"name": name}, "title": "second"}
            for name in ("a", "extra")
        ]
        entities = (CatalogEntity(Ref.of(body), body, ()) for body in bodies)
        return Processed(catalog=Catalog(tuple(entities)))


def test_what_a_processor_makes_stands_where_no_manifest_speaks_of_it(bench: Bench) -> None:
    bench.processors = [Titler()]
    bench.make(read(1, "a"))
    bodies = {entity.ref.name: entity.body for entity in bench.known.catalog.entities}
    assert bodies.keys() == {"a", "extra"}
    assert bodies["extra"]["title"] == "second"


def test_a_refusal_says_when_the_pass_is_to_be_made_again(bench: Bench) -> None:
    assert bench.make(read(1, "a")).retry_in is None
    bench.exporters = [RecordingExporter(refuse=True)]
    assert bench.make(read(1, "a")).retry_in == 60
    bench.exporters = [RecordingExporter("b", refuse=True), RecordingExporter(busy_for=7.5)]
    assert bench.make(read(1, "a")).retry_in == 7.5


def test_each_publish_carries_a_larger_number(bench: Bench) -> None:
    bench.make(read(1, "a"))
    bench.make(read(1, "b"))
    first, second = bench.exporters[0].marks
    assert (first.source, second.store) == ("https://gitlab.test", first.store)
    assert second.fence > first.fence
