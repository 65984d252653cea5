"""Scores of teams, systems, domains, products and the whole organization.

A roll-up is the plain mean over its services: a big team is not better for being big, and a
critical service does not hide a poor one. Services without a sufficient score are counted beside
it and are not in it. What is no component is no service.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from statistics import fmean
from typing import Final

from bridge.model.entities import Body, CatalogEntity, Json, Ref
from bridge.model.scores import ORGANIZATION, SERVICE, Rollup, RollupKind, Score

PRODUCT: Final = "fester.dev/product"
_LONGEST: Final = 200  # characters of a product's name


def rollups(entities: Iterable[CatalogEntity], scores: Mapping[Ref, Score]) -> tuple[Rollup, ...]:
    """Every roll-up that has a service, sorted by kind and name."""
    found = {entity.ref: entity for entity in entities}
    members: dict[tuple[RollupKind, str], list[Ref]] = defaultdict(list)
    for ref in scores:
        if ref.kind != SERVICE:
            continue  # an API or a group is scored for itself
        for group in _groups(found[ref].body, found):
            members[group].append(ref)
    return tuple(
        _rollup(kind, name, sorted(refs), scores) for (kind, name), refs in sorted(members.items())
    )


def _groups(body: Body, entities: Mapping[Ref, CatalogEntity]) -> Iterator[tuple[RollupKind, str]]:
    """What an entity belongs to, as (kind, name)."""
    yield RollupKind.ORGANIZATION, ORGANIZATION
    namespace = str(body["metadata"].get("namespace") or "default")
    spec = body.get("spec") or {}
    owner = _ref(spec.get("owner"), "group", namespace)
    if owner is not None:
        yield RollupKind.TEAM, str(owner)
    system = _ref(spec.get("system"), "system", namespace)
    if system is not None:
        yield RollupKind.SYSTEM, str(system)
        holder = entities.get(system)
        inner = (holder.body.get("spec") or {}) if holder else {}
        domain = _ref(inner.get("domain"), "domain", system.namespace)
        if domain is not None:
            yield RollupKind.DOMAIN, str(domain)
    annotations = body["metadata"].get("annotations") or {}
    product = _one_line(str(annotations.get(PRODUCT) or ""))
    if product:
        yield RollupKind.PRODUCT, product


def _one_line(text: str) -> str:
    """A stranger's text as a name that any store and page can hold."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(printable.split())[:_LONGEST]


def _ref(text: Json, kind: str, namespace: str) -> Ref | None:
    if not isinstance(text, str):
        return None
    try:
        return Ref.parse(text, kind=kind, namespace=namespace)
    except ValueError:
        return None


def _rollup(kind: RollupKind, name: str, refs: list[Ref], scores: Mapping[Ref, Score]) -> Rollup:
    mine = [scores[ref] for ref in refs]
    counted = [score for score in mine if score.sufficient and score.value is not None]
    return Rollup(
        kind=kind,
        name=name,
        value=fmean(score.value or 0.0 for score in counted) if counted else None,
        coverage=fmean(score.coverage for score in mine),
        services=len(mine),
        unknown=len(mine) - len(counted),
        below_target=sum(score.on_target is False for score in counted),
        levels=dict(Counter(score.level for score in counted)),
        members=tuple(refs),
    )
