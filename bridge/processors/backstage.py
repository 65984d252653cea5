"""The processor that makes Backstage's catalog, entity by entity: pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from importlib.metadata import version
from typing import Any, Final

from bridge.model.entities import Body, CatalogEntity, Ref
from bridge.model.manifests import TranslatedManifest
from bridge.model.problems import Problem
from bridge.model.statements import Linked, Statement
from bridge.processors import aggregation, aliases, dependencies, owners, references
from bridge.processors.merging import MergeRules
from bridge.processors.references import Dangling, reference_fields, referred
from bridge.processors.teams import OwnerRules, Team, Teams

_MOST_ORIGINS: Final = 50  # manifests searched for the line that a warning is about


@dataclass(frozen=True)
class BackstageProcessor:
    """Turns what manifests say into entities that Backstage accepts as they are.

    `owners` says who may own something, and which teams somebody else puts into Backstage: a
    reference to one of those is fine. `said` are the teams that manifests describe.
    `publish_dangling`: a dependency on a component that nobody describes stays in the catalog, and
    a warning, too.
    """

    rules: MergeRules
    owners: OwnerRules = field(default_factory=OwnerRules)
    said: tuple[Team, ...] = ()
    publish_dangling: bool = False
    judged_otherwise: tuple[str, ...] | None = None  # by `judging`

    @cached_property
    def known(self) -> frozenset[Ref]:
        """The teams that somebody else puts into Backstage."""
        return frozenset(team.ref for team in self.owners.known)

    @cached_property
    def teams(self) -> Teams:
        """All teams that owners are looked up among."""
        return Teams(self.said if self.learns else (), self.owners)

    @cached_property
    def learns(self) -> bool:
        """Whether what one manifest says depends on the teams that others describe."""
        rules = self.owners
        return bool(rules.table or rules.known or rules.people or rules.invent is False)

    def described(self, manifest: TranslatedManifest) -> Sequence[Team]:
        """The teams that a manifest describes."""
        return owners.described(manifest)

    def learned(self, described: Sequence[Any]) -> BackstageProcessor:
        """The same maker, for a catalog in which these teams are described."""
        return replace(self, said=tuple(described))

    @cached_property
    def fingerprint(self) -> str:
        """Names the rules, and the Fester that follows them."""
        named = f"{version('fester')} {self.rules!r} {self.owners!r} {self.said!r}"
        named += " dangling" if self.publish_dangling else ""
        return blake2b(named.encode(), digest_size=16).hexdigest()

    @cached_property
    def merges_by(self) -> str:
        """Names the rules of merging, and the Fester that follows them."""
        return blake2b(f"{version('fester')} {self.rules!r}".encode(), digest_size=16).hexdigest()

    @cached_property
    def checks_by(self) -> str:
        """Names the teams of others, what is published, and the Fester that checks."""
        known = sorted(map(str, self.known))
        named = f"{version('fester')} {known!r} {self.publish_dangling}"
        return blake2b(named.encode(), digest_size=16).hexdigest()

    @property
    def judged(self) -> tuple[str, ...]:
        """The kinds of owners of whom manifests are told themselves that they are unknown."""
        if self.judged_otherwise is not None:
            return self.judged_otherwise
        return tuple(kind for kind in ("group", "user") if self.teams.judges(kind))

    def judging(self, judged: tuple[str, ...]) -> BackstageProcessor:
        """The same maker, where manifests are told of owners of these kinds."""
        return replace(self, judged_otherwise=judged)

    def statements(
        self, manifest: TranslatedManifest
    ) -> tuple[Sequence[Statement], Sequence[Problem]]:
        """What a manifest says that Backstage would take, and what is wrong with the rest."""
        unowned: Sequence[Problem] = ()
        if self.learns:
            manifest, unowned = owners.settled(manifest, self.teams)
        statements, problems = aggregation.said(manifest)
        wanted = [each for each in statements if not aggregation.is_left_out(each, self.rules)]
        return wanted, (*unowned, *problems)

    def merge(
        self, statements: Sequence[Statement]
    ) -> tuple[CatalogEntity | None, Sequence[Problem]]:
        """The entity of all that is said of one reference, and what was overruled."""
        return aggregation.merged(statements, self.rules)

    def targets(self, body: Body) -> frozenset[Ref]:
        """What an entity refers to."""
        return frozenset(target for _, target in references.targets(body))

    def names(self, entity: CatalogEntity) -> frozenset[tuple[int, Ref]]:
        """The names that an entity goes by besides its own, by rank."""
        return aliases.names_of(entity)

    def spelt(self, ref: Ref) -> Ref:
        """A reference in the one spelling of all those that are taken for the same."""
        return aliases.spelt(ref)

    def likely(self, target: Ref, others: Collection[str]) -> tuple[str, ...]:
        """What may have been meant by a reference to nothing."""
        return references.likely(target, others)

    def link(
        self,
        entity: CatalogEntity,
        missing: Collection[Ref],
        names: Mapping[tuple[int, Ref], Collection[Ref]],
    ) -> Linked:
        """The entity with references by other names put right, and what is then to nothing."""
        lost = [each for each in sorted(missing) if each not in self.known]
        made, several = aliases.right(entity, lost, names)
        left = self.targets(made.body)
        return Linked(made, tuple(each for each in lost if each in left), several)

    def published(self, linked: Linked) -> CatalogEntity:
        """What is published of an entity: without dependencies that lead nowhere, if not asked."""
        if self.publish_dangling:
            return linked.entity
        return dependencies.without(linked.entity, linked.missing)

    def needs(self, linked: Linked, ref: Ref) -> bool:
        """Whether an entity depends on something that may be made because nobody describes it."""
        made = ref.kind == "resource" and ref not in linked.several and ref not in self.known
        return made and ref in dependencies.needed(linked.entity.body)

    def derive(
        self,
        ref: Ref,
        needing: Sequence[CatalogEntity],
        statements: Mapping[str, Sequence[Statement]],
    ) -> CatalogEntity | None:
        """The entity that others (at least one) depend on and nobody describes, if one is made."""
        services = sorted(needing, key=dependencies.age)
        first = services[0].origins[0] if services[0].origins else None
        said = statements.get(str(services[0].ref), ())
        manifests = [
            each.manifest
            for each in said
            if first
            and (each.manifest.project.id, each.manifest.file) == (first.project_id, first.file)
        ]
        return dependencies.resource_of(ref, services, manifests[0] if manifests else None)

    def dangling(
        self,
        linked: Linked,
        nearest: Mapping[Ref, Sequence[str]],
        statements: Sequence[Statement],
    ) -> list[Problem]:
        """A warning for each reference of an entity to something that is missing."""
        by_place: dict[tuple[int, str], list[Statement]] = {}
        for each in statements:
            place = each.manifest.project.id, each.manifest.file
            by_place.setdefault(place, []).append(each)
        found = references.dangling(
            linked.entity, linked.missing, nearest=nearest, several=linked.several
        )
        # What is said of an owner is said once, on the manifest's line.
        judged = self.judged
        told = (e for e in found if not (e.field == "owner" and _owner_kind(e.target) in judged))
        published = self.publish_dangling
        return [_placed(replace(each, published=published), by_place) for each in told]


def _owner_kind(ref: Ref) -> str:
    """Which kind of owner a reference is judged as."""
    return "group" if ref.kind == "group" else "user"


def _placed(found: Dangling, statements: Mapping[tuple[int, str], Sequence[Statement]]) -> Problem:
    """The warning at the first manifest that names the target; else where the entity is from."""
    first: Statement | None = None
    for which, origin in enumerate(found.entity.origins[:_MOST_ORIGINS]):
        for each in statements.get((origin.project_id, origin.file), ()):
            if (found.field, found.target) in references.targets(each.body, found.field):
                line, column = _written(each, found)
                return found.problem(line=line, column=column, which=which)
            if which == 0:
                first = first or each
    if first is None:
        return found.problem()
    return found.problem(line=first.line, column=first.column)


def _written(said: Statement, found: Dangling) -> tuple[int, int]:
    """Where the manifest writes the reference; where it speaks of the entity if that is unknown."""
    fields = dict(reference_fields(said.body))
    for text, line, column in said.places:
        if referred(text, fields[found.field], said.body) == found.target:
            return line, column
    return said.line, said.column
