"""What Backstage refuses is found before it is published, and nothing else is."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.processors.placeholders import neutralise, neutralised
from bridge.processors.rules import broken_rules
from tests.laws import examples


def component(**changes: Any) -> dict[str, Any]:
    metadata = {
        "name": "cart",
        "title": "Cart",
        "description": "",
        "labels": {"fester.dev/tier": "tier_1", "empty": ""},
        "annotations": {"gitlab.com/project-slug": "shop/cart"},
        "tags": ["c++", "order-management", "db:mysql"],
        "links": [{"url": "https://example.com", "title": "Home", "icon": "home", "type": "x"}],
        **changes.pop("metadata", {}),
    }
    spec = {
        "type": "service",
        "lifecycle": "production",
        "owner": "team-a",
        "system": "default/shop",
        "dependsOn": ["resource:db"],
        **changes.pop("spec", {}),
    }
    return {
        **{"apiVersion": "backstage.io/v1alpha1", "kind": "Component"},
        **{"metadata": metadata, "spec": spec},
        **changes,
    }


def of_kind(kind: str, **spec: Any) -> dict[str, Any]:
    metadata = {"name": "x"}
    return {
        "apiVersion": "backstage.io/v1beta1",
        "kind": kind,
        "metadata": metadata,
        "spec": spec,
    }


def paths(body: dict[str, Any]) -> list[str]:
    return [broken.path for broken in broken_rules(body)]


@pytest.mark.parametrize(
    "body",
    [
        component(),
        component(metadata={"name": "A", "namespace": "team-1", "anything": {"else": None}}),
        component(spec={"extra": [1, 2.5, None], "owner": "user:default/jane"}),
        of_kind("System", owner="a"),
        of_kind("Domain", owner="a", subdomainOf="b"),
        of_kind("Group", type="team", children=[], profile={"displayName": "A"}),
        of_kind("User", memberOf=[]),
        of_kind("API", type="openapi", lifecycle="x", owner="a", definition="openapi: 3"),
        of_kind("Resource", type="database", owner="a"),
        of_kind("Location", targets=["./a.yaml"], presence="optional"),
        {"apiVersion": "example.com/v1", "kind": "Robot", "metadata": {"name": "x"}},
    ],
)
def test_a_fit_entity_breaks_nothing(body: dict[str, Any]) -> None:
    assert broken_rules(body) == []


@pytest.mark.parametrize(
    ("metadata", "path"),
    [
        ({"name": ""}, "metadata.name"),
        ({"name": "x" * 64}, "metadata.name"),
        ({"name": "-x"}, "metadata.name"),
        ({"name": "x\n"}, "metadata.name"),
        ({"name": "Team A"}, "metadata.name"),
        ({"name": 7}, "metadata.name"),
        ({"name": None}, "metadata.name"),
        ({"namespace": "Team"}, "metadata.namespace"),
        ({"namespace": "a--b"}, "metadata.namespace"),
        ({"namespace": None}, "metadata.namespace"),
        ({"title": ""}, "metadata.title"),
        ({"description": None}, "metadata.description"),
        ({"labels": None}, "metadata.labels"),
        ({"labels": {"a/b/c": "x"}}, "metadata.labels.a/b/c"),
        ({"labels": {"Up.per/x": "x"}}, "metadata.labels.Up.per/x"),
        ({"labels": {"/x": "x"}}, "metadata.labels./x"),
        ({"labels": {"x/": "x"}}, "metadata.labels.x/"),
        ({"labels": {"tier": 1}}, "metadata.labels.tier"),
        ({"labels": {"tier": "one two"}}, "metadata.labels.tier"),
        ({"annotations": {"a": True}}, "metadata.annotations.a"),
        ({"annotations": {"a" * 64: "x"}}, "metadata.annotations." + "a" * 64),
        ({"tags": "java"}, "metadata.tags"),
        ({"tags": ["ok", "No"]}, "metadata.tags[1]"),
        ({"tags": ["a_b"]}, "metadata.tags[0]"),
        ({"tags": ["a--b"]}, "metadata.tags[0]"),
        ({"tags": ["a" * 64]}, "metadata.tags[0]"),
        ({"links": {}}, "metadata.links"),
        ({"links": [None]}, "metadata.links[0]"),
        ({"links": [{}]}, "metadata.links[0].url"),
        ({"links": [{"url": "wiki/page"}]}, "metadata.links[0].url"),
        ({"links": [{"url": "https://a", "title": " "}]}, "metadata.links[0].title"),
        ({"links": [{"url": "https://a", "title": None}]}, "metadata.links[0].title"),
        ({"links": [{"url": "https://a", "icon": "a b"}]}, "metadata.links[0].icon"),
        ({"links": [{"url": "https://a", "type": ""}]}, "metadata.links[0].type"),
    ],
)
def test_each_rule_of_metadata_is_told_at_its_path(metadata: dict[str, Any], path: str) -> None:
    assert paths(component(metadata=metadata)) == [path]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (component(relations=[]), "relations"),
        (component(status={}), "status"),
        (component(kind="Com-ponent"), "kind"),
        (component(kind=None), "kind"),
        (component(apiVersion="v1"), "apiVersion"),
        ({**of_kind("Robot"), "apiVersion": "a/b/c"}, "apiVersion"),
        (component(spec={"owner": ""}), "spec.owner"),
        (component(spec={"owner": "a:b:c"}), "spec.owner"),
        (component(spec={"owner": ["a"]}), "spec.owner"),
        (component(spec={"type": None}), "spec.type"),
        (component(spec={"dependsOn": ["db"]}), "spec.dependsOn[0]"),
        (component(spec={"dependsOn": "resource:db"}), "spec.dependsOn"),
        (component(spec={"providesApis": ["a", "b/c/d"]}), "spec.providesApis[1]"),
        (of_kind("System"), "spec.owner"),
        (of_kind("Group", type="team"), "spec.children"),
        (of_kind("Group", type="t", children=[], profile={"email": ""}), "spec.profile.email"),
        (of_kind("User"), "spec.memberOf"),
        (of_kind("API", type="a", lifecycle="b", owner="c"), "spec.definition"),
        (of_kind("Location", presence="maybe"), "spec.presence"),
        ({**of_kind("System"), "spec": []}, "spec"),
        ({**of_kind("Robot"), "metadata": "x"}, "metadata"),
    ],
)
def test_each_rule_of_the_root_and_of_kinds_is_told(body: dict[str, Any], path: str) -> None:
    assert paths(body) == [path]


URLS = (
    ("https://grafana.example.com/d/x?y=1#z", True),
    ("HTTPS://EXAMPLE.COM:8443", True),
    ("http://localhost:3000/", True),
    ("http://127.0.0.1/", True),
    ("http://[::1]:80/", True),
    ("https://münchen.example/", True),
    ("mailto:team@example.com", True),
    ("slack://channel?id=1", True),
    ("https://user@example.com", True),
    ("https://", False),
    ("https://exa mple.com", False),
    ("https://example.com:99999", False),
    ("https://example.com:100000000000080", False),
    ("https://example.com:port/", False),
    ("http://1.2.3.256/", False),
    ("http://1.2.3.4.5/", False),
    ("http://[::1", False),
    ("https://ex%20ample.com", False),
    ("https://xn--a.example", False),
    ("http://x。0", False),
    ("http://1.2.3.4。5", False),
    ("http://xn--mnchen-3ya.example", True),
    ("https://a\\b", True),
    ("http:/one-slash.example", True),
    ("\ud800", False),
    ("example.com/x", False),
    ("//example.com", False),
    ("", False),
)


@pytest.mark.parametrize(("url", "fits"), URLS)
def test_links_are_held_to_what_a_url_is(url: str, fits: bool) -> None:
    found = paths(component(metadata={"links": [{"url": url}]}))
    assert found == ([] if fits else ["metadata.links[0].url"])


@pytest.mark.real
def test_node_itself_takes_and_refuses_the_same_addresses() -> None:
    """Backstage tells by `new URL(…)` of the Node that it runs on whether a link is one."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("NOT PROVEN WITH NODE: node is not installed")
    asked = json.dumps([url for url, _ in URLS])
    script = "console.log(JSON.stringify(JSON.parse(process.argv[1]).map(u => URL.canParse(u))))"
    done = subprocess.run([node, "-e", script, asked], capture_output=True, text=True, check=True)
    takes = dict(zip((url for url, _ in URLS), json.loads(done.stdout), strict=True))
    differ = {url: taken for url, fits in URLS if (taken := takes[url]) != fits}
    assert differ == {}


REMOTE = {"type": "streamable-http", "url": "http://mcp.example.com/v1"}


@pytest.mark.parametrize(
    ("remotes", "broken"),
    [
        ([REMOTE], []),
        ([{"type": "stdio", "url": "npx some-server"}], []),
        (None, ["spec.remotes"]),
        ([], ["spec.remotes"]),
        ([REMOTE, {"type": ""}], ["spec.remotes[1].type", "spec.remotes[1].url"]),
        (["x"], ["spec.remotes[0]"]),
    ],
)
def test_an_mcp_server_has_remotes_instead_of_a_definition(remotes: Any, broken: list[str]) -> None:
    """`API.v1alpha1.mcp-server.schema.json` of catalog-model 1.10."""
    body = of_kind("API", type="mcp-server", lifecycle="live", owner="a", remotes=remotes)
    assert paths(body) == broken
    other = of_kind("API", type="openapi", lifecycle="live", owner="a", remotes=[REMOTE])
    assert paths(other) == ["spec.definition"]


def test_a_message_quotes_the_rule_and_shortens_the_value() -> None:
    broken, whole = broken_rules(component(metadata={"name": "Team " + "x" * 500}))
    assert "255" in whole.message
    assert "1 to 63 of [A-Za-z0-9]" in broken.message
    assert '"Team xxx' in broken.message
    assert len(broken.message) < 200


def test_an_empty_object_is_told_everything_that_is_missing() -> None:
    assert paths({}) == ["kind", "apiVersion", "metadata"]


def test_an_entity_that_breaks_thousands_of_rules_tells_a_few_of_them() -> None:
    assert len(paths(component(metadata={"tags": ["NO"] * 5000}))) == 50


@pytest.mark.parametrize("key", ["$text", "$json", "$yaml", "$openapi"])
def test_placeholders_lose_their_dollar_wherever_they_stand(key: str) -> None:
    body = component(spec={"definition": {key: "https://evil.example"}, "a": [[{key: "./x"}]]})
    tame, changed = neutralised(body)
    assert tame["spec"]["definition"] == {key[1:]: "https://evil.example"}
    assert tame["spec"]["a"] == [[{key[1:]: "./x"}]]
    assert changed == ("spec.definition", "spec.a[0][0]")
    assert body["spec"]["definition"] == {key: "https://evil.example"}, "the input is untouched"


def test_only_a_lone_key_is_a_placeholder() -> None:
    body = component(spec={"a": {"$text": "x", "b": 1}})
    assert neutralise(body) is body


def test_placeholders_within_placeholders_are_neutralised_too() -> None:
    tame = neutralise({"spec": {"$text": {"$json": {"$$yaml": "x"}}}})
    assert tame == {"spec": {"text": {"json": {"yaml": "x"}}}}


def test_depth_is_bounded() -> None:
    """A body nested thousands deep neither overflows the stack nor is published."""
    deep: Any = {}
    for _ in range(5000):
        deep = {"x": deep}
    tame, changed = neutralised(component(spec={"deep": deep}))
    assert "nested too deep" in json.dumps(tame)
    assert len(changed) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["$text", "$json", "a", "name", "$"]), inner, max_size=2)
    ),
    max_leaves=12,
)


def placeholders(value: Any) -> bool:
    if isinstance(value, dict):
        lone = len(value) == 1 and next(iter(value)).startswith("$")
        return lone or any(map(placeholders, value.values()))
    return isinstance(value, list) and any(map(placeholders, value))


@settings(max_examples=examples(60), deadline=None)
@given(st.dictionaries(st.sampled_from(["kind", "metadata", "spec", "apiVersion"]), JSON))
def test_no_placeholder_survives_and_no_tree_makes_the_rules_fail(body: dict[str, Any]) -> None:
    """A law: whatever a tree holds, it comes out without placeholders, and rules never raise."""
    tame = neutralise(body)
    assert not placeholders(tame)
    assert neutralise(tame) is tame
    assert all(broken.message for broken in broken_rules(body))
