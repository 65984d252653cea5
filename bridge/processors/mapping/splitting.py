"""Several manifests in one document: by what it is split, and what the parts inherit.

    split:
      - key: service              # a manifest of its own stands under `service`
        list: services            # and one in each item of `services`
        inherit: [owner, tags]    # what a part takes from elsewhere unless it has it itself

A part is the document with one of these under its `key`: templates and schema see nothing else.
What it lacks is taken whole, the first of: the document's top level, what stands under `key` (for
an item of `list`), documents of the file that hold shared keys alone, and the defaults for the
project's groups. An own key always wins, even an empty one, and lists are never merged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from bridge.language.text import Path, Positions, YamlDocument
from bridge.language.text_positions import Moved
from bridge.model.entities import Json
from bridge.processors.mapping.defaults import ByKey, Default

PART_LIMIT: Final = 100  # parts of one file

# Where shared keys stand: a document, and the path of the map that holds them.
Source: TypeAlias = tuple[YamlDocument, Path]


@dataclass(frozen=True, slots=True)
class Split:
    """One item of a mapping's `split`; `list` is "" where there is none."""

    key: str
    list: str = ""
    inherit: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ManifestPart:
    """One manifest of a document: `key` is where it stands in it, `written` where in the file.

    `inherited` are the paths in it that came from elsewhere, `given` those that came from the
    defaults for the project's groups.
    """

    document: YamlDocument
    key: str
    written: str
    inherited: frozenset[Path] = frozenset()
    given: Mapping[Path, Default] = field(default_factory=dict)

    def in_words(self, message: str) -> str:
        """A message about the part, with the place that people see: `services[1].name`."""
        if self.written == self.key:
            return message
        named = rf"^{re.escape(self.key)}(?=[. ])|(?<=` in ){re.escape(self.key)}(?=[.: ])"
        return re.sub(named, self.written, message)


def heads(splits: Sequence[Split]) -> frozenset[str]:
    """The keys that parts stand under."""
    return frozenset(filter(None, (key for each in splits for key in (each.key, each.list))))


def shared(splits: Sequence[Split]) -> frozenset[str]:
    """The keys that parts may inherit."""
    return frozenset(key for each in splits for key in each.inherit)


def lends_only(document: YamlDocument, splits: Sequence[Split]) -> bool:
    """Whether a document holds shared keys and nothing that they are for."""
    tree = document.tree
    return (
        isinstance(tree, dict)
        and not heads(splits) & tree.keys()
        and bool(shared(splits) & tree.keys())
    )


def is_whole(
    document: YamlDocument,
    splits: Sequence[Split],
    lenders: Sequence[YamlDocument],
    given: ByKey,
) -> bool:
    """Whether a document is one manifest as it stands, with nothing to inherit."""
    tree = document.tree
    if not isinstance(tree, dict):
        return True
    found = heads(splits) & tree.keys()
    lists = {each.list for each in splits}
    if found and given:
        return False
    return len(found) < 2 and not found & lists and not lenders and not shared(splits) & tree.keys()


def envelope(document: YamlDocument, splits: Sequence[Split]) -> Json:
    """What a document says outside its parts: checked once, before anything is inherited."""
    tree: dict[str, Json] = document.tree
    outside = {key: value for key, value in tree.items() if key not in heads(splits)}
    for each in splits:
        if each.list:
            given = tree.get(each.list)
            # An empty list stands for the items, which are checked one by one.
            outside[each.list] = [] if isinstance(given, list) or given is None else given
    return outside


def parts(
    document: YamlDocument,
    splits: Sequence[Split],
    lenders: Sequence[YamlDocument],
    given: ByKey,
) -> Iterator[ManifestPart]:
    """The manifests of a document, in its order. `given` are the defaults for its groups."""
    tree: dict[str, Json] = document.tree
    apart = heads(splits) | shared(splits)
    rest = {key: value for key, value in tree.items() if key not in apart}
    top: Source = (document, ())
    lent: list[Source] = [(lender, ()) for lender in lenders]
    for each in splits:
        if each.key in tree:
            yield _part(document, each, (each.key,), rest, [top, *lent], given=given)
        items = tree.get(each.list) if each.list else None
        for index in range(len(items) if isinstance(items, list) else 0):
            beside: Source = (document, (each.key,))
            yield _part(document, each, (each.list, index), rest, [top, beside, *lent], given=given)


def _part(
    document: YamlDocument,
    split: Split,
    place: Path,
    rest: Mapping[str, Json],
    sources: Sequence[Source],
    *,
    given: ByKey,
) -> ManifestPart:
    own = _at(document.tree, place)
    moves: dict[Path, tuple[Positions, Path]] = {(split.key,): (document.positions, place)}
    merged = own
    added: dict[Path, Default] = {}
    if isinstance(own, dict):
        merged = dict(own)
        for key in split.inherit:
            source = next((each for each in sources if _has(*each, key)), None)
            if key not in own and source is not None:
                lender, above = source
                merged[key] = _at(lender.tree, (*above, key))
                moves[split.key, key] = (lender.positions, (*above, key))
            elif key not in own and (key,) in given:
                added[split.key, key] = given[key,]
                merged[key] = given[key,].value
    tree = {**rest, split.key: merged}
    positions = Moved(document.positions.values, document.positions.keys, moves)
    written = split.key if len(place) == 1 else f"{split.list}[{place[1]}]"
    inherited = frozenset(moves.keys() - {(split.key,)})
    return ManifestPart(YamlDocument(tree, positions), split.key, written, inherited, added)


def _has(document: YamlDocument, above: Path, key: str) -> bool:
    found = _at(document.tree, above)
    return isinstance(found, dict) and key in found


def _at(tree: Json, path: Path) -> Json:
    for key in path:
        if isinstance(tree, dict):
            tree = tree.get(key)
        else:
            tree = tree[key] if isinstance(tree, list) and isinstance(key, int) else None
    return tree
