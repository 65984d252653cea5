"""`GET /entities`: the older list, in pages by number, with rules of its own.

Without pages it is the whole list of `queries`. With pages entities that lack the order's field
come last, and the plain order is by reference.
"""

from __future__ import annotations

import base64
import binascii
from array import array
from collections.abc import Sequence
from itertools import compress, islice
from typing import Any, NamedTuple

import orjson

from bridge.catalog.index import Index
from bridge.catalog.jsontext import dumped
from bridge.catalog.keys import slots_of
from bridge.catalog.predicates import matching
from bridge.catalog.queries import Order
from bridge.errors import BadQuestion
from bridge.model.entities import Json


class PageByNumber(NamedTuple):
    """A page by number."""

    limit: int | None
    offset: int


def page_after(text: str) -> PageByNumber:
    """What the parameter `after` says. Raises `BadQuestion`."""
    try:
        content: Any = orjson.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise BadQuestion("Malformed after cursor, could not be parsed") from None
    if not isinstance(content, dict):
        raise BadQuestion("Malformed after cursor, could not be parsed")
    limit, offset = content.get("limit"), content.get("offset", 0)
    if limit is not None and (not _is_count(limit) or limit == 0):
        raise BadQuestion("Malformed after cursor, limit was not an number")
    if not _is_count(offset):
        raise BadQuestion("Malformed after cursor, offset was not a number")
    return PageByNumber(limit, offset)


def after(page: PageByNumber) -> str:
    """The parameter `after` that gives this page."""
    return base64.b64encode(dumped({"limit": page.limit, "offset": page.offset})).decode()


def _is_count(value: Json) -> bool:
    return type(value) is int and 0 <= value < 2**53


def listed(
    index: Index, query: Json, orders: Sequence[Order], page: PageByNumber
) -> tuple[list[int], PageByNumber | None]:
    """The slots of a page, and the next page if there is one."""
    flags = index.flags(matching(index, query))
    slots = _in_order(index, orders)
    found = compress(slots, map(flags.__getitem__, slots))
    limit, offset = page
    if limit is None:
        return list(islice(found, offset, None)), None
    some = list(islice(found, offset, offset + limit + 1))
    more = PageByNumber(limit, offset + limit) if len(some) > limit else None
    return some[:limit], more


def _in_order(index: Index, orders: Sequence[Order]) -> Sequence[int]:
    if not orders:
        return array("I", index.slots.values())
    if len(orders) > 1:
        return _by_several(index, orders)
    (order,) = orders
    # Here Backstage takes the field as it is written: in capitals, nothing has it.
    rows = index.ordered(order.field)
    if rows is None:
        everything = index.by_default()
        return everything.slots if everything else ()
    slots = array("I", rows.slots)
    if order.descending:
        slots = array("I", _descending(index, rows.values, rows.slots))
    having = set(slots)
    rest = index.by_default()
    slots.extend(slot for slot in (rest.slots if rest else ()) if slot not in having)
    return slots


def _descending(index: Index, values: Sequence[str], slots: Sequence[int]) -> list[int]:
    # From high to low, and still by rising uid where values are equal.
    pairs = sorted(zip(values, slots, strict=True), key=lambda pair: index.uids[pair[1]])
    pairs.sort(key=lambda pair: pair[0], reverse=True)
    return [slot for _, slot in pairs]


def _by_several(index: Index, orders: Sequence[Order]) -> list[int]:
    """By several fields; of several values in one entity its least counts."""
    slots = sorted(index.slots.values(), key=index.uids.__getitem__)
    for order in reversed(orders):
        least = _least(index, order.field)
        slots.sort(key=lambda slot: least.get(slot, ""), reverse=order.descending)
        slots.sort(key=lambda slot: slot not in least)
    return slots


def _least(index: Index, field: str) -> dict[int, str]:
    key = index.keys.get(field)
    least: dict[int, str] = {}
    for value, posting in key.values.items() if key else ():
        if value is not None:
            folded = value.lower()
            for slot in slots_of(posting):
                if slot not in least or folded < least[slot]:
                    least[slot] = folded
    return least
