"""`facts.yaml` in the mappings' folder: the schemas of facts that may be pushed.

load_tests:
  version: 1.0.0
  title: Load tests
  description: What the nightly load test measured
  cadence: 2d
  entities: {kind: component}      # a filter as Backstage's; left out: any entity
  facts:
    p99_ms: {type: float, description: The 99th percentile in milliseconds}
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from bridge.errors import ConfigurationError
from bridge.model.facts import FactDefinition, FactSchema, FactType
from bridge.model.problems import Problem

NAME: Final = "facts.yaml"
SIZE_LIMIT: Final = 256 * 1024
_ID: Final = re.compile(r"[a-z][a-z0-9_]{0,59}")
_SEMVER: Final = re.compile(r"\d{1,6}\.\d{1,6}\.\d{1,6}(-[0-9A-Za-z.-]{1,40})?")
_CADENCE: Final = re.compile(r"([1-9]\d{0,4})([mhd])")
_SECONDS: Final = {"m": 60.0, "h": 3600.0, "d": 86_400.0}
_KEYS: Final = ("version", "title", "description", "cadence", "entities", "facts")


def load_schemas(path: Path, taken: Sequence[str] = ()) -> tuple[FactSchema, ...]:
    """The schemas of a file that need not be there; `taken` are ids of collectors.

    Raises `ConfigurationError` with every problem, at its line.
    """
    if not path.exists():
        return ()
    reading = _Reading(str(path), taken)
    whole = _read(path)
    schemas = [reading.schema(whole, name) for name in whole]
    if reading.problems:
        raise ConfigurationError(reading.problems)
    return tuple(schemas)


def _read(path: Path) -> CommentedMap:
    try:
        raw = path.read_bytes()
        if len(raw) > SIZE_LIMIT:
            raise ValueError(f"larger than {SIZE_LIMIT} bytes")
        tree = YAML(typ="rt").load(raw.decode("utf-8"))
    except MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        problem = Problem(f"not YAML: {error.problem}", "facts-invalid", file=str(path))
        raise ConfigurationError([_at(problem, line, column)]) from None
    except (OSError, ValueError, YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        message = f"cannot be read: {reason}"
        raise ConfigurationError([Problem(message, "facts-invalid", file=str(path))]) from None
    if tree is None:
        return CommentedMap()
    if not isinstance(tree, CommentedMap):
        message = "expected schemas by their id, such as `load_tests:`"
        raise ConfigurationError([Problem(message, "facts-invalid", file=str(path), line=1)])
    return tree


def _at(problem: Problem, line: int, column: int) -> Problem:
    return Problem(problem.message, problem.rule, file=problem.file, line=line, column=column)


class _Reading:
    """Reads one file; collects what is wrong with it."""

    def __init__(self, file: str, taken: Sequence[str]) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._taken = taken

    def schema(self, whole: CommentedMap, key: Any) -> FactSchema:
        """One schema; what is wrong with it is noted, and it is not to be used."""
        name = str(key)
        if not _ID.fullmatch(name):
            self._wrong(whole, key, f"`{name[:60]}` is no id: use lower case, digits and `_`")
        if name in self._taken:
            self._wrong(whole, key, f"`{name}` is a collector's id; choose another one")
        body = self._map(whole[key], whole, key, f"`{name[:60]}` holds {', '.join(_KEYS)}")
        for each in body:
            if each not in _KEYS:
                known = ", ".join(_KEYS)
                self._wrong(body, each, f"`{each}` is no key of a schema; known are {known}")
        version = self._text(body, "version", _SEMVER, "a version such as 1.0.0")
        cadence = _CADENCE.fullmatch(self._text(body, "cadence", _CADENCE, "a time such as 12h"))
        facts: Mapping[str, Any] = {}
        if body:
            facts = self._map(body.get("facts"), body, "facts", "`facts` holds facts by their name")
        return FactSchema(
            name,
            version,
            self._text(body, "title"),
            self._text(body, "description"),
            tuple(self._fact(facts, str(key), each) for key, each in facts.items()),
            float(cadence[1]) * _SECONDS[cadence[2]] if cadence else 0.0,
            self._filter(body),
        )

    def _fact(self, facts: Mapping[str, Any], name: str, tree: Any) -> FactDefinition:
        if not _ID.fullmatch(name):
            self._wrong(facts, name, f"`{name[:60]}`: a fact's name is lower case, digits and `_`")
        body = self._map(tree, facts, name, f"`{name}` holds `type` and `description`")
        kinds = [kind.value for kind in FactType]
        kind = body.get("type")
        if kind not in kinds:
            self._wrong(body or facts, "type", f"`type` of {name} is one of {', '.join(kinds)}")
            kind = FactType.STRING.value
        return FactDefinition(name, FactType(kind), self._text(body, "description"))

    def _filter(self, body: Mapping[str, Any]) -> Any:
        found = body.get("entities")
        filters = found if isinstance(found, list) else [found]
        if found is not None and not all(isinstance(each, Mapping) and each for each in filters):
            self._wrong(body, "entities", "`entities` is a filter such as {kind: component}")
        return _plain(found)

    def _map(self, value: Any, above: Any, key: Any, what: str) -> Mapping[str, Any]:
        if isinstance(value, Mapping) and value:
            return value
        self._wrong(above, key, what)
        return {}

    def _text(
        self, body: Mapping[str, Any], key: str, form: re.Pattern[str] | None = None, what: str = ""
    ) -> str:
        value = body.get(key)
        if isinstance(value, str) and (form.fullmatch(value) if form else value.strip()):
            return value
        if body:
            self._wrong(body, key, f"`{key}` is missing or not {what or 'a text'}")
        return ""

    def _wrong(self, tree: Any, key: Any, message: str) -> None:
        line, column = 0, 0
        if isinstance(tree, CommentedMap):
            found = tree.lc.key(key) if key in tree else (tree.lc.line, tree.lc.col)
            line, column = found[0] + 1, found[1] + 1
        self.problems.append(
            Problem(message, "facts-invalid", file=self._file, line=line, column=column)
        )


def _plain(tree: Any) -> Any:
    """The same without what the YAML library hangs on it."""
    if isinstance(tree, Mapping):
        return {str(key): _plain(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_plain(value) for value in tree]
    return tree
