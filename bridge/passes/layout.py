"""Which shards there are, and which of them changed: told from the places that changed alone.

A shard is all entities whose places begin with its bits. It splits by the next bit when it has
more than the limit, and two join when they have no more than that together. So the shards depend
on the entities alone, whatever the order in which they came.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

_DEEPER: Final = 6  # bits that one question looks further: more would cost a push


@dataclass(frozen=True, slots=True)
class Layout:
    """The shards that are to be rendered, and those that are no more."""

    changed: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class Counts:
    """How many entities have places that begin with some bits.

    `ask` tells it for all that begin so and have so many more bits: one question for many counts.
    """

    ask: Callable[[str, int], Awaitable[Mapping[str, int]]]
    _asked: set[str] = field(default_factory=set)
    _known: dict[str, int] = field(default_factory=dict)

    async def of(self, bits: str) -> int:
        """How many there are. Raises what `ask` does."""
        if not any(bits[: max(0, len(bits) - up)] in self._asked for up in range(_DEEPER + 1)):
            found: dict[str, int] = {}
            for place, count in (await self.ask(bits, _DEEPER)).items():
                for end in range(len(bits), len(place) + 1):
                    found[place[:end]] = found.get(place[:end], 0) + count
            self._known |= found
            self._asked.add(bits)
        return self._known.get(bits, 0)


async def changed_layout(
    places: Iterable[str],
    shards: Collection[str],
    count: Callable[[str], Awaitable[int]],
    *,
    limit: int,
    depth: int,
) -> Layout:
    """What the changed `places` make of `shards`; `count` tells how many entities begin so."""
    ordered = sorted(shards)
    starts: set[str] = set()
    for place in sorted(set(places)):
        if any(place.startswith(start) for start in (place[:end] for end in range(depth + 1))
               if start in starts):  # fmt: skip
            continue
        start = next(place[:end] for end in range(depth + 1) if not _is_above(place[:end], ordered))
        while start and await count(start[:-1]) <= limit:
            start = start[:-1]
        starts.add(start)
    changed: list[str] = []
    gone: set[str] = set()
    for start in sorted(starts):
        gone.update(_beginning(start, ordered))
        if not any(start[:end] in starts for end in range(len(start))):
            changed += await _below(start, count, limit, depth)
    return Layout(tuple(sorted(changed)), tuple(sorted(gone - set(changed))))


def _beginning(start: str, ordered: Sequence[str]) -> Sequence[str]:
    """The shards whose bits begin so, of all in their order."""
    return ordered[bisect_left(ordered, start) : bisect_left(ordered, f"{start}2")]


def _is_above(start: str, ordered: Sequence[str]) -> bool:
    """Whether there are shards below these bits."""
    after = bisect_right(ordered, start)
    return after < len(ordered) and ordered[after].startswith(start)


async def _below(
    bits: str, count: Callable[[str], Awaitable[int]], limit: int, depth: int
) -> list[str]:
    """The shards whose bits begin so."""
    held = await count(bits)
    if not held:
        return []
    if held <= limit or len(bits) == depth:
        return [bits]
    return [
        *await _below(f"{bits}0", count, limit, depth),
        *await _below(f"{bits}1", count, limit, depth),
    ]
