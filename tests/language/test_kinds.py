"""Which kinds of value a schema leaves for a path: never fewer than it does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bridge.language.schema.kinds import kinds_at
from bridge.model.entities import Json
from tests.laws import examples

TYPES: Final = ("string", "integer", "number", "boolean", "null", "array", "object")
KEYS: Final = st.sampled_from(("a", "b"))
TYPE: Final = st.sampled_from(TYPES)
TYPED: Final = st.one_of(TYPE, st.lists(TYPE, min_size=2, max_size=3, unique=True))
LEAVES: Final = st.one_of(
    st.builds(lambda kind: {"type": kind}, TYPED),
    st.sampled_from(({}, True, {"$ref": "#/$defs/text"}, {"enum": ["x", 1]}, {"required": ["a"]})),
)


def _compound(below: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(below, min_size=1, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": TYPED,
            "properties": st.dictionaries(KEYS, below, max_size=2),
            "patternProperties": st.dictionaries(st.just("^a"), below, max_size=1),
            "additionalProperties": below,
            "items": below,
            "prefixItems": some,
            "allOf": some,
            "anyOf": some,
            "oneOf": some,
            "if": below,
            "then": below,
            "$ref": st.just("#/$defs/text"),
        },
    )


SCHEMAS: Final = st.recursive(LEAVES, _compound, max_leaves=8)
DATA: Final = st.recursive(
    st.sampled_from((None, True, 1, 1.5, "x")),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(KEYS, below, max_size=2),
    max_leaves=5,
)
DEFS: Final = {"text": {"type": ["string", "object"]}}


def inside(data: Json, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Json]]:
    """Everything in a document with its path, as a schema is asked for it."""
    yield path, data
    if isinstance(data, list):
        for item in data:
            yield from inside(item, (*path, "*"))
    elif isinstance(data, dict):
        for key, item in data.items():
            yield from inside(item, (*path, key))


@settings(max_examples=examples(400), deadline=None)
@given(SCHEMAS, DATA)
def test_what_a_valid_document_holds_is_of_a_kind_that_its_schema_allows(
    schema: Json, data: Json
) -> None:
    whole = {"$defs": DEFS, "allOf": [schema]}
    validator = Draft202012Validator(whole)
    assume(validator.is_valid(data))
    for path, value in inside(data):
        kinds = kinds_at(whole, whole, path)
        assert not kinds or any(validator.is_type(value, kind) for kind in kinds), (path, kinds)


def test_a_kind_that_all_branches_say_is_known() -> None:
    schema = {
        "anyOf": [
            {"properties": {"a": {"type": "string"}}, "items": {"type": "null"}},
            {"type": "object", "properties": {"a": {"type": ["array", "string"]}}},
            {"type": "array", "items": {"type": "boolean"}},
        ],
        "allOf": [{"properties": {"b": {"$ref": "#/$defs/number"}}}, {"$ref": "#"}],
        "$defs": {"number": {"type": ["integer", "string"], "allOf": [{"type": "number"}]}},
    }
    assert kinds_at(schema, schema, ("a",)) == ("string", "array")
    assert kinds_at(schema, schema, ("*",)) == ("null", "boolean")
    assert kinds_at(schema, schema, ("b",)) == ("integer",)
    assert kinds_at(schema, schema, ()) == ()
