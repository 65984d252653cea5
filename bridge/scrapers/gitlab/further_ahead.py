"""Texts that are asked for without asking first which blobs they are: half as many questions.

Of a repository of which nothing was read all texts are new. Asked for are those that a manifest
names, which mostly are there, and those of which the project's page told that they are. How long
they are is not known: what was read so far tells what to expect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from bridge.model.reads import ReadKind
from bridge.scrapers.gitlab.further_asking import about_texts
from bridge.scrapers.gitlab.further_jobs import Job
from bridge.scrapers.gitlab.further_queries import Question

LIMIT: Final = 16 * 1024 * 1024  # bytes that are expected of texts of several projects together
_UNKNOWN: Final = 64 * 1024  # bytes of a text of which nothing is known
_SHORTEST: Final = 8 * 1024
_SPARE: Final = 2  # times that a text may be longer than the others of its path


class Ahead:
    """What is asked ahead in one crawl; `usual` paths are expected to be as long everywhere."""

    def __init__(self, usual: Sequence[str]) -> None:
        self._usual = frozenset(usual)
        self._expected: dict[str, int] = {}  # bytes, by usual path; "" stands for all others

    def questions(
        self,
        by_id: Mapping[int, Job],
        wanted: Mapping[int, Sequence[str]],
        texts: Mapping[int, Sequence[str]],
    ) -> list[Question]:
        """Of the wanted paths of projects those whose `texts` are wanted, and can be asked so."""
        sizes: dict[tuple[str, str], list[tuple[int, int]]] = {}
        room = LIMIT
        for number, paths in texts.items():
            job = by_id.get(number)
            if job is None or not job.first:
                continue
            likely = (job.wanted.named | job.there).intersection(wanted[number], paths)
            for path in sorted(likely - job.found.keys()):
                size = self._expected.get(self._alike(path), _UNKNOWN)
                if size <= room:
                    room -= size
                    sizes.setdefault((job.branch, path), []).append((number, size))
        return [replace(each, ahead=True) for each in about_texts(sizes)]

    def learn(self, by_id: Mapping[int, Job], questions: Sequence[Question]) -> None:
        """See how long the texts were that were asked for."""
        sizes: dict[str, list[int]] = {}
        for question in questions:
            for number in question.ids:
                file = by_id[number].found.get(question.paths[0])
                if file is not None and file.kind is ReadKind.FILE:
                    sizes.setdefault(self._alike(file.path), []).append(file.size)
        for alike, found in sizes.items():
            mean = sum(found) // len(found)
            self._expected[alike] = max(_SHORTEST, _SPARE * mean)

    def _alike(self, path: str) -> str:
        return path if path in self._usual else ""
