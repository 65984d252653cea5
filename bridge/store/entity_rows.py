"""Rows of entities, and statements about them."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Integer, bindparam, select, union_all, update

from bridge.model.statements import StoredEntity, entity_digest
from bridge.store import model_codec
from bridge.store.tables import entities


def _near() -> Any:
    """The query of `SqlModel.neighbours`: both sides of a name, and of it backwards, at once."""
    sides = []
    for column in (entities.c.ref, entities.c.mirror):
        near: Any = bindparam(f"near_{column.name}", type_=column.type)
        first: Any = bindparam("first", type_=column.type)
        last: Any = bindparam("last", type_=column.type)
        mine = entities.c.source_id == bindparam("mine"), column.between(first, last)
        for side, order in ((column >= near, column), (column < near, column.desc())):
            wanted = select(entities.c.ref).where(*mine, side).order_by(order)
            sides.append(select(wanted.limit(bindparam("most", type_=Integer)).subquery()))
    return union_all(*sides)


NEAR: Final = _near()
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
