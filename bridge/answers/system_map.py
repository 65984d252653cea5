"""The map of a system, a domain, a team or everything: boxes and arrows, folded when too many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from bridge.answers.documents import documents_in
from bridge.answers.knowledge import Knowledge, ref_of, title_of
from bridge.answers.ties import ties
from bridge.model.scores import tier_of

# Beyond these systems stand for what they hold, then domains.
MOST_BOXES: Final = 150
MOST_ARROWS: Final = 500
KINDS: Final = ("Component", "API", "Resource")
_LOWER: Final = frozenset(kind.lower() for kind in KINDS)
# Arrows point from who needs to what is needed.
_OFFERS: Final = "providesApi"
_OUT: Final = ("dependsOn", "consumesApi", _OFFERS)
NOWHERE: Final = ""  # of entities that are part of no system

Ends: TypeAlias = "tuple[str, str]"  # of an arrow: who needs, and what is needed


@dataclass(frozen=True, slots=True)
class Box:
    """One box. `holds` counts what was folded into it, 0 for an entity of its own."""

    ref: str
    title: str
    kind: str
    group: str = NOWHERE  # the system that it lies in
    tier: int | None = None
    holds: int = 0
    known: bool = True
    outside: bool = False  # drawn for its arrows, but not part of what was asked for


class ArrowKind(StrEnum):
    """What its source does with its target."""

    NEEDS = "needs"
    PROVIDES = "provides"


# What arrows say that lead to an entity, by how it names that in its relations.
_IN: Final = {
    "dependencyOf": ArrowKind.NEEDS,
    "apiConsumedBy": ArrowKind.NEEDS,
    "apiProvidedBy": ArrowKind.PROVIDES,
}


@dataclass(frozen=True, slots=True)
class Arrow:
    """`source` needs `target`, or provides it (`kind`); `count` arrows are folded into it."""

    source: str
    target: str
    kind: ArrowKind
    count: int = 1


@dataclass(frozen=True, slots=True)
class SystemMap:
    """What to draw. `folded` is "system" or "domain" when boxes stand for more than themselves."""

    title: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    folded: str = ""
    left_out: int = 0  # arrows beyond `MOST_ARROWS`, of those that fewest stand behind


def system_map(ref: str, known: Knowledge) -> SystemMap | None:
    """The map of a system, domain, group or single entity; of everything for "".

    None when the catalog does not have what was asked for.
    """
    if not ref:
        return _drawn("Everything", _kinds(known), known, neighbours=False)
    entity = known.entity(ref.lower())
    if entity is None:
        return None
    return _drawn(title_of(entity), _inside(ref.lower(), known), known, neighbours=True)


def _kinds(known: Knowledge) -> int:
    """What is drawn: who has a document in the catalog needs it not, so documents are no boxes."""
    kinds = known.index.equal("kind", _LOWER)
    return kinds & ~documents_in(known.index)


def _inside(ref: str, known: Knowledge) -> int:
    """A mask of the entities of a system, of a domain's systems, of a team; or of it alone."""
    index, kinds = known.index, _kinds(known)
    if ref.partition(":")[0] in _LOWER:
        return index.mask((index.slots[ref],))
    found, left, seen = 0, [ref], {ref}
    while left:
        holder = left.pop()
        parts = index.equal("relations.partof", (holder,))
        parts |= index.equal("relations.ownedby", (holder,))
        found |= parts & kinds
        if holder.startswith("domain:"):
            below = {ref_of(each) for each in known.picked(parts & ~kinds)} - seen
            seen |= below
            left += below
    return found


def _drawn(title: str, mask: int, known: Knowledge, *, neighbours: bool) -> SystemMap:
    flags = known.index.flags(mask)
    inside = {ref for ref, slot in known.index.slots.items() if flags[slot]}
    arrows = _arrows(mask, inside, known, neighbours=neighbours)
    refs = inside.union(*arrows)
    systems = _systems(refs, known)
    few = len(refs) <= MOST_BOXES and len(arrows) <= MOST_ARROWS
    if few or (len(refs) <= MOST_BOXES and len(set(systems.values())) <= 1):
        boxes = [_box(ref, systems, known, outside=ref not in inside) for ref in refs]
        return _shown(title, boxes, [Arrow(*ends, kind) for ends, kind in arrows.items()])
    folded, into = "system", {ref: systems.get(ref, "system:") for ref in refs}
    sizes, counts = _folded(into, dict.fromkeys(refs, 1), dict.fromkeys(arrows, 1))
    if len(sizes) > MOST_BOXES:
        folded, into = "domain", {ref: _domain(ref, known) for ref in sizes}
        sizes, counts = _folded(into, sizes, counts)
    boxes = [_holding(ref, size, known) for ref, size in sizes.items()]
    return _shown(
        title, boxes, [Arrow(*ends, ArrowKind.NEEDS, n) for ends, n in counts.items()], folded
    )


def _shown(title: str, boxes: Iterable[Box], arrows: list[Arrow], folded: str = "") -> SystemMap:
    order = sorted(arrows, key=lambda each: (-each.count, each.source, each.target))
    return SystemMap(
        title,
        tuple(sorted(boxes, key=lambda box: (box.group, box.kind, box.ref))),
        tuple(order[:MOST_ARROWS]),
        folded,
        len(order[MOST_ARROWS:]),
    )


def _arrows(
    mask: int, inside: Set[str], known: Knowledge, *, neighbours: bool
) -> dict[Ends, ArrowKind]:
    """What each arrow says, between what is inside; with `neighbours` also across its border."""
    found: dict[Ends, ArrowKind] = {}
    slots, documents = known.index.slots, known.index.flags(documents_in(known.index))
    for ref, relation, target in ties(mask, _OUT, known):
        if target in inside or (neighbours and not (target in slots and documents[slots[target]])):
            if relation == _OFFERS:
                found[ref, target] = ArrowKind.PROVIDES
            else:
                found.setdefault((ref, target), ArrowKind.NEEDS)
    for ref, relation, source in ties(mask, tuple(_IN), known) if neighbours else ():
        if source not in inside:
            found[source, ref] = _IN[relation]
    return found


def _systems(refs: Iterable[str], known: Knowledge) -> dict[str, str]:
    """The system that each lies in; of several the first by name."""
    slots = known.index.slots
    mask = known.index.mask(slots[ref] for ref in refs if ref in slots)
    found: dict[str, str] = {}
    for ref, _, target in ties(mask, ("partOf",), known):
        if target.startswith("system:") and target <= found.get(ref, target):
            found[ref] = target
    return found


def _box(ref: str, systems: Mapping[str, str], known: Knowledge, *, outside: bool) -> Box:
    entity = known.entity(ref)
    if entity is None:
        kind, _, name = ref.partition(":")
        return Box(ref, name.removeprefix("default/"), kind.title(), known=False, outside=True)
    kind, group = str(entity["kind"]), systems.get(ref, NOWHERE)
    return Box(ref, title_of(entity), kind, group, tier_of(entity), outside=outside)


def _folded(
    into: Mapping[str, str], sizes: Mapping[str, int], arrows: Mapping[Ends, int]
) -> tuple[dict[str, int], dict[Ends, int]]:
    """What is held, and the arrows between holders, counted."""
    held: Counter[str] = Counter()
    for ref, size in sizes.items():
        held[into[ref]] += size
    counts: Counter[Ends] = Counter()
    for (source, target), count in arrows.items():
        if into[source] != into[target]:
            counts[into[source], into[target]] += count
    return held, counts


def _domain(system: str, known: Knowledge) -> str:
    """The domain that a system lies in; a reference without a name where there is none."""
    entity = known.entity(system)
    relations = (entity.get("relations") or ()) if entity is not None else ()
    found = (r["targetRef"] for r in relations if r["type"] == "partOf")
    return next((ref for ref in found if ref.startswith("domain:")), "domain:")


def _holding(ref: str, size: int, known: Knowledge) -> Box:
    entity = known.entity(ref)
    kind = ref.partition(":")[0].title()
    if entity is None:
        name = ref.partition("/")[2]
        return Box(ref, name or f"No {kind.lower()}", kind, holds=size, known=False)
    return Box(ref, title_of(entity), kind, holds=size)
