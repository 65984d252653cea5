"""The mappings that come with Fester, on their own examples and on files from the wild."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bridge.model.manifests import Translation, Verdict
from bridge.model.problems import Severity
from bridge.model.scrape import ManifestFile, Project
from bridge.processors.mapping import Mappings, load_mappings, run_examples

WILD = Path(__file__).parents[3] / "shared" / "real-manifests"
NAMES = {"datadog": "service.datadog.yaml", "opslevel": "opslevel.yml", "qm": "qm.yaml"}
PROJECT = Project(1, "shop/cart", "https://gitlab.example.com/shop/cart", "main")


@pytest.fixture(scope="module")
def shipped() -> Mappings:
    return load_mappings()


def translate(mappings: Mappings, name: str, text: str) -> Translation:
    return mappings.translate(PROJECT, ManifestFile(name, "o", len(text), text))


def component(translation: Translation) -> Any:
    return next(d.body for d in translation.drafts if d.body["kind"] == "Component")


def test_every_example_comes_out_as_the_mapping_says(shipped: Mappings) -> None:
    results = run_examples(shipped)
    assert {result.mapping for result in results} >= {"qm-v1", "datadog-v2", "opslevel-v1"}
    assert [(r.place, r.difference) for r in results if not r.ok] == []


def test_the_crawl_asks_for_every_name(shipped: Mappings) -> None:
    assert set(shipped.files) >= {"qm.yaml", "qm.yml", "service.datadog.yaml", "opslevel.yml"}


@pytest.mark.skipif(not WILD.is_dir(), reason="the folder of real manifests is not beside us")
@pytest.mark.parametrize("format_", ["datadog", "opslevel", "qm"])
def test_real_files_give_entities_or_a_problem_with_a_line(shipped: Mappings, format_: str) -> None:
    """Foreign qm.yaml files are ignored with a reason."""
    paths = sorted((WILD / format_).glob("*.yaml"))
    assert paths
    for path in paths:
        seen = translate(shipped, NAMES[format_], path.read_text("utf-8"))
        if format_ == "qm":
            assert (seen.verdict, bool(seen.reason)) == (Verdict.IGNORED, True), path
        elif seen.verdict is Verdict.VALID:
            assert seen.drafts, path
            assert all(draft.line > 1 or format_ != "datadog" for draft in seen.drafts), path
        else:
            assert seen.problems, path
        assert all(problem.line >= 1 for problem in seen.problems), path


def test_a_qm_owners_typo_is_told_with_the_manifests_line(shipped: Mappings) -> None:
    text = "version: 1\nservice:\n  nmae: Cart\n  owner: {team: a}\n"
    seen = translate(shipped, "qm.yaml", text)
    assert seen.verdict is Verdict.QUARANTINED
    assert any(
        "name" in p.message and p.file == "qm.yaml" and p.line in (2, 3) for p in seen.problems
    )


def test_an_unknown_key_in_qm_is_a_warning_and_entities_come(shipped: Mappings) -> None:
    text = "version: 1\nservice:\n  name: Cart\n  colour: red\n  owner: {team: a}\n"
    seen = translate(shipped, "qm.yaml", text)
    assert seen.verdict is Verdict.VALID
    assert [(p.severity, p.line) for p in seen.problems] == [(Severity.WARNING, 4)]


@pytest.mark.parametrize("text", ["service: {name: a}\n", "version: 2\nservice: {name: a}\n"])
def test_another_version_of_qm_is_told_what_to_write(shipped: Mappings, text: str) -> None:
    seen = translate(shipped, "qm.yaml", text)
    assert seen.verdict is Verdict.QUARANTINED
    assert "`version: 1`" in seen.problems[0].message


def test_a_qm_in_a_checkout_without_a_remote_has_no_urls(shipped: Mappings) -> None:
    text = "version: 1\nservice:\n  name: Cart\n  owner: {team: a}\n  docs: [{path: a.md}]\n"
    seen = shipped.translate(Project(1, "cart"), ManifestFile("qm.yaml", "o", 1, text))
    metadata = component(seen)["metadata"]
    assert metadata["annotations"] == {
        "gitlab.com/project-slug": "cart",
        "fester.dev/source-name": "Cart",
    }
    assert "links" not in metadata


def test_nulls_everywhere_in_opslevel_are_fine_and_no_owner_is_a_warning(shipped: Mappings) -> None:
    keys = ("owner", "tier", "system", "product", "tags", "tools", "aliases", "dependencies")
    text = "version: 1\nservice:\n  name: Cart\n" + "".join(f"  {key}:\n" for key in keys)
    seen = translate(shipped, "opslevel.yml", text)
    assert component(seen)["spec"]["owner"] == "group:default/unknown"
    assert [(p.rule, p.severity, p.line) for p in seen.problems] == [
        ("owner-missing", Severity.WARNING, 3)
    ]


def test_a_repeated_opslevel_tag_key_loses_nothing(shipped: Mappings) -> None:
    text = (
        "version: 1\nservice:\n  name: a\n  owner: b\n"
        "  tags: [{key: db, value: MySQL}, {key: db, value: Snow Flake}]\n"
    )
    tags = component(translate(shipped, "opslevel.yml", text))["metadata"]["tags"]
    assert tags == ["db:mysql", "db:snow-flake"]


def test_a_datadog_v3_document_is_a_problem_at_its_version(shipped: Mappings) -> None:
    text = "schema-version: v2\ndd-service: a\nteam: b\n---\napiVersion: v3\nkind: service\n"
    seen = translate(shipped, "service.datadog.yaml", text)
    assert seen.verdict is Verdict.QUARANTINED
    assert (seen.problems[0].line, seen.problems[0].column) == (5, 13)
    assert "v2, v2.1 and v2.2" in seen.problems[0].message


def test_a_hostile_qm_ends_within_bounds(shipped: Mappings) -> None:
    """1,000 tools with long names: refused by the schema's bounds, nothing is published."""
    tools = "".join(f"    - {{name: {'n' * 150}, url: 'https://x.org/{n}'}}\n" for n in range(1000))
    text = f"version: 1\nservice:\n  name: a\n  owner: {{team: b}}\n  tools:\n{tools}"
    seen = translate(shipped, "qm.yaml", text)
    assert (seen.verdict, seen.drafts) == (Verdict.QUARANTINED, ())
    assert len(seen.problems) <= 50


def test_nothing_from_a_manifest_becomes_a_key_or_a_script_link(shipped: Mappings) -> None:
    """A placeholder map is refused by the schema; a link must be http or https."""
    text = (
        "version: 1\nservice:\n  name: a\n  owner: {team: b}\n  description: {$text: 'https://x'}\n"
    )
    assert translate(shipped, "qm.yaml", text).verdict is Verdict.QUARANTINED
    text = (
        "schema-version: v2\ndd-service: a\nteam: b\n"
        "links: [{name: x, url: 'javascript:alert(1)'}]\n"
    )
    seen = translate(shipped, "service.datadog.yaml", text)
    assert "links" not in component(seen)["metadata"]
    assert [(p.rule, p.line) for p in seen.problems] == [("link-unusable", 4)]
