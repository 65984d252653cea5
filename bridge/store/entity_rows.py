"""Rows of entities, and statements about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Integer, bindparam, literal_column, select, union_all, update

from bridge.model.statements import StoredEntity, entity_digest
from bridge.store import model_codec
from bridge.store.tables import entities


def _sides(n: int) -> Iterator[Any]:
    """Both sides of a name, and of it backwards: each is told where its index is to be read."""
    for column in (entities.c.ref, entities.c.mirror):
        name, first, last = (
            bindparam(f"{what}_{n}", type_=column.type) for what in (column.name, "first", "last")
        )
        mine = entities.c.source_id == bindparam("mine")
        above = select(entities.c.ref).where(mine, column >= name, column < last).order_by(column)
        below = select(entities.c.ref).where(mine, column < name, column >= first)
        for wanted in (above, below.order_by(column.desc())):
            some = wanted.limit(bindparam("most", type_=Integer)).subquery()
            yield select(literal_column(str(n)).label("n"), some.c.ref)


NEAR_AT_ONCE: Final = 8  # names that are looked for in one statement
# The query of `SqlModel.neighbours`, for names that `near_bound` gives their numbers.
NEAR: Final = union_all(*(side for n in range(NEAR_AT_ONCE) for side in _sides(n)))


def near_bound(source_id: int | None, refs: Sequence[str], most: int) -> dict[str, Any]:
    """What `NEAR` is executed with, for as many references; `most` entities on each side."""
    bound: dict[str, Any] = {"mine": source_id, "most": most}
    for n in range(NEAR_AT_ONCE):
        # Fewer are filled up with the last: one statement for all, which is made once.
        ref = refs[min(n, len(refs) - 1)]
        kind, _, rest = ref.partition(":")
        bound |= {f"ref_{n}": ref, f"mirror_{n}": f"{kind}:{rest[::-1]}"}
        bound |= {f"first_{n}": f"{kind}:", f"last_{n}": f"{kind};"}
    return bound


RELINK: Final = (
    update(entities)
    .where(entities.c.source_id == bindparam("mine"), entities.c.ref == bindparam("named"))
    .values(body=bindparam("body"), shown=bindparam("shown"), merged=bindparam("merged"))
)


def merged_row(source_id: int, each: StoredEntity) -> dict[str, Any]:
    """The row of an entity as merging gave it."""
    return {
        "source_id": source_id,
        "ref": str(each.entity.ref),
        "mirror": model_codec.mirrored(each.entity.ref),
        "place": each.place,
        "digest": each.digest,
        "shown": each.digest,
        "body": model_codec.encoded_entity(each.entity),
        "merged": None,
    }


def relinked(source_id: int, each: StoredEntity) -> dict[str, Any]:
    """The values of `RELINK` for an entity whose references were put right."""
    same = each.entity.body is each.merged.body
    return {
        "mine": source_id,
        "named": str(each.entity.ref),
        "body": model_codec.encoded_entity(each.entity),
        "shown": entity_digest(each.entity),
        "merged": None if same else model_codec.dumped(each.merged.body),
    }


def under_place(source_id: int | None, place: str) -> tuple[Any, ...]:
    """The conditions of the entities whose place begins so."""
    mine = entities.c.source_id == source_id
    return (mine, entities.c.place >= place, entities.c.place < f"{place}2") if place else (mine,)
