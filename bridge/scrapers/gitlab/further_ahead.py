"""Texts that are asked for without asking first which blobs they are: half as many questions.

Of a repository of which nothing was read all texts are new. Asked for are those that a manifest
names, which mostly are there, and those of which the project's page told that they are. How long
they are is not known: what was read so far tells what to expect. A blob that several repositories
have is read from one of them: its id names its text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from cachetools import LRUCache

from bridge.model.reads import ReadFile, ReadKind
from bridge.scrapers.blobs import READ_LIMIT
from bridge.scrapers.gitlab.further_asking import about_texts
from bridge.scrapers.gitlab.further_jobs import Job
from bridge.scrapers.gitlab.further_queries import Question

LIMIT: Final = 16 * 1024 * 1024  # bytes that are expected of all texts under way
_UNKNOWN: Final = 64 * 1024  # bytes of a text of which nothing is known
_SHORTEST: Final = 8 * 1024
_SPARE: Final = 2  # times that a text may be longer than the others of its path
_LONGEST_KEPT: Final = 64 * 1024  # bytes of one of them
_KEPT: Final = 2 * 1024 * 1024  # bytes of texts that other repositories may have, too


@dataclass(frozen=True, slots=True)
class AheadOf:
    """What is asked ahead of some projects.

    `others` are the blobs of theirs, by project and path, that one of the `questions` is about;
    `expected` are the bytes of all texts.
    """

    questions: Sequence[Question] = ()
    others: Mapping[tuple[int, str], str] = field(default_factory=dict)
    expected: int = 0

    @property
    def asked(self) -> set[tuple[int, str]]:
        """The projects and paths that the questions are about."""
        return {(number, each.paths[0]) for each in self.questions for number in each.ids}

    @property
    def concerned(self) -> set[tuple[int, str]]:
        """The projects and paths that nothing else need be asked about yet."""
        return self.asked | self.others.keys()


class Ahead:
    """What is asked ahead in one crawl; `usual` paths are expected to be as long everywhere."""

    def __init__(self, usual: Sequence[str]) -> None:
        self._usual = frozenset(usual)
        self._expected: dict[str, int] = {}  # bytes, by usual path; "" stands for all others
        self._room = LIMIT
        self._kept: LRUCache[str, ReadFile] = LRUCache(_KEPT, getsizeof=lambda file: file.size)

    def of(
        self,
        by_id: Mapping[int, Job],
        wanted: Mapping[int, Sequence[str]],
        texts: Mapping[int, Sequence[str]],
    ) -> AheadOf:
        """Of the wanted paths of projects those whose `texts` are wanted, and can be asked so.

        A project takes what was read of another one.
        """
        sizes: dict[tuple[str, str], list[tuple[int, int]]] = {}
        others: dict[tuple[int, str], str] = {}
        asked: set[str] = set()
        for number, paths in texts.items():
            job = by_id.get(number)
            if job is None or not job.first:
                continue
            likely = (job.wanted.named | job.there.keys()).intersection(wanted[number], paths)
            for path in sorted(likely - job.found.keys()):
                oid = job.there.get(path, "")
                size = self._expected.get(self._alike(path), _UNKNOWN)
                if kept := self._kept.get(oid):
                    job.take(replace(kept, path=path))
                elif oid in asked:
                    others[number, path] = oid
                elif size <= self._room:
                    self._room -= size
                    asked |= {oid} - {""}
                    sizes.setdefault((job.branch, path), []).append((number, size))
        questions = [replace(each, ahead=True) for each in about_texts(sizes)]
        return AheadOf(questions, others, sum(each.size for each in questions))

    def has(self, job: Job, path: str) -> bool:
        """Whether a project's file at a path was read of another project."""
        return job.first and job.there.get(path) in self._kept

    def learn(self, by_id: Mapping[int, Job], ahead: AheadOf) -> None:
        """See how long the texts were that were asked for, and let others have them."""
        sizes: dict[str, list[int]] = {}
        read: dict[str, ReadFile] = {}
        self._room += ahead.expected
        for number, path in ahead.asked:
            file = by_id[number].found.get(path)
            if file is None or file.kind is not ReadKind.FILE:
                continue
            # One that is far too long must not keep the others from being asked for.
            sizes.setdefault(self._alike(path), []).append(min(file.size, READ_LIMIT))
            if path in self._usual and file.text is not None:
                read[file.oid] = file
        for alike, found in sizes.items():
            mean = sum(found) // len(found)
            self._expected[alike] = max(_SHORTEST, _SPARE * mean)
        for (number, path), oid in ahead.others.items():
            if oid in read:
                by_id[number].take(replace(read[oid], path=path))
        self._kept.update((oid, file) for oid, file in read.items() if file.size <= _LONGEST_KEPT)

    def _alike(self, path: str) -> str:
        return path if path in self._usual else ""
