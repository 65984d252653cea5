"""What a mapping's author is told of names: what they stand for, by way of `let` and `forEach`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import ConfigurationError
from bridge.processors.mapping.loading import load_files

PLACE = {"type": "object", "properties": {"city": {"type": "string"}}}
SERVICE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "port": {"$ref": "#/$defs/port"},
        "alias": {"type": ["string", "array"], "items": {"type": "string"}},
        "chat": {"type": ["string", "null"]},
        "mail": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        "page": {"oneOf": [{"type": "string"}, {"$ref": "#/$defs/anything"}]},
        "anything": {"description": "no type"},
        "groups": {"type": "array", "items": {"$ref": "#/$defs/group"}},
        "people": {"type": "array"},
        "row": {"prefixItems": [{"type": "array"}], "items": {"type": "string"}},
        "owner": {
            "anyOf": [
                {"type": "string"},
                {"type": "object", "properties": {"team": {"type": "string"}}},
                {"type": "array", "items": {"$ref": "#/$defs/group"}},
            ]
        },
        "host": {"type": ["object", "array"], "properties": {"zone": {"type": "string"}}},
        "hosts": {"type": ["object", "array"], "additionalProperties": {"$ref": "#/$defs/group"}},
        "notes": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    # What one branch says of a key does not hold for the others.
    "anyOf": [
        {"properties": {"runbook": {"type": "string"}}},
        {"properties": {"other": {"type": "string"}}},
    ],
    "if": {"required": ["name"]},
    "then": {"properties": {"team": {"type": "string"}}},
    "dependentSchemas": {"port": {"properties": {"protocol": {"type": "string"}}}},
}
SCHEMA = {
    "type": "object",
    "properties": {
        "service": {"$ref": "#/$defs/service"},
        "tree": {"$ref": "#/$defs/tree"},
        "place": {"allOf": [{"description": "where"}, PLACE]},
    },
    "$defs": {
        "service": SERVICE,
        "port": {"type": "integer"},
        "anything": {"description": "whatever"},
        "group": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "members": {"type": "array", "items": {"type": "string"}},
            },
        },
        "tree": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "string"}]},
    },
}


def told(folder: Path, lets: dict[str, str], each: str, value: str = "it", over: str = "") -> str:
    """What is said of a mapping that makes tags of `each`, on line 14, of `value`, on line 16.

    The whole entity is made for each of `over`, as `outer`.
    """
    named = {name: said if "${{" in said else f"${{{{ {said} }}}}" for name, said in lets.items()}
    text = (
        f"mapping: toy\ntitle: a toy\nfiles: [toy.yaml]\nschema: toy.schema.json\n"
        f"let: {json.dumps(named)}\nentities:\n"
        f"  - forEach: ${{{{ {over or 'project.topics'} }}}}\n"
        "    as: outer\n"
        "    apiVersion: backstage.io/v1alpha1\n    kind: Component\n    metadata:\n"
        "      name: x\n      tags:\n"
        f"        - forEach: ${{{{ {each} }}}}\n"
        f"          as: it\n          value: ${{{{ {value} }}}}\n"
    )
    (folder / "toy.schema.json").write_text(json.dumps(SCHEMA))
    (folder / "toy.yaml").write_text(text)
    try:
        load_files(folder)
    except ConfigurationError as error:
        return "\n".join(str(each).removeprefix(f"{folder}/") for each in error.problems)
    return ""


def no_list(line: int, column: int, path: str, kind: str = "text") -> str:
    place = f"toy.yaml:{line}:{column}"
    return f"{place}: forEach needs a list, and the schema says that `{path}` is {kind}"


TAGS = (14, 20)  # where the tags' `forEach` says of what


@pytest.mark.parametrize(
    ("lets", "each", "said"),
    [
        ({"s": "project.name"}, "manifest.service.name", no_list(*TAGS, "manifest.service.name")),
        ({"s": "manifest.service.name"}, "s", no_list(*TAGS, "manifest.service.name")),
        ({"s": "manifest.service"}, "s.name", no_list(*TAGS, "manifest.service.name")),
        ({"s": "manifest['service']"}, "s['name']", no_list(*TAGS, "manifest.service.name")),
        (
            {"s": "manifest"},
            "s.service.port",
            no_list(*TAGS, "manifest.service.port", "a whole number"),
        ),
        (
            {"s": "manifest.service"},
            "s.chat",
            no_list(*TAGS, "manifest.service.chat", "text or nothing"),
        ),
        (
            {"s": "manifest.service.groups[0]"},
            "s.name",
            no_list(*TAGS, "manifest.service.groups[*].name"),
        ),
        ({"s": "manifest.service.notes"}, "s.any", no_list(*TAGS, "manifest.service.notes.any")),
        ({"s": "manifest.place"}, "s.city", no_list(*TAGS, "manifest.place.city")),
        (
            {"a": "manifest", "b": "a.service", "c": "b.name"},
            "c",
            no_list(*TAGS, "manifest.service.name"),
        ),
    ],
)
def test_going_through_what_is_no_list_is_told_by_whatever_name_it_is_reached(
    tmp_path: Path, lets: dict[str, str], each: str, said: str
) -> None:
    assert told(tmp_path, lets, each) == said


def test_an_item_of_a_list_is_known_by_its_schema_where_it_has_one(tmp_path: Path) -> None:
    lets = {"groups": "manifest.service.groups"}
    said = no_list(*TAGS, "manifest.service.groups[*].name")
    assert told(tmp_path, lets, "outer.name", over="groups") == said
    assert told(tmp_path, lets, "outer.members", over="groups") == ""
    assert told(tmp_path, lets, "outer.name", over="manifest.service.people") == ""


def test_an_entity_for_each_of_what_is_no_list_is_told_where_it_says_so(tmp_path: Path) -> None:
    said = no_list(7, 14, "manifest.service.name")
    lets = {"s": "manifest.service"}
    assert told(tmp_path, lets, "s.groups", "it.name", over="s.name") == said


@pytest.mark.parametrize(
    ("value", "rest"),
    [
        ("manifest.service.groups", ""),
        ("manifest.service.name | list", ""),
        ("manifest.service.name | default(manifest.service.groups)", ""),
        ("manifest.service.name or manifest.service.groups", ""),
        ("manifest.service.name and manifest.service.groups", ""),
        ("manifest.service.groups if manifest.service.name else manifest.service.name", ""),
        ("(manifest.service | default(project)).name", ""),
        ("(manifest.service or manifest.place).name", ""),
        ("manifest.service.groups | first", ".name"),
        ("manifest.service.notes | items", ""),
        ("'x'", ""),
        ("x${{ manifest.service.name }}", ""),
        ("project.name", ""),
        ("documents", "[0].service.name"),
        ("files['a'].text", ""),
        ("manifest.service.alias", ""),
        ("manifest.service.mail", ""),
        ("manifest.service.page", ""),
        ("manifest.service.anything", ""),
        ("manifest.service.people[0]", ""),
        ("manifest.service.row[0]", ""),
        ("manifest.service.runbook", ""),
        ("manifest.service.team", ""),
        ("manifest.tree", ""),
    ],
)
def test_nothing_is_told_where_a_list_may_be_meant(tmp_path: Path, value: str, rest: str) -> None:
    assert told(tmp_path, {"s": value}, f"s{rest}") == ""


def test_of_one_name_twice_the_inner_one_counts(tmp_path: Path) -> None:
    lets = {"s": "manifest.service", "outer": "manifest.service.name"}
    (said,) = told(tmp_path, lets, "outer.members", over="s.groups").splitlines()
    assert "`outer` already names something else here" in said
    lets = {"s": "manifest.service", "outer": "manifest.service.groups"}
    two, one = told(tmp_path, lets, "outer", over="s.groups[0].members").splitlines()
    assert "`outer` already names something else here" in one
    assert two == no_list(*TAGS, "manifest.service.groups[*].members[*]")
    lets = {"s": "manifest.service", "outer": "manifest.service.name"}
    (said,) = told(tmp_path, lets, "outer", over="s.name | list").splitlines()
    assert "`outer` already names something else here" in said


def test_a_key_that_no_schema_knows_is_told_behind_a_name_too(tmp_path: Path) -> None:
    def line(each: str, value: str = "it", over: str = "") -> str:
        lets = {"s": "manifest.service", "t": "s"}
        (said,) = told(tmp_path, lets, each, value, over).splitlines()
        return said

    unknown = "is not in the manifest's schema; did you mean"
    said = f"toy.yaml:14:26: in `s.gruops`: `manifest.service.gruops` {unknown} `groups`?"
    assert line("s.gruops") == said
    said = f"toy.yaml:14:26: in `t.nmae | list`: `manifest.service.nmae` {unknown} `name`?"
    assert line("t.nmae | list") == said
    said = f"toy.yaml:16:25: in `it.nmae`: `manifest.service.groups[*].nmae` {unknown} `name`?"
    assert line("s.groups", "it.nmae") == said
    said = "in `outer.mebmers`: `manifest.service.groups[*].mebmers`"
    assert f"{said} {unknown} `members`?" in line("outer.mebmers", over="s.groups")


@pytest.mark.parametrize(
    ("value", "each", "item"),
    [
        ("manifest.service.owner | list", "s", "it.team"),
        ("manifest.service.owner | list", "s", "it.members"),
        ("manifest.service.owner", "s | list", "it.team"),
        ("manifest.place | list", "s", "it.city"),
        ("manifest.service.groups | list | list", "s", "it.members"),
        ("manifest.service.owner | list | first", "s.team | list", "it"),
        ("manifest.service.owner | list", "s | rest", "it.team"),
        ("manifest.service.owner | list", "s[0].team | list", "it"),
        ("manifest.service.host", "s", "it.anything"),
        ("manifest.service.host", "s[0].anything | list", "it"),
        ("manifest.service.hosts", "s", "it.anything"),
        ("manifest.service.row", "s", "it.anything"),
        ("manifest.service.row[0].anything", "s", "it"),
        ("manifest.place | default(manifest.service)", "s.groups", "it"),
        ("manifest.service.protocol", "s | list", "it"),
        ("manifest.service.people", "s", "it.anything"),
    ],
)
def test_no_key_is_told_that_may_be_meant(tmp_path: Path, value: str, each: str, item: str) -> None:
    assert told(tmp_path, {"s": value}, each, item) == ""


@pytest.mark.parametrize(
    ("value", "each", "item", "said"),
    [
        ("manifest.service.owner | list", "s", "it.taem", "owner[*].taem` is not"),
        ("manifest.service.owner | list | first", "s.x | list", "it", "owner[*].x` is not"),
        ("manifest.service.groups | list", "s", "it.nmae", "groups[*].nmae` is not"),
        ("manifest.place | list", "s", "it.ctiy", "place.ctiy` is not"),
        ("manifest.place | default('x')", "s.ctiy", "it", "place.ctiy` is not"),
        ("manifest.place", "s[0].city", "it", "place[*]` is not"),
    ],
)
def test_a_key_is_told_that_none_of_what_may_stand_there_has(
    tmp_path: Path, value: str, each: str, item: str, said: str
) -> None:
    assert said in told(tmp_path, {"s": value}, each, item)
