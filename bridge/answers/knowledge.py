"""All that an answer may draw on, as it is at one moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bridge.answers.lately import Lately
from bridge.catalog.index import Index
from bridge.catalog.jsontext import loaded
from bridge.model.entities import Ref
from bridge.model.facts import Reading
from bridge.model.scores import Score


@dataclass(frozen=True, slots=True)
class Knowledge:
    """The catalog as it is read, the latest facts by entity and retriever, and the scores.

    `read_at` is when a pass last read of the source, `complete_at` when one last left nothing
    unread; None: never. `lately` is what changed within a day; None where no history is at hand.
    """

    index: Index
    facts: Mapping[Ref, Mapping[str, Reading]] = field(default_factory=dict)
    scores: Mapping[Ref, Score] = field(default_factory=dict)
    read_at: datetime | None = None
    complete_at: datetime | None = None
    check_titles: Mapping[str, str] = field(default_factory=dict)  # by a check's id
    lately: Lately | None = None

    def entity(self, ref: str) -> dict[str, Any] | None:
        """An entity as it is read, relations and all; None when the catalog does not have it."""
        raw = self.index.raw(ref)
        return None if raw is None else loaded(raw)

    def picked(self, mask: int) -> Iterator[dict[str, Any]]:
        """The entities of a mask of the index, in the order of their slots."""
        flags = self.index.flags(mask)
        at = flags.find(1)
        while at >= 0:
            yield loaded(self.index.raws[at])
            at = flags.find(1, at + 1)


def ref_of(entity: Mapping[str, Any]) -> str:
    """The reference of an entity as it is read, in lower case."""
    metadata = entity["metadata"]
    return f"{entity['kind']}:{metadata['namespace']}/{metadata['name']}".lower()


def title_of(entity: Mapping[str, Any]) -> str:
    """What people call it."""
    metadata = entity["metadata"]
    return str(metadata.get("title") or metadata["name"])


def annotation(entity: Mapping[str, Any], key: str) -> str:
    """An annotation's text; "" when it is not there."""
    return str((entity["metadata"].get("annotations") or {}).get(key) or "")
