"""What a pass needs of others that make things: entities of statements, and files of entities."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from bridge.model.entities import Body, CatalogEntity, Ref, Shard
from bridge.model.manifests import TranslatedManifest
from bridge.model.problems import Problem
from bridge.model.runs import Artifact
from bridge.model.statements import Linked, Statement


class EntityMaker(Protocol):
    """Makes entities of what manifests say, one at a time. Pure; not an entry point."""

    @property
    def fingerprint(self) -> str:
        """Names everything that the entities depend on besides the manifests."""

    @property
    def merges_by(self) -> str:
        """Names everything that `merge`, `targets`, `names` and `spelt` depend on, and no more."""

    @property
    def checks_by(self) -> str:
        """Names everything that `link`, `published` and `likely` depend on, and no more."""

    @property
    def judged(self) -> tuple[str, ...]:
        """What `dangling` depends on besides `checks_by`."""

    def judging(self, judged: tuple[str, ...]) -> EntityMaker:
        """The same maker, whose `dangling` depends on this in place of what it knows."""

    @property
    def learns(self) -> bool:
        """Whether what one manifest says depends on what others describe."""

    def described(self, manifest: TranslatedManifest) -> Sequence[Any]:
        """What a manifest describes that others may depend on."""

    def learned(self, described: Sequence[Any]) -> EntityMaker:
        """The same maker, where all of this is described."""

    def statements(
        self, manifest: TranslatedManifest
    ) -> tuple[Sequence[Statement], Sequence[Problem]]:
        """What a manifest says of entities, and what is wrong with it."""

    def merge(
        self, statements: Sequence[Statement]
    ) -> tuple[CatalogEntity | None, Sequence[Problem]]:
        """The entity of all that is said of one reference (at least one statement), if any."""

    def targets(self, body: Body) -> frozenset[Ref]:
        """What an entity refers to."""

    def names(self, entity: CatalogEntity) -> frozenset[tuple[int, Ref]]:
        """The names that an entity goes by besides its own, each with its rank (0 counts first)."""

    def spelt(self, ref: Ref) -> Ref:
        """A reference in the one spelling of all those that are taken for the same."""

    def link(
        self,
        entity: CatalogEntity,
        missing: Collection[Ref],
        names: Mapping[tuple[int, Ref], Collection[Ref]],
    ) -> Linked:
        """An entity with its references put right by the names that others go by.

        `missing` are those to nothing, `names` has who goes by them, in whatever spelling.
        """

    def published(self, linked: Linked) -> CatalogEntity:
        """What is published of an entity of which some references lead nowhere."""

    def needs(self, linked: Linked, ref: Ref) -> bool:
        """Whether an entity depends on `ref` so that one is made where nobody describes it."""

    def derive(
        self,
        ref: Ref,
        needing: Sequence[CatalogEntity],
        statements: Mapping[str, Sequence[Statement]],
    ) -> CatalogEntity | None:
        """The entity that others (at least one) depend on and nobody describes, if one is made.

        `statements` has what is said of those that need it.
        """

    def likely(self, target: Ref, others: Collection[str]) -> tuple[str, ...]:
        """Which of some references may have been meant by one that points at nothing."""

    def dangling(
        self,
        linked: Linked,
        nearest: Mapping[Ref, Sequence[str]],
        statements: Sequence[Statement],
    ) -> Sequence[Problem]:
        """What to say of the references to nothing that an entity has."""


class EntityList(Protocol):
    """A file with a line for each entity of a kind, made line by line. Not an entry point."""

    @property
    def path(self) -> str:
        """Where it is published."""

    @property
    def content_type(self) -> str:
        """Its media type."""

    @property
    def kind(self) -> str:
        """The kind in lower case."""

    @property
    def head(self) -> bytes:
        """What stands before all lines."""

    def line(self, statements: Sequence[Statement]) -> bytes:
        """The line of the entity that these statements (at least one) are about."""


class Renderer(Protocol):
    """Lays entities out in files. Pure; not an entry point.

    A place is `depth` bits as text. A shard holds all entities whose places begin with its bits:
    at most `limit` of them, else it splits by the next bit.
    """

    @property
    def limit(self) -> int:
        """How many entities a shard may hold."""

    @property
    def depth(self) -> int:
        """How many bits a place has."""

    def place(self, ref: Ref) -> str:
        """Where an entity belongs."""

    def shard(self, bits: str, entities: Sequence[CatalogEntity]) -> tuple[Artifact, ...]:
        """The files of one shard; its entities are sorted by reference."""

    def bits(self, path: str) -> str | None:
        """The shard that a file belongs to; None for other files."""

    def index(self, shards: Sequence[str]) -> tuple[Artifact, ...]:
        """The files that lead to these shards, sorted."""

    def location(self, bits: str) -> Shard:
        """A shard as the index names it, without its references."""
