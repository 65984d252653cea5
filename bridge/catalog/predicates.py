"""What to look for: filters and predicates as Backstage understands them, made into masks.

A predicate is a JSON object. `filter_from` turns filter texts (`kind=component,spec.type`) into
one; `checked` holds one to its grammar and to bounds; `matching` answers it from an index.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

from bridge.catalog.conditions import is_primitive, operator_of
from bridge.catalog.index import Index
from bridge.catalog.jsontext import dumped, js_text
from bridge.errors import BadQuestion
from bridge.model.entities import Json

MOST_CONDITIONS: Final = 500
MOST_VALUES: Final = 5000
DEEPEST: Final = 20
LONGEST_TEXT: Final = 2000

_PREFIX: Final = 10  # what a prefix costs, in conditions: it goes through values one by one
_LOGIC: Final = ("$all", "$any", "$not")


def filter_from(texts: Sequence[str]) -> Json:
    """Filter texts as a predicate; None when they ask for nothing. Raises `BadQuestion`.

    Texts are alternatives; within one, commas mean "and", and a key that stands twice may have
    either value.
    """
    sets = [found for text in texts if (found := _filter_set(text))]
    if not sets:
        return None
    return sets[0] if len(sets) == 1 else {"$any": sets}


def _filter_set(text: str) -> Json:
    by_key: dict[str, list[str] | None] = {}
    for statement in (part.strip() for part in text.split(",")):
        if not statement:
            continue
        key, equals, value = (part.strip() for part in statement.partition("="))
        if not key:
            raise BadQuestion(
                f"Invalid filter, '{statement[:200]}' is not a valid statement "
                "(expected a string on the form a=b or a= or a)"
            )
        values = by_key.setdefault(key, None)
        if equals:
            by_key[key] = [*(values or ()), value] if values is None else _added(values, value)
    conditions = [{key: _condition(values)} for key, values in by_key.items()]
    return conditions[0] if len(conditions) == 1 else {"$all": conditions} if conditions else None


def _added(values: list[str], value: str) -> list[str]:
    values.append(value)
    return values


def _condition(values: list[str] | None) -> Json:
    if values is None:
        return {"$exists": True}
    return values[0] if len(values) == 1 else {"$in": values}


class _Budget:
    """How much of a question is left to be read; a question is refused, never cut."""

    def __init__(self) -> None:
        self._conditions, self._values = MOST_CONDITIONS, MOST_VALUES

    def condition(self, depth: int, cost: int = 1) -> None:
        self._conditions -= cost
        if self._conditions < 0:
            raise BadQuestion(
                f"Invalid query: more than {MOST_CONDITIONS} conditions; ask in parts"
            )
        if depth > DEEPEST:
            raise BadQuestion(f"Invalid query: nested more than {DEEPEST} levels deep")

    def values(self, count: int) -> None:
        self._values -= count
        if self._values < 0:
            raise BadQuestion(f"Invalid query: more than {MOST_VALUES} values; ask in parts")


def checked(query: Json) -> Json:
    """The predicate, if it is one and within bounds. Raises `BadQuestion`."""
    if query is not None:
        _check(query, _Budget(), "", 0)
    return query


def _check(query: Json, budget: _Budget, place: str, depth: int) -> None:
    budget.condition(depth)
    if is_primitive(query):
        _short(query, place)
        return
    if not isinstance(query, dict):
        raise _invalid(place, "expected an object or a plain value", query)
    operator = next((key for key in query if key.startswith("$")), None)
    if operator is None:
        for key, value in query.items():
            _short(key, place)
            if "\n" in key or "\r" in key:
                raise _invalid(_joined(place, key), "a key has no line ends", value)
            _check_value(value, budget, _joined(place, key), depth + 1)
    elif operator not in _LOGIC or len(query) > 1:
        raise _invalid(
            _joined(place, operator), f"expected one of {', '.join(_LOGIC)} alone", query
        )
    elif operator == "$not":
        _check(query["$not"], budget, _joined(place, "$not"), depth + 1)
    elif not isinstance(query[operator], list):
        raise _invalid(_joined(place, operator), "expected an array", query[operator])
    else:
        for at, inner in enumerate(query[operator]):
            _check(inner, budget, f"{_joined(place, operator)}[{at}]", depth + 1)


def _check_value(value: Json, budget: _Budget, place: str, depth: int) -> None:
    budget.condition(depth)
    if is_primitive(value):
        _short(value, place)
        return
    operator = operator_of(value)
    if operator == "$in":
        budget.values(len(value["$in"]))
        for each in value["$in"]:
            _short(each, place)
    elif operator == "$contains":
        _check(value["$contains"], budget, f"{place}.$contains", depth + 1)
    elif operator == "$hasPrefix":
        budget.condition(depth, _PREFIX)
        _short(value["$hasPrefix"], place)
    elif not operator:
        raise _invalid(
            place, "expected a plain value, $exists, $in, $hasPrefix, or $contains", value
        )


def _short(value: Json, place: str) -> None:
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        raise BadQuestion(
            f"Invalid query: a text of more than {LONGEST_TEXT} characters at {place}"
        )


def _joined(place: str, key: str) -> str:
    return f"{place}.{key}"[-200:] if place else key[:200]


def _invalid(place: str, expected: str, value: Json) -> BadQuestion:
    where = f' at "{place}"' if place else ""
    return BadQuestion(f"Invalid query: {expected}{where}, but got {_shown(value)}")


def _shown(value: Json) -> str:
    # Only the outermost of what was sent: the rest may be large, or deep.
    if isinstance(value, dict):
        value = {key: _shallow(inner) for key, inner in islice(value.items(), 5)}
    elif isinstance(value, list):
        value = [_shallow(inner) for inner in value[:5]]
    return dumped(value).decode("utf-8", "replace")[:200]


def _shallow(value: Json) -> Json:
    return "…" if isinstance(value, dict | list) else value


def matching(index: Index, query: Json) -> int:
    """The mask of the entities that a checked predicate matches. Raises `BadQuestion`."""
    if query is None:
        return index.everything
    if not isinstance(query, dict):
        raise BadQuestion(
            "Invalid filter predicate: top-level primitive values are not supported. "
            f'Wrap the value in a field expression, e.g. {{ "kind": {_shown(query)} }}'
        )
    if "$not" in query:
        return index.everything ^ matching(index, query["$not"])
    if "$any" in query:
        mask = 0
        for inner in query["$any"]:
            mask |= matching(index, inner)
        return mask
    mask = index.everything
    for inner in query.get("$all") or ():
        mask &= matching(index, inner)
    for key, value in query.items():
        if key != "$all":
            mask &= _field(index, key.lower(), value)
    return mask


def _field(index: Index, key: str, value: Json) -> int:
    operator = operator_of(value)
    if not operator:
        return index.equal(key, (js_text(value).lower(),))
    if operator == "$exists":
        having = index.having(key)
        return having if value["$exists"] else index.everything ^ having
    if operator == "$in":
        return index.equal(key, (js_text(each).lower() for each in value["$in"]))
    if operator == "$contains":
        return _containing(index, key, value["$contains"])
    return index.prefixed(key, value["$hasPrefix"].lower())


def _containing(index: Index, key: str, target: Json) -> int:
    if not isinstance(target, dict):
        return index.equal(key, (js_text(target).lower(),))
    if key != "relations":
        raise BadQuestion(f'Object form of $contains is not supported for field "{key[:200]}"')
    found: dict[str, Any] = {}
    for name, value in target.items():
        folded = name.lower()
        if folded not in ("type", "targetref"):
            raise BadQuestion(
                f'Unsupported key "{name[:200]}" in $contains for "relations". '
                'Only "type" and "targetRef" are supported'
            )
        if folded in found:
            raise BadQuestion(f'Duplicate key "{name}" in $contains for "relations"')
        found[folded] = value
    if not isinstance(found.get("type"), str) or not found["type"]:
        raise BadQuestion(
            'The $contains operator for "relations" requires a "type" string property'
        )
    relation = f"relations.{found['type'].lower()}"
    if "targetref" not in found:
        return index.having(relation)
    return index.equal(relation, _targets(found["targetref"]))


def _targets(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        return iter((value.lower(),))
    inside = value.get("$in") if isinstance(value, dict) and len(value) == 1 else None
    if isinstance(inside, list) and all(isinstance(each, str) for each in inside):
        if not inside:
            raise BadQuestion('Empty "$in" array for $contains on "relations" is not allowed')
        return (each.lower() for each in inside)
    raise BadQuestion(
        'Unsupported value in $contains for "relations": '
        f'expected a string or {{ "$in": [strings] }}, but got {_shown(value)}'
    )
