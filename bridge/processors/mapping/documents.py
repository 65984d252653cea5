"""The documents of one file, and the manifests that are made of them before they are mapped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Final, Self, TypeAlias

from cachetools import FIFOCache

from bridge.language import text
from bridge.language.text import Path, Position, Positions, YamlDocument
from bridge.model.entities import Json
from bridge.model.problems import Problem
from bridge.processors.mapping.defaults import ByKey, filled
from bridge.processors.mapping.secret_addresses import masked, without_secrets
from bridge.processors.mapping.splitting import ManifestPart

Reader: TypeAlias = Callable[[str], Sequence[YamlDocument]]

_MOST_HELD: Final = 512 * 1024  # characters: what was read of a text takes some twenty times it


class OpenTexts:
    """Texts that were looked into and are translated soon: what was read of them is held until
    then. Of more than can be held the oldest goes. Threads share one.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: FIFOCache[str, tuple[int, Sequence[YamlDocument]]] = FIFOCache(
            _MOST_HELD, getsizeof=lambda held: held[0]
        )

    def open(self, content: str) -> Sequence[YamlDocument]:
        """Read a text that is to be read again. Raises as `bridge.language.text.read_each`."""
        found = text.read_each(content)
        if len(content) <= _MOST_HELD:
            with self._lock:
                self._held[content] = len(content), found
        return found

    def close(self, content: str) -> Sequence[YamlDocument]:
        """What a text says, which is held no longer. Raises as `bridge.language.text.read_each`."""
        with self._lock:
            held = self._held.pop(content, None)
        return text.read_each(content) if held is None else held[1]


@dataclass(slots=True)
class Documents:
    """The documents of a file, and behind them what some were split into or filled up to.

    All have numbers. `parts` are those that were split off, and `given` is what manifests have
    from the defaults for their groups.
    """

    parts: dict[int, ManifestPart] = field(default_factory=dict)
    given: dict[int, ByKey] = field(default_factory=dict)
    _all: list[YamlDocument] = field(default_factory=list)
    _read: int = 0
    _origins: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, content: str, read: Reader) -> Self:
        """The documents of a text; raises NotUnderstood where none can be read."""
        found = list(read(content))
        return cls(_all=found, _read=len(found))

    def __getitem__(self, number: int) -> YamlDocument:
        return self._all[number]

    @property
    def read(self) -> Sequence[YamlDocument]:
        """Those that stand in the file."""
        return self._all[: self._read]

    @property
    def made(self) -> int:
        """How many were made of those."""
        return len(self._all) - self._read

    def trees(self) -> list[Json]:
        """What the documents say that stand in the file."""
        return [each.tree for each in self.read]

    def origin(self, number: int) -> int:
        """The number of the document in the file that a manifest is, or is made of."""
        return self._origins.get(number, number)

    def positions(self, number: int) -> Positions:
        """Where things stand in one document; nowhere in a text that could not be read."""
        return self._all[number].positions if self._all else Positions()

    def top(self, number: int) -> Position:
        """Where a document begins."""
        return self.positions(number).value(())

    def start(self, number: int) -> Position:
        """The same, or where one is wrong that could not be read."""
        fault = self._all[number].fault
        return Position(fault.line, fault.column) if fault else self.top(number)

    def spot(self, number: int, paths: Sequence[Path]) -> Position:
        """Where the first of the paths stands; the document's top without any."""
        return self.positions(number).value(paths[0] if paths else ())

    def add_part(self, number: int, part: ManifestPart) -> int:
        """The number of a part of a document, which is one of these from now on."""
        added = self._add(number, part.document, part.given)
        self.parts[added] = part
        return added

    def filled(self, number: int, given: ByKey) -> int:
        """The number of a document with what it inherits from its groups: its own for nothing."""
        document = self._all[number]
        tree, added = filled(document.tree, given)
        return self._add(number, replace(document, tree=tree), added) if added else number

    def _add(self, origin: int, document: YamlDocument, given: ByKey) -> int:
        number = len(self._all)
        self._all.append(document)
        self._origins[number], self.given[number] = origin, given
        return number

    def without_secrets(self, number: int) -> list[Path]:
        """Take secret addresses out of a document; gives where they stood."""
        tree, secrets = without_secrets(self._all[number].tree)
        if secrets:
            self._all[number] = replace(self._all[number], tree=tree)
        return secrets


def problem_at(message: str, rule: str, position: Position) -> Problem:
    """A problem at a position of the manifest; it shows no secret address."""
    return Problem(masked(message), rule, line=position.line, column=position.column)
