"""Where every field of an entity comes from: which manifest says it, or what Fester made it of."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from bridge.model.entities import Json, Ref
from bridge.model.manifests import TranslatedManifest
from bridge.model.memory import Memory
from bridge.model.statements import Statement

MOST: Final = 300  # fields
MOST_PLACES: Final = 5  # manifests that say the same
MOST_SAID: Final = 200  # statements that are looked at
MOST_ITEMS: Final = 50_000  # values of manifests that are read for one answer
LONGEST: Final = 300  # characters of a value
_DEEPEST: Final = 12
_SHOWN: Final = 3  # other values
_T = TypeVar("_T")
# Of the reader itself, and the same of every entity.
_OWN: Final = frozenset({"apiVersion", "kind", "relations", "status"})
_OWN_FIELDS: Final = frozenset({("metadata", "uid"), ("metadata", "etag")})
_GITLABS: Final = "metadata.annotations.gitlab.com/"
_LOCATIONS: Final = "backstage.io/managed-by"
_SOURCE: Final = frozenset(
    f"metadata.annotations.backstage.io/{name}"
    for name in ("view-url", "edit-url", "source-location")
)


@dataclass(frozen=True, slots=True)
class SaidAt:
    """A manifest that says it. `line` is 0 where it is not known; `url` is "" in a checkout."""

    project: str
    file: str
    line: int
    url: str


@dataclass(frozen=True, slots=True)
class FieldOrigin:
    """One value (of a list one item) and where it is from; `how` says it in words.

    `at` are the first manifests that say so, `more` counts the others.
    """

    path: str
    value: str
    how: str
    at: tuple[SaidAt, ...] = ()
    more: int = 0


def fields_of(
    entity: Mapping[str, Json], said: Sequence[Statement], memory: Memory
) -> list[FieldOrigin]:
    """The fields of an entity as it is served, of what was said of it and of those manifests."""
    looked = _Looked(said[:MOST_SAID], memory)
    leaves = itertools.islice(_leaves(entity), MOST)
    return [_origin(path, value, looked) for path, value in leaves]


@dataclass(slots=True)
class _Looked:
    """What manifests say, each value read once and at most `MOST_ITEMS` of all of them.

    `left` is below 0 once there was more: then what is not found may be said all the same.
    """

    said: Sequence[Statement]
    memory: Memory
    left: int = MOST_ITEMS
    _saying: dict[tuple[str, ...], dict[str, list[Statement]]] = field(default_factory=dict)
    _others: dict[tuple[str, ...], str] = field(default_factory=dict)
    _written: dict[int, frozenset[str]] = field(default_factory=dict)
    _lines: dict[int, dict[str, int]] = field(default_factory=dict)

    def saying(self, path: tuple[str, ...], value: Json) -> Sequence[Statement]:
        """Those that have a value at a path."""
        if path not in self._saying:
            self._saying[path] = self._by_value(path)
        return self._saying[path].get(_canonical(value), ())

    def others(self, path: tuple[str, ...]) -> str:
        """The first values that manifests have at a path, in words."""
        return self._others.get(path, "")

    def written(self, each: Statement) -> frozenset[str]:
        """Every value that a manifest writes, as text."""
        if id(each) not in self._written:
            texts = [_text(leaf) for leaf in self._bounded(_leaves_of(each, self.memory))]
            self._written[id(each)] = frozenset((*texts, *(_tail(text) for text in texts)))
        return self._written[id(each)]

    def line(self, each: Statement, value: Json) -> int:
        """The line where a manifest says a value, or else the entity."""
        if id(each) not in self._lines:
            lines: dict[str, int] = {}
            for text, line, _ in self._bounded(each.places):
                lines.setdefault(_ref(text), line)
            self._lines[id(each)] = lines
        ref = _ref(value)
        return self._lines[id(each)].get(ref, each.line) if ref else each.line

    def _by_value(self, path: tuple[str, ...]) -> dict[str, list[Statement]]:
        found: dict[str, list[Statement]] = {}
        shown: dict[str, None] = {}
        for each in self.said:
            values = list(self._bounded(_at(each.body, path)))
            for key in dict.fromkeys(map(_canonical, values)):
                found.setdefault(key, []).append(each)
            shown.update(dict.fromkeys(map(_text, values[:_SHOWN])))
        self._others[path] = ", ".join(list(shown)[:_SHOWN])
        return found

    def _bounded(self, items: Iterable[_T]) -> Iterator[_T]:
        for item in items:
            self.left -= 1
            if self.left < 0:
                return
            yield item


def _leaves(entity: Mapping[str, Json]) -> Iterator[tuple[tuple[str, ...], Json]]:
    told = {key: value for key, value in entity.items() if key not in _OWN}
    for path, leaf in _walked(told, ()):
        if path not in _OWN_FIELDS:
            yield path, leaf


def _walked(value: Json, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Json]]:
    """Every value that is no map, with its path; the items of a list one by one."""
    if isinstance(value, dict) and len(path) < _DEEPEST:
        for key, inner in value.items():
            yield from _walked(inner, (*path, str(key)))
    elif isinstance(value, list):
        for item in value:
            yield path, item
    elif value is not None:
        yield path, value


def _origin(path: tuple[str, ...], value: Json, looked: _Looked) -> FieldOrigin:
    name, text = ".".join(path), _text(value)
    theirs = looked.saying(path, value)
    if not theirs:
        return FieldOrigin(name, text, _made(name, path, looked))
    how = _said(name, value, theirs, looked)
    shown = tuple(_place(each, looked.line(each, value)) for each in theirs[:MOST_PLACES])
    return FieldOrigin(name, text, how, shown, len(theirs) - len(shown))


def _said(name: str, value: Json, theirs: Sequence[Statement], looked: _Looked) -> str:
    """How manifests say a value."""
    if name.startswith(_GITLABS):
        return "of the GitLab project"
    parts = _parts(value)
    if any(looked.written(each).issuperset(parts) for each in theirs):
        return "as the manifest says"
    if looked.left < 0:
        return "said by the manifest, or made of it by its mapping"
    return f"made by the mapping {theirs[0].manifest.translation.mapping}"


def _at(body: Mapping[str, Any], path: Sequence[str]) -> list[Json]:
    """What a statement has at a path; of a list its items."""
    value: Json = body
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return []
        value = value[key]
    return value if isinstance(value, list) else [value]


def _canonical(value: Json) -> str:
    """The same text for the same value, and for a reference however it is written."""
    return _ref(value) or json.dumps(value, sort_keys=True, default=str)


def _ref(value: Json) -> str:
    """A text as a reference; "" when it is none."""
    try:
        return str(Ref.parse(value)) if isinstance(value, str) else ""
    except ValueError:
        return ""


def _made(name: str, path: tuple[str, ...], looked: _Looked) -> str:
    """Why nobody says a value."""
    if name.startswith(f"metadata.annotations.{_LOCATIONS}"):
        return "where Backstage reads the entity from"
    if name == "metadata.namespace":
        return "Backstage's own when none is named"
    if name in _SOURCE:
        return "the address of the manifest that says most"
    if name.startswith("metadata.annotations.fester.dev/"):
        return "Fester's own: what it knows of the entity"
    if looked.left < 0:
        return f"not looked up: the manifests say more than {MOST_ITEMS:,} values of it"
    others = looked.others(path)
    put_right = f"put right by Fester: the manifests say {others}"
    return put_right if others else "made by Fester of what is known of it"


def _leaves_of(each: Statement, memory: Memory) -> Iterator[Json]:
    """Every value that a manifest writes."""
    known = memory.manifests.get((each.manifest.project.id, each.manifest.file))
    if known is None:
        return iter(())
    translation = known.good if each.manifest.kept_since and known.good else known.current
    return _flat(list(translation.documents))


def _tail(text: str) -> str:
    """The name at the end of a reference, in lower case; other texts as a reference's would be."""
    return text.rpartition(":")[2].rpartition("/")[2].lower()


def _flat(value: Json) -> Iterator[Json]:
    """The scalars of a tree."""
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            stack += one.values()
        elif isinstance(one, list):
            stack += one
        else:
            yield one


def _parts(value: Json) -> list[str]:
    """What a manifest that writes a value has: itself, or the name at the end of a reference."""
    ref = _ref(value)
    return [_tail(ref)] if ref else [_text(one) for one in _flat(value)]


def _place(each: Statement, line: int) -> SaidAt:
    manifest: TranslatedManifest = each.manifest
    url = manifest.project.file_url(manifest.file)
    return SaidAt(manifest.project.path, manifest.file, line, f"{url}#L{line}" if url else "")


def _text(value: Json) -> str:
    """One printable, bounded line."""
    if isinstance(value, dict):
        value = ", ".join(f"{key}: {inner}" for key, inner in value.items())
    text = str(value).lower() if isinstance(value, bool) else str(value)
    line = "".join(char if char.isprintable() else " " for char in text[:LONGEST])
    return line if len(text) <= LONGEST else f"{line}…"
