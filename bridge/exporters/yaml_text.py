"""JSON trees as YAML text: deterministic, quick, and closed to injection by construction.

A text is written plain only when it matches a narrow pattern and means nothing else in YAML 1.1 or
1.2; every other text is a JSON string, which is YAML's double-quoted style. So nothing that stands
in a manifest can end a scalar, start a tag or an anchor, or change type on the way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from bridge.model.entities import Json

# Entities read best in this order; every other key follows by name.
_FIRST = (
    "apiVersion", "kind", "metadata", "spec",
    "name", "namespace", "title", "description",
    "type", "lifecycle", "owner",
)  # fmt: skip
_RANK = {key: rank for rank, key in enumerate(_FIRST)}

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*(?:[: ][A-Za-z0-9_./-]+)*", re.ASCII)
# Words and shapes that some YAML reader takes for a boolean, null, number or date.
_SPECIAL = re.compile(
    r"(?i:y|n|yes|no|on|off|true|false|null|nan|inf|infinity)|[0-9eE_.+-]+|0[xXoObB][0-9a-fA-F_]+"
)
# JSON leaves these as they are, and YAML readers differ on them.
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
_LONGEST_PLAIN = 200


def document(tree: Json) -> str:
    """One YAML document, ending in a line break, for a tree of dict, list, str, int, bool, None.

    Equal trees give equal text, whatever the order of their keys. Raises TypeError for a key that
    is not text, ValueError for a number that JSON cannot say.
    """
    if isinstance(tree, Mapping) and tree:
        return "".join(_mapping(tree, ""))
    if isinstance(tree, list | tuple) and tree:
        return "".join(_sequence(tree, ""))
    return f"{_scalar(tree)}\n"


@lru_cache(maxsize=65_536)
def text(value: str) -> str:
    """A text as a YAML scalar on one line."""
    if len(value) <= _LONGEST_PLAIN and _PLAIN.fullmatch(value) and not _SPECIAL.fullmatch(value):
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)


def _order(key: str) -> tuple[int, str]:
    return (_RANK.get(key, len(_FIRST)), key)


def _mapping(tree: Mapping[str, Json], indent: str) -> Iterator[str]:
    for key in sorted(tree, key=_order):
        value = tree[key]
        head = f"{indent}{text(key)}:"
        if isinstance(value, Mapping) and value:
            yield f"{head}\n"
            yield from _mapping(value, f"{indent}  ")
        elif isinstance(value, list | tuple) and value:
            yield f"{head}\n"
            yield from _sequence(value, f"{indent}  ")
        else:
            yield f"{head} {_scalar(value)}\n"


def _sequence(items: list[Json] | tuple[Json, ...], indent: str) -> Iterator[str]:
    for item in items:
        if isinstance(item, Mapping) and item:
            lines = "".join(_mapping(item, f"{indent}  "))
            yield f"{indent}- {lines[len(indent) + 2 :]}"
        elif isinstance(item, list | tuple) and item:
            lines = "".join(_sequence(item, f"{indent}  "))
            yield f"{indent}- {lines[len(indent) + 2 :]}"
        else:
            yield f"{indent}- {_scalar(item)}\n"


def _scalar(value: Json) -> str:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, list | tuple):
        return "[]"
    if value is None or isinstance(value, bool | int):
        return json.dumps(value)
    return json.dumps(value, allow_nan=False)
