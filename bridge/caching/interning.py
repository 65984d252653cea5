"""Equal trees, kept once.

Thousands of manifests name the same few teams, systems and domains, and each makes of them the same
entity word for word. Such trees are never changed, so one of them can stand for all.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Final, TypeVar

import orjson

from bridge.model.entities import Json

Made = TypeVar("Made")

_MOST: Final = 2_048  # trees that are remembered; a repeated one is soon met again
_MOST_MADE: Final = 512  # trees of which it is remembered what was made of them
_known: dict[bytes, Json] = {}


def interned(tree: Json) -> Json:
    """The tree, or one that was met before and is equal to it in every way, order and types too."""
    try:
        text = orjson.dumps(tree)
    except TypeError:  # what it cannot write is rare: it stays as it is
        return tree
    if len(_known) >= _MOST:
        _known.clear()
    return _known.setdefault(blake2b(text, digest_size=16).digest(), tree)


def once_for_each(make: Callable[[Json], Made]) -> Callable[[Json], Made]:
    """`make`, which is not called again for the very same tree that was met lately."""
    # With each tree: as long as it is held, its id is no other's.
    made: dict[int, tuple[Json, Made]] = {}

    def remembered(tree: Json) -> Made:
        found = made.get(id(tree))
        if found is not None and found[0] is tree:
            return found[1]
        new = make(tree)
        if len(made) >= _MOST_MADE:
            made.clear()
        made[id(tree)] = tree, new
        return new

    return remembered
