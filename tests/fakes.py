"""Small implementations behind the ports, for tests of what lies between them."""

from __future__ import annotations

import asyncio
import atexit
import shutil
import tempfile
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Any

from bridge.errors import PublishConflict, PublishError
from bridge.model.destinations import Fence, Mark
from bridge.model.entities import Body, CatalogEntity, Draft, Origin, Ref, Shard
from bridge.model.manifests import TranslatedManifest, Translation, Verdict
from bridge.model.problems import Problem
from bridge.model.runs import Artifact, Receipt, Stage
from bridge.model.scrape import (
    Coverage,
    ManifestFile,
    Project,
    ProjectRead,
    Record,
    ScrapeEnd,
    ScrapeRequest,
)
from bridge.model.statements import Linked, Statement
from bridge.model.work import Claim
from bridge.store import open_store

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(minutes: int) -> datetime:
    """Some minutes after noon."""
    return NOON + timedelta(minutes=minutes)


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


@dataclass(frozen=True)
class WordMaker:
    """Each draft is an entity; of two with one name the first counts, and nothing refers."""

    fingerprint: str = "words"
    merges_by: str = "words"
    checks_by: str = "words"
    judged: tuple[str, ...] = ()
    learns: bool = False

    def judging(self, judged: tuple[str, ...]) -> WordMaker:
        return replace(self, judged=judged)

    def described(self, manifest: TranslatedManifest) -> Sequence[Any]:
        return ()

    def learned(self, described: Sequence[Any]) -> WordMaker:
        return self

    def statements(
        self, manifest: TranslatedManifest
    ) -> tuple[Sequence[Statement], Sequence[Problem]]:
        drafts = enumerate(manifest.translation.drafts)
        return [Statement(Ref.of(d.body), d.body, manifest, n) for n, d in drafts], ()

    def merge(
        self, statements: Sequence[Statement]
    ) -> tuple[CatalogEntity | None, Sequence[Problem]]:
        first, manifest = statements[0], statements[0].manifest
        project = manifest.project
        origin = Origin(
            *(project.id, project.path, manifest.file, manifest.oid, "words", manifest.kept_since)
        )
        return CatalogEntity(first.ref, first.body, (origin,)), ()

    def targets(self, body: Body) -> frozenset[Ref]:
        return frozenset()

    def names(self, entity: CatalogEntity) -> frozenset[tuple[int, Ref]]:
        return frozenset()

    def spelt(self, ref: Ref) -> Ref:
        return ref

    def published(self, linked: Linked) -> CatalogEntity:
        return linked.entity

    def needs(self, linked: Linked, ref: Ref) -> bool:
        return False

    def derive(
        self,
        ref: Ref,
        needing: Sequence[CatalogEntity],
        statements: Mapping[str, Sequence[Statement]],
    ) -> CatalogEntity | None:
        return None

    def link(
        self,
        entity: CatalogEntity,
        missing: Collection[Ref],
        names: Mapping[tuple[int, Ref], Collection[Ref]],
    ) -> Linked:
        return Linked(entity, tuple(missing))

    def likely(self, target: Ref, others: Collection[str]) -> tuple[str, ...]:
        return ()

    def dangling(
        self,
        linked: Linked,
        nearest: Mapping[Ref, Sequence[str]],
        statements: Sequence[Statement],
    ) -> Sequence[Problem]:
        return ()


@dataclass(frozen=True)
class WordRenderer:
    """One file with a line for each entity."""

    limit: int = 1000
    depth: int = 1

    def place(self, ref: Ref) -> str:
        return "0"

    def shard(self, bits: str, entities: Sequence[CatalogEntity]) -> tuple[Artifact, ...]:
        body = "\n".join(str(entity.ref) for entity in entities).encode()
        return (Artifact("entities/all.yaml", body, "text/plain", Stage.ENTITIES),)

    def bits(self, path: str) -> str | None:
        return "" if path == "entities/all.yaml" else None

    def index(self, shards: Sequence[str]) -> tuple[Artifact, ...]:
        return (Artifact("index.yaml", " ".join(shards).encode(), "text/plain", Stage.INDEX),)

    def location(self, bits: str) -> Shard:
        return Shard("entities/all.yaml", {"kind": "Location", "metadata": {"name": "all"}}, ())


def words_in(artifacts: Sequence[Artifact]) -> list[str]:
    """The references in a published file of words."""
    bodies = [a.body.decode() for a in artifacts if a.path == "entities/all.yaml"]
    return bodies[0].splitlines() if bodies else []


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
            self.published.append(
                [Artifact(a.path, a.body, a.content_type, a.stage) for a in artifacts]
            )
        return Receipt(self.name, len(artifacts), 0, 0)

    async def close(self) -> None:
        """Nothing is open."""


def fresh(folder: Path, name: str = "s.db") -> str:
    """The URL of an empty store in a folder; its tables are copied, which is quick."""
    template = _template()
    shutil.copy(template, folder / name)
    return f"sqlite:///{folder}/{name}"


@cache
def _template() -> Path:
    """An empty store, made once."""
    folder = tempfile.mkdtemp(prefix="fester-tests-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    file = Path(folder) / "empty.db"

    async def make() -> None:
        await (await open_store(f"sqlite:///{file}")).close()

    thread = Thread(target=lambda: asyncio.run(make()))  # a test may run in a loop of its own
    thread.start()
    thread.join()
    return file


async def writes_nothing(claim: Claim) -> bool:
    """Of who is asked to read alone."""
    raise AssertionError(claim)
