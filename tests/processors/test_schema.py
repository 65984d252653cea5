"""Checking manifests: what is wrong is said to the people who write them, and where."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bridge.errors import ConfigurationError
from bridge.language.schema.quick import quick_check
from bridge.language.schema.shape import Inliner
from bridge.language.schema.validator import Lookup, Schema
from bridge.language.text import Positions, read
from bridge.model.entities import Json
from bridge.model.problems import Problem, Severity
from bridge.processors.mapping import shipped_folder
from tests.laws import examples

DOCUMENT: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["version"],
    "properties": {
        "version": {"const": 1},
        "service": {"$ref": "#/$defs/service"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "x": {"type": "object"},
    },
    "$defs": {
        "service": {
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": {
                    "type": "string",
                    "minLength": 1,
                    "description": "the service's name as people say it.",
                    "examples": ["Payments API"],
                },
                "tier": {"enum": ["tier_1", "tier_2", "tier_3", "tier_4"]},
                "owner": {
                    "type": "string",
                    "pattern": "^[a-z-]+$",
                    "x-message": "must be a team's slug",
                },
                "replicas": {"type": "integer", "minimum": 1},
                "aliases": {"type": "array", "uniqueItems": True, "items": {"type": "string"}},
                "tools": {"type": "array", "items": {"$ref": "#/$defs/tool"}},
                "parts": {"type": "array", "items": {"$ref": "#/$defs/service"}},
                "contact": {
                    "type": "object",
                    "anyOf": [{"required": ["mail"]}, {"required": ["chat"]}],
                    "properties": {"mail": {"type": "string"}, "chat": {"type": "string"}},
                },
                "strict": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {"known": {}},
                },
            },
        },
        "tool": {
            "oneOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "required": ["url"],
                    "properties": {"name": {"type": "string"}, "url": {"type": "string"}},
                },
            ]
        },
    },
}


@pytest.fixture(name="schema")
def _schema(tmp_path: pathlib.Path) -> Schema:
    return Schema.load(written(tmp_path, json.dumps(DOCUMENT)))


def written(folder: pathlib.Path, text: str) -> pathlib.Path:
    path = folder / "qm.schema.json"
    path.write_text(text, "utf-8")
    return path


def check(schema: Schema, text: str) -> list[Problem]:
    (data,), (places,) = read(text)
    return schema.problems(data, lambda: places)


def one(schema: Schema, text: str) -> str:
    (problem,) = check(schema, text)
    return str(problem)


def unwanted() -> Positions:
    raise AssertionError("positions are asked for only when there is something to report")


def test_a_valid_manifest_has_no_problems_and_needs_no_positions(schema: Schema) -> None:
    text = """
version: 1
labels: {anything: goes}
x: {anything: [goes]}
service:
  name: Payments
  tier: tier_1
  tools: ['https://x', {name: a, url: b}]
  parts: [{name: inner, parts: []}]
"""
    assert schema.problems(read(text)[0][0], unwanted) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("name: 123", ":3:9: service.name must be text, not the number 123: put it in quotes"),
        ("name: true", ":3:9: service.name must be text, not true: put it in quotes"),
        (
            "name: #x",
            ":3:8: service.name must be text, but nothing is there: "
            "text that begins with # needs quotes",
        ),
        ("name: ''", ":3:9: service.name must not be empty"),
        ("name: [a]", ":3:9: service.name must be text, not a list"),
        (
            "{name: a, tier: tier_33}",
            ":3:19: service.tier must be one of tier_1, tier_2, tier_3, tier_4, "
            'not "tier_33" — did you mean tier_3?',
        ),
        (
            "{name: a, tier: 2}",
            ":3:19: service.tier must be one of tier_1, tier_2, tier_3, tier_4, not the number 2",
        ),
        ("{name: a, owner: A B}", ':3:20: service.owner must be a team\'s slug, not "A B"'),
        (
            "{name: a, replicas: '3'}",
            ':3:23: service.replicas must be a whole number, not the text "3": '
            "take away the quotes",
        ),
        ("{name: a, replicas: 0}", ":3:23: service.replicas must be at least 1, not 0"),
        (
            "{name: a, aliases: [x, y, x]}",
            ":3:22: service.aliases has the same item twice: delete one",
        ),
        ("{name: a, tools: [b, {url: 1}]}", ":3:30: service.tools[1].url must be text"),
        ("{name: a, tools: [{name: b}]}", ":3:21: service.tools[0].url is missing"),
        ("{name: a, tools: [3]}", ":3:21: service.tools[0] must be text or an object, not the"),
        ("{name: a, contact: {}}", ":3:13: service.contact needs one of `mail`, `chat`"),
        ("{name: a, strict: {knwon: 1}}", ":3:22: unknown key `knwon` in service.strict: did"),
    ],
)
def test_a_broken_rule_is_said_in_plain_words(schema: Schema, line: str, said: str) -> None:
    problem = one(schema, f"version: 1\nservice:\n  {line}\n")
    assert problem.startswith(said)


def test_a_missing_key_is_explained_by_its_description_and_example(schema: Schema) -> None:
    assert one(schema, "version: 1\nservice: {}\n") == (
        ":2:1: service.name is missing: the service's name as people say it "
        '(for example "Payments API")'
    )


def test_a_missing_key_and_its_misspelling_are_brought_together(schema: Schema) -> None:
    missing, unknown = check(schema, "version: 1\nservice:\n  nmae: a\n")
    assert missing.message.endswith("— is `nmae` meant to be `name`?")
    assert unknown.severity is Severity.WARNING


def test_an_unknown_key_is_a_warning_with_the_nearest_right_one(schema: Schema) -> None:
    (problem,) = check(schema, "version: 1\nservice:\n  name: a\n  teir: tier_1\n")
    assert str(problem) == (
        ":4:3: unknown key `teir` in service: did you mean `tier`? It is ignored"
    )
    assert (problem.rule, problem.severity) == ("unknown-key", Severity.WARNING)


def test_a_document_that_is_no_object_is_one_problem(schema: Schema) -> None:
    assert "the manifest must be an object, not a list" in one(schema, "[a]")
    assert "the manifest must be an object, but nothing is there" in one(schema, "~")


def test_problems_come_in_document_order(schema: Schema) -> None:
    text = "zzz: 1\nservice:\n  tier: x\n  name: 1\n  owner: A\nversion: 2\n"
    assert [problem.line for problem in check(schema, text)] == [1, 3, 4, 5, 6]


def test_strangers_cannot_flood_the_report(schema: Schema) -> None:
    names = ", ".join(f"k{number}: 1" for number in range(3000))
    assert len(check(schema, f"version: 1\nservice: {{name: a, {names}}}")) == 50
    numbers = ", ".join(["1"] * 3000)
    assert len(check(schema, f"version: 1\nservice: {{name: a, aliases: [{numbers}]}}")) == 50


def test_what_a_stranger_wrote_is_shown_short_and_harmless(schema: Schema) -> None:
    said = one(schema, 'version: 1\nservice: {name: a, tier: "\\e[31m' + "x" * 5000 + '"}\n')
    assert "\x1b" not in said
    assert len(said) < 250


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("service", "name"), (True, False, "", "text")),
        (("service", "nmae"), (False, False, "name", "")),
        (("servcie", "name"), (False, False, "service", "")),
        (("service", "name", "first"), (False, False, "", "")),
        (("service", "tools", "*"), (True, False, "", "text or an object")),
        (("service", "tools", "*", "url"), (True, False, "", "text")),
        (("service", "tools", "*", "ulr"), (False, False, "url", "")),
        (("service", "tools", "url"), (False, False, "", "")),
        (("service", "parts", "*", "parts", "*", "name"), (True, False, "", "text")),
        (("labels", "any"), (True, False, "", "text")),
        (("x",), (True, True, "", "an object")),
        (("x", "any", "thing"), (True, True, "", "")),
    ],
)
def test_a_mappings_path_is_looked_up_through_references_and_branches(
    schema: Schema, path: tuple[str, ...], expected: tuple[bool, bool, str, str]
) -> None:
    assert schema.look(path) == Lookup(*expected)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", ":1:2: not JSON"),
        ("[]", "must be a JSON object"),
        ('{"type": "text"}', "$.type"),
        ('{"$ref": "#/$defs/nothing"}', "names nothing in this file"),
        ('{"properties": {"a": {"$ref": "https://example.com/x"}}}', "names nothing in this file"),
    ],
)
def test_a_schema_that_cannot_be_used_is_a_configuration_error(
    tmp_path: pathlib.Path, text: str, said: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        Schema.load(path)
    assert said in str(caught.value)
    assert all(problem.file == str(path) for problem in caught.value.problems)


def test_a_schema_that_is_not_there_is_a_configuration_error(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Schema.load(tmp_path / "none.json")


KEYS = st.sampled_from(["version", "service", "name", "tier", "tools", "url", "parts", "strict"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["tier_1", "a", ""]),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=4),
    max_leaves=12,
)


@settings(max_examples=examples(80), deadline=None)
@given(VALUES)
def test_errors_are_found_exactly_when_the_schema_is_broken(data: Any) -> None:
    """Law: a document has errors if, and only if, plain jsonschema finds it invalid."""
    found = Schema(DOCUMENT).problems(data, Positions)
    errors = [problem for problem in found if problem.severity is Severity.ERROR]
    assert bool(errors) is not Draft202012Validator(DOCUMENT).is_valid(data)


SHIPPED = json.loads((shipped_folder() / "qm-v1.schema.json").read_text("utf-8"))
WORDS = ("version", "service", "name", "owner", "team", "tier", "tools", "url", "category", "x")
manifests = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2) | st.sampled_from(("", "tier_1", "https://x")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5)
    ),
    max_leaves=12,
)


@given(manifests, st.dictionaries(st.sampled_from(WORDS), manifests, max_size=6))
def test_what_is_found_is_what_jsonschema_finds(manifest: Json, service: Json) -> None:
    """That the parts of a schema are made once changes no finding, path or message."""

    def told(validator: Any, data: Json) -> list[tuple[str, list[Any], str]]:
        found = validator.iter_errors(data)
        return sorted((e.json_path, list(map(str, e.schema_path)), e.message) for e in found)

    plain = Draft202012Validator(Inliner(SHIPPED).inline(SHIPPED))
    ours = Schema(SHIPPED)._validator
    for data in (manifest, {"version": 1, "service": service}):
        assert told(ours, data) == told(plain, data)


@given(manifests, st.dictionaries(st.sampled_from(WORDS), manifests, max_size=6))
def test_the_quick_check_says_yes_when_nothing_is_found(manifest: Json, service: Json) -> None:
    """Law: it agrees with what says what is wrong."""
    quick, slow = quick_check(Inliner(SHIPPED).inline(SHIPPED)), Schema(SHIPPED)._validator
    for data in (manifest, {"version": 1, "service": service}):
        assert quick(data) is slow.is_valid(data)


PATTERNED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "open": {"patternProperties": {"^a": {"type": "null"}, r"\s": {"not": {}}}},
        "closed": {
            "properties": {"x": {"pattern": r"^\s?\w$"}},
            "patternProperties": {r"^\w$": {"pattern": r"\d|^\S\b"}},
            "additionalProperties": False,
        },
        "rest": {"additionalProperties": {"pattern": r"^[^\s]+$", "type": ["string", "null"]}},
        "text": {"pattern": r"\d|^\S\b"},
        "once": {"uniqueItems": True, "contains": {"type": "string"}},
    },
    "if": {"required": ["text"]},
    "then": {"required": ["rest"]},
    "else": {"maxProperties": 2},
}
# Spaces, letters and digits that engines have different names for.
SPELT = st.sampled_from(
    ["a", "b", "x", "é", "٣", "7", " ", "\xa0", "\v", "\ufeff", "a b", "", "ab"]
)
SMALL = SPELT | st.none() | st.integers(0, 1) | st.booleans()
PATTERNED_DATA = st.dictionaries(
    st.sampled_from(sorted(PATTERNED["properties"])),
    SMALL | st.dictionaries(SPELT, SMALL, max_size=3) | st.lists(SMALL, max_size=3),
)


@settings(max_examples=examples(400), deadline=None)
@given(PATTERNED_DATA)
def test_the_quick_check_knows_patterns_as_re2_does(data: Json) -> None:
    assert quick_check(PATTERNED)(data) is Schema(PATTERNED)._validator.is_valid(data)


def test_the_quick_check_leaves_to_the_other_what_it_cannot_read() -> None:
    assert quick_check({"type": "object"})({}) is True
    assert quick_check({"type": "object"})({1: "no text"}) is False
    assert quick_check({"$ref": "https://schemas.test/elsewhere"})({}) is False
