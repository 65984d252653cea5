"""What passes make part by part, made at once from all manifests: what laws compare with."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from bridge.model.entities import Catalog, CatalogEntity, Ref
from bridge.model.manifests import AggregatedManifests, TranslatedManifest, Verdict
from bridge.model.problems import Problem
from bridge.model.statements import Linked, Statement
from bridge.passes.makers import EntityMaker
from bridge.processors.aggregation import merged, said
from bridge.processors.backstage import BackstageProcessor
from bridge.processors.merging import MergeRules
from bridge.processors.services_csv import ServicesCsv


def place(problem: Problem) -> tuple[object, ...]:
    """The order in which problems are listed."""
    where = problem.project, problem.file, problem.line, problem.column
    return *where, problem.rule, problem.ref, problem.message


def _valid(manifests: Sequence[TranslatedManifest]) -> list[TranslatedManifest]:
    found = [each for each in manifests if each.translation.verdict is Verdict.VALID]
    return sorted(found, key=lambda each: (each.project.id, each.file, each.oid))


def grouped(statements: Sequence[Statement]) -> dict[Ref, list[Statement]]:
    groups: dict[Ref, list[Statement]] = {}
    for statement in statements:
        groups.setdefault(statement.ref, []).append(statement)
    return dict(sorted(groups.items(), key=lambda pair: str(pair[0])))


def aggregate(
    manifests: AggregatedManifests, rules: MergeRules
) -> tuple[Catalog, tuple[Problem, ...]]:
    """The catalog of all manifests, and every problem met on the way, without references."""
    statements, problems = [], []
    for manifest in _valid(manifests.manifests):
        found, wrong = said(manifest)
        statements += found
        problems += wrong
    catalog, conflicts = _merged(grouped(statements), rules)
    return catalog, tuple(sorted((*problems, *conflicts), key=place))


def _merged(groups: dict[Ref, list[Statement]], rules: MergeRules) -> tuple[Catalog, list[Problem]]:
    entities: list[CatalogEntity] = []
    problems: list[Problem] = []
    for group in groups.values():
        made, wrong = merged(group, rules)
        problems += wrong
        if made is not None:
            entities.append(made)
    return Catalog(tuple(entities)), problems


def linked(catalog: Catalog, maker: EntityMaker) -> list[Linked]:
    """Every entity with its references put right, and those to nothing."""
    there = {entity.ref for entity in catalog.entities}
    names: dict[tuple[int, Ref], list[Ref]] = {}
    for entity in catalog.entities:
        for name in maker.names(entity):
            names.setdefault(name, []).append(entity.ref)
    return [
        maker.link(entity, maker.targets(entity.body) - there, names) for entity in catalog.entities
    ]


def processed(
    manifests: Sequence[TranslatedManifest], maker: BackstageProcessor
) -> tuple[Catalog, tuple[Problem, ...]]:
    """The catalog and every problem, references to nothing included."""
    if maker.learns:
        maker = maker.learned([t for each in _valid(manifests) for t in maker.described(each)])
    stated = [maker.statements(each) for each in _valid(manifests)]
    said_ = grouped([each for statements, _ in stated for each in statements])
    problems = [problem for _, found in stated for problem in found]
    merged_, conflicts = _merged(said_, maker.rules)
    problems += conflicts
    aliased = linked(merged_, maker)
    pointing: dict[Ref, list[Linked]] = {}
    for one in aliased:
        for target in maker.targets(one.entity.body):
            pointing.setdefault(target, []).append(one)
    there = {each.entity.ref for each in aliased}
    made = [
        resource
        for ref in sorted(pointing.keys() - there)
        if (needing := [each.entity for each in pointing[ref] if maker.needs(each, ref)])
        and (resource := maker.derive(ref, needing, {str(r): s for r, s in said_.items()}))
    ]
    there |= {each.ref for each in made}
    lost: list[Problem] = []
    published: list[CatalogEntity] = []
    unlinked = [*aliased, *linked(Catalog(tuple(made)), maker)]
    near = _likely({ref for each in unlinked for ref in each.missing} - there, there, maker)
    for each in unlinked:
        one = replace(each, missing=tuple(ref for ref in each.missing if ref not in there))
        lost += maker.dangling(one, near, said_.get(one.entity.ref, ()))
        published.append(maker.published(one))
    catalog = Catalog(tuple(sorted(published, key=lambda each: str(each.ref))))
    return catalog, tuple(sorted((*problems, *lost), key=place))


def _likely(
    lost: Collection[Ref], there: Collection[Ref], maker: EntityMaker
) -> dict[Ref, tuple[str, ...]]:
    """What may be meant by what is not there, of all that are."""
    kinds: dict[str, list[str]] = {}
    for ref in there:
        kinds.setdefault(ref.kind, []).append(str(ref))
    return {target: maker.likely(target, kinds.get(target.kind, ())) for target in lost}


def services_csv(manifests: Sequence[TranslatedManifest]) -> bytes:
    """The list of services."""
    statements = [each for manifest in _valid(manifests) for each in said(manifest)[0]]
    maker = ServicesCsv()
    lines = [
        maker.line(group) for ref, group in grouped(statements).items() if ref.kind == maker.kind
    ]
    return maker.head + b"".join(lines)
