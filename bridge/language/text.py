"""Reading YAML from strangers: no text may crash, hang or bloat the service.

Built over libyaml's event stream. Its composer is never used: it recurses in C and dies on
30,000 nested `[`. Depth, nodes and lengths are bounded while the events come in, and libyaml
itself reads ahead by at most about 1,024 characters, so a bomb costs no more than its fuse.

Scalars follow the YAML 1.2 core schema (https://yaml.org/spec/1.2.2/#103-core-schema), cut down
to what cannot surprise: null, true, false and plain decimal integers. Everything else is text as
it is written: `1.10`, `2024-01-01`, `010`, `no`, `1:30`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from sys import intern
from typing import Any

from yaml.cyaml import CParser  # type: ignore[attr-defined]  # re-exported silently
from yaml.error import MarkedYAMLError, YAMLError
from yaml.events import (
    DocumentEndEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from bridge.errors import NotUnderstood
from bridge.language import text_faults as faults
from bridge.language.text_positions import Mark, Path, Position, Positions, at
from bridge.model.entities import Json
from bridge.model.problems import Problem

__all__ = ["Limits", "Path", "Position", "Positions", "YamlDocument", "read", "read_each"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a stranger's text is read: more than any real manifest needs.

    `nodes` counts keys and values of all documents together; `depth` counts nested lists and
    objects; `scalar` bounds one text or key, in characters.
    """

    bytes: int = 262_144
    depth: int = 32
    nodes: int = 50_000
    scalar: int = 65_536
    documents: int = 500


DEFAULT_LIMITS = Limits()

# Faults that no part of a text may be saved from.
_OF_THE_WHOLE = frozenset(
    ("yaml-too-big", "yaml-encoding", "yaml-too-many-nodes", "yaml-too-many-documents")
)
_MARKER = re.compile(r"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)

# libyaml compares every %TAG line with all before it.
_MOST_TAG_LINES = 8

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_DIGITS = frozenset("-0123456789")
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(_NULLS, None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def read(
    text: str | bytes, limits: Limits = DEFAULT_LIMITS
) -> tuple[tuple[Json, ...], tuple[Positions, ...]]:
    """The documents of a YAML text, one JSON tree each, and where everything stands in each.

    Both are () for an empty text. Raises `NotUnderstood`, always with line and column, when the
    text is no YAML, passes a limit or uses what manifests may not: aliases, anchors, tags, merge
    keys, duplicate or nameless keys.
    """
    decoded, encoded = _checked(text, limits)
    try:
        return _EventReader(CParser(encoded), limits).documents()
    except MarkedYAMLError as error:
        raise faults.from_libyaml(decoded, error) from None
    except YAMLError:
        raise faults.unreadable(decoded) from None


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """One document of a text: its tree and where it stands, or the fault that hides it."""

    tree: Json = None
    positions: Positions = field(default_factory=Positions)
    fault: Problem | None = None


def read_each(text: str, limits: Limits = DEFAULT_LIMITS) -> tuple[YamlDocument, ...]:
    """The documents of a text; one that cannot be read does not take its neighbours down.

    Raises `NotUnderstood` as `read` does when no document can be read, or when it is the text as
    a whole that is refused: too big, too many documents, not UTF-8.
    """
    try:
        return _documents(text, limits)
    except NotUnderstood as error:
        parts = list(_parts(text)) if error.problem.rule not in _OF_THE_WHOLE else []
        if not 1 < len(parts) <= limits.documents:
            raise
        found = [each for part in parts for each in _document(part, limits)]
        if all(each.fault or each.tree is None for each in found):
            raise
        return tuple(found)


def _documents(text: str, limits: Limits) -> tuple[YamlDocument, ...]:
    return tuple(YamlDocument(*each) for each in zip(*read(text, limits), strict=True))


def _document(part: str, limits: Limits) -> tuple[YamlDocument, ...]:
    # Empty lines in front keep every position right; they must not count as size.
    try:
        return _documents(part, replace(limits, bytes=2 * limits.bytes))
    except NotUnderstood as error:
        return (YamlDocument(fault=error.problem),)


def _parts(text: str) -> Iterator[str]:
    """A text cut before each line that begins with `---`, with as many lines before as it had.

    YAML allows such a line nowhere else: https://yaml.org/spec/1.2.2/#912-document-markers
    """
    cuts = [0, *(found.start() for found in _MARKER.finditer(text) if found.start()), len(text)]
    for start, end in pairwise(cuts):
        if text[start:end].strip():
            yield "\n" * (faults.place(text, start).line - 1) + text[start:end]


def _checked(text: str | bytes, limits: Limits) -> tuple[str, bytes]:
    """The text without its byte order mark, as characters and as bytes, within its size."""
    if len(text) > limits.bytes:
        raise faults.too_big(len(text), limits.bytes)
    if isinstance(text, bytes):
        text = _decoded(text)
    text = text.removeprefix("\ufeff")
    try:
        encoded = text.encode("utf-8")
    except UnicodeEncodeError:
        raise faults.unreadable(text) from None
    if len(encoded) > limits.bytes:
        raise faults.too_big(len(encoded), limits.bytes)
    if encoded.count(b"%TAG") > _MOST_TAG_LINES:
        raise faults.refused("tag", faults.place(text, text.find("%TAG")))
    return text, encoded


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise faults.not_utf8(data, error) from None


class _EventReader:
    """One pass over the events of a text; recursion is bounded by `limits.depth`."""

    __slots__ = ("depth", "get", "keys", "left", "limits", "values")

    def __init__(self, parser: Any, limits: Limits) -> None:
        self.get = parser.get_event
        self.limits = limits
        self.left = limits.nodes
        self.depth = 0
        self.values: dict[Path, Mark] = {}
        self.keys: dict[Path, Mark] = {}

    def documents(self) -> tuple[tuple[Json, ...], tuple[Positions, ...]]:
        get = self.get
        trees: list[Json] = []
        found: list[Positions] = []
        get()  # the stream's start
        while type(start := get()) is not StreamEndEvent:
            if len(trees) == self.limits.documents:
                raise faults.too_much("documents", self.limits.documents, _at(start))
            self.values, self.keys = {}, {}
            found.append(Positions(self.values, self.keys))
            trees.append(self.node(get(), ()))
            end = get()
            if type(end) is not DocumentEndEvent:
                raise faults.fault("yaml-syntax", "the document should end here", _at(end))
        return tuple(trees), tuple(found)

    def node(self, event: Any, path: Path) -> Json:
        """The tree that begins with `event`."""
        self.left -= 1
        if self.left < 0:
            raise faults.too_much("many", self.limits.nodes, _at(event))
        self.values[path] = event.start_mark
        kind = type(event)
        if kind is ScalarEvent:
            return self.scalar(event)
        if kind is not MappingStartEvent and kind is not SequenceStartEvent:
            raise faults.refused("alias", _at(event))
        if event.anchor is not None or event.tag is not None:
            raise _marked(event)
        if self.depth >= self.limits.depth:
            raise faults.too_much("deep", self.limits.depth, _at(event))
        self.depth += 1
        tree = self.mapping(path) if kind is MappingStartEvent else self.sequence(path)
        self.depth -= 1
        return tree

    def scalar(self, event: Any) -> Json:
        value: str = event.value
        if event.anchor is not None or event.tag is not None:
            raise _marked(event)
        if event.style:  # quoted or a block: text, whatever it looks like
            if len(value) > self.limits.scalar:
                raise faults.too_much("long", self.limits.scalar, _at(event))
            return value
        if value in _WORDS:
            return _WORDS[value]
        if len(value) > self.limits.scalar:
            raise faults.too_much("long", self.limits.scalar, _at(event))
        if value[0] in _DIGITS and _INTEGER.fullmatch(value):
            return int(value)
        return value

    def sequence(self, path: Path) -> list[Json]:
        get, node = self.get, self.node
        items: list[Json] = []
        while type(event := get()) is not SequenceEndEvent:
            items.append(node(event, (*path, len(items))))
        return items

    def mapping(self, path: Path) -> dict[str, Json]:
        get, node = self.get, self.node
        tree: dict[str, Json] = {}
        while type(event := get()) is not MappingEndEvent:
            key = self.key(event)
            below = (*path, key)
            if key in tree:
                raise faults.duplicate(key, at(self.keys[below]), _at(event))
            self.keys[below] = event.start_mark
            tree[key] = node(get(), below)
        return tree

    def key(self, event: Any) -> str:
        """The text of a key; whatever it looks like, `1` and `true` too, it is text."""
        self.left -= 1
        if type(event) is not ScalarEvent:
            what = "key" if type(event) in (MappingStartEvent, SequenceStartEvent) else "alias"
            raise faults.refused(what, _at(event))
        value: str = event.value
        if event.anchor is not None or event.tag is not None:
            raise _marked(event)
        if not event.style and (value in _NULLS or value == "<<"):
            raise faults.refused("merge" if value == "<<" else "key", _at(event))
        if len(value) > self.limits.scalar:
            raise faults.too_much("long", self.limits.scalar, _at(event))
        return intern(value)  # the same few keys in thousands of manifests are kept once


def _at(event: Any) -> Position:
    return at(event.start_mark)


def _marked(event: Any) -> NotUnderstood:
    """The refusal of an event that has an anchor or a tag."""
    return faults.refused("tag" if event.anchor is None else "anchor", _at(event))
