"""Which shards there are, and which of them changed: told from the places that changed alone.

A shard is all entities whose places begin with its bits. It splits by the next bit when it has
more than the limit, and two join when they have no more than that together. So the shards depend
on the entities alone, whatever the order in which they came.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layout:
    """The shards that are to be rendered, and those that are no more."""

    changed: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


async def changed_layout(
    places: Iterable[str],
    shards: Collection[str],
    count: Callable[[str], Awaitable[int]],
    *,
    limit: int,
    depth: int,
) -> Layout:
    """What the changed `places` make of `shards`; `count` tells how many entities begin so."""
    above = {shard[:end] for shard in shards for end in range(len(shard))}
    starts: set[str] = set()
    for place in sorted(set(places)):
        if any(place.startswith(start) for start in (place[:end] for end in range(depth + 1))
               if start in starts):  # fmt: skip
            continue
        start = next(place[:end] for end in range(depth + 1) if place[:end] not in above)
        while start and await count(start[:-1]) <= limit:
            start = start[:-1]
        starts.add(start)
    changed: list[str] = []
    for start in sorted(starts):
        if not any(start[:end] in starts for end in range(len(start))):
            changed += await _below(start, count, limit, depth)
    gone = {
        shard for shard in shards if any(shard[:end] in starts for end in range(len(shard) + 1))
    } - set(changed)
    return Layout(tuple(sorted(changed)), tuple(sorted(gone)))


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
