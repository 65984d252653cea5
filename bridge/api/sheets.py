"""Long tables in sheets: which rows are shown, and the links to those before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar
from urllib.parse import urlencode

from aiohttp import web

_PARAMETER: Final = "page"

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Sheet(Generic[Row]):
    """Some rows of `total`; `first` is the number of the first, from 1; 0 when there is none.

    `before` and `after` are the queries ("?q=x&page=2") that lead on; "" where there is no more.
    """

    rows: Sequence[Row]
    total: int
    first: int
    before: str
    after: str

    @property
    def last(self) -> int:
        """The number of the last row that is shown."""
        return self.first + len(self.rows) - 1 if self.rows else 0


def sheet(request: web.Request, rows: Sequence[Row], size: int) -> Sheet[Row]:
    """The rows that `?page=` asks for, from 1; what is no page is the first, or the last."""
    text = request.query.get(_PARAMETER, "1")
    asked = int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 1
    pages = max(1, -(-len(rows) // size))
    page = min(max(asked, 1), pages)
    start = (page - 1) * size
    return Sheet(
        rows[start : start + size],
        len(rows),
        start + 1 if rows else 0,
        _to(request, page - 1) if page > 1 else "",
        _to(request, page + 1) if page < pages else "",
    )


def _to(request: web.Request, page: int) -> str:
    kept = [(key, value) for key, value in request.query.items() if key != _PARAMETER]
    return f"?{urlencode([*kept, (_PARAMETER, str(page))])}"
