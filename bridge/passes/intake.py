"""Takes in a scrape part by part: records in, rows out, nothing held but who was seen.

What a record says of a project is settled against what the store knows of that project alone.
What was not seen is settled at the end, and only when nothing of the list of projects was lost.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from bridge.model.manifests import Verdict
from bridge.model.memory import Horizon, KnownManifest, KnownProject, ManifestKey, Memory
from bridge.model.numbers import FIRST, mark_in, mark_of
from bridge.model.problems import Problem
from bridge.model.scrape import (
    Coverage,
    Gap,
    ProjectRead,
    ProjectSkipped,
    Record,
    ScrapeEnd,
    bytes_of,
    number_of,
)
from bridge.model.statements import (
    Statement,
    Taken,
    about_discovery,
    about_manifest,
    about_project,
    about_reads,
)
from bridge.passes.discovery import told_twice
from bridge.passes.further import cut_short, kept_of, whole
from bridge.passes.ledger import Ledger
from bridge.passes.makers import EntityMaker
from bridge.passes.observed import Observations
from bridge.passes.reasons import enumeration_gap, gap_problem, problems_of
from bridge.passes.reconcile import Reconciliation, translated_manifest
from bridge.ports import Translator

BATCH = 200  # records that are taken in at once: a push may have to wait for them
_FIRST_BATCH = 10  # so many first: there is nothing else to do while GitLab answers
BATCH_BYTES = 16 << 20  # of text in them: what is more is taken in sooner
_NO_PROBLEMS: Final[Mapping[str, Sequence[Problem]]] = {}


class Overtaken(Exception):
    """Another pass settled the same projects while this one read; who was first cannot be told."""


@dataclass(slots=True, eq=False)
class Intake:
    """Takes in the records of one scrape. `lane` is where it notes what is to be merged.

    `elsewhere` are the projects that passes beside this one settled while it read. A pass that
    `yields` has to read them again (`Overtaken`); another one passes over them. `settled` hears
    which projects were written. `prepared` is the translator where it knows what other processes
    have translated. `source` is the one that is read, of all `sources`: what it does
    not show says nothing of the others' projects.
    """

    ledger: Ledger
    translator: Translator
    maker: EntityMaker
    now: datetime
    scope: str
    lane: str
    epoch: int
    horizon: Horizon
    observes: bool = True
    yields: bool = False
    source: str = FIRST
    sources: Collection[str] = (FIRST,)
    elsewhere: set[int] = field(default_factory=set)
    settled: Callable[[Intake, set[int]], None] = lambda intake, ids: None
    seen: set[int] = field(default_factory=set)
    changed: set[int] = field(default_factory=set)
    freed: set[int] = field(default_factory=set)  # which another source reads no more
    unreadable: dict[int, str] = field(default_factory=dict)  # with the reason
    nameless: set[int] = field(default_factory=set)  # unreadable, and nothing else is known
    problems: list[Problem] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)  # parts of the list of projects
    observations: Observations = field(default_factory=Observations)
    end: ScrapeEnd | None = None
    prepared: Translator | None = None
    _waiting: list[Record] = field(default_factory=list)
    _held: int = 0  # bytes of text in what waits
    _batch: int = _FIRST_BATCH

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for was read."""
        return self.end is not None and not self.unreadable and not self.lost

    async def take(self, record: Record) -> None:
        """Take in one record, sooner or later. Raises `StoreError`, `Overtaken`."""
        if isinstance(record, ScrapeEnd):
            self.end = record
            return
        self._waiting.append(record)
        self._held += bytes_of(record)
        if len(self._waiting) >= self._batch or self._held >= BATCH_BYTES:
            await self.flush()
            self._batch = min(BATCH, 2 * self._batch)

    async def flush(self) -> None:
        """Settle what waits."""
        records, self._waiting, self._held = self._waiting, [], 0
        if not records:
            return
        async with self.ledger.lock:
            ids = {number for record in records if (number := number_of(record)) is not None}
            if self.yields and ids & self.elsewhere:
                raise Overtaken
            settled = [r for r in records if number_of(r) not in self.elsewhere]
            self.seen |= ids & self.elsewhere
            await self._settle(settled, ids - self.elsewhere)

    async def settle_unseen(self) -> None:
        """After a full sweep: what was not seen is gone, or not known to be there."""
        await self.flush()
        if self.end is None or self.end.coverage is not Coverage.FULL:
            return
        async with self.ledger.lock:
            unseen = [
                number
                async for part in self.ledger.model.project_ids(self.ledger.source)
                for number in part
                if number not in self.seen and number not in self.elsewhere
            ]
            mine, standing = mark_of(self.source), {mark_of(name) for name in self.sources}
            await self._settle_unseen([each for each in unseen if mark_in(each) == mine])
            if self.source == FIRST:
                left = [each for each in unseen if mark_in(each) not in standing]
                await self._settle_unseen(left, "its GitLab is no longer one of the sources")

    async def forget_strangers(self) -> None:
        """After a full sweep: keep nothing that was read of projects that nobody knows.

        A destination tells of those of another source, which no sweep can find gone. Whoever calls
        it holds the ledger's lock. Raises `StoreError`, `StoreConflict`.
        """
        swept = self.end is not None and self.end.coverage is Coverage.FULL
        if not swept or self.lost or self.nameless:
            return
        source, reads = self.ledger.source, self.ledger.model.reads
        standing = {mark_of(name) for name in self.sources if name != self.source}
        ids = [n for n in await reads.strangers(source) if mark_in(n) not in standing]
        gone = [n for n in sorted(ids) if n not in self.seen and n not in self.elsewhere]
        if gone:
            await self.ledger.write(self.epoch, lambda edition: reads.forget(source, edition, gone))

    async def _settle_unseen(self, unseen: Sequence[int], why: str = "") -> None:
        """Settle projects that were not seen; with `why`, those of a source that is none now."""
        for start in range(0, len(unseen), BATCH):
            ids = set(unseen[start : start + BATCH])
            known = await self.ledger.model.known(self.ledger.source, ids)
            taking = self._reconciliation(known, ids)
            if why:
                taking.leave_out(ids, why)
            else:
                taking.settle_unseen(ids)
            await self._write(known, taking, ids)

    async def _settle(self, records: Sequence[Record], ids: set[int]) -> None:
        model, source = self.ledger.model, self.ledger.source
        marks = await model.marks(source, ids)
        told = [record for record in records if not self._says_nothing_new(record, marks)]
        for record in records:
            self._note(record)
        concerned = {number for record in told if (number := number_of(record)) is not None}
        known = await model.known(source, concerned & marks.keys())
        taking = self._reconciliation(known, concerned)

        told = await whole(told, source, model)

        def take() -> None:
            for record in told:
                taking.take(record)

        await asyncio.to_thread(take)
        beside = await self._keep_reads(records, told, taking)
        twice = {number: found for each in records for number, found in told_twice(each).items()}
        beside |= {about_discovery(number): found for number, found in twice.items()}
        changed = await self._not_as_told(beside)
        await self._write(known, taking, concerned, changed)
        self.freed |= {
            n for n, found in twice.items() if not found and about_discovery(n) in changed
        }
        self.settled(self, ids)

    async def _keep_reads(
        self, records: Sequence[Record], told: Sequence[Record], taking: Reconciliation
    ) -> dict[str, Sequence[Problem]]:
        """Keep what was read besides manifests, before what was made of it is written.

        Gives what is wrong with it, by what it is about.
        """
        read = {
            each.project.id: each
            for each in (*records, *told)
            if isinstance(each, ProjectRead) and each.reads is not None
        }
        source, model = self.ledger.source, self.ledger.model
        marks = await model.reads.marks(source, list(read)) if read else {}
        new = [
            each
            for number, each in read.items()
            if marks.get(number, ("", "")) != (each.tip, each.reads_key) or not each.tip
        ]
        if not new:
            return {}
        quiet = [each.project.id for each in new if each.project.id not in taking.projects]
        known = (await model.known(source, quiet)).manifests if quiet else {}
        by_project: dict[int, list[KnownManifest]] = {}
        for (number, _), manifest in {**known, **taking.manifests}.items():
            by_project.setdefault(number, []).append(manifest)
        kept = [kept_of(each, by_project.get(each.project.id, ())) for each in new]
        await self.ledger.write(self.epoch, lambda edition: model.reads.keep(source, edition, kept))
        return {about_reads(each.project.id): cut_short(each) for each in new}

    async def _not_as_told(
        self, found: Mapping[str, Sequence[Problem]]
    ) -> dict[str, Sequence[Problem]]:
        """Of problems, by what they are about, those that the store does not have just so."""
        before = await self.ledger.model.problems_about(self.ledger.source, found)
        return {
            about: now for about, now in found.items() if tuple(now) != tuple(before.get(about, ()))
        }

    def _note(self, record: Record) -> None:
        """Remember of a record what needs no row."""
        number = number_of(record)
        if number is None:
            return
        if isinstance(record, ProjectRead):
            if self.observes and record.observation is not None:
                self.observations.put(record.observation)
            self.unreadable.pop(number, None)
        if not isinstance(record, Gap):
            self.seen.add(number)

    def _says_nothing_new(
        self, record: Record, marks: Mapping[int, tuple[KnownProject, Mapping[str, str]]]
    ) -> bool:
        """Whether a project was read and is just as it is known."""
        if not isinstance(record, ProjectRead | ProjectSkipped):
            return False
        mark = marks.get(record.project.id)
        if mark is None:
            return False
        known, files = mark
        if isinstance(record, ProjectSkipped):
            return known == KnownProject(record.project, None, left_out=record.reason) and not files
        if known != KnownProject(record.project, known.read_at) or not known.read_at:
            return False
        now = {
            file.path: self.translator.fingerprint(record.project, file) for file in record.files
        }
        return now == files

    def _reconciliation(self, known: Memory, ids: set[int]) -> Reconciliation:
        """What settles some records: it knows who of them was seen before in this scrape."""
        before = Memory(known.projects, known.manifests, self.horizon)
        made = Reconciliation(before, self.prepared or self.translator, self.now, self.scope)
        made.seen = self.seen & ids
        made.unreadable = self.unreadable.keys() & ids
        made.enumeration_lost = list(self.lost)
        return made

    async def _write(
        self,
        known: Memory,
        taking: Reconciliation,
        ids: set[int],
        beside: Mapping[str, Sequence[Problem]] = _NO_PROBLEMS,
    ) -> None:
        """Write what is known now, and the problems that were found `beside` it."""
        self.seen |= taking.seen
        self.lost = taking.enumeration_lost
        self.problems += taking.problems
        for number in ids:
            self.unreadable.pop(number, None)
        for number in taking.unreadable:
            self.unreadable[number] = taking.reasons.get(number, "it could not be read")
            if number not in taking.projects:
                self.nameless.add(number)
        now = Memory(taking.projects, taking.manifests)
        # A sweep takes hours: the rules may be others by now.
        maker = self.ledger.maker or self.maker
        taken = await asyncio.to_thread(difference, known, now, maker)
        if taken or beside:
            source = self.ledger.source
            whole = replace(taken, problems={**taken.problems, **beside})
            await self.ledger.write(
                self.epoch,
                lambda edition: self.ledger.model.take(source, edition, whole, self.lane),
            )
        if taken:
            self.ledger.undescribed |= ids
            self.changed |= ids

    def reports_of(self) -> list[Problem]:
        """What this scrape itself has to tell."""
        return [*self.problems, *map(enumeration_gap, self.lost)]


def difference(before: Memory, now: Memory, maker: EntityMaker, *, whole: bool = False) -> Taken:
    """What is to be written so that what was known before becomes what is known now.

    With `whole`, everything that is known now is.
    """
    projects = [
        each
        for number, each in now.projects.items()
        if whole or not _same(before.projects.get(number), each)
    ]
    manifests = [
        each
        for key, each in now.manifests.items()
        if whole or not _same(before.manifests.get(key), each)
    ]
    moved = {each.project.id for each in projects}
    speaking = {(each.project_id, each.file): each for each in manifests}
    # What a manifest says names its project: one that was renamed says something else.
    speaking |= {key: each for key, each in now.manifests.items() if key[0] in moved}
    gone = [key for key in before.manifests if key not in now.manifests]
    statements: dict[ManifestKey, Sequence[Statement]] = dict.fromkeys(gone, ())
    problems: dict[str, Sequence[Problem]] = {about_manifest(*key): () for key in gone}
    for key, each in speaking.items():
        known = now.projects[key[0]]
        statements[key], problems[about_manifest(*key)] = said(known, each, maker)
    left = before.projects.keys() - now.projects.keys()
    problems |= _of_projects(before, projects, left)
    figures = counted(now)
    if not whole:
        figures.subtract(counted(before))
    return Taken(
        projects,
        sorted(left),
        manifests,
        gone,
        statements,
        problems,
        {name: count for name, count in figures.items() if count},
    )


def _of_projects(
    before: Memory, changed: Sequence[KnownProject], left: Collection[int]
) -> dict[str, Sequence[Problem]]:
    """What is wrong with projects themselves; nothing with those that `left`."""
    problems: dict[str, Sequence[Problem]] = {}
    for number in left:
        problems[about_project(number)] = ()
        problems[about_discovery(number)] = ()
        problems[about_reads(number)] = ()
    for project in changed:
        had = before.projects.get(project.project.id)
        if project.gap_since or (had is not None and had.gap_since):
            problem = gap_problem(project)
            problems[about_project(project.project.id)] = (problem,) if problem else ()
    return problems


def _same(before: object, now: object) -> bool:
    return before is now or before == now


def said(
    known: KnownProject, manifest: KnownManifest, maker: EntityMaker
) -> tuple[Sequence[Statement], Sequence[Problem]]:
    """What a manifest says of entities as things stand, and what is wrong with it."""
    found = problems_of(known, manifest)
    translated = translated_manifest(known, manifest)
    if translated is None:
        return (), found
    statements, broken = maker.statements(translated)
    return statements, (*found, *broken)


def counted(memory: Memory) -> Counter[str]:
    """The figures of a part of what is known. Groups, below zero, are no projects."""
    figures: Counter[str] = Counter()
    # Archived projects that are left out do not count: a full sweep may not list them, and a
    # listing of what changed does.
    figures["projects.seen"] = sum(
        number >= 0 and not (each.left_out and each.project.archived)
        for number, each in memory.projects.items()
    )
    figures["projects.unreadable"] = sum(bool(e.gap_since) for e in memory.projects.values())
    figures["projects.with_manifest"] = len({key[0] for key in memory.manifests if key[0] >= 0})
    for verdict in Verdict:
        figures[f"manifests.{verdict.value}"] = 0
    for (number, _), each in memory.manifests.items():
        figures[f"manifests.{each.current.verdict.value}"] += number >= 0
    return figures
