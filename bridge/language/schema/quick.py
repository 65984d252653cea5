"""Whether a document is valid, told fast: most are, and then there is nothing to explain.

`jsonschema_rs` takes a fiftieth of the time. Where it says no, `validator` finds out what is wrong;
so only its yes has to be right. Whatever matches patterns is our own here, too: its engine has
other classes of characters than RE2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from jsonschema_rs import Draft202012Validator, ReferencingError, ValidationError

from bridge.language.patterns import compiled
from bridge.model.entities import Json

Check: TypeAlias = Callable[[Json], bool]


def quick_check(schema: Json) -> Check:
    """What says True of documents that have no errors by a valid schema of draft 2020-12.

    False stands for "look closer", and is all that it says for a schema that it cannot take.
    """
    try:
        check = _validator(schema).is_valid
    except (ValueError, ValidationError, ReferencingError):
        return lambda _data: False

    def is_valid(data: Json) -> bool:
        try:
            return check(data)
        except ValueError:  # no JSON: keys that are no text
            return False

    return is_valid


def _validator(schema: Json) -> Draft202012Validator:
    return Draft202012Validator(schema, validate_formats=False, keywords=_KEYWORDS)


class _Pattern:
    """`pattern`."""

    def __init__(self, _parent: Json, pattern: str, _path: list[str | int]) -> None:
        self._pattern = compiled(pattern)

    def validate(self, instance: Json) -> None:
        if isinstance(instance, str) and not self._pattern.search(instance):
            raise ValueError


class _PatternProperties:
    """`patternProperties`."""

    def __init__(self, _parent: Json, patterns: Mapping[str, Json], _path: Any) -> None:
        self._parts = [(compiled(each), _validator(part)) for each, part in patterns.items()]

    def validate(self, instance: Json) -> None:
        if isinstance(instance, dict):
            for pattern, part in self._parts:
                for key, value in instance.items():
                    if pattern.search(key) and not part.is_valid(value):
                        raise ValueError


class _Additional:
    """`additionalProperties`, which goes by its neighbours."""

    def __init__(self, parent: Mapping[str, Json], rule: Json, _path: Any) -> None:
        self._known = frozenset(parent.get("properties", ()))
        self._patterns = [compiled(each) for each in parent.get("patternProperties", ())]
        self._rule = _validator(rule)

    def validate(self, instance: Json) -> None:
        if isinstance(instance, dict):
            for key, value in instance.items():
                if key in self._known or any(each.search(key) for each in self._patterns):
                    continue
                if not self._rule.is_valid(value):
                    raise ValueError


_KEYWORDS: Final[dict[str, Any]] = {
    "pattern": _Pattern,
    "patternProperties": _PatternProperties,
    "additionalProperties": _Additional,
}
