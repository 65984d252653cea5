"""Presets: shipped mappings that a folder switches on, and entities that pass as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bridge.errors import ConfigurationError
from bridge.model.entities import Ref
from bridge.model.manifests import AggregatedManifests, TranslatedManifest, Translation, Verdict
from bridge.model.moments import moment_in
from bridge.model.problems import Severity
from bridge.model.scrape import ManifestFile, Project
from bridge.processors.aggregation import merged, said
from bridge.processors.mapping import load_mappings, shipped_folder
from bridge.processors.merge_file import load_merge_rules
from tests.whole import aggregate

ALL = load_mappings(everything=True)
RULES = load_merge_rules(shipped_folder() / "merge.yaml")
PROJECT = Project(7, "shop/cart", "https://gitlab.example.com/shop/cart", "main")
HEAD = "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: {name: cart}\n"


def translate(name: str, text: str) -> Translation:
    return ALL.translate(PROJECT, ManifestFile(name, "o", len(text), text))


def manifest(
    name: str, text: str, project: Project = PROJECT, since: str = ""
) -> TranslatedManifest:
    made = ALL.translate(project, ManifestFile(name, "o", len(text), text))
    return TranslatedManifest(project, name, "o", made, held_since=moment_in(since))


def test_presets_are_off_until_a_folder_names_them(tmp_path: Path) -> None:
    assert "catalog-info.yaml" not in load_mappings().files
    (tmp_path / "presets.yaml").write_text("presets: [catalog-info, compass]\n", "utf-8")
    loaded = load_mappings(tmp_path)
    assert {"catalog-info.yaml", "compass.yml", "qm.yaml"} <= set(loaded.files)
    assert "cortex.yaml" not in loaded.files


def test_a_preset_that_is_copied_and_changed_is_the_folders_own(tmp_path: Path) -> None:
    """Its schema is still the shipped one; the table of teams is the reason to copy it."""
    text = (shipped_folder() / "presets" / "compass.yaml").read_text("utf-8")
    text = text.replace("lookup({})", "lookup({'ari:1': 'Tills'})", 1)
    (tmp_path / "compass.yaml").write_text(text.partition("\nexamples:")[0] + "\n", "utf-8")
    found = load_mappings(tmp_path).translate(
        PROJECT,
        ManifestFile("compass.yml", "o", 1, "name: cart\nconfigVersion: 1\nownerId: ari:1\n"),
    )
    assert [draft.body["kind"] for draft in found.drafts] == ["Component", "Group"]
    assert found.drafts[0].body["spec"]["owner"] == "group:default/tills"


@pytest.mark.parametrize(
    ("text", "said_"),
    [
        ("presets: [catalog_info]\n", '1:11: there is no preset "catalog_info"; did you mean'),
        ("presets: compass\n", "1:10: presets must be a list"),
        ("preset: [compass]\n", "did you mean `presets`"),
        ("- compass\n", "presets.yaml holds one key"),
    ],
)
def test_a_wrong_presets_file_names_its_line(tmp_path: Path, text: str, said_: str) -> None:
    (tmp_path / "presets.yaml").write_text(text, "utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_mappings(tmp_path)
    assert said_ in str(caught.value)


def test_an_entity_passes_with_all_that_it_says() -> None:
    more = "more: {deep: [1, [true]], gone: null}"
    text = f"{HEAD}spec: {{type: service, lifecycle: x, owner: a, {more}}}\n"
    (draft,) = translate("catalog-info.yaml", text).drafts
    assert draft.body["spec"] == {
        "type": "service",
        "lifecycle": "x",
        "owner": "a",
        "more": {"deep": [1, [True]]},
    }
    assert draft.body["metadata"]["annotations"]["gitlab.com/project-slug"] == "shop/cart"
    assert (draft.line, draft.places) == (3, (("a", 4, 44),))


def test_what_the_file_says_itself_of_its_project_stays() -> None:
    text = HEAD.replace(
        "name: cart", "name: cart, annotations: {gitlab.com/project-slug: other/place}"
    )
    (draft,) = translate("catalog-info.yaml", text + "spec: {type: s}\n").drafts
    assert draft.body["metadata"]["annotations"]["gitlab.com/project-slug"] == "other/place"


def test_empty_lists_stay_for_backstage_needs_some() -> None:
    text = (
        "apiVersion: backstage.io/v1alpha1\nkind: Group\nmetadata: {name: a}\n"
        "spec: {type: team, children: []}\n"
    )
    (statement,) = said(manifest("catalog-info.yaml", text))[0]
    assert statement.body["spec"] == {"type": "team", "children": []}


def test_backstages_rules_hold_for_what_passes() -> None:
    found, problems = said(manifest("catalog-info.yaml", HEAD + "spec: {type: service}\n"))
    assert found == []
    assert "spec.lifecycle: is required" in problems[0].message
    assert problems[0].line == 3


def test_a_placeholder_makes_backstage_fetch_nothing() -> None:
    text = (
        f"{HEAD}spec: {{type: s, lifecycle: x, owner: a, more: {{$text: 'https://10.0.0.1/'}}}}\n"
    )
    (statement,), problems = said(manifest("catalog-info.yaml", text))
    assert statement.body["spec"]["more"] == {"text": "https://10.0.0.1/"}
    assert [each.rule for each in problems] == ["placeholder"]


def test_too_much_is_refused_with_its_line() -> None:
    rows = "".join(f"  k{n}: [{', '.join(['1'] * 900)}]\n" for n in range(12))
    seen = translate("catalog-info.yaml", f"{HEAD}spec:\n{rows}")
    assert seen.verdict is Verdict.QUARANTINED
    assert "more than 10,000 values" in seen.problems[0].message


def test_an_inline_definition_may_be_long() -> None:
    text = (
        "apiVersion: backstage.io/v1alpha1\nkind: API\nmetadata: {name: a}\n"
        f"spec: {{type: openapi, lifecycle: x, owner: o, definition: '{'x' * 50_000}'}}\n"
    )
    (draft,) = translate("catalog-info.yaml", text).drafts
    assert len(draft.body["spec"]["definition"]) == 50_000


def test_what_is_left_alone_beside_others_is_told() -> None:
    text = f"{HEAD}spec: {{type: s}}\n---\nkind: Template\nmetadata: {{name: t}}\n"
    seen = translate("catalog-info.yaml", text)
    assert len(seen.drafts) == 1
    (told,) = seen.problems
    assert (told.rule, told.severity, told.line) == ("document-ignored", Severity.INFO, 6)
    assert "register it in Backstage itself" in told.message


QM = "version: 1\nservice: {name: cart, owner: {team: tills}}\n"
INFO = HEAD + "spec: {type: service, lifecycle: x, owner: a}\n"


def test_beside_a_qm_yaml_the_catalog_info_yields_entity_by_entity() -> None:
    """However old it is; what the other does not speak of stays."""
    more = INFO + "---\n" + INFO.replace("name: cart", "name: other")
    both = [
        manifest("catalog-info.yaml", more, since="2025-01-01T00:00:00+00:00"),
        manifest("qm.yaml", QM, since="2026-01-01T00:00:00+00:00"),
    ]
    catalog, problems = aggregate(AggregatedManifests(tuple(both)), RULES)
    owners = {str(each.ref): each.body["spec"].get("owner") for each in catalog.entities}
    assert owners["component:default/cart"] == "group:default/tills"
    assert owners["component:default/other"] == "a"
    (told,) = [each for each in problems if each.rule == "claim-yielded"]
    assert (told.file, told.severity) == ("catalog-info.yaml", Severity.WARNING)
    assert "qm.yaml of this project" in told.message


def test_a_project_that_moves_to_qm_yaml_keeps_its_claim() -> None:
    """Another project that claimed the name between the two files does not get it."""
    rival = Project(3, "shop/rival", "https://gitlab.example.com/shop/rival", "main")
    three = [
        manifest("catalog-info.yaml", INFO, since="2025-01-01T00:00:00+00:00"),
        manifest("qm.yaml", QM, rival, since="2025-06-01T00:00:00+00:00"),
        manifest("qm.yaml", QM, since="2026-01-01T00:00:00+00:00"),
    ]
    statements = [each for one in three for each in said(one)[0]]
    cart = [each for each in statements if each.ref == Ref("component", "default", "cart")]
    entity, problems = merged(cart, RULES)
    assert entity is not None
    assert [(each.project, each.file) for each in entity.origins] == [("shop/cart", "qm.yaml")]
    assert sorted(each.rule for each in problems) == ["claim-lost", "claim-yielded"]


def components(seen: Translation) -> dict[str, Any]:
    return {
        draft.body["metadata"]["name"]: draft.body
        for draft in seen.drafts
        if draft.body["kind"] == "Component"
    }


def test_datadogs_entities_inherit_within_their_file() -> None:
    text = (
        "apiVersion: v3\nkind: system\nmetadata: {name: s, owner: Tills}\nspec: {tier: high}\n"
        "---\napiVersion: v3\nkind: service\nmetadata: {name: a, inheritFrom: 'system:s'}\n"
        "---\napiVersion: v3\nkind: service\n"
        "metadata: {name: b, owner: Cooks, inheritFrom: 'system:s'}\nspec: {tier: low}\n"
    )
    found = components(translate("entity.datadog.yaml", text))
    assert found["a"]["spec"]["owner"] == "group:default/tills"
    assert found["a"]["metadata"]["labels"] == {"fester.dev/tier": "tier_1"}
    assert found["b"]["spec"]["owner"] == "group:default/cooks"
    assert found["b"]["metadata"]["labels"] == {"fester.dev/tier": "tier_3"}
