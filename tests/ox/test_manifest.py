"""What a catalog's entity says of itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.language import links
from bridge.model.facts import Standing
from bridge.ox.facts.manifest import read
from bridge.ox.facts.schemas import MANIFEST
from tests.ox.subjects import NOW, component, fact, subject, told


def test_a_bare_component_is_owned_and_little_else() -> None:
    reading = read(subject(), NOW)
    assert told(reading, "owner_given") is True
    assert told(reading, "owner_known") is False
    assert told(reading, "tier") == "not_applicable"
    assert told(reading, "runbook_linked") is False
    assert told(reading, "completeness") == 0.2  # owner and lifecycle of ten
    assert fact(reading, "owner_given").source == "the catalog"


def test_a_whole_component_is_complete() -> None:
    body = component(
        labels={"fester.dev/tier": "tier_1"},
        annotations={"fester.dev/owner-channel": "#a", "pagerduty.com/service-id": "P1"},
        description="Takes money",
        tags=["b", "a", "a"],
        links=[{"url": "https://x", "type": t} for t in ("runbook", "metrics", "wiki", "SLOs")],
        spec={"system": "shop", "dependsOn": ["component:cart", "resource:db"]},
    )
    reading = read(subject(body, catalog=("group:default/team-a", "component:default/cart")), NOW)
    assert told(reading, "completeness") == 1.0
    assert (told(reading, "tier"), told(reading, "tags")) == (1, ["a", "b"])
    assert told(reading, "owner_known") is True
    assert told(reading, "system_known") is False
    assert (told(reading, "dependencies"), told(reading, "dependencies_unknown")) == (2, 1)
    linked = ("slo_linked", "on_call_linked", "alerts_linked")
    assert [told(reading, name) for name in linked] == [True, True, False]


@pytest.mark.parametrize(
    ("lifecycle", "valid"),
    [("production", True), ("Generally Available", True), ("unknown", False), ("", False)],
)
def test_a_lifecycle_is_valid_when_it_is_known(lifecycle: str, valid: bool) -> None:
    reading = read(subject(component(spec={"lifecycle": lifecycle})), NOW)
    assert told(reading, "lifecycle_valid") is valid


def test_an_owner_that_is_an_api_is_no_owner() -> None:
    body = component(spec={"owner": "api:default/a"})
    assert told(read(subject(body, catalog=("api:default/a",)), NOW), "owner_known") is False


@pytest.mark.parametrize(
    ("link", "kind"),
    [
        ({"type": "Runbooks"}, "runbook"),
        ({"type": "on-call"}, "on_call"),
        ({"type": "grafana-dashboard"}, "dashboard"),
        ({"title": "Logs in Kibana"}, "logs"),
        ({"type": "team", "title": "Runbook"}, "other"),
        ({}, "other"),
    ],
)
def test_a_links_type_tells_its_kind_and_only_without_one_its_title(
    link: dict[str, str], kind: str
) -> None:
    assert links.kind_of(link) == kind


trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=4), below),
    max_leaves=6,
)


@given(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("links", "labels", "annotations", "tags", "description"), trees)
    ),
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("owner", "system", "dependsOn", "lifecycle"), trees)
    ),
)
def test_whatever_an_entity_holds_every_fact_is_given(metadata: Any, spec: Any) -> None:
    """A law: no fact of `manifest` can be unknown, for it needs nobody."""
    reading = read(subject(component(spec=spec, **metadata)), NOW)
    assert [fact.name for fact in reading.facts] == [fact.name for fact in MANIFEST.facts]
    assert all(fact.standing is not Standing.UNKNOWN for fact in reading.facts)
