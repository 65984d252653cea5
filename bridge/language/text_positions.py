"""Where the values and keys of a YAML text stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias

Path: TypeAlias = tuple[str | int, ...]


class Position(NamedTuple):
    """A place in a text; both count from 1, columns in characters."""

    line: int = 1
    column: int = 1


class Mark(Protocol):
    """A place as libyaml has it: both count from 0."""

    @property
    def line(self) -> int:
        """The lines before it."""

    @property
    def column(self) -> int:
        """The characters before it in its line."""


def at(mark: Mark) -> Position:
    """The place that a mark stands for."""
    return Position(mark.line + 1, mark.column + 1)


@dataclass(frozen=True, slots=True)
class Positions:
    """Where the values and the keys of one document stand, by path from its top.

    Few of all marks are ever asked for: only these are made positions.

    A path that is not there gives the place of its nearest known parent, so that something
    missing is reported where it is missing.
    """

    values: Mapping[Path, Mark] = field(default_factory=dict)
    keys: Mapping[Path, Mark] = field(default_factory=dict)

    def value(self, path: Path) -> Position:
        """Where the value at `path` begins, or its nearest known parent's value."""
        while path and path not in self.values:
            path = path[:-1]
        mark = self.values.get(path)
        return Position() if mark is None else at(mark)

    def key(self, path: Path) -> Position:
        """Where the key that `path` ends in begins; an item of a list has only its value."""
        mark = self.keys.get(path)
        return self.value(path) if mark is None else at(mark)


@dataclass(frozen=True, slots=True)
class Moved(Positions):
    """Positions of a tree of which parts were moved: `moves` says where each part stands really.

    By the path in the new tree, of at most two steps: the positions and the path that it had.
    """

    moves: Mapping[Path, tuple[Positions, Path]] = field(default_factory=dict)

    def value(self, path: Path) -> Position:
        """Where the value at `path` stands, or its nearest known parent's value."""
        positions, original = self._origin(path)
        return Positions.value(positions, original)

    def key(self, path: Path) -> Position:
        """Where the key that `path` ends in stands."""
        positions, original = self._origin(path)
        return Positions.key(positions, original)

    def _origin(self, path: Path) -> tuple[Positions, Path]:
        for length in (2, 1):
            if len(path) >= length and path[:length] in self.moves:
                positions, original = self.moves[path[:length]]
                return positions, (*original, *path[length:])
        return self, path
