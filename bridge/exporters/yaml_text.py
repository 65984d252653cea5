"""JSON trees as YAML text: deterministic, quick, and closed to injection by construction.

A text is written plain only when it matches a narrow pattern and means nothing else in YAML 1.1 or
1.2; every other text is a JSON string, which is YAML's double-quoted style. So nothing that stands
in a manifest can end a scalar, start a tag or an anchor, or change type on the way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
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
# YAML 1.2, 7.4.2: a key without "?" ends within 1,024 characters; libyaml counts bytes.
_LONGEST_KEY = 1000

_json_text = json.JSONEncoder(ensure_ascii=False).encode
_json_number = json.JSONEncoder(allow_nan=False).encode


def document(tree: Json) -> str:
    """One YAML document, ending in a line break, for a tree of dict, list, str, number, bool, None.

    Equal trees give equal text, whatever the order of their keys. Raises TypeError for a key that
    is not text, ValueError for a number that JSON cannot say.
    """
    lines: list[str] = []
    if isinstance(tree, Mapping) and tree:
        _mapping(tree, "", "", lines.append)
    elif isinstance(tree, list | tuple) and tree:
        _sequence(tree, "", "", lines.append)
    else:
        lines.append(f"{_scalar(tree)}\n")
    return "".join(lines)


def text(value: str) -> str:
    """A text as a YAML scalar on one line."""
    # Short texts recur over the entities; long ones would only fill the memory.
    return _short(value) if len(value) <= _LONGEST_PLAIN else _quoted(value)


@lru_cache(maxsize=8192)
def _short(value: str) -> str:
    if _PLAIN.fullmatch(value) and not _SPECIAL.fullmatch(value):
        return value
    return _quoted(value)


def _quoted(value: str) -> str:
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", _json_text(value))


def _in_order(keys: tuple[str, ...]) -> list[tuple[str, str]]:
    """The keys of a mapping in their order, each with how it is written."""
    few = sum(map(len, keys)) <= _LONGEST_KEY
    return _recurring(keys) if few else [(key, text(key)) for key in sorted(keys, key=_order)]


@lru_cache(maxsize=1024)
def _recurring(keys: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(key, text(key)) for key in sorted(keys, key=_order)]


def _order(key: str) -> tuple[int, str]:
    return (_RANK.get(key, len(_FIRST)), key)


def _mapping(
    tree: Mapping[str, Json], first: str, indent: str, write: Callable[[str], None]
) -> None:
    """Write the entries; the first one begins with `first` ("- " of a list), the rest `indent`."""
    keys = tuple(tree)
    for key, written in _in_order(keys):
        head = f"{first}{written}:"
        if len(key) > _LONGEST_KEY // 6:  # six bytes or fewer a character, however it is written
            head = _long_key(first, indent, key)
        first = indent
        value = tree[key]
        if type(value) is str:  # most are: asking for an abstract class takes longer than writing
            write(f"{head} {text(value)}\n")
        elif isinstance(value, Mapping) and value:
            write(f"{head}\n")
            _mapping(value, f"{indent}  ", f"{indent}  ", write)
        elif isinstance(value, list | tuple) and value:
            write(f"{head}\n")
            _sequence(value, f"{indent}  ", f"{indent}  ", write)
        else:
            write(f"{head} {_scalar(value)}\n")


def _long_key(first: str, indent: str, key: str) -> str:
    written = text(key)
    if len(written.encode()) <= _LONGEST_KEY:
        return f"{first}{written}:"
    return f"{first}? {written}\n{indent}:"


def _sequence(
    items: list[Json] | tuple[Json, ...], first: str, indent: str, write: Callable[[str], None]
) -> None:
    for item in items:
        if isinstance(item, Mapping) and item:
            _mapping(item, f"{first}- ", f"{indent}  ", write)
        elif isinstance(item, list | tuple) and item:
            _sequence(item, f"{first}- ", f"{indent}  ", write)
        else:
            write(f"{first}- {_scalar(item)}\n")
        first = indent


def _scalar(value: Json) -> str:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, list | tuple):
        return "[]"
    number = _json_number(value)
    # YAML 1.1 takes 1e+20 for a text: its floats have a point.
    if isinstance(value, float) and "." not in number:
        return number.replace("e", ".0e")
    return number
