"""What `fester explain` needs of a store: what may be meant, and what is told of it.

Looked at as a whole are the paths of all projects, and what is wrong. Of manifests and entities
only those are loaded that the answer may tell of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from bridge.catalog.relations import emitted
from bridge.language.naming import slug
from bridge.model.entities import Catalog, CatalogEntity, Ref
from bridge.model.memory import KnownManifest, KnownProject, ManifestKey, Memory, PassRecord
from bridge.model.numbers import own_id
from bridge.model.problems import Problem
from bridge.passes.explain import SHOWN, Explanation, explain
from bridge.passes.question import Question, near, slug_of
from bridge.store import SqlStore

MOST: Final = 2_000  # entities, projects, or manifests that cannot be used; of more, all are loaded


class _TooMany(Exception):
    """So much may be meant that all is to be loaded."""


async def stored_explanation(store: SqlStore, source: str, asked: str) -> Explanation | None:
    """Explain what was asked for; None before a first pass. Raises `StoreError`."""
    report = await store.report(source)
    if report is None:
        return None
    part = _Part(store, source, Question.of(asked))
    try:
        await part.load()
    except _TooMany:
        record = await store.latest(source)
        whole = await store.load(source)
        return explain(asked, whole, record, source) if record is not None else None
    told = part.explained(asked, PassRecord(report, Catalog()))
    if told.known:
        return told
    await part.load_near()
    return part.explained(asked, PassRecord(report, Catalog()))


@dataclass(slots=True)
class _Part:
    """A part of what is known of a source, for one question."""

    store: SqlStore
    source: str
    question: Question
    projects: dict[int, KnownProject] = field(default_factory=dict)
    manifests: dict[ManifestKey, KnownManifest] = field(default_factory=dict)
    entities: dict[str, CatalogEntity] = field(default_factory=dict)
    _memory: Memory = field(default_factory=Memory)
    _paths: dict[int, str] = field(default_factory=dict)

    def explained(self, asked: str, record: PassRecord) -> Explanation:
        """The answer from what was loaded."""
        found = sorted(self.entities.values(), key=lambda each: str(each.ref))
        projects = {number: self.projects[number] for number in sorted(self.projects)}
        memory = replace(self._memory, projects=projects, manifests=self.manifests)
        return explain(asked, memory, replace(record, catalog=Catalog(tuple(found))), self.source)

    async def load(self) -> None:
        """Load what may be meant, and what is told of it. Raises `_TooMany`, `StoreError`."""
        search, source = self.store.search, self.source
        state = await self.store.model.state(source)
        self._memory = Memory(horizon=state.horizon)
        kinds = [kind.lower() for kind in state.counts("entities")]
        self._paths = await search.paths(source)
        meant = await asyncio.to_thread(lambda: {n for n in self._paths if self._may_be(n)})
        refs = await self._named(kinds)
        speaking = await search.speaking(source, refs)
        unusable = await self._unusable()
        await self._load_projects(meant | speaking | unusable)
        await self._load_entities([*refs, *await search.of_projects(source, meant | speaking)])
        await self._load_entities(self._needed())
        own = [each for each in self.entities.values() if self.question.how(each)]
        origins = {o.project_id for each in own[:SHOWN] for o in each.origins[:SHOWN]}
        await self._load_projects(origins)
        await self._load_owners(meant | speaking | origins)

    async def load_near(self) -> None:
        """Load what looks like what was asked for and nothing is known of."""
        refs = await self.store.search.refs(self.source)
        found = await asyncio.to_thread(near, self.question, refs, self._paths.values())
        await self._load_entities([each for each in found if ":" in each])
        await self._load_projects({n for n, path in self._paths.items() if path in found})

    def _may_be(self, number: int) -> bool:
        """Whether a project is one that was asked for."""
        path, question = self._paths[number], self.question
        return (
            question.path in (path, str(own_id(number)))
            or (bool(question.url) and question.url.endswith(f"/{path}"))
            or (bool(question.name) and slug_of(path.rpartition("/")[2]) == slug_of(question.name))
        )

    async def _named(self, kinds: Collection[str]) -> list[str]:
        """The entities and whatever else manifests speak of that go by the name."""
        search, source, name = self.store.search, self.source, self.question.name
        found: dict[str, None] = {}
        for called in dict.fromkeys((name, slug_of(name), slug(name) or "")):
            if called:
                found |= dict.fromkeys(await search.named(source, called, kinds, MOST))
        spaces = {"default", self.question.namespace or "default"}
        refs = [str(Ref(k, s, slug_of(name))) for k in kinds for s in sorted(spaces)]
        by_name = await self.store.model.named(source, refs)
        found |= dict.fromkeys(each for them in by_name.values() for each in them)
        text = self.question.text.lower()
        titled = await search.holding(source, [text], MOST) if text.isascii() else None
        if titled is None or max(len(titled), len(found)) >= MOST:
            raise _TooMany
        return [*dict.fromkeys((*found, *titled, *refs))]

    async def _unusable(self) -> set[int]:
        """The projects with manifests that are not valid, or that are told of as what was asked."""
        found: set[int] = set()
        for about, problem in await self.store.search.problems(self.source):
            what, _, rest = about.partition(" ")
            if what == "manifest":
                found |= {int(rest.partition(" ")[0])} if self._concerns(problem) else set()
        if len(found) > MOST:
            raise _TooMany
        return found

    def _concerns(self, problem: Problem) -> bool:
        return not problem.ref or slug_of(problem.ref.rpartition("/")[2]) == slug_of(
            self.question.name
        )

    async def _load_projects(self, numbers: Iterable[int]) -> None:
        new = [number for number in sorted(numbers) if number not in self.projects]
        if len(new) > MOST:
            raise _TooMany
        known = await self.store.model.known(self.source, new) if new else Memory()
        self.projects |= known.projects
        self.manifests |= known.manifests

    async def _load_entities(self, refs: Iterable[str]) -> None:
        new = [ref for ref in dict.fromkeys(refs) if ref not in self.entities]
        if len(new) > 2 * MOST:
            raise _TooMany
        found = await self.store.model.entities(self.source, new) if new else {}
        self.entities |= {ref: each.entity for ref, each in found.items()}

    def _needed(self) -> list[str]:
        """The resources that entities depend on: one that nobody describes is made of these."""
        pairs = (emitted(ref, each.body) for ref, each in self.entities.items())
        named = {relation.target for found in pairs for _, relation in found}
        return sorted(ref for ref in named if ref.startswith("resource:"))

    async def _load_owners(self, numbers: Collection[int]) -> None:
        """Load the teams, and what lies beside some projects: owners are guessed by its owners."""
        for kind in ("group", "user"):
            async for part in self.store.model.of_kind(self.source, kind):
                self.entities |= {str(each.ref): each for each in part}
        groups = {self._paths[n].rpartition("/")[0] for n in numbers if n in self._paths}
        beside = [n for n, path in self._paths.items() if path.rpartition("/")[0] in groups]
        refs = await self.store.search.of_projects(self.source, beside)
        await self._load_entities(ref for ref in refs if ref.startswith("component:"))
