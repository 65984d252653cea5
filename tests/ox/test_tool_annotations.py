"""What Backstage's plugins for Snyk and PagerDuty find on a published entity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from bridge.model.entities import CatalogEntity, Json, Ref
from bridge.model.facts import Fact, Reading, Standing
from bridge.ox.facts.tool_annotations import with_tool_annotations
from tests.ox.subjects import NOW, component

REF = Ref("component", "default", "api")
SNYK = {
    "projects": ["org-a/p1", "org-a/p2", "org-b/p3"],
    "url": "https://app.snyk.io/org/a/project/p1",
}
PAGERDUTY = {"service_id": "PAAAA", "service_url": "https://x.pagerduty.com/PAAAA"}


def shown(facts: Mapping[str, Mapping[str, Json]], **metadata: Any) -> dict[str, Any]:
    readings = {
        name: Reading(
            REF, name, "1.0.0", NOW, tuple(Fact(n, v, NOW, "x") for n, v in values.items())
        )
        for name, values in facts.items()
    }
    entity = CatalogEntity(REF, component("api", **metadata), ())
    found: dict[str, Any] = with_tool_annotations(entity, readings).body["metadata"]
    return found


def test_what_tools_know_stands_on_the_entity() -> None:
    found = shown({"snyk": SNYK, "pagerduty": PAGERDUTY}, annotations={"a": "b"})
    assert found["annotations"] == {
        "a": "b",
        "snyk.io/org-id": "org-a",
        "snyk.io/project-ids": "p1,p2",
        "pagerduty.com/service-id": "PAAAA",
    }
    assert [(link["title"], link["url"]) for link in found["links"]] == [
        ("Snyk", SNYK["url"]),
        ("PagerDuty", PAGERDUTY["service_url"]),
    ]


def test_what_an_entity_says_itself_stays() -> None:
    own = {"pagerduty.com/service-id": "PZZZZ"}
    link = {"url": PAGERDUTY["service_url"], "title": "Call us"}
    found = shown({"pagerduty": PAGERDUTY}, annotations=own, links=[link])
    assert (found["annotations"], found["links"]) == (own, [link])


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"snyk": {"projects": ["a b/c", "/", "x/y\nz"], "url": "javascript:alert(1)"}},
        {"pagerduty": {"service_id": "P\n", "service_url": "https://x y"}},
        {"snyk": {"projects": "text", "url": None}},
    ],
)
def test_what_is_no_id_and_no_address_is_left_out(facts: dict[str, dict[str, Json]]) -> None:
    assert shown(facts) == component("api")["metadata"]


def test_what_is_not_known_is_left_out() -> None:
    fact = Fact("service_id", None, NOW, "x", Standing.UNKNOWN, "503")
    entity = CatalogEntity(REF, component("api"), ())
    reading = Reading(REF, "pagerduty", "1.0.0", NOW, (fact,))
    assert with_tool_annotations(entity, {"pagerduty": reading}) is entity
