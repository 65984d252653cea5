"""What an expression becomes: closures that take the names' values and give one value.

A missing key, and any key of null, is null.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Final, TypeAlias

from bridge.language.filters import EvaluationError, as_text, bounded, kind_of
from bridge.model.entities import Json

Env: TypeAlias = dict[str, Json]
Run: TypeAlias = Callable[[Env], Json]
Key: TypeAlias = str | int


def null(_env: Env) -> Json:
    """Gives null; stands for an expression that could not be compiled."""
    return None


def _same(left: Json, right: Json) -> bool:
    """Equality as JSON has it: unlike in Python, true is not 1."""
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


def _contains(left: Json, right: Json) -> bool:
    if isinstance(right, str):
        return isinstance(left, str) and left in right
    if isinstance(right, list):
        return any(_same(left, item) for item in right)
    return isinstance(right, dict) and isinstance(left, str) and left in right


def _ordered(compare: Callable[[Json, Json], bool]) -> Callable[[Json, Json], bool]:
    def ordered(left: Json, right: Json) -> bool:
        if left is None or right is None:
            return False
        if kind_of(left) != kind_of(right) or kind_of(left) not in {"a text", "a number"}:
            raise EvaluationError(f"cannot compare {kind_of(left)} with {kind_of(right)}")
        return compare(left, right)

    return ordered


COMPARISONS: Final[Mapping[str, Callable[[Json, Json], bool]]] = {
    "eq": _same,
    "ne": lambda left, right: not _same(left, right),
    "in": _contains,
    "notin": lambda left, right: not _contains(left, right),
    "lt": _ordered(operator.lt),
    "lteq": _ordered(operator.le),
    "gt": _ordered(operator.gt),
    "gteq": _ordered(operator.ge),
}


def _get(value: Json, key: Key) -> Json:
    if isinstance(value, dict):
        return value.get(key)
    if isinstance(key, int) and isinstance(value, list) and 0 <= key < len(value):
        return value[key]
    return None


def path_of(name: str, keys: tuple[Key, ...]) -> Run:
    """The closure of a path: the hottest one, so the usual case is written out."""
    if not keys:
        return itemgetter(name)

    def run(env: Env) -> Json:
        value = env[name]
        for key in keys:
            value = value.get(key) if type(value) is dict else _get(value, key)
            if value is None:
                return None
        return value

    return run


def part_of(run: Run, keys: tuple[Key, ...]) -> Run:
    """What stands at some keys of a value that is worked out."""

    def part(env: Env) -> Json:
        value = run(env)
        for key in keys:
            value = _get(value, key)
        return value

    return part


def concatenated(runs: list[Run]) -> Run:
    """Text after text; null when any part is null: a text with a hole in it is of no use."""

    def run(env: Env) -> Json:
        texts = []
        for part in runs:
            value = part(env)
            if value is None:
                return None
            texts.append(value if type(value) is str else as_text(value))
        return bounded("".join(texts))

    return run


def filtered(function: Callable[..., Json], run: Run, arguments: list[Run], null_too: bool) -> Run:
    """What a filter makes of a value; null stays null unless the filter takes it."""
    if not arguments and not null_too:

        def plain(env: Env) -> Json:
            value = run(env)
            return None if value is None else function(value)

        return plain

    def with_arguments(env: Env) -> Json:
        value = run(env)
        if value is None and not null_too:
            return None
        return function(value, *(argument(env) for argument in arguments))

    return with_arguments
