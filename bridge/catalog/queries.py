"""Lists of entities: filtered, searched, ordered, and in pages that go both ways.

The rules are those of Backstage's `DefaultEntitiesCatalog`, with what is odd in them: only the
first order field counts, entities without it are left out, and one with several values for it
stands once for each.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress, islice
from typing import Any, Final

from bridge.catalog.cursors import decoded, encoded
from bridge.catalog.index import Index
from bridge.catalog.keys import Ordered
from bridge.catalog.predicates import checked, matching
from bridge.errors import BadQuestion
from bridge.model.entities import Json

DEFAULT_LIMIT: Final = 200
MOST_ORDERS: Final = 10
MOST_TEXT_FIELDS: Final = 50
LONGEST_TERM: Final = 500
LONGEST_KEY: Final = 500


@dataclass(frozen=True, slots=True)
class Order:
    """A field to sort by."""

    field: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class EntityQuery:
    """What to list. `term` is looked for in `text_fields`, None for the field of the order.

    `values` is the position of a cursor: the row before (after, when `backwards`) the page.
    """

    query: Json = None
    orders: tuple[Order, ...] = ()
    term: str = ""
    text_fields: tuple[str, ...] | None = None
    count: bool = True
    values: tuple[str | None, ...] | None = None
    first: tuple[str | None, ...] | None = None
    backwards: bool = False
    total: int | None = None

    def __post_init__(self) -> None:
        texts = [*(order.field for order in self.orders), *(self.text_fields or ())]
        if len(self.orders) > MOST_ORDERS:
            raise BadQuestion(f"Invalid order, at most {MOST_ORDERS} fields")
        if len(self.text_fields or ()) > MOST_TEXT_FIELDS:
            raise BadQuestion(f"Invalid full text filter, at most {MOST_TEXT_FIELDS} fields")
        if len(self.term) > LONGEST_TERM or any(len(text) > LONGEST_KEY for text in texts):
            raise BadQuestion(
                f"A full text term has at most {LONGEST_TERM} characters, a field {LONGEST_KEY}"
            )
        checked(self.query)

    @property
    def sort_key(self) -> str:
        """The key to sort by, "" for the order by uid."""
        return self.orders[0].field.lower() if self.orders else ""

    @property
    def descending(self) -> bool:
        """Whether the order is from high to low."""
        return bool(self.orders) and self.orders[0].descending


@dataclass(frozen=True, slots=True)
class QueryPage:
    """The answer: slots in order, how many there are in all, and cursors."""

    slots: Sequence[int]
    total: int
    next: str = ""
    previous: str = ""
    cursors: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        named = {"nextCursor": self.next, "prevCursor": self.previous}
        object.__setattr__(self, "cursors", {name: text for name, text in named.items() if text})


def question_from(cursor: str) -> EntityQuery:
    """The question that a cursor goes on with. Raises `BadQuestion`."""
    content = decoded(cursor)
    try:
        search = content.get("fullTextFilter") or {}
        fields = search.get("fields")
        return EntityQuery(
            query=content.get("query"),
            orders=tuple(
                Order(_text(each["field"]), each["order"] == "desc")
                for each in content["orderFields"]
            ),
            term=_text(search.get("term") or ""),
            text_fields=None if fields is None else tuple(map(_text, fields)),
            values=_position(content["orderFieldValues"]),
            first=_position(content["firstSortFieldValues"]),
            backwards=content["isPrevious"] is True,
            total=int(content["totalItems"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        # Whoever can make the digest can also make nonsense.
        raise BadQuestion("Malformed cursor: begin again without a cursor") from None


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _position(values: Json) -> tuple[str | None, ...]:
    return tuple(None if value is None else _text(value) for value in values)


def answered(
    index: Index, question: EntityQuery, *, limit: int | None = None, offset: int = 0
) -> QueryPage:
    """One page of what the question asks for; `limit` None means as many as Backstage gives."""
    limit = DEFAULT_LIMIT if limit is None else limit
    mask = matching(index, question.query)
    rows = index.ordered(question.sort_key) if question.sort_key else index.by_default()
    searched = _searched(index, question)
    if searched is not None:
        mask &= searched
    total = _total(index, question, mask)
    if limit == 0 or rows is None:
        return QueryPage((), total)
    positions = _positions(index, question, rows, index.flags(mask))
    wanted = limit if question.backwards else limit + 1
    found = list(islice(positions, offset, offset + wanted))
    if question.backwards:
        found.reverse()
    more = question.backwards or len(found) > limit
    del found[limit:]
    first_here = _values(index, question, rows, found[:1])
    last_here = _values(index, question, rows, found[-1:])
    onwards = back = ""
    if more:
        onwards = _cursor(question, last_here, question.first or first_here, total)
    if question.first is not None and found and first_here != question.first:
        back = _cursor(question, first_here, question.first, total, backwards=True)
    return QueryPage([rows.slots[at] for at in found], total, onwards, back)


def every(index: Index, question: EntityQuery) -> list[int]:
    """All slots, in order: what a list without pages gives."""
    rows = index.ordered(question.sort_key) if question.sort_key else index.by_default()
    if rows is None:
        return []
    flags = index.flags(matching(index, question.query))
    return [rows.slots[at] for at in _positions(index, question, rows, flags)]


def _text_fields(question: EntityQuery) -> tuple[str, ...]:
    if question.text_fields is None:
        return (question.sort_key or "metadata.uid",)
    return question.text_fields


def _searched(index: Index, question: EntityQuery) -> int | None:
    term = question.term.strip().lower()
    if not term:
        return None
    return index.containing((each.lower() for each in _text_fields(question)), term)


def _total(index: Index, question: EntityQuery, mask: int) -> int:
    if question.total is not None:
        return question.total
    if not question.count:
        return 0
    if question.sort_key:
        mask &= index.valued(question.sort_key)
    return mask.bit_count()


def _positions(index: Index, question: EntityQuery, rows: Ordered, flags: bytes) -> Iterator[int]:
    """The rows after the question's position that are in the mask, in the question's direction."""
    start, end = 0, len(rows.slots)
    down = question.descending != question.backwards
    if question.values is not None:
        at = _place(index, question, rows, after=not down)
        if at is None:
            return iter(())
        start, end = (0, at) if down else (at, end)
    slots = rows.slots[start:end]
    span = range(start, end)
    if down:
        slots.reverse()
        span = span[::-1]
    found = compress(span, map(flags.__getitem__, slots))
    term = question.term.strip().lower()
    if term and question.sort_key and _text_fields(question) == (question.sort_key,):
        # With several values in one entity, only the rows that match themselves count.
        return (at for at in found if term in rows.values[at])
    return found


def _place(index: Index, question: EntityQuery, rows: Ordered, *, after: bool) -> int | None:
    """Where the question's position lies among the rows; None: nothing comes of it."""
    values = [value for value in question.values or () if value is not None]
    cut: Any = bisect_right if after else bisect_left
    if len(values) != (2 if question.sort_key else 1):
        return None
    low, high = bisect_left(rows.values, values[0]), bisect_right(rows.values, values[0])
    if not question.sort_key:
        return high if after else low
    uids = range(len(rows.slots))
    return int(cut(uids, values[1], low, high, key=lambda at: _uid(index, rows, at)))


def _uid(index: Index, rows: Ordered, at: int) -> str:
    return index.uids[rows.slots[at]]


def _values(
    index: Index, question: EntityQuery, rows: Ordered, row: Sequence[int]
) -> tuple[str | None, ...]:
    """The position of a row; of none, when `row` is empty."""
    if not row:
        return (None, None) if question.sort_key else (None,)
    uid = _uid(index, rows, row[0])
    return (rows.values[row[0]], uid) if question.sort_key else (uid,)


def _cursor(
    question: EntityQuery,
    values: tuple[str | None, ...],
    first: tuple[str | None, ...],
    total: int,
    *,
    backwards: bool = False,
) -> str:
    content: dict[str, Json] = {
        "orderFields": [
            {"field": order.field, "order": "desc" if order.descending else "asc"}
            for order in question.orders
        ],
        "orderFieldValues": list(values),
        "isPrevious": backwards,
        "firstSortFieldValues": list(first),
        "totalItems": total,
    }
    if question.query is not None:
        content["query"] = question.query
    if question.term or question.text_fields is not None:
        content["fullTextFilter"] = {"term": question.term}
        if question.text_fields is not None:
            content["fullTextFilter"]["fields"] = list(question.text_fields)
    return encoded(content)
