"""`facts.yaml` in the mappings' folder: the schemas of facts that may be pushed.

load_tests:
  version: 1.0.0
  title: Load tests
  description: What the nightly load test measured
  cadence: 2d
  entities: {kind: component}      # a filter as Backstage's; left out: any entity
  facts:
    p99_ms: {type: float, description: The 99th percentile in milliseconds}

Its shape is that of the JSON Schema `facts` (`fester schema facts`); what a schema cannot say is
said here: which ids there may be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from bridge.errors import ConfigurationError
from bridge.language.own_schemas import faults
from bridge.language.source import Source
from bridge.model.entities import Json
from bridge.model.facts import FactDefinition, FactSchema, FactType

NAME: Final = "facts.yaml"
RULE: Final = "facts-invalid"
_ID: Final = re.compile(r"[a-z][a-z0-9_]{0,59}")
_SECONDS: Final = {"m": 60.0, "h": 3600.0, "d": 86_400.0}


def load_schemas(path: Path, taken: Sequence[str] = ()) -> tuple[FactSchema, ...]:
    """The schemas of a file that need not be there; `taken` are ids of collectors.

    Raises `ConfigurationError` with every problem, at its line.
    """
    if not path.exists():
        return ()
    expected = "expected schemas by their id, such as `load_tests:`"
    source, tree, _ = Source.opened(path, RULE, expected, empty=True)
    source.problems += faults("facts", source, tree)
    _check_ids(source, tree, taken)
    if source.problems:
        raise ConfigurationError(source.problems)
    return tuple(_schema(name, body) for name, body in tree.items())


def _check_ids(source: Source, tree: Mapping[str, Json], taken: Sequence[str]) -> None:
    for name, body in tree.items():
        if not _ID.fullmatch(name):
            message = f"`{name[:60]}` is no id: use lower case, digits and `_`"
            source.problem(message, (name,), key=True)
        if name in taken:
            message = f"`{name}` is a collector's id; choose another one"
            source.problem(message, (name,), key=True)
        for fact in _facts(body):
            if not _ID.fullmatch(fact):
                message = f"`{fact[:60]}`: a fact's name is lower case, digits and `_`"
                source.problem(message, (name, "facts", fact), key=True)


def _facts(body: Json) -> Iterator[str]:
    facts = body.get("facts") if isinstance(body, dict) else None
    yield from facts if isinstance(facts, dict) else ()


def _schema(name: str, body: Mapping[str, Json]) -> FactSchema:
    """One schema of a file that has its shape."""
    cadence = body["cadence"]
    return FactSchema(
        name,
        body["version"],
        body["title"],
        body["description"],
        tuple(
            FactDefinition(fact, FactType(each["type"]), each["description"])
            for fact, each in body["facts"].items()
        ),
        float(cadence[:-1]) * _SECONDS[cadence[-1]],
        body.get("entities"),
    )
