"""Projects of which more is read than their roots' manifests: what was found of each so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from bridge.model.reads import KnownReads, ReadFile, ReadKind, Reads, Wanted
from bridge.model.scrape import Gap, ManifestFile, ProjectRead
from bridge.scrapers.blobs import refusal
from bridge.scrapers.gitlab.further_asking import Answers, Asking
from bridge.scrapers.gitlab.further_queries import Asked, Question

BYTES_LIMIT: Final = 8 * 1024 * 1024  # of further texts of one project


@dataclass(slots=True, eq=False)
class Job:
    """One project on its way: what was found, and why it failed."""

    read: ProjectRead
    key: str
    known: KnownReads
    branch: str
    # What is at usual paths as far as its page told, and the blobs of those that are files.
    looked: dict[str, ReadFile] = field(init=False)
    there: dict[str, str] = field(init=False)
    found: dict[str, ReadFile] = field(default_factory=dict)
    failed: str = ""
    missed: bool = False  # something to spare, which is to be asked for again
    bytes: int = 0
    nested: list[ManifestFile] = field(default_factory=list)
    wanted: Wanted = field(default_factory=Wanted)  # by the root's manifests; later by all

    def __post_init__(self) -> None:
        # Of a commit that is asked for later, what was told before says nothing.
        told = {each.path: each for each in self.read.looked} if self.read.tip else {}
        files = (each for each in told.values() if each.kind is ReadKind.FILE and not each.refused)
        self.there = {each.path: each.oid for each in files}
        seen = ((path, self._as_known(each)) for path, each in told.items())
        self.looked = {path: each for path, each in seen if each is not None}
        self.read = replace(self.read, looked=())

    def _as_known(self, told: ReadFile) -> ReadFile | None:
        """What is at a path of which a page told; None where it told too little.

        A file that is the same as before is as it was known.
        """
        if told.kind is not ReadKind.FILE:
            return told
        known = self.known.reads.files.get(told.path)
        if known is None or known.kind is not ReadKind.FILE or known.oid != told.oid:
            return None
        return None if known.refused or known.manifest else known

    @property
    def id(self) -> int:
        """Its number."""
        return self.read.project.id

    @property
    def unchanged(self) -> bool:
        """Whether it is at the commit that was read, and nothing else is wanted of it."""
        known = self.known.tip, self.known.key
        return bool(self.read.tip) and not self.failed and known == (self.read.tip, self.key)

    @property
    def first(self) -> bool:
        """Whether nothing of it was read before."""
        return not self.known.key

    def take(self, file: ReadFile) -> None:
        """Keep what was found; a text beyond the project's bound is refused."""
        before = self.found.get(file.path)
        if before is not None and before.text is not None:
            self.bytes -= before.size
        if file.text is not None:
            self.bytes += file.size
            if self.bytes > BYTES_LIMIT:
                reason = f"more than {BYTES_LIMIT >> 20} MB of further files in one project"
                file = replace(file, text=None, refused=reason)
        self.found[file.path] = file

    def fail(self, question: Question, reason: str) -> None:
        """Note what cannot be had; what is to spare stays as it is known."""
        path = question.paths[0] if question.asked is Asked.TEXTS else ""
        if path not in self.wanted.spare:
            self.failed = reason
            return
        self.missed = True
        known = self.known.reads.files.get(path)
        if known is not None and known.kept and not known.refused:
            self.found[path] = known
        else:
            self.found[path] = replace(self.found[path], refused=f"it cannot be read now: {reason}")

    def cut(self, pattern: str, reason: str = "", *, manifests: bool) -> None:
        """Note a pattern that was looked for, and why it may mean more than was looked at."""
        before = self.found.get(pattern)
        if before is None or not before.refused:
            cut = bool(reason) and manifests
            self.found[pattern] = ReadFile(pattern, ReadKind.GLOB, refused=reason, manifest=cut)

    def record(self) -> ProjectRead | Gap:
        """What is told of it, when all is read that could be."""
        if self.failed:
            project = self.read.project
            return Gap(f"its further files: {self.failed}", project.id, project.path)
        # At no commit that is known: the next sweep looks again.
        read = replace(self.read, tip="") if self.missed else self.read
        return finished(read, Reads(self.found), self.nested, self.key)


def finished(
    read: ProjectRead, reads: Reads, nested: Sequence[ManifestFile], key: str
) -> ProjectRead:
    """A project's record with all that was read of it."""
    files = tuple(replace(each, reads=reads) for each in (*read.files, *nested))
    return replace(read, files=files, reads=reads, reads_key=key)


def as_manifest(file: ReadFile) -> ManifestFile:
    """A nested manifest; it is held to a manifest's size."""
    refused = file.refused or refusal(file.size)
    text = None if refused else file.text
    return ManifestFile(file.path, file.oid, file.size, text, refused, kept=file.kept)


class JobAsking:
    """Asks about projects. One of which an answer cannot be had has failed, with the reason."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def of(self, by_id: Mapping[int, Job], questions: Sequence[Question]) -> Answers:
        """The answers that can be had. What was asked ahead and cannot be had says nothing yet."""
        answers, failed = await self._asking.ask(questions)
        for (question, number), reason in failed.items():
            if not question.ahead:
                by_id[number].fail(question, reason)
        return answers
