"""Reads more of repositories than their roots' manifests: nested ones, and what manifests name.

A repository whose last commit is the one that was read is not asked about at all. Of another one
object ids are asked for first, and texts of those alone that were never read; see `further_ahead`
for one of which nothing was. What cannot be had is a gap of its project: the manifest is taken when
all that it names is at hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from bridge.language.names import nearest
from bridge.model.reads import KnownReads, ReadFile, ReadKind, Reads
from bridge.model.scrape import FurtherReads, Gap, ProjectRead
from bridge.scrapers.bounds import (
    MANIFESTS_LIMIT,
    NAMED_LIMIT,
    NEAREST_LIMIT,
    PATHS_LIMIT,
)
from bridge.scrapers.gitlab.client import GitLabClient
from bridge.scrapers.gitlab.files import Unclear, found_at, nodes_of
from bridge.scrapers.gitlab.further_ahead import Ahead, AheadOf
from bridge.scrapers.gitlab.further_asking import Asking, about_paths, about_texts, id_parts
from bridge.scrapers.gitlab.further_folders import Folders
from bridge.scrapers.gitlab.further_jobs import (
    BYTES_LIMIT,
    Job,
    JobAsking,
    as_manifest,
    finished,
)
from bridge.scrapers.gitlab.further_queries import Asked, Question
from bridge.scrapers.gitlab.pages import commit_of

# Projects that are asked about together: more fill the requests better, and the first ones are
# not to wait for as many.
BATCH: Final = 500
FIRST_BATCH: Final = 10
BATCH_BYTES: Final = 16 * 1024 * 1024  # of manifests of projects that wait to be asked about
TEXTS_LIMIT: Final = 16 * 1024 * 1024  # of further texts of several projects together
_NOT_AHEAD: Final = AheadOf()
_NOTHING: Final[Mapping[int, Sequence[str]]] = {}

Finished: TypeAlias = ProjectRead | Gap


class FurtherReading:
    """Completes the records of one crawl. `limit` is what a request may cost; `spare` requests may
    be sent to be done sooner.
    """

    def __init__(
        self,
        client: GitLabClient,
        further: FurtherReads,
        branch_of: Callable[[str], str],
        limit: int,
        spare: int = 0,
    ) -> None:
        self._further = further
        self._branch_of = branch_of
        self._asking = JobAsking(Asking(client, limit, spare))
        self._folders = Folders(self._asking)
        self._ahead = Ahead(further.usual)

    async def begin(self, records: Sequence[ProjectRead]) -> tuple[list[Finished], list[Job]]:
        """The records of which all is at hand, and the projects that more is to be asked about."""
        known = await self._further.known([each.project.id for each in records])
        done: list[Finished] = []
        jobs: list[Job] = []
        for each in records:
            before = known.get(each.project.id, KnownReads())
            if key := self._further.key(each.project, each.files):
                jobs.append(Job(each, key, before, self._branch_of(each.project.path)))
            else:
                done.append(replace(each, reads=Reads() if before.key else None, looked=()))
        done += (_as_known(job) for job in jobs if job.unchanged)
        changed = [job for job in jobs if not job.unchanged]
        whole = [job for job in changed if job.read.tip]  # the others are told apart later
        await self._ask_roots(whole)
        ready = [job for job in whole if self._at_hand(job)]
        done += [each async for each in self._completed(ready)]
        begun = {job.id for job in ready}
        return done, [job for job in changed if job.id not in begun]

    async def complete(self, jobs: Sequence[Job]) -> AsyncIterator[Finished]:
        """The records of projects that are asked about, in whatever order."""
        late = [job for job in jobs if not job.read.tip]
        await self._tips(late)
        for job in late:
            if job.unchanged:
                yield _as_known(job)
        await self._ask_roots([job for job in late if not job.unchanged])
        async for record in self._completed([job for job in jobs if not job.unchanged]):
            yield record

    async def _completed(self, jobs: Sequence[Job]) -> AsyncIterator[Finished]:
        """The records of projects whose roots' manifests have told what they want."""
        await self._nested(jobs)
        texts = await self._wanted(jobs)
        for part in _portions(jobs, texts):
            await self._texts(part, texts)
            for job in part:
                yield job.record()

    def _at_hand(self, job: Job) -> bool:
        """Whether all that is wanted of a project is known without asking."""
        wanted = job.wanted
        if wanted.manifests or wanted.globs:
            return False
        paths = wanted.texts | wanted.there
        return all(path in job.looked or self._ahead.has(job, path) for path in paths)

    async def _tips(self, jobs: Sequence[Job]) -> None:
        """Ask for the last commits that the projects' own pages had no room for."""
        by_id = {job.id: job for job in jobs}
        by_branch: dict[str, list[int]] = {}
        for number, job in by_id.items():
            by_branch.setdefault(job.branch, []).append(number)
        questions = [
            Question(Asked.TIPS, (), part, branch)
            for branch, ids in sorted(by_branch.items())
            for part in id_parts(ids)
        ]
        for (_, number), repository in (await self._asking.of(by_id, questions)).items():
            tree = repository.get("tree") if isinstance(repository, dict) else None
            by_id[number].read = replace(by_id[number].read, tip=commit_of(tree))

    async def _nested(self, jobs: Sequence[Job]) -> None:
        """Find and read the nested manifests."""
        patterns = {job.id: job.wanted.manifests for job in jobs}
        fitting = await self._folders.fitting(jobs, patterns, manifests=True)
        roots = {job.id: {file.path for file in job.read.files} for job in jobs}
        wanted = {
            number: [p for p in paths if self._further.is_manifest(p) and p not in roots[number]]
            for number, paths in fitting.items()
        }
        for job in jobs:
            paths = wanted.get(job.id, [])
            if len(paths) > MANIFESTS_LIMIT:
                reason = f"there are more than {MANIFESTS_LIMIT}"
                job.cut("nested manifests", reason, manifests=True)
                wanted[job.id] = paths[:MANIFESTS_LIMIT]
        await self._found(jobs, wanted)
        await self._texts(jobs, wanted)
        for job in jobs:
            for path in wanted.get(job.id, ()):
                found = job.found.get(path)
                if found is not None and found.kind is ReadKind.FILE:
                    job.found[path] = replace(found, manifest=True)
                    job.nested.append(as_manifest(found))
        await self._with_kept_texts(jobs)

    async def _with_kept_texts(self, jobs: Sequence[Job]) -> None:
        """What a manifest wants stands in its text, also where that is as it was."""
        for job in jobs:
            oids = [each.oid for each in job.nested if each.kept]
            texts = await self._further.texts(job.id, oids) if oids else {}
            job.nested = [
                replace(each, text=texts[each.oid]) if each.oid in texts else each
                for each in job.nested
            ]

    async def _wanted(self, jobs: Sequence[Job]) -> dict[int, list[str]]:
        """Find what the manifests want besides; gives the paths whose texts are wanted."""
        left = [job for job in jobs if not job.failed]
        for job in left:
            if job.nested:
                job.wanted |= self._further.wanted(job.read.project, job.nested)
        wanted = {job.id: job.wanted for job in left}
        patterns = {number: sorted(each.globs) for number, each in wanted.items()}
        fitting = await self._folders.fitting(left, patterns, manifests=False)
        texts = {n: sorted({*each.texts, *fitting.get(n, ())}) for n, each in wanted.items()}
        paths = {n: sorted({*texts[n], *each.there}) for n, each in wanted.items()}
        await self._found(left, paths, texts)
        await self._nearest(left, {n: each.named for n, each in wanted.items()})
        return texts

    async def _nearest(self, jobs: Sequence[Job], named: Mapping[int, Collection[str]]) -> None:
        """Of paths that a manifest names and that are not there, what is spelt most like them."""
        by_id = {job.id: job for job in jobs if not job.failed}
        absent: dict[int, list[str]] = {}
        for number, job in by_id.items():
            paths = sorted(named.get(number, ()))
            gone = [path for path in paths if job.found[path].kind is ReadKind.ABSENT]
            absent[number] = gone[:NAMED_LIMIT]
        step = {
            (number, folder): ([folder], ["*"])
            for number, paths in absent.items()
            for folder in sorted({path.rpartition("/")[0] for path in paths})[:NEAREST_LIMIT]
        }
        listed = await self._folders.listed(by_id, step, manifests=False)
        # Names are compared letter by letter: long enough for others to wait for.
        for number, path, name in await asyncio.to_thread(_likely, absent, listed):
            found = by_id[number].found
            found[path] = replace(found[path], nearest=name)

    async def _ask_roots(self, jobs: Sequence[Job]) -> None:
        """What the roots' manifests want."""

        def ask() -> None:
            for job in jobs:
                job.wanted = self._further.wanted(job.read.project, job.read.files)

        if jobs:
            await asyncio.to_thread(ask)

    async def _found(
        self,
        jobs: Sequence[Job],
        paths: Mapping[int, Sequence[str]],
        texts: Mapping[int, Sequence[str]] = _NOTHING,
    ) -> None:
        """Look at paths: what is there, and which blob; some of the `texts` are read ahead."""
        by_id = {job.id: job for job in jobs if not job.failed}
        wanted: dict[int, list[str]] = {}
        for number, job in by_id.items():
            new = [path for path in paths.get(number, ()) if path not in job.found]
            room = max(0, PATHS_LIMIT - len(job.found))
            for path in new[room:]:
                reason = f"more than {PATHS_LIMIT} paths are wanted of one project"
                job.take(ReadFile(path, ReadKind.FILE, refused=reason))
            wanted[number] = new[:room]
            for path in wanted[number]:
                if path in job.looked:
                    job.take(job.looked[path])
        await self._look(by_id, wanted, self._ahead.of(by_id, wanted, texts))
        await self._look(by_id, wanted)  # at what could not be had ahead

    async def _look(
        self,
        by_id: Mapping[int, Job],
        wanted: Mapping[int, Sequence[str]],
        ahead: AheadOf = _NOT_AHEAD,
    ) -> None:
        """Ask what is at the wanted paths of which nothing is known, and what is asked `ahead`."""
        without = ahead.concerned
        left = {
            number: [p for p in each if p not in job.found and (number, p) not in without]
            for number, each in wanted.items()
            if not (job := by_id[number]).failed
        }
        branches = {number: by_id[number].branch for number in left}
        answers = await self._asking.of(by_id, [*about_paths(branches, left), *ahead.questions])
        mine = {number: set(each) for number, each in left.items()}
        for (question, number), repository in answers.items():
            job = by_id[number]
            try:
                seen = _seen_in(repository)
            except Unclear as why:
                if not question.ahead:
                    job.failed = f"GitLab's answer is not whole: {why}"
                continue
            for path in question.paths:
                # The others are its neighbours', or known already.
                if question.ahead or path in mine[number]:
                    job.take(seen.get(path) or ReadFile(path, ReadKind.ABSENT))
        self._ahead.learn(by_id, ahead)

    async def _texts(self, jobs: Sequence[Job], paths: Mapping[int, Sequence[str]]) -> None:
        """Read the texts of files; those whose blobs were read before are kept."""
        by_id = {job.id: job for job in jobs if not job.failed}
        wanted: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for number, job in by_id.items():
            before = {e.oid for e in job.known.reads.files.values() if e.kept and not e.refused}
            for path in paths.get(number, ()):
                file = job.found.get(path)
                if file is None or file.kind is not ReadKind.FILE or file.refused:
                    continue
                if file.oid in before:
                    job.found[path] = replace(file, kept=True)
                elif file.text is None and not file.kept:
                    wanted.setdefault((job.branch, path), []).append((number, file.size))
        questions = about_texts(wanted)
        for (question, number), repository in (await self._asking.of(by_id, questions)).items():
            job = by_id[number]
            try:
                # None is there any more where it was removed between the questions.
                found = list(_seen_in(repository).values())
                job.take(found[0] if found else ReadFile(question.paths[0], ReadKind.ABSENT))
            except Unclear as why:
                job.fail(question, f"GitLab's answer is not whole: {why}")


def _as_known(job: Job) -> ProjectRead:
    """The record of a project of which nothing was asked."""
    nested = [as_manifest(file) for file in job.known.reads.manifests]
    return finished(job.read, job.known.reads, nested, job.key)


def _likely(
    absent: Mapping[int, Sequence[str]], listed: Mapping[tuple[int, str, Asked], Sequence[str]]
) -> list[tuple[int, str, str]]:
    """(project, a path that is not there, the one there that is spelt most like it)."""
    return [
        (number, path, name)
        for number, paths in absent.items()
        for path in paths
        for name in nearest(path, listed.get((number, path.rpartition("/")[0], Asked.FILES), ()))
    ]


def _portions(jobs: Sequence[Job], texts: Mapping[int, Sequence[str]]) -> Iterator[Sequence[Job]]:
    """Projects in parts whose texts may be held in memory together."""
    part: list[Job] = []
    size = 0
    for job in jobs:
        found = (job.found.get(path) for path in texts.get(job.id, ()))
        own = min(BYTES_LIMIT, sum(each.size for each in found if each is not None))
        if part and size + own > TEXTS_LIMIT:
            yield part
            part, size = [], 0
        part.append(job)
        size += own
    if part:
        yield part


def _seen_in(repository: Any) -> dict[str, ReadFile]:
    """What is at the paths that were asked for, by path. Raises `Unclear`."""
    nodes = nodes_of(repository, "blobs")
    if nodes is None:
        raise Unclear("it holds no files")
    found = [found_at(node) for node in nodes]
    return {each.path: each for each in found}
