"""The processor that makes Backstage's catalog: aggregate, then settle references to nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from bridge.caching.memo import PassMemo
from bridge.model.entities import Draft, Ref
from bridge.model.manifests import AggregatedManifests, TranslatedManifest
from bridge.model.problems import Problem
from bridge.model.runs import Processed
from bridge.processors import aggregation, aliases, dependencies, owners, references
from bridge.processors.aggregation import aggregate, problem_order
from bridge.processors.dependencies import needed, with_resources, without_missing
from bridge.processors.merging import MergeRules
from bridge.processors.owners import with_owners
from bridge.processors.references import Dangling, dangling, reference_fields, referred, targets
from bridge.processors.rules import broken_rules
from bridge.processors.teams import OwnerRules

_MOST_ORIGINS: Final = 50  # manifests searched for the line that a warning is about

_Manifests: TypeAlias = Mapping[tuple[int, str], TranslatedManifest]


@dataclass(frozen=True, slots=True)
class _Earlier:
    """What was worked out in the pass before, by stage."""

    owners: owners.Earlier = field(default_factory=owners.Earlier)
    aggregation: aggregation.Earlier = field(default_factory=aggregation.Earlier)
    aliases: aliases.Earlier = field(default_factory=aliases.Earlier)
    references: references.Earlier = field(default_factory=references.Earlier)
    dependencies: dependencies.Earlier = field(default_factory=dependencies.Earlier)
    placed: PassMemo[tuple[Ref, str, Ref], Problem] = field(default_factory=PassMemo)


@dataclass(frozen=True, slots=True)
class BackstageProcessor:
    """Turns manifests into a catalog that Backstage accepts as it is; pure.

    It remembers the pass before, so that a small change costs little; what comes out is the same.
    `owners` says who may own something, and which teams somebody else puts into Backstage: a
    reference to one of those is fine.
    """

    rules: MergeRules
    owners: OwnerRules = field(default_factory=OwnerRules)
    _earlier: _Earlier = field(default_factory=_Earlier, init=False, repr=False, compare=False)

    @property
    def name(self) -> str:
        """The processor's name in logs and reports."""
        return "backstage"

    def process(self, manifests: AggregatedManifests) -> Processed:
        """The catalog and every problem, in a fixed order. The exporters render the catalog."""
        earlier = self._earlier
        manifests, unowned, teams = with_owners(manifests, self.owners, earlier.owners)
        known_elsewhere = frozenset(team.ref for team in self.owners.known)
        merged, problems = aggregate(manifests, self.rules, earlier.aggregation)
        catalog, several = aliases.resolved(merged, earlier.aliases)
        by_place = {(each.project.id, each.file): each for each in manifests.manifests}
        needs = needed(catalog, earlier.dependencies)
        others = {*several, *known_elsewhere}
        catalog = with_resources(catalog, needs, by_place, earlier.dependencies, others)
        with earlier.placed.round() as known:
            lost = [
                # An entity that is the same object was made from the same manifests.
                known.get(
                    (each.entity.ref, each.field, each.target),
                    [each.entity, str(each.more), *each.nearest, "or", *each.several],
                    lambda each=each: _placed(each, by_place),  # type: ignore[misc]
                )
                for each in dangling(
                    catalog,
                    earlier.references,
                    several=several,
                    known_elsewhere=known_elsewhere,
                )
                # What is said of an owner is said once, on the manifest's line.
                if not (each.field == "owner" and teams.judges(each.target))
            ]
        return Processed(
            catalog=without_missing(catalog, needs, earlier.dependencies, known_elsewhere),
            problems=tuple(sorted((*unowned, *problems, *lost), key=problem_order)),
        )


def _placed(found: Dangling, manifests: _Manifests) -> Problem:
    """The warning at the first manifest that names the target; else where the entity is from."""
    first: Draft | None = None
    for which, origin in enumerate(found.entity.origins[:_MOST_ORIGINS]):
        for draft in manifests[origin.project_id, origin.file].translation.drafts:
            if _ref(draft) != found.entity.ref or broken_rules(draft.body):
                continue  # a left-out draft of the same name may hold anything
            if (found.field, found.target) in targets(draft.body, found.field):
                line, column = _written(draft, found)
                return found.problem(line=line, column=column, which=which)
            if which == 0:
                first = first or draft
    if first is None:
        return found.problem()
    return found.problem(line=first.line, column=first.column)


def _written(draft: Draft, found: Dangling) -> tuple[int, int]:
    """Where the manifest writes the reference; where it speaks of the entity if that is unknown."""
    fields = dict(reference_fields(draft.body))
    for text, line, column in draft.places:
        if referred(text, fields[found.field], draft.body) == found.target:
            return line, column
    return draft.line, draft.column


def _ref(draft: Draft) -> Ref | None:
    """A quarantined neighbour in the same file may have no reference."""
    try:
        return Ref.of(draft.body)
    except (KeyError, AttributeError, TypeError):
        return None
