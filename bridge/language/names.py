"""What an expression may name, and where a value may have come from.

A `Shape` is the list of places that a value may have come from: `(("manifest", ("service",
"tools", "*")),)` is an item of the manifest's tools. `None` stands for "anything": nothing
about it is checked.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Protocol, TypeAlias

_COMPARED = 80  # characters of a word; the time grows with their square

Keys: TypeAlias = tuple[str, ...]
Shape: TypeAlias = tuple[tuple[str, Keys], ...] | None


class Names(Protocol):
    """The names that stand for something at one place of a file."""

    @property
    def names(self) -> Mapping[str, Shape]:
        """The names themselves, with the shape of what each stands for."""

    def step(self, shape: Shape, key: str) -> Shape:
        """The shape of one part of a value: a map's key, or "*" for a list's item."""

    def fault(self, shape: Shape) -> str | None:
        """What is wrong with a path, or None."""

    def incomparable(self, shape: Shape, constant: object) -> str | None:
        """Why a value can never be like a constant that it is compared with, or None."""


def nearest(
    word: str, words: Iterable[str], most: int = 1, likeness: float = 0.6
) -> tuple[str, ...]:
    """The words that look most like `word`, the likest first; letter case makes no difference.

    `likeness` is from 0 to 1, as `difflib` measures it. Only the first 80 characters count.
    """
    spelt: dict[str, str] = {}
    for each in words:
        spelt.setdefault(each[:_COMPARED].lower(), each)
    close = difflib.get_close_matches(word[:_COMPARED].lower(), spelt, most, likeness)
    return tuple(spelt[each] for each in close)


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """ "; did you mean `x`?" with the nearest of the words, or "" when none is near."""
    close = nearest(word, words)
    return f"; did you mean `{close[0]}`?" if close else ""


def dotted(root: str, keys: Iterable[str | int]) -> str:
    """A path as people read it: manifest.service.tools[*].name."""
    parts = [root]
    for key in keys:
        if key == "*" or isinstance(key, int):
            parts.append(f"[{key}]")
        elif key.isidentifier():
            parts.append(f".{key}")
        else:
            parts.append(f"['{key}']")
    return "".join(parts)
