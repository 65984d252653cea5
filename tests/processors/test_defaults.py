"""Defaults by group path: what a manifest inherits from the GitLab groups above it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bridge.errors import ConfigurationError
from bridge.language.schema.validator import Schema
from bridge.model.manifests import Inherited, Translation, Verdict
from bridge.model.numbers import mark_of, number_of
from bridge.model.scrape import ManifestFile, Project
from bridge.processors.mapping import Mappings, load_mappings, run_examples
from bridge.processors.mapping.defaults import Defaults, group_of
from bridge.processors.mapping.defaults_file import read_defaults
from bridge.processors.mapping.defaults_schema import defaults_schema
from tests.guide import block
from tests.laws import examples

MAPPINGS = load_mappings()
BARE = "version: 1\nservice: {name: cart}\n"
SHOP = """\
version: 1
defaults:
  shop/**:
    owner: {team: shop-team, channel: '#shop'}
    product: Shop
  shop/checkout/**:
    owner: {team: checkout-team}
    tier: tier_1
"""


def project(path: str, number: int = 7) -> Project:
    return Project(number, path, f"https://gitlab.example.com/{path}", "main")


def manifest(text: str, name: str = "qm.yaml") -> ManifestFile:
    return ManifestFile(name, "oid", len(text), text)


def with_defaults(text: str, **of_sources: str) -> Mappings:
    others = {
        mark_of(name): read_defaults(each, f"{name} file", MAPPINGS.all)
        for name, each in of_sources.items()
    }
    everywhere = read_defaults(text, "qm.defaults.yaml", MAPPINGS.all)
    return load_mappings().with_defaults(Defaults(everywhere, others))


def translate(
    text: str, path: str = "shop/checkout/cart", defaults: str = SHOP, name: str = "qm.yaml"
) -> Translation:
    return with_defaults(defaults).translate(project(path), manifest(text, name))


def component(translation: Translation) -> dict[str, Any]:
    assert translation.verdict is Verdict.VALID, translation.problems
    return next(dict(d.body) for d in translation.drafts if d.body["kind"] == "Component")


def told(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read_defaults(text, "d.yaml", MAPPINGS.all)
    return [str(each) for each in caught.value.problems]


def test_the_schema_of_defaults_is_compiled_once_a_mapping(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    real = Schema.part

    def part(*args: Any) -> Schema:
        made.append(args)
        return real(*args)

    monkeypatch.setattr(Schema, "part", part)
    groups = "".join(f"  shop/g{n}/**: {{product: P{n}}}\n" for n in range(30))
    found = read_defaults(f"version: 1\ndefaults:\n{groups}", "d", MAPPINGS.all)
    assert (len(found["qm-v1"]), len(made)) == (30, 1)


def test_the_nearest_group_wins_key_by_key_and_whole() -> None:
    found = translate(BARE)
    body = component(found)
    assert body["spec"]["owner"] == "group:default/checkout-team"
    assert body["metadata"]["labels"] == {"fester.dev/tier": "tier_1"}
    assert body["metadata"]["annotations"]["fester.dev/product"] == "Shop"
    # The other group's channel is not mixed in.
    assert "fester.dev/owner-channel" not in body["metadata"]["annotations"]
    assert found.inherited == (
        Inherited("owner", "shop/checkout", "qm.defaults.yaml"),
        Inherited("product", "shop", "qm.defaults.yaml"),
        Inherited("tier", "shop/checkout", "qm.defaults.yaml"),
    )


@pytest.mark.parametrize("path", ["shop/cart", "SHOP/web/cart", "shop/checkouts/cart"])
def test_only_what_lies_below_a_group_has_its_defaults(path: str) -> None:
    body = component(translate(BARE, path))
    assert body["spec"]["owner"] == "group:default/shop-team"
    assert "labels" not in body["metadata"]


@pytest.mark.parametrize("path", ["cart", "web/cart", "shopping/cart", "shop", "web/shop/cart"])
def test_a_project_elsewhere_inherits_nothing(path: str) -> None:
    found = translate(BARE, path)
    assert found.verdict is Verdict.QUARANTINED
    assert found.inherited == ()
    assert found.fingerprint == MAPPINGS.fingerprint(project(path), manifest(BARE))


def test_what_the_manifest_says_always_wins_even_nothing() -> None:
    own = "version: 1\nservice: {name: cart, product: null, owner: {team: own}, tier: tier_4}\n"
    body = component(translate(own))
    assert body["spec"]["owner"] == "group:default/own"
    assert body["metadata"]["labels"] == {"fester.dev/tier": "tier_4"}
    assert "fester.dev/product" not in body["metadata"]["annotations"]


def test_what_the_file_shares_comes_before_the_groups() -> None:
    text = "version: 1\nowner: {team: file-team}\nservices:\n- name: a\n- {name: b, tier: tier_2}\n"
    found = translate(text)
    bodies = [d.body for d in found.drafts if d.body["kind"] == "Component"]
    assert {each["spec"]["owner"] for each in bodies} == {"group:default/file-team"}
    labels = [each["metadata"]["labels"]["fester.dev/tier"] for each in bodies]
    assert labels == ["tier_1", "tier_2"]
    lent = "version: 1\nowner: {team: lent}\n---\nversion: 1\nservice: {name: cart}\n"
    assert component(translate(lent))["spec"]["owner"] == "group:default/lent"


def test_a_handbook_inherits_what_one_may_have() -> None:
    body = component(translate("version: 1\ndocumentation: {name: Guide}\n"))
    assert body["spec"]["owner"] == "group:default/checkout-team"
    assert "labels" not in body["metadata"]  # a handbook has no tier


def test_a_manifest_that_only_includes_others_stays_one() -> None:
    found = translate("version: 1\ninclude: ['services/*/qm.yaml']\n")
    assert (found.verdict, found.drafts, found.inherited) == (Verdict.VALID, (), ())


def test_everything_may_have_defaults_also_what_lies_in_no_group() -> None:
    text = "version: 1\ndefaults: {'**': {owner: {team: all}}}\n"
    assert component(translate(BARE, "cart", text))["spec"]["owner"] == "group:default/all"


def test_other_formats_are_keyed_by_their_mapping() -> None:
    text = """\
version: 1
mappings:
  datadog-v2: {shop: {team: shop-team}}
  opslevel-v1: {shop: {component: {owner: shop-team, tier: tier_2}, service: {owner: others}}}
"""
    datadog = "schema-version: v2.2\ndd-service: cart\n"
    body = component(translate(datadog, defaults=text, name="service.datadog.yaml"))
    assert body["spec"]["owner"] == "group:default/shop-team"
    opslevel = "version: 1\ncomponent: {name: cart, tier: tier_1}\n"
    found = translate(opslevel, defaults=text, name="opslevel.yml")
    assert component(found)["spec"]["owner"] == "group:default/shop-team"
    assert component(found)["metadata"]["labels"] == {"fester.dev/tier": "tier_1"}
    assert found.inherited == (Inherited("component.owner", "shop", "qm.defaults.yaml"),)
    assert found.documents == [{"version": 1, "component": {"name": "cart", "tier": "tier_1"}}]


def test_what_an_entity_of_datadog_has_from_its_file_comes_before_the_groups() -> None:
    text = """\
version: 1
mappings:
  datadog-v3: {shop: {metadata: {owner: shop-team}, spec: {tier: '3', languages: [go]}}}
"""
    file = """\
apiVersion: v3
kind: system
metadata: {name: till, owner: till-team}
spec: {lifecycle: production}
---
apiVersion: v3
kind: service
metadata: {name: till, inheritFrom: 'system:till'}
spec: {}
---
apiVersion: v3
kind: service
metadata: {name: bell}
spec: {tier: '1', lifecycle: Experimental}
"""
    found = translate(file, defaults=text, name="entity.datadog.yaml")
    heir, alone = (d.body for d in found.drafts if d.body["kind"] == "Component")
    assert heir["spec"] | {"owner": "group:default/till-team"} == heir["spec"]
    assert heir["spec"]["lifecycle"] == "production"
    assert heir["metadata"]["labels"] == {"fester.dev/tier": "tier_3", "fester.dev/language": "go"}
    assert alone["spec"]["owner"] == "group:default/shop-team"
    assert alone["spec"]["lifecycle"] == "experimental"
    assert alone["metadata"]["labels"]["fester.dev/tier"] == "tier_1"


@pytest.mark.parametrize(
    ("name", "defaults", "file"),
    [
        (
            "cortex",
            "{info: {x-cortex-owners: [{type: group, name: shop-team}]}}",
            "openapi: 3.0.1\ninfo: {title: Cart, x-cortex-tag: cart}\n",
        ),
        (
            "compass",
            "{ownerId: 'ari:cloud:identity::team/1', fields: {tier: 2}}",
            "name: cart\nconfigVersion: 1\nfields: {lifecycle: Active}\n",
        ),
    ],
)
def test_presets_take_defaults_where_their_format_has_an_owner(
    tmp_path: Path, name: str, defaults: str, file: str
) -> None:
    (tmp_path / "presets.yaml").write_text(f"presets: [{name}]\n")
    (tmp_path / "qm.defaults.yaml").write_text(
        f"version: 1\nmappings: {{{name}: {{shop: {defaults}}}}}\n"
    )
    loaded = load_mappings(tmp_path)
    (wanted,) = next(each.files for each in loaded.all if each.id == name)
    found = loaded.translate(project("shop/cart"), manifest(file, wanted))
    assert {each.group for each in found.inherited} == {"shop"}
    if name == "cortex":
        assert component(found)["spec"]["owner"] == "group:default/shop-team"
    else:
        assert component(found)["metadata"]["labels"] == {"fester.dev/tier": "tier_2"}


def test_the_schema_for_editors_knows_what_may_stand_for_each_mapping(tmp_path: Path) -> None:
    path = tmp_path / "defaults.schema.json"
    path.write_text(defaults_schema(MAPPINGS.all))
    schema = Schema.load(path)
    assert schema.look(("defaults", "shop", "owner", "team")).kind == "text"
    assert schema.look(("mappings", "datadog-v3", "shop", "metadata", "owner")).known
    properties = json.loads(path.read_text())["properties"]
    groups = properties["defaults"]["additionalProperties"]["properties"]
    assert set(groups) == {
        key for (key,) in next(m for m in MAPPINGS.all if m.id == "qm-v1").inheritable
    }
    assert groups["owner"]["properties"]["team"]["description"]
    assert set(properties["mappings"]["properties"]) == {"datadog-v2", "datadog-v3", "opslevel-v1"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SHOP, ""),
        ("version: 1\ndefaults: {shop/**: {owner: {}}}\n", "team"),
        ("version: 1\ndefaults: {shop/**: {tier: tier_9}}\n", "tier_1"),
        ("version: 1\ndefaults: {shop/**: {ownr: {team: x}}}\n", "ownr"),
        ("version: 1\nmappings: {datadog-v2: {shop/**: {tema: x}}}\n", "tema"),
        ("version: 1\nmappings: {of-our-own: {shop/**: {anything: x}}}\n", ""),
    ],
)
def test_an_editor_finds_what_a_sweep_would_refuse(text: str, said: str) -> None:
    schema = json.loads(defaults_schema(MAPPINGS.all))
    errors = [str(each) for each in Draft202012Validator(schema).iter_errors(yaml.safe_load(text))]
    assert bool(errors) == bool(said)
    assert said in "".join(errors)


def test_what_holds_itself_is_told_by_its_own_schema_alone(tmp_path: Path) -> None:
    tree = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}
    document = {"type": "object", "properties": {"owner": tree}, "$defs": {"node": tree}}
    (tmp_path / "own.schema.json").write_text(json.dumps(document))
    (tmp_path / "own.yaml").write_text(
        "{mapping: own, title: own, files: [own.yaml], schema: own.schema.json, defaults: [owner],"
        " entities: [{apiVersion: backstage.io/v1alpha1, kind: Component, metadata: {name: x},"
        " spec: {type: a, lifecycle: b, owner: c}}]}"
    )
    made = json.loads(defaults_schema(load_mappings(tmp_path).all))
    groups = made["properties"]["mappings"]["properties"]["own"]["additionalProperties"]
    assert groups["properties"] == {"owner": {}}


def test_each_gitlab_may_have_its_own_over_those_for_all() -> None:
    own = "version: 1\ndefaults: {shop: {owner: {team: lab-shop}}}\n"
    mappings = with_defaults(SHOP, lab=own)
    here = mappings.translate(project("shop/cart"), manifest(BARE))
    there = mappings.translate(project("shop/cart", number_of("lab", 7)), manifest(BARE))
    assert component(here)["spec"]["owner"] == "group:default/shop-team"
    assert component(there)["spec"]["owner"] == "group:default/lab-shop"
    assert component(there)["metadata"]["annotations"]["fester.dev/product"] == "Shop"
    assert there.inherited[0] == Inherited("owner", "shop", "lab file")


def test_an_explanation_names_file_line_and_group() -> None:
    found = with_defaults(SHOP).explain(project("shop/checkout/cart"), manifest(BARE))
    fields = {field.path: field for entity in found.entities[:1] for field in entity.fields}
    assert fields["spec.owner"].defaults == ("qm.defaults.yaml:7:19 (shop/checkout/**)",)
    assert fields["spec.owner"].sources == ()
    product = fields["metadata.annotations.fester.dev/product"]
    assert product.defaults == ("qm.defaults.yaml:5:14 (shop/**)",)
    assert fields["metadata.title"].defaults == ()


def test_a_fingerprint_changes_with_what_concerns_the_manifest_and_with_nothing_else() -> None:
    before, cart, web = with_defaults(SHOP), project("shop/checkout/cart"), project("shop/web/x")
    moved = with_defaults(SHOP.replace("defaults:", "# A line more.\ndefaults:"))
    nearer = with_defaults(SHOP.replace("checkout-team", "basket-team"))
    other = with_defaults(SHOP + "  pay/**: {product: Pay}\n")
    for file in (manifest(BARE), manifest("schema-version: v2\n", "service.datadog.yaml")):
        for each in (moved, other):
            assert each.fingerprint(cart, file) == before.fingerprint(cart, file)
        assert nearer.fingerprint(web, file) == before.fingerprint(web, file)
    file = manifest(BARE)
    assert nearer.fingerprint(cart, file) != before.fingerprint(cart, file)
    assert before.fingerprint(project("pay/cart"), file) != before.fingerprint(web, file)


def test_groups_whose_words_changed_are_told_by_their_digests() -> None:
    before = with_defaults(SHOP).defaults.digests(0)
    after = with_defaults(SHOP.replace("tier_1", "tier_2") + "  pay: {product: x}\n")
    now = after.defaults.digests(0)
    assert {group for group in now if now[group] != before.get(group)} == {"shop/checkout", "pay"}


def test_every_mistake_of_the_file_is_told_where_it_stands() -> None:
    text = """\
version: 1
defaults:
  shop/**:
    ownr: {team: shop-team}
    owner: shop
    tier: tier_9
  Shop: {product: x}
  sh*p/**: {product: x}
mappings:
  qm-v1: {shop: {product: x}}
  gitlab-org: {shop: {x: 1}}
  opslevel-v1: {shop: {component: {ownr: 1, owner: 2}}}
  datadg-v2: {}
foo: 1
"""
    found = told(text)
    places = [each.split(": ")[0] for each in found]
    lines = [4, 5, 6, 7, 8, 10, 11, 12, 12, 13, 14]
    assert [int(place.split(":")[1]) for place in places] == lines
    assert "did you mean `owner`?" in found[0]
    assert "write `owner: {team: shop}`" in found[1]
    assert "did you mean tier_4?" in found[2]
    assert "there twice" in found[3]
    assert "is no group: write its path" in found[4]
    assert "say it once" in found[5]
    assert "inherit nothing" in found[6]
    assert "did you mean `datadog-v2`?" in found[9]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "starts with `version: 1`"),
        ("- 1\n", "starts with `version: 1`"),
        ("defaults: {}\n", "version"),
        ("version: 2\n", "version must be 1"),
        ("version: 1\ndefaults: []\n", "defaults must be an object"),
        ("version: 1\ndefaults: {shop: x}\n", "must be an object"),
        ("version: 1\ndefaults: {shop: {}}\n", "shop"),
        ("version: 1\ndefaults: &a {shop: *a}\n", "anchor"),
        ("version: 1\nx: " + "y" * 300_000, "256 kB"),
        (
            "version: 1\ndefaults:\n" + "".join(f"  g{n}: {{tier: tier_1}}\n" for n in range(1001)),
            "1000",
        ),
    ],
)
def test_a_file_that_is_none_is_told(text: str, expected: str) -> None:
    assert any(expected in each for each in told(text)), told(text)


@pytest.mark.parametrize(
    ("pattern", "group"),
    [
        ("shop/**", "shop"),
        ("shop", "shop"),
        ("/Shop/Check-Out/", "shop/check-out"),
        ("**", ""),
        ("*", None),
        ("", None),
        ("/", None),
        ("shop/*", None),
        ("shop/**/x", None),
        ("shop//x", None),
        ("a b", None),
    ],
)
def test_a_group_is_a_path_or_everything(pattern: str, group: str | None) -> None:
    assert group_of(pattern) == group


def test_the_file_of_a_mappings_folder_is_read_and_its_mistakes_are_told(tmp_path: Path) -> None:
    (tmp_path / "qm.defaults.yaml").write_text(SHOP, "utf-8")
    found = load_mappings(tmp_path).translate(project("shop/cart"), manifest(BARE))
    assert component(found)["spec"]["owner"] == "group:default/shop-team"
    assert all(result.ok for result in run_examples(load_mappings(tmp_path)))
    (tmp_path / "qm.defaults.yaml").write_text(SHOP.replace("product", "prodct"), "utf-8")
    with pytest.raises(ConfigurationError, match="did you mean `product`"):
        load_mappings(tmp_path)


def test_the_file_that_the_guide_shows_says_what_the_guide_says() -> None:
    found = translate(BARE, defaults=block("manifest", "yaml", "# qm.defaults.yaml"))
    body = component(found)
    assert body["spec"]["owner"] == "group:default/checkout-team"
    assert "fester.dev/owner-channel" not in body["metadata"]["annotations"]


GROUPS = st.sampled_from(["**", "a", "a/b", "a/b/c", "b"])
KEYS = st.sampled_from(["owner", "product", "lifecycle"])
VALUES = {"owner": {"team": "t"}, "product": "p", "lifecycle": "l"}
SAID = st.dictionaries(GROUPS, st.dictionaries(KEYS, st.integers(0, 3), min_size=1), max_size=5)


def _value(key: str, number: int) -> object:
    return {"team": f"team-{number}"} if key == "owner" else f"{key}-{number}"


@settings(max_examples=examples(60), deadline=None)
@given(SAID, st.sampled_from(["x", "a/x", "a/b/x", "a/b/c/d/x", "b/x"]))
def test_law_the_longest_group_that_says_a_key_gives_it(
    said: dict[str, dict[str, int]], path: str
) -> None:
    tree = {g: {k: _value(k, n) for k, n in each.items()} for g, each in said.items()}
    text = json.dumps({"version": 1, "defaults": tree})
    defaults = Defaults(read_defaults(text, "d", MAPPINGS.all))
    above = path.rpartition("/")[0]
    expected: dict[str, object] = {}
    for group in sorted(tree, key=lambda each: 0 if each == "**" else len(each)):
        if group in ("**", above) or above.startswith(f"{group}/"):
            expected |= tree[group]
    found = defaults.of(project(path), "qm-v1").values
    assert {key[0]: each.value for key, each in found.items()} == expected
