"""What entities are tied to: read of few, told by the index of many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from bridge.answers.knowledge import Knowledge, ref_of

READ: Final = 500  # entities that are read; the index has to be gone through as a whole


def ties(mask: int, along: Sequence[str], known: Knowledge) -> Iterator[tuple[str, str, str]]:
    """(reference, relation, reference of the other end) of the entities of a mask, in no order."""
    if mask.bit_count() <= READ:
        for entity in known.picked(mask):
            for relation in entity.get("relations") or ():
                if relation["type"] in along:
                    yield ref_of(entity), relation["type"], relation["targetRef"]
        return
    index = known.index
    flags, refs = index.flags(mask), {slot: ref for ref, slot in index.slots.items()}
    for relation in along:
        for slot, target in index.column(f"relations.{relation.lower()}"):
            if flags[slot]:
                yield refs[slot], relation, target
