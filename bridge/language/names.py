"""What an expression may name, and where a value may have come from.

A `Shape` is the list of places that a value may have come from: `(("manifest", ("service",
"tools", "*")),)` is an item of the manifest's tools. `None` stands for "anything": nothing
about it is checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Protocol, TypeAlias

from rapidfuzz import fuzz, process

LISTED: Final = "*?"  # the last key of what `list` makes of one thing, or leaves as the list it is
_COMPARED = 80  # characters of a word

Keys: TypeAlias = tuple[str, ...]
Shape: TypeAlias = tuple[tuple[str, Keys], ...] | None


class Names(Protocol):
    """The names that stand for something at one place of a file."""

    @property
    def names(self) -> Mapping[str, Shape]:
        """The names themselves, with the shape of what each stands for."""

    def step(self, shape: Shape, key: str) -> Shape:
        """The shape of one part of a value: a map's key, "*" for a list's item, or LISTED."""

    def fault(self, shape: Shape) -> str | None:
        """What is wrong with a path, or None."""

    def incomparable(self, shape: Shape, constant: object) -> str | None:
        """Why a value can never be like a constant that it is compared with, or None."""


class Spellings:
    """Words that others are compared with; letter case makes no difference.

    Two words are as like as rapidfuzz's `fuzz.ratio` has it: twice the letters that both have in
    the same order, by the letters of both. A letter that is missing, doubled or in the wrong place
    costs little, however long the word is. Only the first 80 characters count.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self._words: dict[str, str] = {}
        for each in words:
            self._words.setdefault(each[:_COMPARED].lower(), each)
        self._spelt = sorted(self._words, reverse=True)

    def nearest(self, word: str, most: int = 1, likeness: float = 0.6) -> tuple[str, ...]:
        """The words that look most like `word`, the likest first; of equals, the last in order.

        `likeness` is from 0, nothing in common, to 1, the same.
        """
        close = process.extract(
            word[:_COMPARED].lower(),
            self._spelt,
            scorer=fuzz.ratio,
            limit=most,
            score_cutoff=100 * likeness,
        )
        return tuple(self._words[spelt] for spelt, _, _ in close)


def nearest(
    word: str, words: Iterable[str], most: int = 1, likeness: float = 0.6
) -> tuple[str, ...]:
    """The words that look most like `word`, the likest first: see `Spellings`."""
    return Spellings(words).nearest(word, most, likeness)


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
