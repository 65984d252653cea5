"""What other packages bring, and loading that collects problems instead of stopping at one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from bridge.errors import ConfigurationError
from bridge.model.problems import Problem

Made = TypeVar("Made")


def collected(problems: list[Problem], load: Callable[[], Made]) -> Made | None:
    """What `load` gives; None when it raises, and its problems are added to `problems`."""
    try:
        return load()
    except ConfigurationError as error:
        problems.extend(error.problems)
        return None


@lru_cache(maxsize=8)
def _registered(group: str, _path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Looked for once: to find them, a file of every installed package is read."""
    return tuple(sorted(entry_points(group=group), key=lambda entry: entry.name))


def extensions(group: str) -> Iterator[Callable[..., Any]]:
    """The factories that other packages register, in the order of their names."""
    for entry in _registered(group, tuple(sys.path)):
        try:
            yield entry.load()
        except Exception as error:
            problem = Problem(
                f"the extension {entry.name!r} ({entry.value}) cannot be loaded: "
                f"{type(error).__name__}: {error}; mend or uninstall its package",
                "extension-broken",
            )
            raise ConfigurationError([problem]) from error
