"""merge.yaml says how disagreements are settled, and a wrong one says what is wrong with it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import ConfigurationError
from bridge.model.entities import Ref
from bridge.model.manifests import TranslatedManifest, Translation, Verdict
from bridge.model.scrape import Project
from bridge.model.statements import Statement
from bridge.processors.mapping.loading import shipped_folder
from bridge.processors.merge_file import load_merge_rules
from bridge.processors.merging import Identity, KindRules, MergeRules, Rule, merge
from tests.laws import examples

SHIPPED = shipped_folder() / "merge.yaml"


def loaded(tmp_path: Path, text: str) -> MergeRules:
    path = tmp_path / "merge.yaml"
    path.write_text(text, encoding="utf-8")
    return load_merge_rules(path)


def refused(tmp_path: Path, text: str) -> list[tuple[int, int, str]]:
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, text)
    assert all(each.file.endswith("merge.yaml") for each in caught.value.problems)
    return [(each.line, each.column, each.message) for each in caught.value.problems]


def said(project: int, spec: dict[str, Any], file: str = "qm.yaml", **metadata: Any) -> Statement:
    body = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "System",
        "metadata": {"name": "shop", **metadata},
        "spec": spec,
    }
    translation = Translation(Verdict.VALID, "f")
    manifest = TranslatedManifest(Project(project, f"p/{project}"), file, "o", translation)
    return Statement(Ref.of(body), body, manifest, 0)


def shared(**fields: Rule) -> KindRules:
    return KindRules(
        Identity.SHARED,
        Rule.MAJORITY,
        {key.replace("__", "."): rule for key, rule in fields.items()},
    )


def test_the_shipped_rules_share_what_many_speak_of() -> None:
    rules = load_merge_rules(SHIPPED)
    identities = {kind: rules.of(kind).identity for kind in ("component", "api")}
    assert set(identities.values()) == {Identity.CLAIM}
    for kind in ("system", "group", "domain", "user", "resource"):
        assert rules.of(kind).identity is Identity.SHARED
    assert rules.of("group").rule("spec.members", "spec") is Rule.UNION
    assert rules.of("system").rule("metadata.tags", "metadata") is Rule.UNION
    assert rules.of("robot").identity is Identity.CLAIM, "what is unknown is never mixed"


def test_a_wildcard_holds_for_each_key_below_and_a_name_comes_before_it(tmp_path: Path) -> None:
    rules = loaded(
        tmp_path, "fields: {metadata.annotations.*: first, metadata.annotations.a/b: longest}"
    ).other
    assert rules.rule("metadata.annotations.a/b", "metadata.annotations") is Rule.LONGEST
    assert rules.rule("metadata.annotations.c", "metadata.annotations") is Rule.FIRST
    assert rules.rule("metadata.title", "metadata") is Rule.MAJORITY


def test_every_mistake_is_reported_at_once_with_its_place(tmp_path: Path) -> None:
    found = refused(
        tmp_path,
        "default: {identity: calim}\n"
        "feilds: {}\n"
        "fields:\n"
        "  metdata.title: majority\n"
        "  metadata.name: first\n"
        "  metadata.tags: onion\n"
        "kinds:\n"
        "  Compnent: {identity: claim}\n"
        "  System:\n"
        "    field: {}\n"
        "    fields: {spec.ownr: majority}\n"
        "  Group: shared\n",
    )
    places = [(line, column) for line, column, _ in found]
    assert sorted(places) == [
        *((1, 21), (2, 1), (4, 3), (5, 3), (6, 18)),
        *((8, 3), (10, 5), (11, 14), (12, 10)),
    ]
    text = "\n".join(message for _, _, message in found)
    for right in ("claim", "fields", "metadata", "union", "Component", "spec.owner"):
        assert f"did you mean {right}" in text.replace("`", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "merge.yaml"),
        ("", "one YAML document"),
        ("---\n{}\n---\n{}\n", "one YAML document"),
        ("- a", "must be an object"),
        ("kinds: {System: {}, system: {}}", "twice"),
    ],
)
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        loaded(tmp_path, text)


def test_a_missing_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_merge_rules(tmp_path / "none.yaml")


def test_what_agrees_is_kept_and_silence_does_not_vote() -> None:
    body, conflicts = merge(
        [said(1, {"owner": "a"}), said(2, {"owner": "a", "domain": "d", "type": None})], shared()
    )
    assert body["spec"] == {"owner": "a", "domain": "d"}
    assert conflicts == []


def test_the_majority_of_projects_wins_however_many_manifests_one_has() -> None:
    voices = [
        said(1, {"owner": "a"}, "1.yaml"),
        said(1, {"owner": "a"}, "2.yaml"),
        said(1, {"owner": "a"}, "3.yaml"),
        said(2, {"owner": "b"}),
        said(3, {"owner": "b"}),
    ]
    body, (conflict,) = merge(voices, shared())
    assert body["spec"]["owner"] == "b"
    assert (conflict.path, conflict.rule) == ("spec.owner", Rule.MAJORITY)
    assert [value for value, _ in conflict.said] == ["b", "a"]


def test_a_tie_goes_to_the_lowest_project_id() -> None:
    body, _ = merge([said(1, {"owner": "z"}), said(2, {"owner": "a"})], shared())
    assert body["spec"]["owner"] == "z"


def test_longest_and_first_do_what_they_say() -> None:
    voices = [said(1, {"a": "x", "b": "x"}), said(2, {"a": "yyy", "b": "yyy"})]
    body, conflicts = merge(voices, shared(spec__a=Rule.LONGEST, spec__b=Rule.FIRST))
    assert body["spec"] == {"a": "yyy", "b": "x"}
    assert [conflict.rule for conflict in conflicts] == [Rule.LONGEST, Rule.FIRST]


def test_a_union_has_each_item_once_and_is_no_disagreement() -> None:
    rules = shared(metadata__tags=Rule.UNION, metadata__links=Rule.UNION)
    link = {"url": "https://a", "title": "A"}
    voices = [
        said(1, {"owner": "a"}, tags=["z", "b"], links=[link]),
        said(2, {"owner": "a"}, tags=["b", "a"], links=[{**link, "icon": "x"}]),
    ]
    body, conflicts = merge(voices, rules)
    assert body["metadata"]["tags"] == ["a", "b", "z"]
    assert body["metadata"]["links"] == [link]
    assert conflicts == []


def test_a_union_is_bounded_and_says_so() -> None:
    rules = shared(spec__members=Rule.UNION)
    voices = [said(n, {"members": [f"user:u{n}-{i:04}" for i in range(800)]}) for n in range(1, 3)]
    body, (conflict,) = merge(voices, rules)
    assert len(body["spec"]["members"]) == 1000
    assert conflict.cut == 600


def test_nothing_that_is_given_is_changed() -> None:
    voices = [said(1, {"owner": "a", "x": {"y": 1}}), said(2, {"owner": "b", "x": {"z": 2}})]
    body, _ = merge(voices, shared())
    assert body["spec"]["x"] == {"y": 1, "z": 2}
    assert voices[0].body["spec"] == {"owner": "a", "x": {"y": 1}}


@settings(max_examples=examples(50), deadline=None)
@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=9))
def test_majority_is_what_most_projects_say(owners: list[str]) -> None:
    """A law: no other value has more projects behind it, and a tie is the lowest project's."""
    voices = [said(n, {"owner": owner}) for n, owner in enumerate(owners)]
    body, _ = merge(voices, shared())
    counts = Counter(owners)
    most = max(counts.values())
    assert body["spec"]["owner"] == next(each for each in owners if counts[each] == most)
