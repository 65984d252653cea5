"""References by a name that an entity also goes by."""

from __future__ import annotations

from typing import Any

from bridge.model.entities import Draft
from bridge.model.manifests import TranslatedManifest, Translation, Verdict
from bridge.model.problems import Problem
from bridge.model.scrape import Project
from bridge.model.suggested_owner import SOURCE_NAME
from bridge.processors.aliases import ALIASES
from bridge.processors.backstage import BackstageProcessor
from bridge.processors.dependencies import MISSING
from tests import whole
from tests.processors.test_aggregation import component, entity, manifest, rules

USER = entity("User", "nobody", {"memberOf": []})


def service(name: str, *, aliases: str = "", source: str = "", **spec: Any) -> dict[str, Any]:
    body = component(name, "user:nobody")
    body["spec"] |= spec
    said = {ALIASES: aliases, SOURCE_NAME: source}
    body["metadata"]["annotations"] = {key: text for key, text in said.items() if text}
    return body


def needs(*names: str) -> list[str]:
    return [f"component:default/{name}" for name in names]


def processed(
    *manifests: TranslatedManifest, by: BackstageProcessor | None = None
) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    catalog, problems = whole.processed(manifests, by or BackstageProcessor(rules()))
    return {entity.ref.name: entity.body for entity in catalog.entities}, problems


def test_a_reference_by_an_alias_or_another_spelling_is_put_right() -> None:
    shop = manifest(
        1,
        USER,
        service("catalog-service", aliases="products, Product List"),
        service("cart-7", source="Shopping Cart"),
    )
    wanted = needs(
        "products", "product-list", "catalog_service", "catalog-service", "shopping-cart"
    )
    bodies, problems = processed(shop, manifest(2, service("b", dependsOn=wanted)))
    assert problems == ()
    assert bodies["b"]["spec"]["dependsOn"] == needs("catalog-service", "cart-7")


def test_what_is_named_exactly_wins_over_an_alias() -> None:
    first = manifest(1, USER, service("a", aliases="pay"), service("pay"))
    bodies, problems = processed(first, manifest(2, service("b", dependsOn=needs("pay"))))
    assert bodies["b"]["spec"]["dependsOn"] == needs("pay")
    assert problems == ()


def test_a_name_of_two_is_nobodys_and_both_are_told() -> None:
    first = manifest(1, USER, service("a", aliases="pay"), service("c", aliases="pay"))
    bodies, problems = processed(first, manifest(2, service("b", dependsOn=needs("pay"))))
    assert bodies["b"]["metadata"]["annotations"][MISSING] == "component:default/pay"
    assert "dependsOn" not in bodies["b"]["spec"]
    (problem,) = problems
    assert "component:default/a and component:default/c go by that name" in problem.message


def test_the_warning_stands_on_the_dependencys_own_line() -> None:
    draft = Draft(service("b", dependsOn=needs("lost")), 3, 9, places=((needs("lost")[0], 12, 7),))
    translation = Translation(Verdict.VALID, "f", "qm-v1", (Draft(USER), draft))
    (problem,) = processed(TranslatedManifest(Project(1, "shop/b"), "qm.yaml", "o", translation))[1]
    assert (problem.rule, problem.line, problem.column) == ("dangling-ref", 12, 7)


def test_a_second_pass_with_a_new_alias_gives_what_a_first_one_would() -> None:
    by = BackstageProcessor(rules())
    other = manifest(2, service("b", dependsOn=needs("products")))
    before, problems = processed(manifest(1, USER, service("a")), other, by=by)
    assert len(problems) == 1
    after, problems = processed(manifest(1, USER, service("a", aliases="products")), other, by=by)
    assert problems == ()
    assert before["b"]["metadata"]["annotations"][MISSING] == "component:default/products"
    assert after["b"]["spec"]["dependsOn"] == needs("a")
