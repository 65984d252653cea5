"""Several manifests in one document: what is split, inherited, and kept apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import ConfigurationError
from bridge.model.manifests import (
    TranslatedManifest,
    Translation,
    Verdict,
)
from bridge.model.problems import Severity
from bridge.model.scrape import ManifestFile, Project
from bridge.passes.reconcile import remember
from bridge.processors.backstage import BackstageProcessor
from bridge.processors.mapping import Mappings, load_mappings, shipped_folder
from bridge.processors.merge_file import load_merge_rules
from tests import whole
from tests.fakes import at
from tests.laws import examples

PROJECT = Project(7, "shop/cart", "https://gitlab.example.com/shop/cart", "main")
RULES = load_merge_rules(shipped_folder() / "merge.yaml")
SEVERAL = """\
version: 1
owner: {team: cart-team, channel: '#cart'}
system: checkout
tags: [shop]
service:
  name: cart
  tier: tier_1
services:
  - name: basket
    tags: [own]
  - name: worker
    owner: {team: workers}
    system:
"""


@pytest.fixture(scope="module")
def shipped() -> Mappings:
    return load_mappings()


def manifest(text: str, oid: str = "o") -> ManifestFile:
    return ManifestFile("qm.yaml", oid, len(text), text)


def translate(mappings: Mappings, text: str) -> Translation:
    return mappings.translate(PROJECT, manifest(text))


def components(translation: Translation) -> dict[str, Any]:
    return {
        draft.body["metadata"]["name"]: draft.body
        for draft in translation.drafts
        if draft.body["kind"] == "Component"
    }


def catalog(translation: Translation) -> dict[str, Any]:
    placed = TranslatedManifest(PROJECT, "qm.yaml", "o", translation)
    made, _ = whole.processed((placed,), BackstageProcessor(RULES))
    return {str(entity.ref): entity.body for entity in made.entities}


def test_services_take_what_they_lack_and_their_own_key_wins(shipped: Mappings) -> None:
    """An own key wins whole, even an empty one; lists are not merged."""
    found = components(translate(shipped, SEVERAL))
    owners = {name: body["spec"]["owner"] for name, body in found.items()}
    assert owners == {
        "cart": "group:default/cart-team",
        "basket": "group:default/cart-team",
        "worker": "group:default/workers",
    }
    tags = {name: body["metadata"]["tags"] for name, body in found.items()}
    assert tags == {"cart": ["shop"], "basket": ["own"], "worker": ["shop"]}
    assert "system" not in found["worker"]["spec"]
    # The service beside lends, too; and another team's channel is not mixed in.
    assert found["basket"]["metadata"]["labels"] == {"fester.dev/tier": "tier_1"}
    assert "fester.dev/owner-channel" not in found["worker"]["metadata"]["annotations"]


def test_every_entity_stands_at_its_own_line(shipped: Mappings) -> None:
    lines = {
        draft.body["metadata"]["name"]: (draft.line, draft.column)
        for draft in translate(shipped, SEVERAL).drafts
    }
    assert lines == {
        "cart": (6, 9),
        "checkout": (3, 9),
        "cart-team": (2, 15),
        "basket": (9, 11),
        "worker": (11, 11),
        "workers": (12, 19),
    }


def test_explain_shows_what_is_inherited_and_from_which_line(shipped: Mappings) -> None:
    explained = shipped.explain(PROJECT, manifest(SEVERAL))
    basket = next(e for e in explained.entities if str(e.ref) == "component:default/basket")
    fields = {field.path: field for field in basket.fields}
    told = {
        path: (fields[path].inherited, fields[path].sources[0].line)
        for path in ("spec.owner", "spec.system", "metadata.name", "metadata.tags[0]")
    }
    assert told == {
        "spec.owner": (True, 2),
        "spec.system": (True, 3),
        "metadata.name": (False, 9),
        "metadata.tags[0]": (False, 10),
    }
    assert (fields["metadata.labels.fester.dev/tier"].inherited) is True


def test_documents_may_share_too_and_a_shared_one_gives_nothing_itself(shipped: Mappings) -> None:
    text = (
        "version: 1\nowner: {team: a}\n---\nversion: 1\nservice: {name: one}\n---\n"
        "version: 1\nservices: [{name: two}, {name: three, owner: {team: b}}]\n"
    )
    seen = translate(shipped, text)
    assert seen.problems == ()
    owners = {name: body["spec"]["owner"] for name, body in components(seen).items()}
    assert owners == {
        "one": "group:default/a",
        "two": "group:default/a",
        "three": "group:default/b",
    }
    alone = translate(shipped, "version: 1\nowner: {team: a}\n")
    assert alone.verdict is Verdict.QUARANTINED
    assert "`service`" in alone.problems[0].message


@pytest.mark.parametrize(
    ("bad", "line", "said"),
    [
        ("{name: two, tier: high}", 5, "tier_1"),
        ("{nmae: two}", 5, "services[1].name is missing"),
        ("just text", 5, "services[1] must be an object"),
        ("{name: '決済'}", 5, "letters a-z"),
        ("{name: two, owner: {}}", 5, "services[1].owner.team is missing"),
    ],
)
def test_one_bad_service_leaves_its_neighbours_and_keeps_what_it_gave(
    shipped: Mappings, bad: str, line: int, said: str
) -> None:
    text = (
        "version: 1\nowner: {team: a}\nservices:\n  - {name: one}\n  - SECOND\n  - {name: three}\n"
    )
    good = translate(shipped, text.replace("SECOND", "{name: two}"))
    broken = translate(shipped, text.replace("SECOND", bad))
    assert broken.verdict is Verdict.VALID
    assert set(components(broken)) == {"one", "three"}
    (problem,) = (each for each in broken.problems if each.severity is Severity.ERROR)
    assert problem.line == line
    assert said in problem.message
    before = remember(None, 7, manifest(text, "1"), good, at(1))
    after = remember(before, 7, manifest(text, "2"), broken, at(2))
    assert set(components(after.current)) == {"one", "two", "three"}


def test_what_is_shared_and_wrong_stops_the_document_at_its_line(shipped: Mappings) -> None:
    text = (
        "version: 1\nowner: {team: a}\ntier: high\ncolour: red\nservices: [{name: a}, {name: b}]\n"
    )
    seen = translate(shipped, text)
    assert seen.verdict is Verdict.QUARANTINED
    assert [(p.line, p.severity) for p in seen.problems] == [
        (3, Severity.ERROR),
        (4, Severity.WARNING),
    ]
    mended = translate(shipped, text.replace("tier: high\n", ""))
    assert [p.rule for p in mended.problems] == ["unknown-key"], "and it is said once"


@pytest.mark.parametrize("text", ["version: 1\nservices: []\n", "version: 1\nservices: {a: b}\n"])
def test_services_that_hold_none_are_told(shipped: Mappings, text: str) -> None:
    seen = translate(shipped, text)
    assert seen.verdict is Verdict.QUARANTINED
    assert seen.problems[0].line in (1, 2)


def test_a_secret_that_is_inherited_is_told_once_and_never_kept(shipped: Mappings) -> None:
    hook = "https://hooks.slack.com/services/T000/B000/XXXXXXXXXXXX"
    text = (
        f"version: 1\nowner: {{team: a, channel: '{hook}'}}\nservices: [{{name: a}}, {{name: b}}]\n"
    )
    seen = translate(shipped, text)
    assert [(p.rule, p.line) for p in seen.problems] == [("secret-address", 2)]
    assert hook not in seen.data
    assert hook not in json.dumps([draft.body for draft in seen.drafts])


def test_many_services_and_much_that_is_shared_stay_within_bounds(shipped: Mappings) -> None:
    """What 256 kB say once must not be published a hundred times over."""
    many = ", ".join(f"{{name: s{n}}}" for n in range(101))
    seen = translate(shipped, f"version: 1\nowner: {{team: a}}\nservices: [{many}]\n")
    assert seen.partial
    assert any("more than 100" in problem.message for problem in seen.problems)
    links = ", ".join(f"{{url: 'https://x.org/{'u' * 1900}{n}'}}" for n in range(100))
    some = ", ".join(f"{{name: s{n}}}" for n in range(100))
    text = f"version: 1\nowner: {{team: a}}\nlinks: [{links}]\nservices: [{some}]\n"
    large = translate(shipped, text)
    assert sum(len(json.dumps(draft.body)) for draft in large.drafts) < 6_000_000
    assert any("split it" in problem.message for problem in large.problems)


KEYS = {
    "system": st.sampled_from(["one", "two"]),
    "product": st.sampled_from(["north", "south"]),
    "tier": st.sampled_from(["tier_1", "tier_2"]),
    "lifecycle": st.sampled_from(["alpha", "beta"]),
    "tags": st.lists(st.sampled_from(["a", "b"]), unique=True),
    "owner": st.sampled_from(["x", "y"]).map(lambda team: {"team": team}),
}
SOME = st.fixed_dictionaries({}, optional=KEYS)


@settings(max_examples=examples(40), deadline=None)
@given(shared=SOME, own=st.lists(SOME, min_size=1, max_size=4), data=st.data())
def test_inheriting_is_the_same_as_writing_it_out_in_any_order(
    shipped: Mappings, shared: dict[str, Any], own: list[dict[str, Any]], data: st.DataObject
) -> None:
    """Laws: an own key wins, a lacking one is the shared one, and the order means nothing."""
    shared = {"owner": {"team": "all"}, **shared}
    services = [{"name": f"s{at}", **keys} for at, keys in enumerate(own)]
    inherited = translate(shipped, json.dumps({"version": 1, **shared, "services": services}))
    written = translate(
        shipped, json.dumps({"version": 1, "services": [{**shared, **each} for each in services]})
    )
    assert catalog(inherited) == catalog(written)
    shuffled = data.draw(st.permutations(services))
    other = translate(shipped, json.dumps({"version": 1, **shared, "services": shuffled}))
    assert catalog(other) == catalog(inherited)


TOY = """\
mapping: toy
title: a toy
files: [toy.yaml]
schema: toy.schema.json
split:
  - {key: thing, list: things, inherit: [colour]}
entities:
  - apiVersion: backstage.io/v1alpha1
    kind: Component
    metadata: {name: "${{ manifest.thing.name | slug }}"}
    spec: {colour: "${{ manifest.thing.colour }}"}
"""
THING = {"type": "object", "properties": {"name": {"type": "string"}, "colour": {}}}


def toy(folder: Path, text: str = TOY) -> Mappings:
    schema = {
        "type": "object",
        "properties": {"thing": THING, "things": {"type": "array", "items": THING}, "colour": {}},
    }
    (folder / "toy.schema.json").write_text(json.dumps(schema))
    (folder / "toy.yaml").write_text(text)
    return load_mappings(folder)


def test_any_mapping_may_say_how_its_documents_are_split(tmp_path: Path) -> None:
    text = "colour: red\nthings:\n  - name: a\n  - {name: b, colour: blue}\n"
    seen = toy(tmp_path).translate(PROJECT, ManifestFile("toy.yaml", "o", len(text), text))
    assert [draft.body["spec"]["colour"] for draft in seen.drafts] == ["red", "blue"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("{key: thnig}", "did you mean `thing`"),
        ("{key: thing, list: thigns}", "did you mean `things`"),
        ("{key: thing, inherit: [color]}", "did you mean `colour`"),
        ("{list: things}", "split[0].key is missing"),
        ("{key: thing, inherit: colour}", "split[0].inherit must be a list"),
        ("{key: thing, lists: things}", "did you mean `list`"),
    ],
)
def test_a_split_that_cannot_be_is_told_when_it_is_loaded(
    tmp_path: Path, wrong: str, said: str
) -> None:
    text = TOY.replace("{key: thing, list: things, inherit: [colour]}", wrong)
    with pytest.raises(ConfigurationError) as raised:
        toy(tmp_path, text)
    assert any(said in problem.message for problem in raised.value.problems)
