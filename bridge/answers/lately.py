"""What changed within a day, at hand: an incident is answered without asking the store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from bridge.model.entity_changes import ChangeQuery, EntityChange

Find: TypeAlias = Callable[[ChangeQuery], Awaitable[list[EntityChange]]]

LATELY: Final = timedelta(hours=24)
MOST: Final = 5_000  # changes at hand: a few MB, when a mapping changed everything at once
_SHEET: Final = 500


@dataclass(frozen=True, slots=True)
class Lately:
    """The newest changes by entity, newest first. `cut` when there are more than are at hand.

    `newest` is the number of the last one that was looked at, `read_at` when it was. `missed` when
    the store has not told since then: what changed meanwhile is not known.
    """

    by_ref: Mapping[str, tuple[EntityChange, ...]] = field(default_factory=dict)
    newest: int = 0
    cut: bool = False
    read_at: datetime | None = None
    missed: bool = False

    def of(self, refs: Iterable[str], since: datetime) -> Iterator[EntityChange]:
        """The changes of some entities since then."""
        for ref in refs:
            yield from (each for each in self.by_ref.get(ref, ()) if each.at >= since)


async def lately(find: Find, now: datetime, before: Lately | None = None) -> Lately:
    """The last day's changes: what is new since `before`, on top of it. Raises `StoreError`."""
    known, since = before or Lately(), now - LATELY
    kept = [c for changes in known.by_ref.values() for c in changes if c.at >= since]
    fresh: list[EntityChange] = []
    query = ChangeQuery(since=since, above=known.newest or None, limit=_SHEET)
    while len(fresh) <= MOST and (sheet := await find(query)):
        fresh += sheet
        query = replace(query, below=sheet[-1].number)
    found = sorted([*kept, *fresh], key=lambda each: -each.number)
    newest = max(known.newest, found[0].number if found else 0)
    # What was cut stays so until all of it has grown old.
    cut = len(found) > MOST or (known.cut and len(found) >= MOST)
    return Lately(_by_ref(found[:MOST]), newest, cut, now)


def _by_ref(changes: Iterable[EntityChange]) -> dict[str, tuple[EntityChange, ...]]:
    found: dict[str, list[EntityChange]] = {}
    for each in changes:
        found.setdefault(str(each.ref), []).append(each)
    return {ref: tuple(theirs) for ref, theirs in found.items()}
