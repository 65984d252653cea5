"""What manifests inherit from the GitLab groups that they lie in. Pure.

Of all groups above a project the nearest one wins, key by key and each value whole. What a
manifest says itself always wins, even an empty key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, TypeAlias

from bridge.language.text import Path, Position, Positions
from bridge.model.entities import Json
from bridge.model.manifests import Inherited
from bridge.model.numbers import mark_in
from bridge.model.scrape import Project


@dataclass(frozen=True, slots=True)
class Default:
    """A value for whoever lacks `key`. `group` is a path in lower case, "" for all there is.

    `file` is the file as people know it, and `path` where in it the value stands.
    """

    value: Json
    key: str
    group: str
    file: str
    path: Path = field(default=(), compare=False)
    positions: Positions = field(default_factory=Positions, compare=False)

    def at(self, rest: Path = ()) -> Position:
        """Where the value stands, or what lies at `rest` in it."""
        return self.positions.value((*self.path, *rest))

    def place(self, rest: Path = ()) -> str:
        """The same for people, with the group that it is for."""
        line, column = self.at(rest)
        return f"{self.file}:{line}:{column} ({pattern_of(self.group)})"


ByKey: TypeAlias = Mapping[Path, Default]
# By a mapping's id and a group: the values of the keys that a manifest may inherit.
ByMapping: TypeAlias = Mapping[str, Mapping[str, ByKey]]


def pattern_of(group: str) -> str:
    """A group as the file names it."""
    return f"{group}/**" if group else "**"


def group_of(pattern: str) -> str | None:
    """The group that a key of the file means, in lower case; None where it means none."""
    path = pattern.strip().strip("/").lower()
    path = "" if path == "**" else path.removesuffix("/**")
    parts = path.split("/") if path else []
    good = all(part and not set(part) & set("*?[]{}\\ ") for part in parts)
    return path if good and (path or pattern.strip().strip("/") == "**") else None


@dataclass(frozen=True, slots=True)
class GivenDefaults:
    """What one manifest may inherit, by key. `digest` names it, "" for nothing."""

    values: ByKey = field(default_factory=dict)
    digest: str = ""


NOTHING: Final = GivenDefaults()


def anything(paths: Iterable[Path]) -> GivenDefaults:
    """Something for each key, to see which ones would be taken."""
    return GivenDefaults({path: Default(None, ".".join(map(str, path)), "", "") for path in paths})


@dataclass(frozen=True, slots=True)
class Defaults:
    """All defaults that are in force: those for every source, and those of single ones.

    `of_sources` are by the mark that the numbers of a source's projects have, and `texts` what they
    were read from. Of one group what its own source says wins.
    """

    everywhere: ByMapping = field(default_factory=dict)
    of_sources: Mapping[int, ByMapping] = field(default_factory=dict)
    texts: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    _found: dict[tuple[int, str, str], GivenDefaults] = field(default_factory=dict, compare=False)

    def __bool__(self) -> bool:
        return bool(self.everywhere or self.of_sources)

    def of(self, project: Project, mapping: str) -> GivenDefaults:
        """What a manifest of a project may inherit, by the mapping that takes it."""
        if not self:
            return NOTHING
        key = mark_in(project.id), project.path.rpartition("/")[0].lower(), mapping
        if key not in self._found:
            self._found[key] = self._given(*key)
        return self._found[key]

    def _given(self, mark: int, group: str, mapping: str) -> GivenDefaults:
        values: dict[Path, Default] = {}
        for above in _above(group):
            for layer in self._layers(mark):
                values |= layer.get(mapping, {}).get(above, {})
        told = [[*path, each.value, each.group, each.file] for path, each in sorted(values.items())]
        return GivenDefaults(values, _digest(told)) if values else NOTHING

    def with_source(self, mark: int, found: ByMapping, written: tuple[str, str] | None) -> Defaults:
        """The same, with those of one source replaced."""
        others = {key: each for key, each in self.of_sources.items() if key != mark}
        texts = {key: each for key, each in self.texts.items() if key != mark}
        return Defaults(
            self.everywhere,
            others | ({mark: found} if found else {}),
            texts | ({mark: written} if written else {}),
        )

    def _layers(self, mark: int) -> Sequence[ByMapping]:
        return self.everywhere, self.of_sources.get(mark, {})

    def digests(self, mark: int) -> dict[str, str]:
        """For each group of which something is said in a source: what names all of that."""
        told: dict[str, list[Json]] = {}
        for layer in self._layers(mark):
            for mapping, groups in sorted(layer.items()):
                for group, values in groups.items():
                    for path, each in sorted(values.items()):
                        row = [mapping, *path, each.value, each.file]
                        told.setdefault(group, []).append(row)
        return {group: _digest(rows) for group, rows in told.items()}


def _above(group: str) -> Iterator[str]:
    """All groups above a project, the farthest first."""
    parts = group.split("/") if group else []
    for count in range(len(parts) + 1):
        yield "/".join(parts[:count])


def _digest(told: Json) -> str:
    text = json.dumps(told, sort_keys=True, ensure_ascii=True)
    return blake2b(text.encode(), digest_size=16).hexdigest()


def filled(tree: Json, given: ByKey) -> tuple[Json, dict[Path, Default]]:
    """A manifest with what it lacks, and what that was. The map that a key belongs to must be
    there: nothing is made up around it.
    """
    added: dict[Path, Default] = {}
    for path, each in given.items():
        if _lacks(tree, path):
            tree = _with(tree, path, each.value)
            added[path] = each
    return tree, added


def _lacks(tree: Json, path: Path) -> bool:
    for key in path[:-1]:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return isinstance(tree, dict) and path[-1] not in tree


def _with(tree: Json, path: Path, value: Json) -> Json:
    head, rest = path[0], path[1:]
    return {**tree, head: _with(tree[head], rest, value) if rest else value}


def inherited(given: Iterable[ByKey]) -> tuple[Inherited, ...]:
    """What the manifests of a file inherited, each key once a group."""
    return tuple(
        dict.fromkeys(
            Inherited(each.key, each.group, each.file)
            for values in given
            for each in values.values()
        )
    )
