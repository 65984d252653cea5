"""Where every field of an entity comes from: which manifest says it, or what Fester made it of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bridge.model.entities import Json, Ref
from bridge.model.manifests import TranslatedManifest
from bridge.model.memory import Memory
from bridge.model.statements import Statement

MOST: Final = 300  # fields
MOST_PLACES: Final = 5  # manifests that say the same
MOST_SAID: Final = 200  # statements that are looked at
LONGEST: Final = 300  # characters of a value
_DEEPEST: Final = 12
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
    looked = said[:MOST_SAID]
    names = {id(each): _written(each, memory) for each in looked}
    found: list[FieldOrigin] = []
    for path, value in _leaves(entity):
        if len(found) == MOST:
            break
        found.append(_origin(path, value, looked, names))
    return found


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


def _origin(
    path: tuple[str, ...],
    value: Json,
    said: Sequence[Statement],
    written: Mapping[int, frozenset[str]],
) -> FieldOrigin:
    name, text = ".".join(path), _text(value)
    theirs = [each for each in said if any(_same(one, value) for one in _at(each.body, path))]
    if not theirs:
        return FieldOrigin(name, text, _made(name, path, said))
    if name.startswith(_GITLABS):
        how = "of the GitLab project"
    elif any(_is_written(value, written[id(each)]) for each in theirs):
        how = "as the manifest says"
    else:
        how = f"made by the mapping {theirs[0].manifest.translation.mapping}"
    shown = tuple(_place(each, value) for each in theirs[:MOST_PLACES])
    return FieldOrigin(name, text, how, shown, len(theirs) - len(shown))


def _at(body: Mapping[str, Any], path: Sequence[str]) -> list[Json]:
    """What a statement has at a path; of a list its items."""
    value: Json = body
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return []
        value = value[key]
    return value if isinstance(value, list) else [value]


def _same(one: Json, value: Json) -> bool:
    return bool(one == value) or bool(_ref(one) and _ref(one) == _ref(value))


def _ref(value: Json) -> str:
    """A text as a reference; "" when it is none."""
    try:
        return str(Ref.parse(value)) if isinstance(value, str) else ""
    except ValueError:
        return ""


def _made(name: str, path: Sequence[str], said: Sequence[Statement]) -> str:
    """Why nobody says a value."""
    if name.startswith(f"metadata.annotations.{_LOCATIONS}"):
        return "where Backstage reads the entity from"
    if name == "metadata.namespace":
        return "Backstage's own when none is named"
    if name in _SOURCE:
        return "the address of the manifest that says most"
    if name.startswith("metadata.annotations.fester.dev/"):
        return "Fester's own: what it knows of the entity"
    others = dict.fromkeys(_text(one) for each in said for one in _at(each.body, path))
    if others:
        shown = ", ".join(list(others)[:3])
        return f"put right by Fester: the manifests say {shown}"
    return "made by Fester of what is known of it"


def _written(each: Statement, memory: Memory) -> frozenset[str]:
    """Every value that a manifest writes, as text."""
    known = memory.manifests.get((each.manifest.project.id, each.manifest.file))
    if known is None:
        return frozenset()
    translation = known.good if each.manifest.kept_since and known.good else known.current
    texts = [_text(leaf) for leaf in _flat(list(translation.documents))]
    return frozenset((*texts, *(_tail(text) for text in texts)))


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


def _is_written(value: Json, written: frozenset[str]) -> bool:
    """Whether a manifest writes it: itself, or the name at the end of a reference."""
    ref = _ref(value)
    parts = [_tail(ref)] if ref else [_text(one) for one in _flat(value)]
    return all(part in written for part in parts)


def _place(each: Statement, value: Json) -> SaidAt:
    manifest: TranslatedManifest = each.manifest
    exact = (line for text, line, _ in each.places if _ref(value) and _ref(text) == _ref(value))
    line = next(exact, each.line)
    url = manifest.project.file_url(manifest.file)
    return SaidAt(manifest.project.path, manifest.file, line, f"{url}#L{line}" if url else "")


def _text(value: Json) -> str:
    """One printable, bounded line."""
    if isinstance(value, dict):
        value = ", ".join(f"{key}: {inner}" for key, inner in value.items())
    text = str(value).lower() if isinstance(value, bool) else str(value)
    line = "".join(char if char.isprintable() else " " for char in text[:LONGEST])
    return line if len(text) <= LONGEST else f"{line}…"
