"""Keywords of JSON Schema that `jsonschema` would check slowly, or by patterns that may hang."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from bridge.language.patterns import compiled
from bridge.model.entities import Json


def compiled_validator(schema: Json) -> Any:
    """A validator of `jsonschema`, for draft 2020-12, with these keywords in place of its own."""
    parts = _Parts()
    rules = {
        "uniqueItems": _unique,
        "properties": parts.properties,
        "items": parts.items,
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional,
    }
    made: Any = extend(Draft202012Validator, rules)  # type: ignore[no-untyped-call]
    return made(schema)


@dataclass(slots=True)
class _Parts:
    """The validators of a schema's parts, made once, and not for every value again."""

    made: dict[int, Any] = field(default_factory=dict)  # by identity: the schema holds them all

    def properties(
        self, validator: Any, known: Mapping[str, Json], instance: Json, _schema: object
    ) -> Iterator[ValidationError]:
        """`properties`."""
        if isinstance(instance, dict):
            for name, part in known.items():
                if name in instance:
                    yield from self._errors(validator, part, instance[name], name, name)

    def items(
        self, validator: Any, part: Json, instance: Json, schema: Mapping[str, Json]
    ) -> Iterator[ValidationError]:
        """`items`."""
        if part is False or "prefixItems" in schema:
            yield from Draft202012Validator.VALIDATORS["items"](validator, part, instance, schema)
        elif isinstance(instance, list):
            for index, item in enumerate(instance):
                yield from self._errors(validator, part, item, index, None)

    def _errors(
        self, validator: Any, part: Json, value: Json, step: str | int, rule: str | None
    ) -> Iterator[ValidationError]:
        below = self.made.get(id(part))
        if below is None:
            below = self.made[id(part)] = validator.evolve(schema=part)
        for error in below.iter_errors(value):
            error.path.appendleft(step)
            if rule is not None:
                error.schema_path.appendleft(rule)
            yield error


def _pattern(
    _validator: object, pattern: str, instance: Json, _schema: object
) -> Iterator[ValidationError]:
    """`pattern` by an engine that never hangs, whatever the pattern and the text."""
    if isinstance(instance, str) and not compiled(pattern).search(instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(
    validator: Any, patterns: Mapping[str, Json], instance: Json, _schema: object
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for pattern, part in patterns.items():
        for key, value in instance.items():
            if compiled(pattern).search(key):
                yield from validator.descend(value, part, path=key, schema_path=pattern)


def _unique(
    _validator: object, wanted: bool, instance: Json, _schema: object
) -> Iterator[ValidationError]:
    """`uniqueItems` in linear time: jsonschema's own is quadratic for lists of objects."""
    if not wanted or not isinstance(instance, list):
        return
    texts = {json.dumps(item, sort_keys=True) for item in instance}
    if len(texts) < len(instance):
        yield ValidationError("has non-unique elements")


def _additional(
    validator: Any, rule: Json, instance: Json, schema: Mapping[str, Json]
) -> Iterator[ValidationError]:
    """`additionalProperties`, its neighbour's patterns matched by our engine, too."""
    if not isinstance(instance, dict):
        return
    patterns = [compiled(pattern) for pattern in schema.get("patternProperties", ())]
    extra = [
        key
        for key in instance
        if key not in schema.get("properties", ())
        and not any(pattern.search(key) for pattern in patterns)
    ]
    if isinstance(rule, dict):
        for key in extra:
            yield from validator.descend(instance[key], rule, path=key)
    elif rule is False and extra:
        yield ValidationError("has keys that no schema names")
