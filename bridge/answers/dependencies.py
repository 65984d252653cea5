"""Who is hit and who may be the cause: a bounded walk along the dependencies, both ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bridge.answers.knowledge import Knowledge, ref_of, title_of
from bridge.model.entities import Ref
from bridge.model.scores import tier_of

HOPS: Final = 4
MOST: Final = 200  # entities that one walk looks at
UNTIERED: Final = 9  # after every tier

# Relations that lead to what an entity needs, and to what needs it; an API stands between the two.
NEEDS: Final = ("dependsOn", "consumesApi", "apiProvidedBy")
NEEDED_BY: Final = ("dependencyOf", "providesApi", "apiConsumedBy")
# What a system, a domain or a team holds; a domain's services are two steps away.
PARTS: Final = ("hasPart", "ownerOf")
PART_HOPS: Final = 2


@dataclass(frozen=True, slots=True)
class Reached:
    """An entity on the way. `via` is the one before it; `known` is False for a dangling name."""

    ref: str
    title: str
    hops: int
    via: str
    tier: int | None = None
    owner: str = ""
    known: bool = True


@dataclass(frozen=True, slots=True)
class Walk:
    """What was reached, critical tiers and near ones first; `cut` when the bounds ended it."""

    reached: tuple[Reached, ...] = ()
    cut: bool = False


def walk(
    starts: Sequence[Mapping[str, Any]],
    known: Knowledge,
    along: tuple[str, ...],
    *,
    hops: int = HOPS,
    without: Callable[[Mapping[str, Any]], bool] = lambda entity: False,
) -> Walk:
    """All that is reached from entities along relations, each once: circles end by themselves.

    Entities that `without` picks out are neither told nor gone through.
    """
    seen = {ref_of(start) for start in starts}
    most = MOST + len(seen)
    reached: list[Reached] = []
    border = list(starts)
    for step in range(1, hops + 1):
        following: list[Mapping[str, Any]] = []
        for entity in border:
            for ref in _related(entity, along):
                if ref in seen:
                    continue
                if len(seen) >= most:
                    return Walk(_ranked(reached), cut=True)
                seen.add(ref)
                other = known.entity(ref)
                if other is not None and without(other):
                    continue
                reached.append(_reached(ref, other, step, ref_of(entity)))
                if other is not None:
                    following.append(other)
        border = following
    return Walk(_ranked(reached), cut=any(_beyond(entity, along, seen) for entity in border))


def _beyond(entity: Mapping[str, Any], along: tuple[str, ...], seen: set[str]) -> bool:
    return any(ref not in seen for ref in _related(entity, along))


def _related(entity: Mapping[str, Any], along: tuple[str, ...]) -> Iterator[str]:
    for relation in entity.get("relations") or ():
        if relation["type"] in along:
            yield relation["targetRef"]


def _reached(ref: str, entity: Mapping[str, Any] | None, hops: int, via: str) -> Reached:
    if entity is None:
        return Reached(ref, Ref.parse(ref).name, hops, via, known=False)
    owner = str((entity.get("spec") or {}).get("owner") or "")
    return Reached(ref, title_of(entity), hops, via, tier_of(entity), owner)


def _ranked(reached: list[Reached]) -> tuple[Reached, ...]:
    return tuple(sorted(reached, key=lambda each: (each.tier or UNTIERED, each.hops, each.ref)))
