"""Which items of a list a request asks for: `limit` and `offset`, read and bounded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bridge.errors import BadQuestion

MOST: Final = 500  # items of a page
FURTHEST: Final = 10_000_000


@dataclass(frozen=True, slots=True)
class Paging:
    """Which items of a list."""

    limit: int
    offset: int


def page(query: Mapping[str, str], *, default: int = 100, most: int = MOST) -> Paging:
    """`limit` and `offset`. Raises `BadQuestion`."""
    limit = number(query, "limit", default, most, 1)
    return Paging(limit, number(query, "offset", 0, FURTHEST, 0))


def number(query: Mapping[str, str], key: str, default: int, most: int, least: int) -> int:
    """A whole number of a query. Raises `BadQuestion`."""
    text = query.get(key)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and least <= int(text) <= most):
        raise BadQuestion(f"`{key}` is a number from {least} to {most}")
    return int(text)
