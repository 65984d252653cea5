"""What a mapping's author writes that cannot be meant, although it can be loaded.

`fester mappings check` says it, and so does every report of a pass; `fester mappings test` and the
crawl would show it only as entities that Backstage refuses, or as manifests that nobody reads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Map
from typing import Final

from bridge.language.expressions import PART
from bridge.language.names import nearest
from bridge.language.source import Source, is_expression
from bridge.language.text_positions import Path
from bridge.model.entities import Json
from bridge.processors.rules import SPEC_FIELDS, Broken, broken_rules

_LOOKALIKE: Final = re.compile(r"(?<!\$)\{\{\s*[a-z_][^{}]*\}\}|\$\{\s*[a-z_][^{}]*\}|\{%.*%\}")
_WORDS: Final = frozenset(("forEach", "as", "when"))
_STEP: Final = re.compile(r"\[(\d+)\]")


def lookalikes(source: Source, value: Json, path: Path) -> None:
    """Report texts that look like an expression and are none: `{{ x }}`, `${ x }`."""
    if isinstance(value, dict):
        for key, item in value.items():
            lookalikes(source, item, (*path, key))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            lookalikes(source, item, (*path, at))
    elif isinstance(value, str):
        found = _LOOKALIKE.search(PART.sub("", value))
        if found:
            inside = found[0].strip("${} %")
            message = f"`{found[0]}` is text here, no expression: write `${{{{ {inside} }}}}`"
            source.note(message, path)


def refused_literals(source: Source, entity: Map[str, Json], path: Path) -> None:
    """Report what the mapping itself writes of an entity and Backstage refuses."""
    literal = {key: value for key, value in entity.items() if key not in _WORDS}
    for broken in broken_rules(literal):
        found = _literal(literal, broken)
        if found is not None:
            where, message = found
            source.note(f"Backstage refuses this: {message}", (*path, *where))
    _misspelt(source, literal, path)


def _literal(entity: Map[str, Json], broken: Broken) -> tuple[Path, str] | None:
    """Where the mapping writes what breaks a rule, and the rule; None when a manifest gives it."""
    path: Path = ()
    value: Json = entity
    rest = broken.path
    while rest:
        if isinstance(value, dict) and "when" in value and path:
            return None  # it may be left out as a whole
        step = _next(value, rest)
        if step is None:
            key = rest.rpartition(".")[2]
            missing = "is required" in broken.message and isinstance(value, dict)
            return (path, f"`{key}` {broken.message}") if missing else None
        at, rest = step
        inside = value[at]
        if isinstance(value, list) and isinstance(inside, dict) and _WORDS & inside.keys():
            return None  # what it makes is worked out
        path, value = (*path, at), inside
    shown = broken.path.rpartition(".")[2] or broken.path
    return None if _has_expression(value) else (path, f"`{shown}` {broken.message}")


def _next(value: Json, rest: str) -> tuple[str | int, str] | None:
    """The next step of a rule's path, such as `spec.dependsOn[0]`, and what is left of it."""
    number = _STEP.match(rest)
    if number:
        at = int(number[1])
        fits = isinstance(value, list) and at < len(value)
        return (at, rest[number.end() :].removeprefix(".")) if fits else None
    if isinstance(value, dict):
        for key in sorted(value, key=len, reverse=True):
            if rest == key or rest.startswith((f"{key}.", f"{key}[")):
                return key, rest[len(key) :].removeprefix(".")
    return None


def _has_expression(value: Json) -> bool:
    if isinstance(value, dict):
        return any(is_expression(key) or _has_expression(item) for key, item in value.items())
    if isinstance(value, list):
        return any(map(_has_expression, value))
    return is_expression(value)


def _misspelt(source: Source, entity: Map[str, Json], path: Path) -> None:
    """Extra fields are allowed; one that is nearly a known one is a slip of the pen."""
    fields = SPEC_FIELDS.get(str(entity.get("kind")).lower(), {})
    spec: Json = entity.get("spec")
    for key in spec if isinstance(spec, dict) else ():
        near = nearest(key, [name for name in fields if name not in spec], likeness=0.85)
        if key not in fields and near:
            message = f"`{key}` is no field of a {entity['kind']}; did you mean `{near[0]}`?"
            source.note(message, (*path, "spec", key), key=True)
