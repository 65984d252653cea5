"""Facts about entities: what was seen, where and when; and what could not be seen, and why.

A fact that could not be read is unknown, never false. The shape of schemas and readings is that of
Backstage's tech-insights fact retrievers, so that they can be served as such.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from bridge.model.entities import Body, CatalogEntity, Json, Ref
from bridge.model.scrape import Observation, Project


class FactType(StrEnum):
    """The types that tech-insights knows."""

    INTEGER = "integer"
    FLOAT = "float"
    STRING = "string"
    BOOLEAN = "boolean"
    DATETIME = "datetime"  # an aware ISO date-time as text
    SET = "set"  # a list of texts without repetition
    OBJECT = "object"


class Standing(StrEnum):
    """How far a fact can be relied on."""

    KNOWN = "known"
    UNKNOWN = "unknown"  # could not be read: 403, time-out, a source that is down
    NOT_APPLICABLE = "not_applicable"  # has no meaning here: no project, an unlicensed feature


@dataclass(frozen=True, slots=True)
class FactDefinition:
    """What one fact means. `since` is the schema version that brought it, "" if the first."""

    name: str
    type: FactType
    description: str
    since: str = ""
    metadata: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FactSchema:
    """What a collector gives: tech-insights calls it a fact retriever.

    `id` is an identifier (lower case, digits, `_`), so that expressions can name `id.fact`, and
    `version` a semantic version. `entity_filter` is a Backstage filter
    (`{"kind": "component"}`, or a list of such maps: any of them). `cadence` is how many seconds
    may pass between two readings; a fact older than twice that is stale. `batch` bounds how many
    entities are read after one pass (0: all): those not seen for longest come first. A reading
    that asks nobody is made `with_crawl`: whenever a pass looked at the entity's project.
    """

    id: str
    version: str
    title: str
    description: str
    facts: tuple[FactDefinition, ...]
    cadence: float
    entity_filter: Json = None
    batch: int = 0
    with_crawl: bool = False

    def definition(self, name: str) -> FactDefinition | None:
        """What a fact of this name means."""
        return next((fact for fact in self.facts if fact.name == name), None)


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact as it was seen. `value` is None unless `standing` is KNOWN; else `reason` says why.

    `seen_at` is aware. `source` says where, for a person: a URL, or "qm.yaml of shop/api".
    """

    name: str
    value: Json
    seen_at: datetime
    source: str
    standing: Standing = Standing.KNOWN
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """One collector's facts about one entity at one moment."""

    entity: Ref
    retriever: str  # the schema's id
    version: str  # the schema's version
    seen_at: datetime
    facts: tuple[Fact, ...]

    def values(self) -> dict[str, Json]:
        """The known facts by name, as tech-insights gives them: what is unknown is left out."""
        return {fact.name: fact.value for fact in self.facts if fact.standing is Standing.KNOWN}


@dataclass(frozen=True, slots=True)
class Subject:
    """An entity to collect facts about, with all that the pass knows of it.

    `project` is the one whose manifest made the entity (the first origin), None if there is none.
    `manifest` is the parsed document of it that the entity was made from. `observation` is None
    when the pass did not look at the project (an incremental pass): then nothing new is known,
    which is not "unknown". `catalog` holds the references of all entities; `named_by` is how many
    of them name this one, by the key of their spec (`owner`, `system`, `providesApis` …).
    `people` says whether the catalog holds Users at all; `gitlab_names` are the paths and user
    names in GitLab, in lower case, of all Groups and Users in it, none where GitLab's are not read.
    `namesakes` are the pages of projects of the same path in other GitLabs.
    """

    entity: CatalogEntity
    project: Project | None = None
    manifest: Json = None
    manifest_file: str = ""
    observation: Observation | None = None
    catalog: frozenset[Ref] = frozenset()
    named_by: Mapping[str, int] = field(default_factory=dict)
    people: bool = False
    gitlab_names: frozenset[str] = frozenset()
    namesakes: tuple[str, ...] = ()

    @property
    def ref(self) -> Ref:
        """The entity's reference."""
        return self.entity.ref

    @property
    def body(self) -> Body:
        """The entity's body."""
        return self.entity.body


@dataclass(frozen=True, slots=True)
class CollectorRound:
    """What became of a collector's latest round in this process.

    It was asked about `asked` entities; of `failed` it said nothing because it failed. `waiting`
    were due and had to be left for the next round.
    """

    ended: datetime
    asked: int = 0
    failed: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class FactBoard:
    """What is known now: the latest reading of every entity, by retriever; and the schemas.

    `changed` is when it last changed, None before the first reading.
    """

    schemas: tuple[FactSchema, ...] = ()
    latest: Mapping[Ref, Mapping[str, Reading]] = field(default_factory=dict)
    changed: datetime | None = None

    def schema(self, retriever: str) -> FactSchema | None:
        """The schema of a retriever."""
        return next((schema for schema in self.schemas if schema.id == retriever), None)
