"""One of several sources: its projects go by the numbers that they have in the catalog."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any, cast

from bridge.errors import SourceError
from bridge.model.numbers import TooLarge, number_of, own_id
from bridge.model.reads import KnownReads, ReadFile, Wanted
from bridge.model.scrape import (
    FurtherReads,
    Gap,
    ManifestFile,
    Project,
    ProjectGone,
    ProjectRead,
    ProjectSkipped,
    Record,
    ScrapeEnd,
    ScrapeRequest,
    Traffic,
    Unread,
)
from bridge.ports import Browsing, Measured, Scraper


class NumberedReads:
    """What a further source asks about reading more, under its own ids."""

    def __init__(self, inner: FurtherReads, source: str) -> None:
        self._inner = inner
        self._source = source

    @property
    def usual(self) -> tuple[str, ...]:
        """Paths that are looked for in most repositories."""
        return self._inner.usual

    async def known(self, ids: Sequence[int]) -> Mapping[int, KnownReads]:
        """What was read of projects before."""
        numbers = []
        for each in ids:
            with suppress(TooLarge):
                numbers.append(number_of(self._source, each))
        found = await self._inner.known(numbers)
        return {own_id(number): known for number, known in found.items()}

    async def texts(self, project_id: int, oids: Sequence[str]) -> Mapping[str, str]:
        """The texts of blobs that were read of a project before."""
        try:
            return await self._inner.texts(number_of(self._source, project_id), oids)
        except TooLarge:
            return {}

    def key(self, project: Project, files: Sequence[ManifestFile]) -> str:
        """Names what may be wanted of a project."""
        return self._inner.key(self._numbered(project), files)

    def is_manifest(self, path: str) -> bool:
        """Whether a file of this name is a manifest."""
        return self._inner.is_manifest(path)

    def wanted(self, project: Project, files: Sequence[ManifestFile]) -> Wanted:
        """What these manifests want to be read besides."""
        return self._inner.wanted(self._numbered(project), files)

    def _numbered(self, project: Project) -> Project:
        """The project as the catalog knows it: what it inherits depends on its source."""
        try:
            return replace(project, id=number_of(self._source, project.id))
        except TooLarge:
            return project


class Numbered:
    """A `bridge.ports.Scraper` over that of a further source; `source` is its name.

    What has an id beyond all numbers is a gap in the list of projects: nothing that is known is
    taken for gone.
    """

    def __init__(self, inner: Scraper, source: str) -> None:
        self.inner = inner
        self._source = source

    def __repr__(self) -> str:
        return f"Numbered({self.inner!r}, {self._source!r})"

    @property
    def name(self) -> str:
        """The source's own name: its address."""
        return self.inner.name

    @property
    def traffic(self) -> Traffic:
        """What was asked of the source so far."""
        return self.inner.traffic if isinstance(self.inner, Measured) else Traffic()

    async def scrape(self, request: ScrapeRequest) -> AsyncIterator[Record]:
        """The records of the source, under the catalog's numbers."""
        asked = replace(
            request,
            only=tuple(own_id(number) for number in request.only),
            also=tuple(own_id(number) for number in request.also),
            further=NumberedReads(request.further, self._source) if request.further else None,
        )
        records = cast(Any, self.inner.scrape(asked))
        async with aclosing(records):
            async for record in records:
                yield self._numbered(record)

    def _numbered(self, record: Record) -> Record:
        try:
            if isinstance(record, ProjectRead):
                return self._read(record)
            if isinstance(record, ProjectSkipped):
                project = record.project
                number = number_of(self._source, project.id)
                return replace(record, project=replace(project, id=number))
            if isinstance(record, ProjectGone | Unread):
                return replace(record, project_id=number_of(self._source, record.project_id))
            if isinstance(record, Gap) and record.project_id is not None:
                return replace(record, project_id=number_of(self._source, record.project_id))
        except TooLarge as error:
            return Gap(f"{self.name} has a project that cannot be taken in: {error}")
        assert isinstance(record, Gap | ScrapeEnd)
        return record

    def _read(self, record: ProjectRead) -> ProjectRead:
        number = number_of(self._source, record.project.id)
        seen = record.observation
        return replace(
            record,
            project=replace(record.project, id=number),
            observation=replace(seen, project_id=number) if seen is not None else None,
        )

    async def look(self, project: str, path: str) -> tuple[int, ReadFile]:
        """A `bridge.ports.Browsing`, by the source's own ids."""
        if not isinstance(self.inner, Browsing):
            raise SourceError("this source cannot be asked for one file")
        return await self.inner.look(project, path)

    async def close(self) -> None:
        """Release the source's connections; safe to call twice."""
        await self.inner.close()
