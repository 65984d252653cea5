"""The map of a system, a domain, a team or everything: boxes and arrows, folded when too many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bridge.answers.knowledge import Knowledge, ref_of, title_of
from bridge.model.scores import tier_of

MOST_BOXES: Final = 150  # beyond that systems stand for what they hold, then domains
MOST_ARROWS: Final = 3000
KINDS: Final = ("Component", "API", "Resource")
# Arrows point from who needs to what is needed.
_NEEDS: Final = ("dependsOn", "consumesApi")
_OFFERS: Final = "providesApi"
NOWHERE: Final = ""  # of entities that are part of no system


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


@dataclass(frozen=True, slots=True)
class Arrow:
    """`source` needs `target`, or provides it (`kind`); `count` arrows are folded into it."""

    source: str
    target: str
    kind: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class SystemMap:
    """What to draw. `folded` is "system" or "domain" when boxes stand for more than themselves."""

    title: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    folded: str = ""
    left_out: int = 0  # arrows beyond `MOST_ARROWS`


def system_map(ref: str, known: Knowledge) -> SystemMap | None:
    """The map of a system, domain, group or single entity; of everything for "".

    None when the catalog does not have what was asked for.
    """
    if not ref:
        return _drawn("Everything", _everything(known), known, neighbours=False)
    entity = known.entity(ref.lower())
    if entity is None:
        return None
    return _drawn(title_of(entity), _inside(entity, known), known, neighbours=True)


def _everything(known: Knowledge) -> dict[str, Mapping[str, Any]]:
    mask = known.index.equal("kind", (kind.lower() for kind in KINDS))
    return {ref_of(entity): entity for entity in known.picked(mask)}


def _inside(entity: Mapping[str, Any], known: Knowledge) -> dict[str, Mapping[str, Any]]:
    """The entities of a system, of a domain's systems, of a team; or the entity alone."""
    if entity["kind"] in KINDS:
        return {ref_of(entity): entity}
    found: dict[str, Mapping[str, Any]] = {}
    for part in _ends(entity, ("hasPart", "ownerOf")):
        each = known.entity(part)
        if each is None:
            continue
        if each["kind"] in KINDS:
            found[part] = each
        elif entity["kind"] == "Domain":
            found |= _inside(each, known)
    return found


def _drawn(
    title: str, inside: Mapping[str, Mapping[str, Any]], known: Knowledge, *, neighbours: bool
) -> SystemMap:
    boxes = {ref: _box(ref, entity) for ref, entity in inside.items()}
    arrows = list(_arrows(inside, known, neighbours=neighbours))
    for ref in {end for arrow in arrows for end in (arrow.source, arrow.target)} - boxes.keys():
        boxes[ref] = _outsider(ref, known)
    folded = ""
    if len(boxes) > MOST_BOXES:
        boxes, arrows, folded = _folded(boxes, arrows, known, "system")
    if len(boxes) > MOST_BOXES:
        boxes, arrows, folded = _folded(boxes, arrows, known, "domain")
    shown = sorted(arrows, key=lambda each: (-each.count, each.source, each.target))[:MOST_ARROWS]
    return SystemMap(
        title,
        tuple(sorted(boxes.values(), key=lambda box: (box.group, box.kind, box.ref))),
        tuple(shown),
        folded,
        len(arrows) - len(shown),
    )


def _box(ref: str, entity: Mapping[str, Any]) -> Box:
    system = next(_ends(entity, ("partOf",), "system:"), NOWHERE)
    return Box(ref, title_of(entity), str(entity["kind"]), system, tier_of(entity))


def _outsider(ref: str, known: Knowledge) -> Box:
    entity = known.entity(ref)
    if entity is None:
        kind, _, name = ref.partition(":")
        return Box(ref, name.removeprefix("default/"), kind.title(), known=False, outside=True)
    made = _box(ref, entity)
    return Box(made.ref, made.title, made.kind, made.group, made.tier, outside=True)


def _ends(entity: Mapping[str, Any], along: tuple[str, ...], begin: str = "") -> Iterator[str]:
    for relation in entity.get("relations") or ():
        if relation["type"] in along and relation["targetRef"].startswith(begin):
            yield relation["targetRef"]


def _arrows(
    inside: Mapping[str, Mapping[str, Any]], known: Knowledge, *, neighbours: bool
) -> Iterator[Arrow]:
    """Arrows between what is inside; with `neighbours` also those that cross its border."""
    for ref, entity in inside.items():
        for target in _ends(entity, (*_NEEDS, _OFFERS)):
            if neighbours or target in inside:
                offers = any(target == each for each in _ends(entity, (_OFFERS,)))
                yield Arrow(ref, target, "provides" if offers else "needs")
        if neighbours:
            for source in _ends(entity, ("dependencyOf", "apiConsumedBy")):
                if source not in inside:
                    yield Arrow(source, ref, "needs")
            for source in _ends(entity, ("apiProvidedBy",)):
                if source not in inside:
                    yield Arrow(source, ref, "provides")


def _folded(
    boxes: Mapping[str, Box], arrows: Iterable[Arrow], known: Knowledge, by: str
) -> tuple[dict[str, Box], list[Arrow], str]:
    """Boxes of systems (or domains) in the place of what they hold; arrows between them counted."""
    into = {ref: _holder(box, known, by) for ref, box in boxes.items()}
    sizes: Counter[str] = Counter()
    for ref, holder in into.items():
        sizes[holder] += boxes[ref].holds or 1
    made = {holder: _holding(holder, size, known) for holder, size in sizes.items()}
    counts: Counter[tuple[str, str]] = Counter()
    for arrow in arrows:
        source, target = into[arrow.source], into[arrow.target]
        if source != target:
            counts[source, target] += arrow.count
    folded = [Arrow(source, target, "needs", count) for (source, target), count in counts.items()]
    return made, folded, by


def _holder(box: Box, known: Knowledge, by: str) -> str:
    if by == "system":
        return box.group or f"{by}:"
    system = known.entity(box.ref)
    domain = next(_ends(system, ("partOf",), "domain:"), "") if system is not None else ""
    return domain or f"{by}:"


def _holding(ref: str, size: int, known: Knowledge) -> Box:
    entity = known.entity(ref)
    kind = ref.partition(":")[0].title()
    if entity is None:
        name = ref.rpartition("/")[2]
        return Box(ref, name or f"No {kind.lower()}", kind, holds=size, known=False)
    return Box(ref, title_of(entity), kind, holds=size)
