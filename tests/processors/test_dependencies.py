"""What services depend on and nobody describes: a Resource is made, a component is left out."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from bridge.model.entities import CatalogEntity, Ref
from bridge.model.manifests import TranslatedManifest
from bridge.model.moments import moment_in
from bridge.processors.backstage import BackstageProcessor
from bridge.processors.dependencies import MISSING, NAMED_BY
from bridge.processors.rules import broken_rules
from tests import whole
from tests.processors.test_aggregation import component, entity, in_gitlab, manifest, page, rules

TEAMS = manifest(
    0, *(entity("Group", name, {"type": "team", "children": []}) for name in ("a", "b"))
)


def service(name: str, owner: str, *needs: str, **spec: Any) -> dict[str, Any]:
    body = component(name, owner)
    body["spec"] |= {"dependsOn": list(needs), **spec}
    return body


def processed(
    *manifests: TranslatedManifest, processor: BackstageProcessor | None = None
) -> tuple[dict[str, CatalogEntity], list[str]]:
    # A pass wraps each manifest anew; what is in it is the same.
    given = tuple(replace(each) for each in (TEAMS, *manifests))
    catalog, problems = whole.processed(given, processor or BackstageProcessor(rules()))
    found = {str(each.ref): each for each in catalog.entities}
    assert list(found) == sorted(found)
    return found, [problem.message for problem in problems]


def test_a_resource_that_nobody_describes_is_made() -> None:
    found, problems = processed(
        in_gitlab(manifest(1, service("cart", "a", "resource:orders-db", system="shop"))),
        manifest(9, entity("System", "shop", {"owner": "a"})),
    )
    assert problems == [], "no relation leads nowhere, so Backstage warns of none"
    made = found["resource:default/orders-db"]
    assert broken_rules(made.body) == []
    assert made.body == {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Resource",
        "metadata": {
            "name": "orders-db",
            "description": "What cart names as a dependency; no manifest describes it.",
            "annotations": {
                "backstage.io/source-location": f"url:{page(1)}",
                "backstage.io/view-url": page(1),
                "backstage.io/edit-url": page(1, "edit"),
                NAMED_BY: "component:default/cart",
            },
        },
        "spec": {
            "type": "unspecified",
            "owner": "group:default/a",
            "system": "system:default/shop",
        },
    }
    assert [origin.project for origin in made.origins] == ["org/p1"]
    assert found["component:default/cart"].body["spec"]["dependsOn"] == ["resource:orders-db"]


def test_it_belongs_to_the_owner_of_the_service_that_is_there_longest() -> None:
    manifests = [
        manifest(1, service("young", "b", "resource:db"), held_since=moment_in("2026-05-01")),
        manifest(2, service("unknown", "b", "resource:db")),
        manifest(3, service("old", "a", "resource:db"), held_since=moment_in("2025-01-01")),
        manifest(4, service("later", "b", "Resource:DB"), held_since=moment_in("2025-01-01")),
    ]
    for seed in range(4):
        Random(seed).shuffle(manifests)
        found, problems = processed(*manifests)
        assert problems == []
        body = found["resource:default/db"].body
        assert body["spec"]["owner"] == "group:default/a"
        assert body["metadata"]["annotations"][NAMED_BY] == ", ".join(
            f"component:default/{name}" for name in ("old", "later", "young", "unknown")
        )
        assert body["metadata"]["description"] == (
            "What old, later, young and 1 more name as a dependency; no manifest describes it. "
            "The first of them owns it."
        )
        assert "system" not in body["spec"]


def test_one_that_is_described_is_left_as_it_is() -> None:
    own = entity("Resource", "db", {"type": "database", "owner": "b"})
    found, problems = processed(manifest(1, service("cart", "a", "resource:db")), manifest(2, own))
    assert found["resource:default/db"].body is own
    assert problems == []


def test_a_component_that_nobody_describes_is_left_out_and_stays_a_problem() -> None:
    processor = BackstageProcessor(rules())
    cart = manifest(1, service("cart", "a", "component:till", "component:gone", "resource:db"))
    till = manifest(2, component("till", "a"))
    found, (problem,) = processed(cart, till, processor=processor)
    body = found["component:default/cart"].body
    assert body["spec"]["dependsOn"] == ["component:till", "resource:db"]
    assert body["metadata"]["annotations"] == {MISSING: "component:default/gone"}
    assert "names component:default/gone, which no manifest describes; it is left out" in problem
    found, problems = processed(cart, processor=processor)
    assert found["component:default/cart"].body["spec"]["dependsOn"] == ["resource:db"]
    assert len(problems) == 2
    gone = manifest(3, component("gone", "a"))
    found, problems = processed(cart, till, gone, processor=processor)
    body = found["component:default/cart"].body
    assert body is cart.translation.drafts[0].body, "as it was written, once it is there"
    assert problems == []


def test_with_nothing_left_there_is_no_list() -> None:
    found, _ = processed(manifest(1, service("cart", "a", "component:gone")))
    assert "dependsOn" not in found["component:default/cart"].body["spec"]


def test_a_name_that_backstage_refuses_stays_a_problem() -> None:
    found, (problem,) = processed(manifest(1, service("cart", "a", "resource:no good")))
    assert "resource" not in {Ref.parse(ref).kind for ref in found}
    assert "which no manifest describes" in problem or "left out" in problem
