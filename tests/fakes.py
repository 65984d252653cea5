"""Small implementations behind the ports, for tests of what lies between them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from bridge.errors import PublishConflict, PublishError, StoreConflict
from bridge.model.destinations import Fence, Mark
from bridge.model.entities import Catalog, CatalogEntity, Draft, Origin, Ref
from bridge.model.manifests import AggregatedManifests, Translation, Verdict
from bridge.model.memory import Memory, PassRecord
from bridge.model.problems import Problem
from bridge.model.runs import Artifact, Processed, Receipt, Stage
from bridge.model.scrape import (
    Coverage,
    ManifestFile,
    Project,
    ProjectRead,
    Record,
    ScrapeEnd,
    ScrapeRequest,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def project(number: int) -> Project:
    return Project(number, f"group/p{number}", f"https://gitlab.test/group/p{number}", "main")


def manifest(text: str) -> ManifestFile:
    return ManifestFile("qm.yaml", f"oid-{text}", len(text), text)


def read(number: int, text: str | None) -> ProjectRead:
    """Project `number` read whole, with a manifest of this text or (None) without one."""
    files = () if text is None else (manifest(text),)
    return ProjectRead(project(number), files)


@dataclass
class WordTranslator:
    """A manifest's text is its component's name; "broken" and "foreign" are what they say."""

    files: tuple[str, ...] = ("qm.yaml",)
    calls: list[str] = field(default_factory=list)

    def fingerprint(self, project: Project, file: ManifestFile) -> str:
        return f"{project.path}:{file.oid}"

    def translate(self, project: Project, file: ManifestFile) -> Translation:
        text = file.text or ""
        self.calls.append(text)
        fingerprint = self.fingerprint(project, file)
        if text == "broken":
            problem = Problem("it is broken", "broken", project=project.path, file=file.path)
            return Translation(Verdict.QUARANTINED, fingerprint, problems=(problem,))
        if text == "foreign":
            return Translation(Verdict.IGNORED, fingerprint, reason="not ours")
        body = {"apiVersion": "v1", "kind": "Component", "metadata": {"name": text}, "spec": {}}
        return Translation(Verdict.VALID, fingerprint, "words", (Draft(body),))


@dataclass
class ListScraper:
    """Yields the records that it holds; an error among them is raised."""

    records: Sequence[Record | Exception]
    name: str = "https://gitlab.test"
    coverage: Coverage = Coverage.FULL

    async def scrape(self, request: ScrapeRequest) -> AsyncIterator[Record]:
        for record in self.records:
            if isinstance(record, Exception):
                raise record
            yield record
        yield ScrapeEnd(self.coverage, requests=len(self.records))

    async def close(self) -> None:
        """Nothing is open."""


class WordProcessor:
    """Each draft becomes an entity."""

    name = "words"

    def process(self, manifests: AggregatedManifests) -> Processed:
        entities = {
            Ref.of(draft.body): CatalogEntity(
                Ref.of(draft.body),
                draft.body,
                (Origin(m.project.id, m.project.path, m.file, m.oid, "words", m.kept_since),),
            )
            for m in manifests.manifests
            for draft in m.translation.drafts
        }
        return Processed(catalog=Catalog(tuple(entities[ref] for ref in sorted(entities))))


def render_words(catalog: Catalog) -> tuple[Artifact, ...]:
    body = "\n".join(str(entity.ref) for entity in catalog.entities).encode()
    return (Artifact("index.yaml", body, "text/plain", Stage.INDEX),)


@dataclass
class RecordingExporter:
    """Keeps what was published; refuses when told to."""

    name: str = "memory"
    refuse: bool = False
    busy_for: float = 0.0
    published: list[Sequence[Artifact]] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)

    async def publish(
        self, artifacts: Sequence[Artifact], *, dry_run: bool = False, fence: Fence | None = None
    ) -> Receipt:
        if self.refuse:
            raise PublishError("the bucket is gone")
        if self.busy_for:
            raise PublishConflict("another one is at work", self.busy_for)
        if fence is not None:
            self.marks.append(await fence())
        if not dry_run:
            self.published.append(artifacts)
        return Receipt(self.name, len(artifacts), 0, 0)

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class DictStore:
    """The store's contract in a dictionary."""

    memories: dict[str, Memory] = field(default_factory=dict)
    records: dict[str, PassRecord] = field(default_factory=dict)
    marks: dict[str, Mark] = field(default_factory=dict)
    identity: str = "a store"

    async def load(self, source: str) -> Memory:
        return self.memories.get(source, Memory())

    async def save(
        self, source: str, before: Memory, after: Memory, record: PassRecord | None
    ) -> None:
        if self.memories.get(source, Memory()).horizon.passes != before.horizon.passes:
            raise StoreConflict("somebody else saved a pass")
        self.memories[source] = after
        if record is not None:
            self.records[source] = record

    async def passes_saved(self, source: str) -> int:
        return self.memories.get(source, Memory()).horizon.passes

    async def mark(self, source: str) -> Mark | None:
        return self.marks.get(source)

    async def next_mark(self, source: str, passes: int, above: int = 0) -> Mark:
        if await self.passes_saved(source) != passes:
            raise StoreConflict("somebody else saved a pass")
        last = self.marks.get(source, Mark(source, self.identity))
        self.marks[source] = replace(last, fence=max(last.fence, above) + 1)
        return self.marks[source]

    async def latest(self, source: str) -> PassRecord | None:
        return self.records.get(source)

    async def close(self) -> None:
        """Nothing is open."""
