"""Checking manifests against a JSON Schema, in words for the people who write manifests.

The schema file is ours and trusted; the data is not. What the schema says beside its rules is
used for people: `description` and `examples` of a key that is missing, `x-message` of a rule that
is broken. Rules are those of https://json-schema.org/draft/2020-12, checked by `jsonschema`.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator

from bridge.errors import ConfigurationError, NotUnderstood
from bridge.language.names import nearest
from bridge.language.schema.keywords import compiled_validator
from bridge.language.schema.kinds import kinds_at
from bridge.language.schema.messages import MOST_PROBLEMS, findings, unknown_key
from bridge.language.schema.quick import quick_check
from bridge.language.schema.shape import (
    TYPES,
    Inliner,
    bad_patterns,
    bad_refs,
    shape_of,
    unknown_keys,
)
from bridge.language.text import Limits, Positions, read
from bridge.language.text_faults import clean
from bridge.model.entities import Json
from bridge.model.problems import Problem

_MOST_ERRORS = 500  # looked at before they are put in order
_NO_OTHERS = {"type": "object", "additionalProperties": False}
_OURS = Limits(bytes=4_000_000, depth=200, nodes=400_000, scalar=100_000)


@dataclass(frozen=True, slots=True)
class Lookup:
    """What a schema says of a path.

    `known`: manifests may have it. `open`: it, or a parent, takes any key. `nearest`: the closest
    right name for the first wrong step, "" if none is close. `kind`: "text", "a list", "text or an
    object", …, all that is allowed; "" when any kind is, or when that cannot be told.
    """

    known: bool
    open: bool
    nearest: str = ""
    kind: str = ""


class Schema:
    """A JSON Schema, compiled once; cheap to check many manifests against."""

    def __init__(self, document: Mapping[str, Json]) -> None:
        """Take a schema that is known to be valid; files come in by `load`."""
        inlined = Inliner(document).inline(document)
        self._document, self._inlined = document, inlined
        self._validator = compiled_validator(inlined)
        self._is_valid = quick_check(inlined)
        self._shape = shape_of(inlined, document, {})

    @classmethod
    def load(cls, path: pathlib.Path) -> Schema:
        """Read a `.json` file that holds a JSON Schema of draft 2020-12.

        Raises `ConfigurationError` with every problem found: unreadable file, no JSON, no valid
        schema, a `$ref` that leads out of the file or nowhere, a pattern that RE2 does not take.
        """
        try:
            content = path.read_text("utf-8")
            document = json.loads(content)
        except json.JSONDecodeError as error:
            message = f"not JSON: {error.msg}"
            raise _unusable(path, [message], error.lineno, error.colno) from None
        except (OSError, UnicodeDecodeError) as error:
            raise _unusable(path, [f"the schema cannot be read: {error}"]) from None
        if not isinstance(document, dict):
            raise _unusable(path, ["a schema must be a JSON object"])
        patterns = _bad_patterns(path, content, document)
        faults = [
            f"{error.json_path}: {clean(error.message, 200)}"
            for error in Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(
                document
            )
        ]
        faults = faults or list(bad_refs(document, document))
        if '"unevaluatedProperties"' in content and '"patternProperties"' in content:
            # The library would match these patterns by an engine that may hang.
            faults.append(
                "`unevaluatedProperties` and `patternProperties` are not understood in one schema: "
                "use `additionalProperties`"
            )
        if faults or patterns:
            raise ConfigurationError([*patterns, *_problems(path, faults)])
        return cls(document)

    def problems(self, data: Json, positions: Callable[[], Positions]) -> list[Problem]:
        """What is wrong with one document, in its order, at most 50 findings.

        Broken rules are errors ("manifest-invalid"), keys that nobody reads are warnings
        ("unknown-key"). `positions` is called only when there is something to report.
        """
        valid = self._is_valid(data)
        errors = [] if valid else list(islice(self._validator.iter_errors(data), _MOST_ERRORS))
        unknown = list(islice(unknown_keys(data, self._shape, ()), MOST_PROBLEMS))
        if not errors and not unknown:
            return []
        mistyped = {
            (*error.absolute_path,)
            for error in errors
            if error.validator == "type"  # what else is wrong with it follows from that
        }
        found = {
            finding.key: finding
            for error in errors
            if error.validator == "type" or (*error.absolute_path,) not in mistyped
            for finding in findings(error, ())
        }
        for path, shape in unknown:
            found.setdefault(f"unknown {path}", unknown_key(path, shape))
        places = positions()
        problems = [finding.problem(places) for finding in found.values()]
        problems.sort(key=lambda problem: (problem.line, problem.column))
        return problems[:MOST_PROBLEMS]

    def part(self, paths: Iterable[tuple[str, ...]]) -> Schema:
        """A schema for some keys alone, by path: none is required, no other is allowed."""
        return Schema({**self.part_tree(paths), "$defs": self._document.get("$defs", {})})

    def part_tree(self, paths: Iterable[tuple[str, ...]]) -> dict[str, Any]:
        """The same as a tree, without the `$defs` that what holds itself refers to."""
        tree: dict[str, Any] = {**_NO_OTHERS, "properties": {}}
        for path in paths:
            place, given = tree, self._inlined
            for step in path[:-1]:
                place = place["properties"].setdefault(step, {**_NO_OTHERS, "properties": {}})
                given = given.get("properties", {}).get(step, {})
            place["properties"][path[-1]] = given.get("properties", {}).get(path[-1], {})
        return tree

    def look(self, path: tuple[str, ...]) -> Lookup:
        """What the schema says of a path; `"*"` stands for the items of a list."""
        shape = self._shape
        for at, step in enumerate(path):
            below = shape.items if step == "*" else shape.below(step)
            if below is None:
                if shape.open or (step == "*" and self._may_be_list(path[:at])):
                    return Lookup(known=True, open=True)
                close = nearest(step, shape.properties)
                return Lookup(known=False, open=False, nearest=close[0] if close else "")
            shape = below
        kind = " or ".join(TYPES.get(each, each) for each in self._kinds(path))
        return Lookup(known=True, open=shape.open, kind=kind)

    def _may_be_list(self, path: tuple[str, ...]) -> bool:
        kinds = self._kinds(path)
        return not kinds or "array" in kinds

    def _kinds(self, path: tuple[str, ...]) -> tuple[str, ...]:
        return kinds_at(self._inlined, self._document, path)


def _unusable(
    path: pathlib.Path, messages: Iterable[str], line: int = 0, column: int = 0
) -> ConfigurationError:
    return ConfigurationError(_problems(path, messages, line, column))


def _problems(
    path: pathlib.Path, messages: Iterable[str], line: int = 0, column: int = 0
) -> list[Problem]:
    return [
        Problem(message, "schema-invalid", file=str(path), line=line, column=column)
        for message in messages
    ]


def _bad_patterns(path: pathlib.Path, content: str, document: Json) -> list[Problem]:
    """The regular expressions of a schema that cannot be used, each where it stands."""
    problems: list[Problem] = []
    for where, message, is_key in bad_patterns(document):
        positions = _positions(content)
        at = positions.key(where) if is_key else positions.value(where)
        problems += _problems(path, [message], at.line, at.column)
    return problems


@lru_cache(maxsize=1)
def _positions(content: str) -> Positions:
    """Where things stand in a text of JSON, which YAML's reader reads, too."""
    try:
        return read(content, _OURS)[1][0]
    except NotUnderstood:  # a pair of escapes for one character, say: then nothing has a place
        return Positions()
