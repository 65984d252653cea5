"""Equal trees, kept once.

Thousands of manifests name the same few teams, systems and domains, and each makes of them the same
entity word for word. Such trees are never changed, so one of them can stand for all.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import orjson

from bridge.model.entities import Json

_MOST: Final = 2_048  # trees that are remembered; a repeated one is soon met again
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
