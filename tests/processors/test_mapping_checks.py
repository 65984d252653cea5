"""What a mapping's author is told: every mistake at once, each with its place and a remedy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge.errors import ConfigurationError
from bridge.model.manifests import Verdict
from bridge.model.scrape import ManifestFile, Project
from bridge.processors.mapping import load_mappings, run_examples, shipped_folder

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "tools": {
            "type": "array",
            "items": {"type": "object", "properties": {"url": {"type": "string"}}},
        },
    },
}
GOOD = """mapping: toy
title: a toy
files: [toy.yaml]
schema: toy.schema.json
let:
  tools: ${{ manifest.tools }}
entities:
  - apiVersion: v1
    kind: Component
    metadata:
      name: ${{ manifest.name | slug }}
      links:
        - forEach: ${{ tools }}
          as: tool
          url: ${{ tool.url }}
examples:
  - title: one
    manifest: {name: Cart}
    entities:
      - {apiVersion: v1, kind: Component, metadata: {name: cart}}
"""


def write(folder: Path, text: str, name: str = "toy.yaml") -> None:
    (folder / name).write_text(text)
    (folder / "toy.schema.json").write_text(json.dumps(SCHEMA))


def told(folder: Path, text: str) -> str:
    write(folder, text)
    with pytest.raises(ConfigurationError) as caught:
        load_mappings(folder)
    assert all(problem.line >= 1 for problem in caught.value.problems)
    return str(caught.value)


@pytest.mark.parametrize(
    ("right", "wrong", "place", "said"),
    [
        ("manifest.name | slug", "manifest.nmae | slug", "11:26", "did you mean `name`"),
        ("tool.url", "tool.ulr", "15:25", "did you mean `url`"),
        ("manifest.name | slug", "manifest.name | slgu", "11:33", "did you mean `slug`"),
        ("manifest.name", "manifst.name", "11:17", "did you mean `manifest`"),
        ("manifest.name | slug", "project.pth", "11:25", "did you mean `path`"),
        ("| slug", "| slug(1)", "11:33", "takes no argument, not 1"),
        ("| slug", "| ref", "11:33", "takes 1 argument, not 0"),
        ("manifest.name | slug", "manifest.name.upper()", "11:", "use a filter"),
        ("manifest.name | slug", "manifest.name * 9", "11:", "`*` is not part of the language"),
        ("manifest.name | slug", "manifest.name is odd", "11:", "there is no test `is odd`"),
        ("manifest.name | slug", "manifest.name +", "11:", "cannot be read"),
        ("manifest.name | slug }}", "manifest.name", "11:13", "without its `}}`"),
        ("as: tool", "as: manifest", "14:15", "already names something else"),
        ("forEach: ${{ tools }}", "forEach: tools", "13:20", "needs an expression"),
        ("    kind: Component\n", "", "8:5", "an entity needs `kind`"),
        ("      name: ${{", "      nam: ${{", "10:5", "an entity needs `metadata.name`"),
        ("    metadata:", "    relations: []\n    metadata:", "10:5", "has no key `relations`"),
        ("title: a toy", "tilte: a toy", "2:1", "did you mean `title`"),
        ("toy.schema.json", "tyo.schema.json", "4:9", "no file `tyo.schema.json`"),
        ("      links:", "      $text: x\n      links:", "12:7", "`$text` cannot be a key"),
        ("as: tool", "forEach: x\n          as: tool", "14:", "second time"),
    ],
)
def test_each_mistake_is_told_with_its_place_and_the_right_name(
    tmp_path: Path, right: str, wrong: str, place: str, said: str
) -> None:
    assert right in GOOD
    lines = told(tmp_path, GOOD.replace(right, wrong, 1)).splitlines()
    assert any(f"toy.yaml:{place}" in line and said in line for line in lines), lines


def test_all_mistakes_come_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("manifest.name", "manifest.nmae").replace("tool.url", "tool.ulr")
    write(tmp_path, GOOD.replace("title", "tilte", 1), "second.yaml")
    assert len(told(tmp_path, text).splitlines()) >= 4


def test_an_id_may_be_taken_once(tmp_path: Path) -> None:
    write(tmp_path, GOOD, "second.yaml")
    assert "the mapping `toy` is already in" in told(tmp_path, GOOD)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is not a folder"):
        load_mappings(tmp_path / "nowhere")


def test_a_users_file_replaces_the_shipped_one_of_its_name_and_the_rest_stays(
    tmp_path: Path,
) -> None:
    write(tmp_path, GOOD, "qm-v1.yaml")
    ids = [mapping.id for mapping in load_mappings(tmp_path).all]
    assert ids == ["datadog-v2", "opslevel-v1", "toy"]


def test_a_users_mapping_may_use_a_shipped_schema(tmp_path: Path) -> None:
    (tmp_path / "qm-v1.yaml").write_text((shipped_folder() / "qm-v1.yaml").read_text())
    assert "qm-v1" in [mapping.id for mapping in load_mappings(tmp_path).all]


def test_an_example_that_comes_out_differently_shows_the_difference(tmp_path: Path) -> None:
    write(tmp_path, GOOD.replace("{name: cart}", "{name: basket}"))
    (result,) = [each for each in run_examples(load_mappings(tmp_path)) if each.mapping == "toy"]
    assert not result.ok
    assert result.place == "toy.yaml:17:5"
    assert '-    "name": "basket"' in result.difference
    assert '+    "name": "cart"' in result.difference


def with_name_pattern(folder: Path, pattern: str) -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string", "pattern": pattern}}}
    text = GOOD.replace("${{ manifest.tools }}", "${{ manifest.name }}")
    (folder / "toy.yaml").write_text(text.replace("${{ tool.url }}", "${{ tool }}"))
    (folder / "toy.schema.json").write_text(json.dumps(schema, indent=2))


@pytest.mark.parametrize(
    ("pattern", "said"),
    [("^[a-z(][a-z0-9-*$", "no regular expression"), ("^(?=.*x)[a-z]+$", "looks ahead")],
)
def test_a_pattern_that_cannot_be_used_is_told_when_it_is_loaded(
    tmp_path: Path, pattern: str, said: str
) -> None:
    with_name_pattern(tmp_path, pattern)
    with pytest.raises(ConfigurationError) as caught:
        load_mappings(tmp_path)
    (problem,) = caught.value.problems
    assert (Path(problem.file).name, problem.line, problem.column) == ("toy.schema.json", 6, 18)
    assert said in problem.message


def test_a_pattern_that_would_backtrack_for_ever_ends_at_once(tmp_path: Path) -> None:
    with_name_pattern(tmp_path, "^(a+)+$")
    text = f"name: {'a' * 49}!\n"
    file = ManifestFile("toy.yaml", "oid", len(text), text)
    translation = load_mappings(tmp_path).translate(Project(1, "a/b"), file)
    assert translation.verdict is Verdict.QUARANTINED
    assert "does not match" in translation.problems[0].message


def test_a_mapping_that_breaks_on_a_manifest_is_a_problem_of_that_manifest(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    schema = {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}
    (tmp_path / "toy.schema.json").write_text(json.dumps(schema))
    file = ManifestFile("toy.yaml", "oid", 8, "name: x\n")
    translation = load_mappings(tmp_path).translate(Project(1, "a/b"), file)
    assert translation.verdict is Verdict.QUARANTINED
    (problem,) = translation.problems
    assert problem.rule == "mapping-broke"
    assert (problem.project, problem.file) == ("a/b", "toy.yaml")
    assert "toy broke on this (RecursionError)" in problem.message
