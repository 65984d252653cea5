"""The mapping language: what a mapping file makes of a manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.language.expressions import compile_expression
from bridge.language.filters import EvaluationError
from bridge.model.manifests import Translation, Verdict
from bridge.model.problems import Severity
from bridge.model.scrape import ManifestFile, Project
from bridge.processors.mapping import Mappings, load_mappings
from bridge.processors.mapping.scope import MappingNames
from tests.laws import examples

PROJECT = Project(7, "shop/cart", "https://gitlab.example.com/shop/cart", "main")
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "note": {"type": ["string", "null"]},
        "items": {"type": "array", "items": {"type": "object", "properties": {"id": {}}}},
        "words": {"type": "array", "items": {"type": "string"}},
    },
}
HEAD = "mapping: toy\ntitle: a toy\nfiles: [toy.yaml]\nschema: toy.schema.json\n"
ENTITY = """
entities:
  - apiVersion: backstage.io/v1alpha1
    kind: Component
    metadata: {name: "${{ manifest.name | slug }}"}
    spec:
"""


def toy(folder: Path, rest: str, schema: dict[str, Any] = SCHEMA) -> Mappings:
    (folder / "toy.yaml").write_text(HEAD + rest)
    (folder / "toy.schema.json").write_text(json.dumps(schema))
    return load_mappings(folder)


def file(text: str | None, path: str = "toy.yaml", refused: str = "") -> ManifestFile:
    return ManifestFile(path, "oid", len(text or ""), text, refused)


def spec(folder: Path, leaves: str, manifest: str) -> Any:
    translation = toy(folder, ENTITY + leaves).translate(PROJECT, file(manifest))
    assert translation.verdict is Verdict.VALID, translation.problems
    return translation.drafts[0].body.get("spec")


def evaluate(source: str, **names: Any) -> Any:
    scope = MappingNames(None, dict.fromkeys(names))
    expression, faults = compile_expression(source, scope)
    assert not faults, faults
    return expression.run({"manifest": {}, "project": {}, "file": {}, **names})


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("a.b.c", None),
        ("a['x-y']", 1),
        ("'service:auth' | removeprefix('service:') | ref('component')", "component:default/auth"),
        ("'auth.git' | removesuffix('.git')", "auth"),
        ("'https://h.example:8443/x?y' | host", "h.example:8443"),
        ("'no address' | host", None),
        ("'docs/guide/index.md' | dirname", "docs/guide"),
        ("'index.md' | dirname", None),
        ("'docs/guide/index.md' | basename", "index.md"),
        ("'docs/guide/index.md' | stem", "index"),
        ("'/' ~ ('docs/guide/index.md' | dirname)", "/docs/guide"),
        ("a.none | stem", None),
        ("a.list[1].n", 3),
        ("a.list[9].n", None),
        ("a.list | map_key('n') | first", 2),
        ("a.version == '1.10'", True),
        ("a.yes == 1", False),
        ("a.none < 3", False),
        ("2 < a['x-y'] or a['x-y'] >= 1", True),
        ("not a.none and a.yes", True),
        ("'p' if a.yes else 'q'", "p"),
        ("'p' if a.none", None),
        ("'n: ' ~ a['x-y']", "n: 1"),
        ("'n: ' ~ a.none", None),
        ("'b' in ['a', 'b']", True),
        ("'b' not in 'abc'", False),
        ("a.none is defined", False),
        ("a.none is not none", False),
        ("a.none | default('d') | upper", "D"),
        ("a.none | list", []),
        ("'x' | list | join(',')", "x"),
        ("['b', 'a', 'b'] | unique | join('-')", "b-a"),
        ("'logs' | lookup({'logs': 'search'}, 'web')", "search"),
        ("a.none | lookup({'logs': 'search'}, 'web')", "web"),
        ("2 | tier", "tier_2"),
        ("a.yes | text", "true"),
        ("' x ' | trim", "x"),
    ],
)
def test_expressions(source: str, value: Any) -> None:
    """Text stays text, a missing key of anything is null, and null goes through filters."""
    a = {"x-y": 1, "yes": True, "version": "1.10", "list": [{"n": 2}, {"n": 3}], "none": None}
    assert evaluate(source, a=a) == value


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("a ~ a", "characters; the limit is 4,096"),
        ("b | join('')", "list of 2,000 items"),
        ("b < 3", "cannot compare a list with a number"),
        ("b | slug", "expected a text and found a list"),
    ],
)
def test_what_cannot_be_worked_out_says_why(source: str, said: str) -> None:
    with pytest.raises(EvaluationError, match=said):
        evaluate(source, a="x" * 3000, b=["y"] * 2000)


def test_values_keep_their_type_and_null_is_left_out(tmp_path: Path) -> None:
    """A whole `${{ }}` is native; a map or list that becomes empty goes; literal ones stay."""
    leaves = """
      text: ${{ manifest.name }}
      words: ${{ manifest.words }}
      mixed: a-${{ manifest.name }}-${{ manifest.name | upper }}
      hole: a-${{ manifest.note }}
      empty: {deep: "${{ manifest.note }}"}
      none: [{when: "${{ manifest.note }}", value: x}]
      children: []
      options: {}
      number: 3
"""
    assert spec(tmp_path, leaves, "name: '1.10'\nwords: [a, '', b]\n") == {
        "text": "1.10",
        "words": ["a", "b"],
        "mixed": "a-1.10-1.10",
        "children": [],
        "options": {},
        "number": 3,
    }


def test_an_empty_text_is_left_out_and_an_entity_without_a_kind_is_refused(tmp_path: Path) -> None:
    """A link's title may not be empty in Backstage, so nothing is better than ''."""
    assert spec(tmp_path, "      note: ${{ manifest.note }}\n", "name: n\nnote: ''\n") is None
    kindless = ENTITY.replace("Component", "${{ manifest.note }}") + "      a: b\n"
    translation = toy(tmp_path, kindless).translate(PROJECT, file("name: n\n"))
    assert [problem.rule for problem in translation.problems] == ["mapping-failed"]
    assert "without `kind`" in translation.problems[0].message


def test_for_each_fans_out_in_place_and_when_leaves_out(tmp_path: Path) -> None:
    leaves = """
      links:
        - fixed
        - {forEach: "${{ manifest.items }}", as: it, when: "${{ it.id != 2 }}", id: "${{ it.id }}"}
        - {forEach: "${{ manifest.words }}", value: "${{ item | upper }}"}
      maybe: {when: "${{ manifest.note }}", value: x}
      given: {when: "${{ manifest.name }}", value: y}
"""
    manifest = "name: n\nitems: [{id: 1}, {id: 2}, {id: 3}]\nwords: [a]\n"
    assert spec(tmp_path, leaves, manifest) == {
        "links": ["fixed", {"id": 1}, {"id": 3}, "A"],
        "given": "y",
    }


MANY = """
entities:
  - forEach: ${{ manifest.words }}
    as: word
    apiVersion: backstage.io/v1alpha1
    kind: Component
    metadata: {name: "${{ word | slug }}"}
"""


def test_one_manifest_gives_an_entity_for_each_item_at_its_own_place(tmp_path: Path) -> None:
    translation = toy(tmp_path, MANY).translate(
        PROJECT, file("name: n\nwords:\n  - One\n  - Two\n")
    )
    names = [
        (draft.body["metadata"]["name"], draft.line, draft.column) for draft in translation.drafts
    ]
    assert names == [("one", 3, 5), ("two", 4, 5)]


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("name: n\nwords: [" + "a, " * 1001 + "]", "the limit is 1,000", 2),
        ("name: n\nwords: [" + ", ".join(f"w{n}" for n in range(501)) + "]", "more than 500", 2),
        ("name: n\nwords:\n  - '!!!'\n", "letters a-z or digits", 3),
        ("name: 3\n", "", 1),
        ("- a\n- b\n", "", 1),
        ("", "", 1),
        ("name: n\n---\nname: m\n", "several documents", 3),
        ("name: {a: [\n", "", 1),
    ],
)
def test_a_manifest_that_cannot_be_used_is_quarantined_with_a_line(
    tmp_path: Path, text: str, said: str, line: int
) -> None:
    translation = toy(tmp_path, MANY).translate(PROJECT, file(text))
    assert translation.verdict is Verdict.QUARANTINED
    assert not translation.drafts
    problem = translation.problems[0]
    assert said in problem.message
    assert problem.line >= line
    assert (problem.project, problem.file) == ("shop/cart", "toy.yaml")


def test_a_file_that_is_no_text_is_quarantined_with_its_reason(tmp_path: Path) -> None:
    translation = toy(tmp_path, MANY).translate(PROJECT, file(None, refused="an LFS pointer"))
    assert translation.verdict is Verdict.QUARANTINED
    assert translation.problems[0].rule == "manifest-refused"
    assert "an LFS pointer" in translation.problems[0].message


def test_a_mapping_that_fails_names_its_own_line_and_the_manifests(tmp_path: Path) -> None:
    """A leaf that gives a map is the mapping author's business: both places are named."""
    mappings = toy(tmp_path, ENTITY + "      bad: ${{ manifest.items }}\n")
    translation = mappings.translate(PROJECT, file("name: n\nitems: [{id: 1}]\n"))
    (problem,) = translation.problems
    assert problem.rule == "mapping-failed"
    assert "toy.yaml:11:12" in problem.message
    assert problem.line == 2


def test_mappings_that_want_the_same_file_decide_by_when(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(
        HEAD.replace("toy\n", "other\n", 1)
        + "when: ${{ manifest.note == 'other' }}\n"
        + "foreign: [{when: \"${{ manifest.kind == 'X' }}\", reason: an X}]\n"
        + "otherwise: note `${{ manifest.note }}` is not known\n"
        + ENTITY
        + "      by: other\n"
    )
    mappings = toy(tmp_path, "when: ${{ manifest.note == 'toy' }}\n" + ENTITY + "      by: toy\n")

    def seen(text: str) -> Translation:
        return mappings.translate(PROJECT, file(text))

    assert seen("name: n\nnote: other\n").mapping == "other"
    assert seen("name: n\nnote: toy\n").mapping == "toy"
    assert (seen("kind: X\n").verdict, seen("kind: X\n").reason) == (Verdict.IGNORED, "an X")
    unknown = seen("name: n\nnote: what\n")
    assert unknown.verdict is Verdict.QUARANTINED
    assert "note `what` is not known" in unknown.problems[0].message
    assert (unknown.problems[0].line, unknown.problems[0].column) == (2, 7)


def test_a_warning_of_a_mapping_is_placed_where_it_points(tmp_path: Path) -> None:
    rest = """
warnings:
  - {forEach: "${{ manifest.words }}", as: w, when: "${{ w == 'bad' }}", rule: word,
     at: "${{ w }}", message: "`${{ w }}` is no word"}
"""
    mappings = toy(tmp_path, rest + MANY)
    translation = mappings.translate(PROJECT, file("name: n\nwords:\n - ok\n - bad\n"))
    (problem,) = translation.problems
    assert (problem.severity, problem.rule) == (Severity.WARNING, "word")
    assert (problem.line, problem.column, problem.message) == (4, 4, "`bad` is no word")


def test_explain_names_the_mappings_line_and_the_manifests_places(tmp_path: Path) -> None:
    """Through `let` and `forEach`, down to the item; a constant has no source."""
    rest = "let: {n: '${{ manifest.name }}'}" + ENTITY.replace("manifest.name", "n")
    leaves = """      ids:
        - {forEach: "${{ manifest.items }}", as: it, value: "${{ it.id | text }}"}
      fixed: x
"""
    explained = toy(tmp_path, rest + leaves).explain(
        PROJECT, file("name: Cart\nitems:\n  - id: 5\n  - id: 6\n")
    )
    fields = {field.path: field for field in explained.entities[0].fields}
    places = {path: [(at.line, at.column) for at in f.sources] for path, f in fields.items()}
    assert str(explained.entities[0].ref) == "component:default/cart"
    assert places["metadata.name"] == [(1, 7)]
    assert places["spec.ids[0]"] == [(3, 9)]
    assert places["spec.ids[1]"] == [(4, 9)]
    assert places["spec.fixed"] == []
    assert fields["spec.fixed"].mapping == "toy.yaml:13:14"
    assert explained.translation.drafts[0].body["spec"] == {"ids": ["5", "6"], "fixed": "x"}


def test_the_fingerprint_names_blob_mapping_and_the_project_fields_in_use(tmp_path: Path) -> None:
    """A description that no expression reads changes nothing; a moved project does when read."""
    mappings = toy(tmp_path, ENTITY + "      p: ${{ project.path }}\n")
    before = mappings.fingerprint(PROJECT, file("name: a"))
    described = Project(7, "shop/cart", PROJECT.web_url, "main", description="new")
    moved = Project(7, "shop/basket", PROJECT.web_url, "main")
    assert mappings.fingerprint(described, file("name: a")) == before
    assert mappings.fingerprint(moved, file("name: a")) != before
    other_blob = ManifestFile("toy.yaml", "oid2", 7, "name: a")
    assert mappings.fingerprint(PROJECT, other_blob) != before
    changed = toy(tmp_path, ENTITY + "      p: ${{ project.path | upper }}\n")
    assert changed.fingerprint(PROJECT, file("name: a")) != before


TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["name", "note", "items", "words", "id"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def anything_goes(tmp_path_factory: pytest.TempPathFactory) -> Mappings:
    leaves = """
      a: ${{ manifest.note | tag }}
      b:
        - {forEach: "${{ manifest.items }}", as: it, value: "${{ it.id or it | label }}"}
      c: ${{ manifest.words | join('+') }}
"""
    return toy(tmp_path_factory.mktemp("open"), ENTITY + leaves, {"type": "object"})


@settings(max_examples=examples(80), deadline=None)
@given(tree=TREES)
def test_whatever_a_manifest_holds_translating_does_not_raise(
    anything_goes: Mappings, tree: Any
) -> None:
    """Law: valid with entities, or quarantined with a problem that has a line."""
    translation = anything_goes.translate(PROJECT, file(json.dumps(tree)))
    if translation.verdict is Verdict.VALID:
        assert translation.drafts
    else:
        assert all(problem.line >= 1 for problem in translation.problems)
        assert translation.problems
