"""Runs the examples that mappings carry: manifest in, entities out."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from itertools import starmap
from typing import Final

from bridge.model.entities import Json
from bridge.model.manifests import Translation
from bridge.model.reads import ReadFile, ReadKind, Reads
from bridge.model.scrape import ManifestFile, Project
from bridge.processors.mapping.defaults import Defaults
from bridge.processors.mapping.mapping_file import Example, Mapping
from bridge.processors.mapping.translation import Mappings
from bridge.processors.rules import refused

PROJECT: Final = {
    "id": 1,
    "path": "shop/cart",
    "web_url": "https://gitlab.example.com/shop/cart",
    "default_branch": "main",
}
_FIELDS: Final = frozenset(field.name for field in fields(Project))


@dataclass(frozen=True, slots=True)
class ExampleResult:
    """How one example went; `place` is its `file:line:col`, `difference` what is not as said."""

    title: str
    mapping: str
    place: str
    ok: bool
    difference: str = ""


def run_examples(mappings: Mappings) -> tuple[ExampleResult, ...]:
    """Every example of every mapping, in order; no defaults for groups play a part in them."""
    alone = replace(mappings, defaults=Defaults())
    return tuple(
        _run(alone, mapping, example) for mapping in mappings.all for example in mapping.examples
    )


def _run(mappings: Mappings, mapping: Mapping, example: Example) -> ExampleResult:
    given = {**PROJECT, **(example.project or {})}
    unknown = sorted(given.keys() - _FIELDS)
    if unknown:
        difference = f"a project has no {', '.join(unknown)}"
        return ExampleResult(example.title, mapping.id, example.place, False, difference)
    project = Project(**{**given, "topics": tuple(given.get("topics", ()))})
    # JSON is YAML: an example goes the whole way that a file goes.
    text = "\n---\n".join(json.dumps(each, ensure_ascii=False) for each in example.manifests)
    path = example.file or mapping.files[0]
    reads = Reads({each.path: each for each in starmap(_read, (example.reads or {}).items())})
    file = ManifestFile(path, "", len(text), text, reads=reads)
    translation = mappings.translate(project, file)
    difference = "\n".join(_differences(example, translation))
    return ExampleResult(example.title, mapping.id, example.place, not difference, difference)


def _read(path: str, text: str | None) -> ReadFile:
    """What an example has at a path: a text, nothing, or a folder where the path ends in `/`."""
    if path.endswith("/"):
        return ReadFile(path.rstrip("/"), ReadKind.FOLDER, "0" * 40)
    if text is None:
        return ReadFile(path, ReadKind.ABSENT)
    oid = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    return ReadFile(path, ReadKind.FILE, oid, len(text), text)


def _differences(example: Example, translation: Translation) -> list[str]:
    said = [str(problem) for problem in translation.problems]
    if translation.reason:
        said.append(f"ignored: {translation.reason}")
    lines = [f"nothing is made of it: {text}" for text in said if not translation.drafts]
    found = _lines([draft.body for draft in translation.drafts])
    wanted = _lines(example.entities)
    differing = list(difflib.unified_diff(wanted, found, "expected", "given", lineterm=""))
    lines = [*lines, *differing] if differing else []
    lines += _refused(translation)
    for part in example.problems:
        if not any(part in text for text in said):
            lines.append(f"expected a problem that says {part!r}")
    for text in said:
        if not any(part in text for part in example.problems):
            lines.append(f"unexpected: {text}")
    return lines


def _refused(translation: Translation) -> Iterator[str]:
    """What Backstage would not take of what an example gives."""
    for draft in translation.drafts:
        for broken in refused(draft.body):
            yield f"Backstage refuses the {draft.body['kind']}: {broken.path} {broken.message}"


def _lines(entities: Json) -> list[str]:
    texts = (
        json.dumps(entity, indent=2, sort_keys=True, ensure_ascii=False) for entity in entities
    )
    return [line for text in texts for line in text.splitlines()]
