"""What a mapping's author is told: every mistake at once, each with its place and a remedy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge.errors import ConfigurationError
from bridge.model.manifests import Verdict
from bridge.model.problems import Severity
from bridge.model.scrape import ManifestFile, Project
from bridge.processors.mapping import load_mappings, run_examples, shipped_folder
from bridge.processors.mapping.loading import load_files

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
  - apiVersion: backstage.io/v1alpha1
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
      - {apiVersion: backstage.io/v1alpha1, kind: Component, metadata: {name: cart}}
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
        ("    kind: Component\n", "", "8:5", "entities[0].kind is missing"),
        ("      name: ${{", "      nam: ${{", "10:5", "metadata.name is missing"),
        ("    metadata:", "    relations: []\n    metadata:", "10:5", "unknown key `relations`"),
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


@pytest.mark.parametrize(
    ("right", "wrong", "place", "said"),
    [
        ("kind: Component", "kind: component", "9:11", "did you mean Component?"),
        ("kind: Component", "kind: Servcie", "9:11", "must be one of API, Component"),
        ("kind: Component", "kind: Datastore", "9:11", "must be one of API, Component"),
        (
            "backstage.io/v1alpha1",
            "backstage.io/v1",
            "8:17",
            "must be one of backstage.io/v1alpha1",
        ),
        ("[toy.yaml]", "['*.yml']", "3:9", "must be a whole file name"),
        (
            "forEach: ${{ tools }}",
            "forEach: ${{ manifest.name }}",
            "13:20",
            "`manifest.name` is text",
        ),
    ],
)
def test_what_backstage_or_the_crawl_would_refuse_is_refused_when_loaded(
    tmp_path: Path, right: str, wrong: str, place: str, said: str
) -> None:
    assert right in GOOD
    lines = told(tmp_path, GOOD.replace(right, wrong, 1)).splitlines()
    assert any(f"toy.yaml:{place}" in line and said in line for line in lines), lines


WHOLE = GOOD.replace(
    "examples:", "    spec: {type: service, lifecycle: live, owner: team-a}\nexamples:", 1
)


@pytest.mark.parametrize(
    ("right", "wrong", "place", "said"),
    [
        ("${{ manifest.name | slug }}", "Cart API", "11:13", "`name` must be"),
        ("lifecycle: live, ", "lifecylce: live, ", "16:11", "`lifecycle` is required"),
        ("lifecycle: live, ", "lifecylce: live, ", "16:27", "did you mean `lifecycle`"),
        ("owner: team-a", "owner: 7", "16:51", "`owner` must be"),
        (
            "lifecycle: live",
            "lifecycle: '{{ manifest.name }}'",
            "16:38",
            "write `${{ manifest.name }}`",
        ),
        (
            "lifecycle: live",
            "lifecycle: '${ manifest.name }'",
            "16:38",
            "write `${{ manifest.name }}`",
        ),
        ("    metadata:\n", "    metadata:\n      labels: {a b: x}\n", "11:", "the key must be"),
    ],
)
def test_what_cannot_be_meant_is_a_note_at_its_place(
    tmp_path: Path, right: str, wrong: str, place: str, said: str
) -> None:
    write(tmp_path, WHOLE)
    assert load_mappings(tmp_path).notes == ()
    assert right in WHOLE
    write(tmp_path, WHOLE.replace(right, wrong, 1))
    lines = [str(note) for note in load_mappings(tmp_path).notes]
    assert any(f"toy.yaml:{place}" in line and said in line for line in lines), lines


def test_a_mapping_that_another_one_hides_and_one_in_a_subfolder_are_told(tmp_path: Path) -> None:
    write(tmp_path, WHOLE)
    write(tmp_path, WHOLE.replace("mapping: toy", "mapping: toy2"), "yoy.yaml")
    (tmp_path / "deep").mkdir()
    write(tmp_path / "deep", WHOLE.replace("mapping: toy", "mapping: toy3"))
    rival, deep = load_mappings(tmp_path).notes
    assert Path(rival.file).name == "yoy.yaml"
    assert "toy.yaml takes every toy.yaml" in rival.message
    assert (Path(deep.file).parent.name, deep.severity) == ("deep", Severity.WARNING)
    assert "is not read" in deep.message


def test_an_example_says_why_nothing_is_made_and_what_backstage_refuses(tmp_path: Path) -> None:
    expects = "manifest: {name: Cart}"
    write(tmp_path, WHOLE.replace(expects, "manifest: {name: 7}\n    problems: ['put it']"))
    (result,) = (each for each in run_examples(load_mappings(tmp_path)) if each.mapping == "toy")
    assert result.difference.startswith("nothing is made of it: shop/cart toy.yaml:1:")
    assert "name must be text, not the number 7" in result.difference.splitlines()[0]
    write(tmp_path, GOOD)
    (result,) = (each for each in run_examples(load_mappings(tmp_path)) if each.mapping == "toy")
    assert "Backstage refuses the Component: spec must be an object" in result.difference


def test_a_mapping_is_kept_while_its_file_and_its_schema_stay_the_same(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    schema = tmp_path / "toy.schema.json"

    def toy() -> object:
        return next(each for each in load_files(tmp_path) if each.id == "toy")

    first = toy()
    assert toy() is first
    (tmp_path / "toy.yaml").write_text(GOOD.replace("a toy", "another toy"))
    second = toy()
    assert second is not first
    assert second != first
    schema.write_text(json.dumps({**SCHEMA, "title": "Toys"}))
    assert toy() is not second
    schema.write_text(json.dumps({**SCHEMA, "properties": {"name": {"type": "string"}}}))
    with pytest.raises(ConfigurationError, match=r"`manifest\.tools` is not in the manifest's"):
        toy()
    schema.unlink()
    with pytest.raises(ConfigurationError, match=r"no file `toy\.schema\.json`"):
        toy()


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
    assert ids == ["datadog-v2", "datadog-v3", "gitlab-org", "opslevel-v1", "toy"]


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
    text = GOOD.replace("${{ manifest.tools }}", "${{ manifest.name | list }}")
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
    # What is valid is told without following it; what is not is looked at until Python gives up.
    schema = {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}
    schema["required"] = ["kind"]
    (tmp_path / "toy.schema.json").write_text(json.dumps(schema))
    file = ManifestFile("toy.yaml", "oid", 8, "name: x\n")
    translation = load_mappings(tmp_path).translate(Project(1, "a/b"), file)
    assert translation.verdict is Verdict.QUARANTINED
    (problem,) = translation.problems
    assert problem.rule == "mapping-broke"
    assert (problem.project, problem.file) == ("a/b", "toy.yaml")
    assert "toy broke on this (RecursionError)" in problem.message
