"""Reads qm.defaults.yaml. Its shape is that of the JSON Schema `defaults`.

    version: 1
    defaults:                  # for manifests in qm.yaml
      shop/**: {owner: {team: shop-team}, product: Shop}
      shop/checkout/**: {tier: tier_1}
    mappings:                  # for those of other formats, by the id of their mapping
      datadog-v2:
        shop/**: {team: shop-team}

The values are checked by the schema that the manifests are checked with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Final

from bridge.errors import ConfigurationError
from bridge.language.names import did_you_mean
from bridge.language.own_schemas import faults
from bridge.language.schema.validator import Schema
from bridge.language.source import Source
from bridge.language.text import Path, Positions
from bridge.language.text_faults import clean, shown
from bridge.language.text_positions import Moved
from bridge.model.entities import Json
from bridge.model.problems import Problem, Severity
from bridge.processors.mapping.defaults import ByKey, ByMapping, Default, group_of
from bridge.processors.mapping.mapping_file import Mapping as LoadedMapping

FILE: Final = "qm.defaults.yaml"
RULE: Final = "defaults-invalid"
OWN: Final = "qm-v1"  # the mapping that `defaults` is for
_EXPECTED: Final = "the file holds one map that starts with `version: 1`"


def defaults_beside(folder: FilePath, mappings: Sequence[LoadedMapping]) -> ByMapping:
    """What the qm.defaults.yaml of a mappings folder says; nothing when there is none.

    Raises `ConfigurationError` as `read_defaults` does.
    """
    path = folder / FILE
    return opened_defaults(path, mappings) if path.is_file() else {}


def opened_defaults(path: FilePath, mappings: Sequence[LoadedMapping]) -> ByMapping:
    """What a file on this machine says. Raises `ConfigurationError`, also if it cannot be read."""
    source, tree, _ = Source.opened(path, RULE, _EXPECTED)
    return _checked(source, tree, mappings)


def read_defaults(text: str, file: str, mappings: Sequence[LoadedMapping]) -> ByMapping:
    """What a text says; `file` is what people know it by.

    Raises ConfigurationError with every problem, each with its place.
    """
    source, tree = Source.of(text, file, file, RULE, _EXPECTED)
    return _checked(source, tree, mappings)


def _checked(source: Source, tree: dict[str, Json], mappings: Sequence[LoadedMapping]) -> ByMapping:
    source.problems += faults("defaults", source, tree)
    known = {mapping.id: mapping for mapping in mappings}
    found: dict[str, dict[str, ByKey]] = {}
    for name, groups, path in _sections(tree):
        if name in found:
            message = f"what holds for `{OWN}` is said by `defaults` already; say it once"
            source.problem(message, path, key=True)
        elif name not in known:
            there = did_you_mean(name, known) or f"; there are {', '.join(sorted(known))}"
            source.problem(f"there is no mapping {shown(name)}{there}", path, key=True)
        elif isinstance(groups, dict):
            found[name] = _groups(source, known[name], groups, path)
    if source.problems:
        problems = sorted(source.problems, key=lambda each: (each.line, each.column))
        raise ConfigurationError(problems)
    return {name: groups for name, groups in found.items() if groups}


def _sections(tree: Mapping[str, Json]) -> Iterator[tuple[str, Json, Path]]:
    """The id of each mapping that something is said of, what that is, and where."""
    if "defaults" in tree:
        yield OWN, tree["defaults"], ("defaults",)
    others = tree.get("mappings")
    for name, groups in others.items() if isinstance(others, dict) else ():
        yield name, groups, ("mappings", name)


def _groups(
    source: Source, mapping: LoadedMapping, groups: Mapping[str, Json], path: Path
) -> dict[str, ByKey]:
    found: dict[str, ByKey] = {}
    schema = mapping.schema.part(mapping.inheritable)  # to compile it costs more than to use it
    for pattern, values in groups.items():
        at = (*path, pattern)
        group = group_of(pattern)
        if group is None:
            message = (
                f"`{clean(pattern)}` is no group: write its path, such as shop/checkout/**, or ** "
                "for everything; other patterns are not understood"
            )
            source.problem(message, at, key=True)
        elif group in found:
            message = f"`{clean(pattern)}` is there twice, perhaps in other letter case"
            source.problem(message, at, key=True)
        elif isinstance(values, dict):
            found[group] = dict(_values(source, mapping, group, values, at, schema=schema))
    return found


def _values(
    source: Source,
    mapping: LoadedMapping,
    group: str,
    values: dict[str, Json],
    at: Path,
    *,
    schema: Schema,
) -> Iterator[tuple[Path, Default]]:
    """The values for one group, as far as the manifest's own schema takes them."""
    if not mapping.inheritable:
        message = f"manifests of {mapping.title} inherit nothing: the mapping names no `defaults`"
        source.problem(message, at, key=True)
        return
    moves: dict[Path, tuple[Positions, Path]]
    moves = {(key,): (source.positions, (*at, key)) for key in values}
    beginning = source.positions.value(at)
    positions = Moved({(): beginning}, {(): beginning}, moves)
    for found in schema.problems(values, lambda: positions):
        source.problems.append(_told(source, found))
    for path in mapping.inheritable:
        value = values
        for key in path:
            value = value.get(key, _MISSING) if isinstance(value, dict) else _MISSING
        if value is not _MISSING:
            yield (
                path,
                Default(value, ".".join(path), group, source.name, (*at, *path), source.positions),
            )


def _told(source: Source, found: Problem) -> Problem:
    message = found.message.replace("the manifest", "this")
    return replace(found, message=message, rule=RULE, severity=Severity.ERROR, file=source.file)


_MISSING: Final = object()
