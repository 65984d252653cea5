"""A pass from end to end, with fakes behind the ports."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from bridge.errors import SourceError
from bridge.model.entities import Catalog
from bridge.model.manifests import AggregatedManifests
from bridge.model.runs import Artifact, Outcome, Processed
from bridge.model.scrape import Coverage, Gap, ProjectSkipped, Record
from bridge.passes.pipeline import Guard, Pass, PassOptions, Stages, run_pass
from bridge.ports import Processor
from tests.fakes import (
    NOON,
    DictStore,
    ListScraper,
    RecordingExporter,
    WordProcessor,
    WordTranslator,
    project,
    read,
    render_words,
)


class Bench:
    """One store and destination, and passes over them."""

    def __init__(self, *exporters: RecordingExporter, guard: Guard | None = None) -> None:
        self.exporters: tuple[RecordingExporter, ...] = exporters or (RecordingExporter(),)
        self.store = DictStore()
        self.guard = guard or Guard()
        self.processors: list[Processor] = [WordProcessor()]

    def make(
        self,
        *records: Record | Exception,
        wish: PassOptions | None = None,
        coverage: Coverage = Coverage.FULL,
    ) -> Pass:
        stages = Stages(
            ListScraper(records, coverage=coverage),
            WordTranslator(),
            self.processors,
            self.exporters,
            self.store,
            render_words,
            lambda: NOON,
            self.guard,
        )
        return asyncio.run(run_pass(stages, wish))

    @property
    def published(self) -> Sequence[str]:
        return self.exporters[0].published[-1][0].body.decode().splitlines()


def test_a_complete_pass_publishes_remembers_and_reports() -> None:
    bench = Bench()
    report = bench.make(read(1, "a"), read(2, None), read(3, "broken")).record.report
    assert report.outcome is Outcome.COMPLETE
    assert report.outcome.exit_code == 0
    assert dict(report.projects) == {"seen": 3, "with_manifest": 2, "unreadable": 0}
    assert dict(report.manifests) == {"valid": 1, "quarantined": 1, "ignored": 0}
    assert dict(report.entities) == {"Component": 1}
    assert report.gitlab_requests == 3
    assert bench.published == ["component:default/a"]
    assert bench.store.records["https://gitlab.test"].report == report


def test_a_small_passs_figures_stand_beside_those_of_all_projects() -> None:
    """After a push, and while GitLab is away, everything is counted that is known."""
    bench = Bench()
    fork = ProjectSkipped(project(5), "a fork")
    whole = bench.make(read(1, "a"), read(2, None), read(3, "b"), Gap("403", 4, "x/y"), fork)
    fleet = {"seen": 5, "with_manifest": 2, "unreadable": 1}
    assert dict(whole.record.report.projects) == fleet
    assert dict(whole.record.report.this_pass) == {"seen": 5, "unreadable": 1}
    pushed = bench.make(read(1, "a2"), coverage=Coverage.SELECTED).record.report
    assert (dict(pushed.projects), dict(pushed.this_pass)) == (fleet, {"seen": 1, "unreadable": 0})
    # Only a listing of what changed holds archived projects.
    archived = ProjectSkipped(replace(project(6), archived=True), "archived")
    quiet = bench.make(archived, coverage=Coverage.CHANGES).record.report
    assert (dict(quiet.projects), dict(quiet.this_pass)) == (fleet, {"seen": 1, "unreadable": 0})
    assert quiet.as_json()["this_pass"] == {"seen": 1, "unreadable": 0}
    failed = bench.make(SourceError("down")).record.report
    assert failed.outcome is Outcome.FAILED
    assert dict(failed.projects) == fleet
    assert dict(failed.entities) == {"Component": 2}
    assert dict(failed.manifests) == {"valid": 2, "quarantined": 0, "ignored": 0}


def test_a_gap_makes_the_pass_incomplete_and_keeps_the_entity() -> None:
    bench = Bench()
    bench.make(read(1, "a"), read(2, "b"))
    report = bench.make(Gap("403", 1), read(2, "b")).record.report
    assert report.outcome is Outcome.INCOMPLETE
    assert report.outcome.exit_code == 3
    assert bench.published == ["component:default/a", "component:default/b"]


@pytest.mark.parametrize("records", [(SourceError("401"),), (read(1, "x"), SourceError("gone"))])
def test_a_source_that_fails_publishes_nothing_and_forgets_nothing(
    records: tuple[Record | Exception, ...],
) -> None:
    bench = Bench()
    bench.make(read(1, "a"))
    memory = dict(bench.store.memories)
    done = bench.make(*records)
    assert done.record.report.outcome is Outcome.FAILED
    assert done.record.report.failure
    assert len(bench.exporters[0].published) == 1
    assert bench.store.memories == memory
    assert [str(e.ref) for e in done.record.catalog.entities] == ["component:default/a"]


def test_a_dry_run_writes_and_remembers_nothing() -> None:
    bench = Bench()
    done = bench.make(read(1, "a"), wish=PassOptions(dry_run=True))
    assert done.record.report.published[0].written == 1
    assert bench.exporters[0].published == []
    assert bench.store.memories == {}


def test_one_refusing_destination_does_not_hold_up_another() -> None:
    bench = Bench(RecordingExporter(), RecordingExporter("gs://gone", refuse=True))
    report = bench.make(read(1, "a")).record.report
    assert report.outcome is Outcome.INCOMPLETE
    assert bench.published == ["component:default/a"]
    assert any("gs://gone" in problem.message for problem in report.problems)


def test_when_every_destination_refuses_the_pass_fails_and_the_old_catalog_counts() -> None:
    bench = Bench()
    bench.make(read(1, "a"))
    bench.exporters[0].refuse = True
    done = bench.make(read(1, "a"), read(2, "b"))
    assert done.record.report.outcome is Outcome.FAILED
    assert [str(e.ref) for e in done.record.catalog.entities] == ["component:default/a"]


def test_too_many_removals_are_withheld_until_accepted_while_additions_go_out() -> None:
    bench = Bench(guard=Guard(share=0.2, at_least=2))
    bench.make(*(read(i, f"c{i}") for i in range(1, 6)))
    report = bench.make(read(1, "c1"), read(6, "new")).record.report
    assert report.outcome is Outcome.INCOMPLETE
    assert report.problems[0].rule == "removals-withheld"
    assert "--accept-removals" in report.problems[0].message
    assert len(bench.published) == 6
    again = bench.make(read(1, "c1"), read(6, "new")).record.report
    assert again.problems[0].rule == "removals-withheld"
    accepted = bench.make(read(1, "c1"), read(6, "new"), wish=PassOptions(accept_removals=True))
    assert accepted.record.report.outcome is Outcome.COMPLETE
    assert bench.published == ["component:default/c1", "component:default/new"]


def test_a_few_removals_go_through() -> None:
    bench = Bench(guard=Guard(share=0.2, at_least=2))
    bench.make(*(read(i, f"c{i}") for i in range(1, 6)))
    report = bench.make(*(read(i, f"c{i}") for i in range(1, 5))).record.report
    assert report.outcome is Outcome.COMPLETE
    assert len(bench.published) == 4


class Poster:
    """A processor that makes one file."""

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self._path = path

    def process(self, manifests: object) -> Processed:
        return Processed((Artifact(self._path, self.name.encode(), "text/plain"),))


def test_two_processors_that_make_the_same_file_are_reported() -> None:
    bench = Bench()
    bench.processors += [Poster("one", "x.txt"), Poster("two", "x.txt")]
    done = bench.make(read(1, "a"))
    assert [a.body for a in done.artifacts if a.path == "x.txt"] == [b"one"]
    assert [p.rule for p in done.record.report.problems] == ["artifact-collision"]


def test_a_pass_without_destinations_is_complete_and_remembered() -> None:
    bench = Bench()
    bench.exporters = ()
    report = bench.make(read(1, "a")).record.report
    assert report.outcome is Outcome.COMPLETE
    assert report.published == ()
    assert bench.store.records["https://gitlab.test"].report == report


class Titler(WordProcessor):
    """Makes the same entities as another processor, with a title."""

    name = "titles"

    def process(self, manifests: AggregatedManifests) -> Processed:
        made = super().process(manifests)
        assert made.catalog is not None
        entities = (
            replace(entity, body={**entity.body, "title": "second"})
            for entity in made.catalog.entities
        )
        return Processed(catalog=Catalog(tuple(entities)))


def test_of_two_processors_that_make_an_entity_the_first_one_counts() -> None:
    bench = Bench()
    bench.processors = [WordProcessor(), Titler()]
    assert "title" not in bench.make(read(1, "a")).record.catalog.entities[0].body
    bench.processors.reverse()
    assert "title" in bench.make(read(1, "a")).record.catalog.entities[0].body


def test_a_refusal_says_when_the_pass_is_to_be_made_again() -> None:
    assert Bench().make(read(1, "a")).retry_in is None
    assert Bench(RecordingExporter(refuse=True)).make(read(1, "a")).retry_in == 60
    busy = RecordingExporter(busy_for=7.5)
    assert Bench(RecordingExporter("b", refuse=True), busy).make(read(1, "a")).retry_in == 7.5


def test_each_publish_carries_a_larger_number() -> None:
    bench = Bench()
    bench.make(read(1, "a"))
    bench.make(read(1, "b"))
    first, second = bench.exporters[0].marks
    assert (first.source, second.store) == ("https://gitlab.test", first.store)
    assert second.fence > first.fence
