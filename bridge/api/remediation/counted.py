"""Whole numbers of a query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MOST: Final = 1000  # in one answer


def count(query: Mapping[str, str], key: str, default: int, *, least: int = 0) -> int | None:
    """A whole number of a query; None for what is none."""
    text = query.get(key)
    if text is None:
        return default
    good = text.isascii() and text.isdigit() and len(text) <= 9 and int(text) >= least
    return int(text) if good else None
