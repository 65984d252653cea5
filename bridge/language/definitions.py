"""Whether a file is the definition that a manifest says it is. Pure, and bounded by its size.

Only as much is looked at as tells a definition from something else: whether one is good is for the
tools of its own format. Nothing in it is ever taken for a part of an entity.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from threading import Lock
from typing import Any, Final

import yaml
from cachetools import LRUCache, cached

from bridge.model.definitions import Beside, beside
from bridge.model.entities import Json

_DEPTH_LIMIT: Final = 100
_EVENT_LIMIT: Final = 500_000
_TOKEN_LIMIT: Final = 200_000
_REMEMBERED: Final = 10_000  # verdicts, of a few hundred bytes each
_PROTO: Final = re.compile(
    r"^[ \t]*(?:syntax|edition|package|service|message|enum)\b", re.MULTILINE
)
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# The root's key that names the format, by type.
_ROOT_KEYS: Final = {"openapi": ("openapi", "swagger"), "asyncapi": ("asyncapi",)}


class _Unfit(Exception):
    """The text is not what it is said to be; the message says why."""


def definition(file: Json, type_: Json = None) -> Beside | None:
    """Where a definition is published; null when it is not at hand or not of its type."""
    if not isinstance(file, Mapping) or definition_fault(file, type_) is not None:
        return None
    oid, path = file.get("oid"), file.get("path")
    return beside(oid, path) if isinstance(file.get("text"), str) and oid and path else None


def definition_fault(file: Json, type_: Json = None) -> str | None:
    """Why a file cannot be published as a definition; null when it can, or was not looked for."""
    if not isinstance(file, Mapping) or file.get("exists") is None:
        return None
    if unusable := _unusable(file):
        return unusable
    text = file.get("text")
    if not isinstance(text, str):
        return None
    return _verdict(text, type_ if isinstance(type_, str) and type_ in _CHECKS else "")


def _text_and_type(text: str, type_: str) -> tuple[bytes, str]:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20).digest(), type_


# Many APIs may name one file, and each asks twice: to read a large one takes most of a second.
@cached(LRUCache(_REMEMBERED), key=_text_and_type, lock=Lock())
def _verdict(text: str, type_: str) -> str | None:
    try:
        _CHECKS.get(type_, _anything)(text)
    except _Unfit as why:
        return str(why)
    return None


def _unusable(file: Mapping[str, Any]) -> str:
    if not file["exists"]:
        near = file.get("nearest")
        return f"is not in the repository{f'; did you mean {near}?' if near else ''}"
    if file.get("folder"):
        return "is a folder"
    return f"cannot be published: {file['refused']}" if file.get("refused") else ""


def _anything(text: str) -> None:
    if not text.strip():
        raise _Unfit("is empty")


def _described(type_: str) -> Callable[[str], None]:
    def check(text: str) -> None:
        keys = _ROOT_KEYS[type_]
        _anything(text)
        if not any(key in _root_keys(text) for key in keys):
            named = " or ".join(f"`{key}`" for key in keys)
            raise _Unfit(f"is not {type_}: there is no {named} at its root")

    return check


def _root_keys(text: str) -> set[str]:
    """The keys at the root of a JSON or YAML text, which is read to its end."""
    if text.lstrip()[:1] == "{":
        try:
            tree = json.loads(text)
        except RecursionError:
            raise _Unfit("is nested too deep") from None
        except ValueError as error:
            raise _Unfit(f"is not JSON: {error}") from None
        return set(tree) if isinstance(tree, dict) else set()
    try:
        return set(_keys_of_events(yaml.parse(text, Loader=_LOADER)))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark is not None else ""
        raise _Unfit(
            f"is not YAML{where}: {getattr(error, 'problem', None) or 'unreadable'}"
        ) from None


def _keys_of_events(events: Iterator[Any]) -> Iterator[str]:
    """The keys of the first document's root, without building any of it."""
    depth, at_key = 0, True
    for number, event in enumerate(events):
        if number > _EVENT_LIMIT:
            raise _Unfit(f"holds more than {_EVENT_LIMIT:,} values")
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            if depth == 0 and isinstance(event, yaml.SequenceStartEvent):
                raise _Unfit("holds a list where keys and values are expected")
            depth += 1
            if depth > _DEPTH_LIMIT:
                raise _Unfit("is nested too deep")
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            depth -= 1
            if depth == 1:
                at_key = not at_key
        elif isinstance(event, yaml.ScalarEvent | yaml.AliasEvent) and depth == 1:
            if at_key and isinstance(event, yaml.ScalarEvent):
                yield event.value
            at_key = not at_key


def _graphql(text: str) -> None:
    # A quarter of a second to import: for those who have such definitions.
    from graphql import GraphQLError, Source, parse  # noqa: PLC0415

    _anything(text)
    try:
        parse(Source(text), max_tokens=_TOKEN_LIMIT, no_location=True)
    except GraphQLError as error:
        where = f" (line {error.locations[0].line})" if error.locations else ""
        raise _Unfit(f"is not GraphQL{where}: {error.message}") from None
    except RecursionError:
        raise _Unfit("is nested too deep") from None


def _grpc(text: str) -> None:
    _anything(text)
    if _PROTO.search(text) is None:
        raise _Unfit("is not a proto file: there is no `syntax`, `service` or `message` in it")


_CHECKS: Final[Mapping[str, Callable[[str], None]]] = {
    "openapi": _described("openapi"),
    "asyncapi": _described("asyncapi"),
    "graphql": _graphql,
    "grpc": _grpc,
}
