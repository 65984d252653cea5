"""Our own files by JSON Schema: what is shipped fits, and what is wrong is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.language.own_schemas import NAMES, own_schema
from bridge.language.schema.validator import Schema
from bridge.language.text import read
from bridge.processors.mapping import load_mappings, shipped_folder
from bridge.settings import settings_schema
from bridge.wiring.schemas import schema_names, schema_of

MAPPINGS = load_mappings().all
SHIPPED = [
    (shipped_folder() / f"{file}.yaml", name)
    for file, name in {
        "qm-v1": "mapping",
        "datadog-v2": "mapping",
        "opslevel-v1": "mapping",
        "merge": "merge",
        "rubric": "rubric",
    }.items()
]


def told(schema: Schema, text: str) -> list[str]:
    (tree,), (positions,) = read(text)
    return [f"{p.line}:{p.column} {p.message}" for p in schema.problems(tree, lambda: positions)]


@pytest.mark.parametrize(("path", "name"), SHIPPED, ids=[path.stem for path, _ in SHIPPED])
def test_what_is_shipped_fits_its_schema(path: Path, name: str) -> None:
    assert told(own_schema(name), path.read_text("utf-8")) == []


def test_every_name_gives_a_schema_that_loads(tmp_path: Path) -> None:
    assert set(schema_names()) == {*NAMES, "qm", "fester"}
    for name in schema_names():
        (tmp_path / f"{name}.json").write_text(schema_of(name, MAPPINGS), "utf-8")
        assert Schema.load(tmp_path / f"{name}.json")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("mapping", "mapping: a\ntitel: b\n", "2:1 unknown key `titel`: did you mean `title`?"),
        (
            "mapping",
            "mapping: a\ntitle: b\nfiles: ['*.yml']\nschema: c\nentities: [{apiVersion: "
            "backstage.io/v1alpha1, kind: Component, metadata: {name: x}}]\n",
            "3:9 files[0] must be a whole file name",
        ),
        ("merge", "default: {rule: majorty}\n", "1:17 default.rule must be one of majority"),
        ("rubric", "rubric: x\nlevls: {}\n", "2:1 unknown key `levls`: did you mean `levels`?"),
        ("facts", "a: {cadence: often}\n", "1:14 a.cadence must be a time such as 12h"),
    ],
)
def test_what_is_wrong_is_told_as_it_is_for_manifests(name: str, text: str, said: str) -> None:
    assert any(line.startswith(said) for line in told(own_schema(name), text))


def test_the_settings_schema_takes_what_the_settings_take() -> None:
    schema = Schema(settings_schema())
    text = (
        "from: https://gitlab.example.com\nto: ./catalog\nevery: 10m\nfull_every: 3600\n"
        "gitlab: {exclude: [a/*], groups: shop}\nguard: {share: '0.3'}\n"
    )
    assert told(schema, text.replace("'0.3'", "1")) == []
    assert told(schema, "evry: 10m\n") == ["1:1 unknown key `evry`: did you mean `every`?"]
    assert told(schema, "every: often\n")
    assert told(schema, "token: x\n"), "a secret never stands in a file"
