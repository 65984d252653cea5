"""The JSON Schemas of the files that people of the platform team write, and their check.

One reader, one dialect of YAML and one checker serve manifests and our own files alike: the same
`file:line:col`, the same "did you mean", and completion in editors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

from bridge.language.schema.validator import Schema
from bridge.language.source import Source
from bridge.model.entities import Json
from bridge.model.problems import Problem, Severity

# The files whose schemas lie here; `fester.yaml` has its own in the settings.
NAMES: Final = ("defaults", "facts", "initiatives", "mapping", "merge", "presets", "rubric")
_FOLDER: Final = Path(__file__).parent / "schemas"


def schema_text(name: str) -> str:
    """The JSON Schema of one of `NAMES`, as text."""
    return (_FOLDER / f"{name}.schema.json").read_text("utf-8")


@cache
def own_schema(name: str) -> Schema:
    """The JSON Schema of one of `NAMES`, ready to check with."""
    return Schema.load(_FOLDER / f"{name}.schema.json")


def faults(name: str, source: Source, tree: Json) -> Iterator[Problem]:
    """What is wrong with a file by its schema, as problems of `source`: all of them errors."""
    for found in own_schema(name).problems(tree, lambda: source.positions):
        message = found.message.replace("the manifest", "the file")
        yield replace(
            found, message=message, rule=source.rule, severity=Severity.ERROR, file=source.file
        )
