"""Templates: the maps and lists of a mapping file, built into entities.

What is null or an empty text is left out: a key, a list's item, and a map or list that becomes
empty through it. A literal `{}` or `[]` stays. Two words have a meaning where their value is a
`${{ … }}` text:

- `forEach: ${{ manifest.service.tools }}` in a list's item makes the item once for each tool;
  `as: tool` names it (`item` if not said). `value: …` alone beside them gives bare values.
- `when: ${{ … }}` in a list's item, or in a map that is a value, leaves it out when false.
- `spread: ${{ manifest.service.annotations }}` in a map adds the keys of a map of the manifest; a
  key that the mapping writes itself wins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

from bridge.language.closures import Env
from bridge.language.expressions import Expression
from bridge.language.filters import LIST_LIMIT, EvaluationError, bounded, kind_of
from bridge.model.definitions import Beside
from bridge.model.entities import Json

Path: TypeAlias = tuple[str | int, ...]

LEAF_LIMIT: Final = 10_000
CHARACTER_LIMIT: Final = 1_000_000
_SCALARS = (str, int, float, bool)


@dataclass(frozen=True, slots=True)
class Traced:
    """A value that knows where it comes from; stands for the value while explaining."""

    value: Json
    place: str
    sources: tuple[Path, ...]


@dataclass(slots=True)
class Evaluation:
    """One evaluation: the names' values, and how much has been produced so far.

    `items` are the `as` names of the moment, and where in the manifest each item stands.
    `referred` gathers (reference, where the manifest writes it), and `unusable` (field of `spec`,
    where) of what no reference could be made of; who takes an entity out empties them.
    """

    env: Env
    lets: dict[str, Expression]
    telling: bool = False
    items: dict[str, tuple[Path, ...]] = field(default_factory=dict)
    read: dict[str, tuple[Path, ...]] = field(default_factory=dict)  # by each of `lets`, once asked
    leaves: int = 0
    characters: int = 0
    referred: list[tuple[str, Path]] = field(default_factory=list)
    unusable: list[tuple[str, Path]] = field(default_factory=list)

    def count(self, value: Json) -> Json:
        """The value, if it may stand as a leaf; raises EvaluationError when it is too much."""
        self.leaves += 1
        if self.leaves > LEAF_LIMIT:
            raise EvaluationError(f"makes more than {LEAF_LIMIT:,} values of one manifest")
        if value is None:  # most often: a mapping names far more than a manifest says
            return None
        if isinstance(value, str):
            self.characters += len(bounded(value))
            value = value or None
        elif isinstance(value, list):
            value = self._list(value)
        elif not isinstance(value, _SCALARS):
            raise EvaluationError(f"gives {kind_of(value)}; name the key of it that is wanted")
        if self.characters > CHARACTER_LIMIT:
            raise EvaluationError(f"makes more than {CHARACTER_LIMIT:,} characters of one manifest")
        return value

    def _list(self, values: list[Json]) -> list[Json]:
        if len(values) > LIST_LIMIT:
            raise EvaluationError(f"gives {len(values):,} items; the limit is {LIST_LIMIT:,}")
        kept = [value for value in values if value is not None and value != ""]
        for value in kept:
            if not isinstance(value, _SCALARS):
                raise EvaluationError(f"gives a list of {kind_of(value)}; use forEach")
            self.characters += len(bounded(value)) if isinstance(value, str) else 1
        return kept

    def sources(self, expression: Expression) -> tuple[Path, ...]:
        """The manifest's paths that an expression has read and that are there."""
        return tuple(dict.fromkeys(path for path, _ in self.given(expression)))

    def given(self, expression: Expression) -> Iterator[tuple[Path, Json]]:
        """The same, with what stands there; a path may come twice."""
        for name, keys in expression.references:
            yield from self._resolve(name, keys)

    def folds(self, expression: Expression) -> bool:
        """Whether null means that a text could not be made a name: its last filter makes one."""
        if expression.pure and expression.references[0][0] in self.lets:
            name, keys = expression.references[0]
            return not keys and self.lets[name].folds
        return expression.folds

    def _resolve(self, name: str, keys: Path) -> Iterator[tuple[Path, Json]]:
        above: tuple[Path, ...] = ()
        if name == "manifest":
            above = ((),)
        elif name in self.items:
            above = self.items[name]
        elif name in self.lets:
            let = self.lets[name]
            if name not in self.read:
                self.read[name] = self.sources(let)
            above, keys = self.read[name], keys if let.paths else ()
        for path in above:
            whole = (*path, *keys)
            value = _at(self.env["manifest"], whole)
            if value is not None:
                yield whole, value


def _at(data: Json, path: Path) -> Json:
    for key in path:
        if isinstance(data, dict):
            data = data.get(key)
        elif isinstance(data, list) and isinstance(key, int) and key < len(data):
            data = data[key]
        else:
            return None
    return data


class Node(Protocol):
    """Anything in a template."""

    def build(self, state: Evaluation) -> Json:
        """The value for this manifest, None for "leave it out". Raises EvaluationError."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that the mapping writes out."""

    value: Json
    place: str

    def build(self, state: Evaluation) -> Json:
        """The same value every time."""
        return Traced(self.value, self.place, ()) if state.telling else self.value


@dataclass(frozen=True, slots=True)
class Leaf:
    """A text with `${{ … }}` in it.

    `refers` is the field of `spec` whose references it makes, "" elsewhere.
    """

    expression: Expression
    place: str
    refers: str = ""

    def raw(self, state: Evaluation) -> Json:
        """The expression's value as it is; for `when`, `forEach` and `let`."""
        try:
            return self.expression.run(state.env)
        except EvaluationError as error:
            raise self.placed(error, state) from None

    def placed(self, error: EvaluationError, state: Evaluation) -> EvaluationError:
        """The error, knowing this leaf and the manifest's paths that it reads."""
        error.place = error.place or self.place
        error.sources = error.sources or state.sources(self.expression)
        return error

    def build(self, state: Evaluation) -> Json:
        """The expression's value, counted: a scalar or a list of scalars."""
        try:
            value = state.count(self.expression.run(state.env))
        except EvaluationError as error:
            raise self.placed(error, state) from None
        if self.refers:
            self._note(value, state)
        if value is None:  # most often: a mapping names far more than a manifest says
            return None
        if type(value) is Beside:
            value = value.placeholder
        return Traced(value, self.place, state.sources(self.expression)) if state.telling else value

    def _note(self, value: Json, state: Evaluation) -> None:
        """Remember where a reference comes from, or that none could be made."""
        if isinstance(value, list):
            self._note_each(value, state)
        elif value is None:
            path = self._of_text(state) if state.folds(self.expression) else None
            if path is not None:
                state.unusable.append((self.refers, path))
        elif isinstance(value, str):
            path = self._of_text(state)
            if path is None:
                path, _ = next(state.given(self.expression), (None, None))
            if path is not None:
                state.referred.append((value, path))

    def _of_text(self, state: Evaluation) -> Path | None:
        """Where the first text stands that was read."""
        for path, given in state.given(self.expression):
            if isinstance(given, str) and given.strip():
                return path
        return None

    def _note_each(self, values: list[Json], state: Evaluation) -> None:
        listed, given = next(state.given(self.expression), (None, None))
        if listed is None:
            return
        one_each = isinstance(given, list) and len(given) == len(values)
        state.referred += [
            (item, (*listed, at) if one_each else listed)
            for at, item in enumerate(values)
            if isinstance(item, str)
        ]


@dataclass(frozen=True, slots=True)
class MapNode:
    """A map of templates."""

    entries: tuple[tuple[str, Node], ...]
    spread: Leaf | None = None

    def build(self, state: Evaluation) -> Json:
        """The map without the keys whose values are null; None when none is left."""
        result = {}
        for key, node in self.entries:
            value = node.build(state)
            if value is not None:
                result[key] = value
        if self.spread is not None:
            for key, value in _spread(self.spread, state):
                result.setdefault(key, value)
        return result or None


def _spread(leaf: Leaf, state: Evaluation) -> Iterator[tuple[str, Json]]:
    """The keys and values of a map of the manifest, each counted. Raises EvaluationError."""
    try:
        found = leaf.expression.run(state.env)
        if found is None:
            return
        if not isinstance(found, dict):
            raise EvaluationError(f"spread needs a map and found {kind_of(found)}")
        values = {bounded(key): state.count(value) for key, value in found.items()}
        if any(key.startswith("$") for key in values):
            raise EvaluationError("a key that starts with `$` would make Backstage fetch a file")
    except EvaluationError as error:
        raise leaf.placed(error, state) from None
    for key, value in values.items():
        if value is not None and state.telling:
            paths = tuple((*path, key) for path in state.sources(leaf.expression))
            yield key, Traced(value, leaf.place, paths)
        elif value is not None:
            yield key, value


@dataclass(frozen=True, slots=True)
class Element:
    """An item of a list (or a map's value, without `each`): perhaps repeated or left out."""

    body: Node
    when: Leaf | None = None
    each: Leaf | None = None
    alias: str = "item"

    def expand(self, state: Evaluation) -> Iterator[Json]:
        """The values it makes; while one is looked at, `state` still has its `as` name."""
        if self.each is None:
            value = self.build(state)
            if value is not None:
                yield value
            return
        items = self._items(self.each, state)
        lists = tuple(state.given(self.each.expression)) if items else ()
        for index, item in enumerate(items):
            state.env[self.alias] = item
            state.items[self.alias] = tuple(
                (*path, index) if isinstance(given, list) else path for path, given in lists
            )
            value = self.build(state)
            if value is not None:
                yield value
        state.env.pop(self.alias, None)
        state.items.pop(self.alias, None)

    def _items(self, each: Leaf, state: Evaluation) -> list[Json]:
        items = each.raw(state)
        if items is None:
            return []
        if not isinstance(items, list):
            error = EvaluationError(f"forEach needs a list and found {kind_of(items)}")
            raise each.placed(error, state)
        if len(items) > LIST_LIMIT:
            error = EvaluationError(f"a list of {len(items):,}; the limit is {LIST_LIMIT:,}")
            raise each.placed(error, state)
        return items

    def build(self, state: Evaluation) -> Json:
        """The body, or None when `when` says no."""
        if self.when is not None and not self.when.raw(state):
            return None
        return self.body.build(state)


@dataclass(frozen=True, slots=True)
class ListNode:
    """A list of templates."""

    elements: tuple[Element, ...]

    def build(self, state: Evaluation) -> Json:
        """The list without null items; None when none is left."""
        result: list[Json] = []
        for element in self.elements:
            if element.each is None:
                value = element.build(state)
                if value is not None:
                    result.append(value)
            else:
                result.extend(element.expand(state))
        return result or None


def plain(value: Json) -> Json:
    """The tree without its `Traced`s."""
    if isinstance(value, Traced):
        return plain(value.value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value
