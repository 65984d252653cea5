"""Broken rules of a JSON Schema, in words for the people who write manifests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from jsonschema.exceptions import ValidationError

from bridge.language.names import nearest
from bridge.language.patterns import compiled
from bridge.language.schema.shape import TYPES, Shape
from bridge.language.text_faults import clean, shown
from bridge.language.text_positions import Path, Positions
from bridge.model.entities import Json
from bridge.model.problems import Problem, Severity

MOST_PROBLEMS = 50


@dataclass(frozen=True, slots=True)
class Violation:
    """Something to report; `key` is the same for two findings that say the same."""

    key: str
    path: Path
    message: str
    rule: str = "manifest-invalid"
    at_key: bool = False

    def problem(self, positions: Positions) -> Problem:
        """The finding in its place; the caller fills in the file."""
        at = positions.key(self.path) if self.at_key else positions.value(self.path)
        severity = Severity.WARNING if self.rule == "unknown-key" else Severity.ERROR
        return Problem(self.message, self.rule, severity, line=at.line, column=at.column)


def _name(path: Path) -> str:
    """A path as people write it: `service.tools[2].url`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{clean(step, 40)}" for step in path)
    return text.removeprefix(".") or "the manifest"


def unknown_key(path: Path, shape: Shape, *, refused: bool = False) -> Violation:
    """A key that `shape` does not name; `refused` when the schema forbids it."""
    key = str(path[-1])
    close = nearest(key, shape.properties)
    hint = f": did you mean `{close[0]}`?" if close else ""
    where = f" in {_name(path[:-1])}" if len(path) > 1 else ""
    message = f"unknown key `{clean(key)}`{where}{hint}"
    if refused:
        end = "" if close else ": delete it"
        return Violation(f"unknown {path}", path, message + end, at_key=True)
    end = " It is ignored" if close else " is ignored: delete it, or ask for it to be understood"
    return Violation(f"unknown {path}", path, message + end, "unknown-key", at_key=True)


def findings(error: ValidationError, before: Path) -> Iterator[Violation]:
    """One error of jsonschema's as findings; `before` leads to where its own path begins."""
    path = (*before, *error.relative_path)
    given: Any = error.instance
    if error.validator == "required":
        yield from _missing(error, path)
    elif error.validator == "additionalProperties":
        known = _properties(error)
        shape = Shape(properties=dict.fromkeys(known, Shape()))
        extra = (key for key in given if key not in known and not _patterned(key, error))
        for key in islice(extra, MOST_PROBLEMS):
            yield unknown_key((*path, key), shape, refused=True)
    elif error.validator in ("anyOf", "oneOf") and error.context:
        yield from _best_branch(error, path)
    elif error.validator == "type":
        choices = error.schema.get("enum") if isinstance(error.schema, dict) else None
        if choices and isinstance(given, str | int):
            message = f"{_name(path)} {_must_be_one_of(choices, given)}"
        else:
            message = f"{_name(path)} {_must_be(_listed(error.validator_value), given)}"
            message += _as_object(path, error)
        yield Violation(f"type {path}", path, message)
    else:
        yield Violation(f"{error.validator} {path}", path, f"{_name(path)} {_broken(error)}")


def _as_object(path: Path, error: ValidationError) -> str:
    """How to write a lone value as the object that was expected."""
    required: Any = error.schema.get("required") if isinstance(error.schema, dict) else None
    known = _properties(error)
    given: Any = error.instance
    if (
        not required
        or len(required) > 1
        or required[0] not in known
        or not isinstance(given, str | int)
    ):
        return ""
    if not path or not isinstance(path[-1], str):
        return ""
    return f": write `{clean(path[-1], 40)}: {{{required[0]}: {clean(str(given), 40)}}}`"


def _properties(error: ValidationError) -> dict[str, Any]:
    schema: Any = error.schema
    return dict(schema.get("properties", {})) if isinstance(schema, dict) else {}


def _patterned(key: str, error: ValidationError) -> bool:
    """Whether a key is one that `patternProperties` name."""
    schema: Any = error.schema
    return any(compiled(each).search(key) for each in schema.get("patternProperties", ()))


def _missing(error: ValidationError, path: Path) -> Iterator[Violation]:
    # jsonschema gives an error a missing key, each without its name: name them all, the caller
    # keeps one of each.
    properties, given, required = _properties(error), error.instance, error.validator_value
    assert isinstance(given, dict)
    assert isinstance(required, list)
    strangers = [key for key in islice(given, MOST_PROBLEMS) if key not in properties]
    for name in required:
        if name in given:
            continue
        message = f"{_name((*path, name))} is missing{_about(properties.get(name))}"
        close = nearest(name, strangers)
        if close:
            message += f" — is `{clean(close[0])}` meant to be `{name}`?"
        yield Violation(f"required {(*path, name)}", path, message, at_key=True)


def _about(schema: Any) -> str:
    """`: what it is (for example "…")`, as far as the schema says."""
    if not isinstance(schema, dict):
        return ""
    description = str(schema.get("description", "")).strip().rstrip(".")
    examples = schema.get("examples") or ()
    example = f"(for example {shown(examples[0])})" if examples else ""
    about = " ".join(part for part in (description, example) if part)
    return f": {about}" if about else ""


def _best_branch(error: ValidationError, path: Path) -> Iterator[Violation]:
    """What is wrong with the branch that was probably meant."""
    branches: dict[Any, list[ValidationError]] = {}
    for below in error.context or ():
        branches.setdefault(below.relative_schema_path[0], []).append(below)
    fitting = [found for found in branches.values() if not any(map(_wrong_kind, found))]
    if not fitting:
        kinds = dict.fromkeys(
            kind
            for found in branches.values()
            for below in filter(_wrong_kind, found)
            for kind in _listed(below.validator_value)
        )
        message = f"{_name(path)} {_must_be(list(kinds), error.instance)}"
        yield Violation(f"type {path}", path, message)
    elif len(fitting) > 1 and all(_only_required(found) for found in fitting):
        names = [f"`{name}`" for found in fitting for name in _listed(found[0].validator_value)]
        message = f"{_name(path)} needs one of {', '.join(dict.fromkeys(names))}"
        yield Violation(f"{error.validator} {path}", path, message, at_key=True)
    else:
        for below in min(fitting, key=len):
            yield from findings(below, path)


def _wrong_kind(error: ValidationError) -> bool:
    return error.validator == "type" and not error.relative_path


def _only_required(errors: Sequence[ValidationError]) -> bool:
    return all(error.validator == "required" and not error.relative_path for error in errors)


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _must_be(kinds: Sequence[str], given: Json) -> str:
    wanted = " or ".join(TYPES.get(kind, kind) for kind in kinds)
    if given is None:
        return f"must be {wanted}, but nothing is there: text that begins with # needs quotes"
    hint = ""
    if "string" in kinds and isinstance(given, bool | int):
        hint = ": put it in quotes"
    elif "string" not in kinds and isinstance(given, str) and _looks_plain(kinds, given):
        hint = ": take away the quotes"
    return f"must be {wanted}, not {_given(given)}{hint}"


def _looks_plain(kinds: Sequence[str], text: str) -> bool:
    number = re.fullmatch(r"-?(0|[1-9][0-9]{0,17})", text)
    return bool(number and {"integer", "number"} & set(kinds)) or (
        text in ("true", "false") and "boolean" in kinds
    )


def _given(value: Json) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"the number {shown(value)}"
    return f"the text {shown(value)}" if isinstance(value, str) else shown(value)


def _broken(error: ValidationError) -> str:
    """What a value must be, as the end of a sentence that its path begins."""
    rule = str(error.validator)
    wanted: Any = error.validator_value
    given: Any = error.instance
    if isinstance(error.schema, dict) and "x-message" in error.schema:
        words = clean(str(error.schema["x-message"]), 300)
        return words if rule == "not" else f"{words}, not {shown(given)}"
    if rule == "enum":
        return _must_be_one_of(wanted, given)
    if rule == "pattern":
        return f"has an unexpected form: {shown(given)} does not match {wanted}{_about_form(error)}"
    if rule in ("minLength", "minItems") and wanted == 1:
        return "must not be empty"
    words = _BOUNDS.get(rule, "breaks the rule `{rule}` of its schema")
    return words.format(wanted=shown(wanted), given=shown(given), rule=rule)


def _about_form(error: ValidationError) -> str:
    examples = error.schema.get("examples") if isinstance(error.schema, dict) else None
    return f" (for example {shown(examples[0])})" if examples else ""


_BOUNDS = {
    "const": "must be {wanted}, not {given}",
    "minLength": "must have at least {wanted} characters",
    "maxLength": "must have at most {wanted} characters",
    "minItems": "must have at least {wanted} items",
    "maxItems": "must have at most {wanted} items",
    "minProperties": "must have at least {wanted} keys",
    "maxProperties": "must have at most {wanted} keys",
    "minimum": "must be at least {wanted}, not {given}",
    "maximum": "must be at most {wanted}, not {given}",
    "exclusiveMinimum": "must be more than {wanted}, not {given}",
    "exclusiveMaximum": "must be less than {wanted}, not {given}",
    "uniqueItems": "has the same item twice: delete one",
    "oneOf": "fits more than one of the forms it may have: leave out what belongs to the other",
}


def _must_be_one_of(choices: Sequence[Json], given: Json) -> str:
    named = [choice if isinstance(choice, str) else shown(choice) for choice in choices if choice]
    listed = ", ".join(named[:20]) + (", …" if len(named) > 20 else "")
    if given is None:
        return f"must be one of {listed}, but nothing is there"
    # A bare 1 means tier_1.
    ending = [name for name in named if name.endswith(f"_{given}")]
    close = tuple(ending[:1]) or nearest(str(given), named)
    hint = f" — did you mean {close[0]}?" if close else ""
    what = _given(given) if not isinstance(given, str) else shown(given)
    return f"must be one of {listed}, not {what}{hint}"
