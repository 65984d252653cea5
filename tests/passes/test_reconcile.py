"""What is known after a scrape: a gap is not an absence."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.model.entities import Draft
from bridge.model.manifests import Translation, Verdict
from bridge.model.memory import KnownManifest, KnownProject, Memory
from bridge.model.moments import iso
from bridge.model.problems import Problem
from bridge.model.scrape import (
    Coverage,
    Gap,
    ManifestFile,
    ProjectGone,
    ProjectSkipped,
    Record,
    ScrapeEnd,
)
from bridge.passes.reasons import gap_problem, problems_of
from bridge.passes.reconcile import Reconciliation, remember, translated_manifests
from tests.fakes import NOON, WordTranslator, at, project, read
from tests.laws import examples

FULL = ScrapeEnd(Coverage.FULL)


def after(
    before: Memory, *records: Record, end: ScrapeEnd = FULL, minute: int = 1
) -> tuple[Memory, Reconciliation]:
    recollection = Reconciliation(before, WordTranslator(), at(minute))
    for record in (*records, end):
        recollection.take(record)
    return recollection.finish(), recollection


def texts(memory: Memory) -> set[str]:
    """The names that are still spoken of."""
    return {m.translation.drafts[0].body["metadata"]["name"] for m in translated_manifests(memory)}


def known(*names: str) -> Memory:
    memory, _ = after(Memory(), *(read(i, name) for i, name in enumerate(names, 1)), minute=0)
    return memory


def problems(memory: Memory) -> list[Problem]:
    found = memory.manifests.values()
    return [p for each in found for p in problems_of(memory.projects[each.project_id], each)]


def test_a_project_that_could_not_be_read_keeps_everything_and_says_since_when() -> None:
    first, _ = after(known("a", "b"), Gap("403", 1, "group/p1"), read(2, "b"), minute=1)
    second, recollection = after(first, Gap("502", 1, "group/p1"), read(2, "b"), minute=2)
    assert texts(second) == {"a", "b"}
    assert second.projects[1].gap_since == at(1)
    assert second.projects[1].gap_reason == "502"
    assert not recollection.complete
    (problem,) = [gap_problem(each) for each in second.projects.values() if each.gap_since]
    assert problem is not None
    assert problem.message == (
        f"could not be read since {iso(at(1))} (502); "
        f"what was known of it since {iso(NOON)} is kept"
    )


def test_a_project_that_can_be_read_again_loses_its_gap() -> None:
    gap, _ = after(known("a"), Gap("403", 1))
    healed, recollection = after(gap, read(1, "a"))
    assert healed.projects[1].gap_since is None
    assert recollection.complete


def test_a_file_that_is_gone_from_a_readable_repository_is_removed_with_a_reason() -> None:
    memory, recollection = after(known("a"), read(1, None))
    assert texts(memory) == set()
    assert [p.rule for p in recollection.problems] == ["manifest-removed"]


def test_a_project_missing_from_a_complete_enumeration_is_gone() -> None:
    memory, recollection = after(known("a", "b"), read(2, "b"))
    assert texts(memory) == {"b"}
    assert "complete list" in recollection.problems[0].message
    assert recollection.complete


def test_a_project_missing_from_a_holed_enumeration_is_kept() -> None:
    memory, recollection = after(known("a", "b"), Gap("page 3 lost"), read(2, "b"))
    assert texts(memory) == {"a", "b"}
    assert recollection.unreadable == {1}
    assert not recollection.complete


def test_a_project_not_seen_by_an_incremental_scrape_is_unchanged() -> None:
    memory, recollection = after(known("a", "b"), read(2, "c"), end=ScrapeEnd(Coverage.CHANGES))
    assert texts(memory) == {"a", "c"}
    assert recollection.complete


def test_archived_and_deleted_projects_are_left_out_with_their_reason() -> None:
    memory, recollection = after(
        known("a", "b"), ProjectSkipped(project(1), "it is archived"), ProjectGone(2, "404 by id")
    )
    assert texts(memory) == set()
    said = " ".join(problem.message for problem in recollection.problems)
    assert "archived" in said
    assert "404" in said


def test_a_project_that_is_left_out_stays_known_with_its_reason_until_it_is_read_again() -> None:
    left, _ = after(known("a", "b"), ProjectSkipped(project(1), "archived"), read(2, "b"))
    assert left.projects[1] == KnownProject(project(1), None, left_out="archived")
    again, quiet = after(left, ProjectSkipped(project(1), "archived"), read(2, "b"))
    assert again.projects[1] is left.projects[1], "nothing to write for it"
    assert quiet.problems == []
    holed, partly = after(left, Gap("page 1 lost"), read(2, "b"))
    assert holed.projects[1] is left.projects[1], "nothing of it is missed"
    assert partly.unreadable == set()
    lost, _ = after(left, Gap("403", 1), read(2, "b"))
    assert (lost.projects[1].left_out, lost.projects[1].gap_reason) == ("", "403")
    back, _ = after(left, read(1, "a"), read(2, "b"))
    assert texts(back) == {"a", "b"}
    assert back.projects[1].left_out == ""
    gone, _ = after(left, read(2, "b"))
    assert set(gone.projects) == {2}


def test_a_broken_manifest_keeps_its_last_good_translation_until_it_is_mended() -> None:
    broken, _ = after(known("a"), read(1, "broken"), minute=1)
    still, _ = after(broken, read(1, "broken"), minute=2)
    (kept,) = translated_manifests(still)
    assert (kept.kept_since, kept.oid) == (at(1), "oid-a")
    assert [p.rule for p in problems(still)] == ["broken"]
    mended, _ = after(still, read(1, "a2"), minute=3)
    (current,) = translated_manifests(mended)
    assert (current.kept_since, current.held_since) == (None, NOON)


def test_a_manifest_that_never_was_valid_gives_nothing() -> None:
    memory, _ = after(Memory(), read(1, "broken"))
    assert translated_manifests(memory) == ()


def test_a_manifest_that_turns_out_foreign_is_dropped_with_a_reason() -> None:
    memory, _ = after(known("a"), read(1, "foreign"))
    assert translated_manifests(memory) == ()
    assert "not ours" in problems(memory)[0].message


def test_an_unchanged_blob_is_translated_once() -> None:
    translator = WordTranslator()
    memory = Memory()
    for minute in range(3):
        recollection = Reconciliation(memory, translator, at(minute))
        for record in (read(1, "a"), read(2, "broken"), FULL):
            recollection.take(record)
        memory = recollection.finish()
    assert translator.calls == ["a", "broken"]


def test_a_renamed_project_keeps_its_claim() -> None:
    renamed = read(1, "a")
    moved = type(renamed)(type(renamed.project)(1, "elsewhere/p1"), renamed.files)
    memory, _ = after(known("a"), moved, minute=5)
    (current,) = translated_manifests(memory)
    assert (current.project.path, current.held_since) == ("elsewhere/p1", NOON)


def test_an_unchanged_project_keeps_its_row_so_that_nothing_is_written_for_it() -> None:
    before = known("a", "b")
    memory, _ = after(before, read(1, "a"), read(2, "b"), minute=9)
    assert (memory.projects, memory.manifests) == (before.projects, before.manifests)


outcomes = st.sampled_from(["read", "gap", "lost"])


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.lists(outcomes, min_size=4, max_size=4), max_size=4), st.randoms())
def test_no_sequence_of_failures_ever_deletes(
    passes: Sequence[Sequence[str]], random: object
) -> None:
    """Law: while every project stands, whatever mixture of gaps comes, everything is kept."""
    names = ("a", "b", "c", "d")
    memory = known(*names)
    for number, fates in enumerate(passes):
        records: list[Record] = []
        for index, (name, fate) in enumerate(zip(names, fates, strict=True), 1):
            if fate == "read":
                records.append(read(index, name))
            elif fate == "gap":
                records.append(Gap("502", index))
            else:
                records.append(Gap("a page was lost"))
        random.shuffle(records)  # type: ignore[attr-defined]
        memory, recollection = after(memory, *records, minute=number + 1)
        assert texts(memory) == set(names)
        assert recollection.complete == all(fate == "read" for fate in fates)


def test_what_a_part_that_cannot_be_used_gave_before_is_kept_until_the_text_is_whole() -> None:
    def of(*names: str, partial: bool = False) -> Translation:
        bodies = [{"kind": "Component", "metadata": {"name": name}} for name in names]
        drafts = tuple(Draft(body) for body in bodies)
        return Translation(Verdict.VALID, "f", drafts=drafts, partial=partial)

    def said(known: KnownManifest) -> list[str]:
        return [draft.body["metadata"]["name"] for draft in known.current.drafts]

    file = ManifestFile("qm.yaml", "o", 1, "x")
    first = remember(None, 1, file, of("a", "b", "c"), at(0))
    second = remember(first, 1, file, of("a", "d", partial=True), at(1))
    assert said(second) == ["a", "d", "b", "c"]
    third = remember(second, 1, file, of("a", partial=True), at(2))
    assert said(third) == ["a", "d", "b", "c"]
    broken = remember(third, 1, file, Translation(Verdict.QUARANTINED, "f"), at(3))
    again = remember(broken, 1, file, of("e", partial=True), at(4))
    assert said(again) == ["e", "a", "d", "b", "c"]
    assert (again.held_since, again.good) == (NOON, None)
    assert said(remember(again, 1, file, of("e"), at(5))) == ["e"]


def test_a_gap_that_comes_after_its_project_was_read_is_older_news() -> None:
    memory, recollection = after(known("a"), read(1, "new"), Gap("502", 1, "group/p1"))
    assert texts(memory) == {"new"}
    assert memory.projects[1].gap_since is None
    assert recollection.complete


def test_only_a_left_out_project_that_described_something_is_spoken_of() -> None:
    without_manifest, _ = after(Memory(), read(1, None))
    for before in (without_manifest, Memory()):
        memory, recollection = after(before, ProjectSkipped(project(1), "archived"))
        assert memory.projects[1].left_out == "archived"
        assert recollection.problems == []


def test_who_is_no_longer_listed_is_told_with_both_of_its_possible_reasons() -> None:
    _, recollection = after(known("a"))
    (problem,) = recollection.problems
    assert "it was deleted, or this token is no longer shown it" in problem.message


def test_a_gap_of_which_only_the_number_is_known_settles_nothing() -> None:
    """What another scrape knows of that project stands, be it a gap with a path."""
    _, recollection = after(known("a"), read(1, "a"), Gap("502", 2), Gap("502", 3, "group/p3"))
    assert recollection.seen == {1, 2, 3}
    assert recollection.settled == {1, 3}
