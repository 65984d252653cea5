"""Whose a destination is, and by which publish it became what it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from bridge.model.entities import CatalogEntity


@dataclass(frozen=True, slots=True)
class Mark:
    """What stands at a destination beside the catalog, and what a publisher shows.

    `source` is what is crawled, `store` the id that the store gave to it. `fence` is a number that
    the store draws for each publish and that only grows: the larger one is the newer.
    """

    source: str
    store: str
    fence: int = 0


def refusal(found: Mark, by: Mark, place: str) -> str:
    """Why `by` must not publish where `found` stands, and what to do; "" when it may."""
    if found.source != by.source:
        return (
            f"{place} belongs to {found.source}, and this Fester reads {by.source}: publishing "
            "would remove what is there. Give each source its own folder or prefix, or run once "
            "with --take-over if it is to be this one's from now on"
        )
    if found.store != by.store:
        return (
            f"{place} is published by a Fester with another store that reads {by.source}, too: "
            "two would undo each other's work. Name that store, give this one its own folder or "
            "prefix, or run once with --take-over if the other one is gone"
        )
    return ""


# Draws the mark of a publish that is about to write. Raises `LeadLost` or `StoreConflict` when
# another process has taken over, or has saved a pass that this one does not know.
Fence: TypeAlias = Callable[[], Awaitable[Mark]]


@dataclass(frozen=True, slots=True)
class DestinationContent:
    """What lies at a destination: its mark, if it has one, and the index, if there is one."""

    mark: Mark | None = None
    index: bytes | None = None


@dataclass(frozen=True, slots=True)
class PublishedCatalog:
    """The entities that a destination's `catalog.json` holds, and when it was written there."""

    entities: tuple[CatalogEntity, ...]
    at: datetime
