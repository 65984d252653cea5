"""The whole processor: a catalog, and every reference in it that points nowhere."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.model.entities import Ref
from bridge.model.manifests import TranslatedManifest
from bridge.model.problems import Problem, Severity
from bridge.processors.backstage import BackstageProcessor
from bridge.processors.teams import OwnerRules, Team
from tests.processors.test_aggregation import component, entity, manifest, rules
from tests.whole import processed


def problems(*manifests: TranslatedManifest) -> list[Problem]:
    return list(processed(manifests, BackstageProcessor(rules()))[1])


def with_spec(name: str, **spec: Any) -> dict[str, Any]:
    body = component(name, "user:nobody")
    body["spec"] |= spec
    return body


USER = entity("User", "nobody", {"memberOf": []})


def test_a_catalog_whose_references_all_hold_has_no_problems() -> None:
    group = entity("Group", "team-a", {"type": "team", "children": []})
    system = entity("System", "shop", {"owner": "team-a"})
    cart = with_spec("cart", owner="Team-A", system="shop", dependsOn=["component:default/cart"])
    catalog, found = processed((manifest(1, group, system, cart),), BackstageProcessor(rules()))
    assert found == ()
    assert catalog.counts() == {"Component": 1, "Group": 1, "System": 1}


@pytest.mark.parametrize(
    ("field", "value", "target"),
    [
        ("owner", "lost", "group:default/lost"),
        ("owner", "user:x/lost", "user:x/lost"),
        ("system", "lost", "system:default/lost"),
        ("subcomponentOf", "lost", "component:default/lost"),
        ("providesApis", ["lost"], "api:default/lost"),
        ("consumesApis", ["other/lost"], "api:other/lost"),
        ("dependsOn", ["component:lost"], "component:default/lost"),
    ],
)
def test_a_reference_to_nothing_is_told_with_the_kind_that_backstage_assumes(
    field: str, value: Any, target: str
) -> None:
    (problem,) = problems(manifest(1, USER, with_spec("cart", **{field: value})))
    assert (problem.rule, problem.severity) == ("dangling-ref", Severity.WARNING)
    assert problem.ref == "component:default/cart"
    assert (problem.project, problem.file, problem.line) == ("org/p1", "qm.yaml", 20)
    for part in ("component:default/cart", f"spec.{field}", target):
        assert part in problem.message


def test_references_of_groups_users_systems_and_domains_are_looked_up_too() -> None:
    found = problems(
        manifest(
            1,
            entity("User", "nobody", {"memberOf": ["g1"]}),
            entity(
                "Group",
                "g",
                {"type": "team", "children": ["g2"], "parent": "g3", "members": ["u1"]},
            ),
            entity("System", "s", {"owner": "g", "domain": "d1"}),
            entity("Domain", "d", {"owner": "g", "subdomainOf": "d2"}),
        )
    )
    told = " ".join(problem.message for problem in found)
    targets = [f"group:default/g{n}" for n in (1, 2, 3)]
    for target in (*targets, "user:default/u1", "domain:default/d1", "domain:default/d2"):
        assert f"names {target}," in told
    assert len(found) == 6


def test_a_reference_without_a_namespace_stays_in_the_entitys_own() -> None:
    body = entity("System", "s", {"owner": "g"}, namespace="shop")
    (problem,) = problems(manifest(1, body))
    assert "group:shop/g" in problem.message


def test_the_nearest_existing_references_are_suggested() -> None:
    cart = with_spec("cart", dependsOn=["component:paymens", "component:zzz"])
    payments = with_spec("payments")
    first, second = problems(manifest(1, USER, cart, payments))
    assert "did you mean component:default/payments?" in first.message
    assert "did you mean" not in second.message


def test_the_warning_stands_at_the_manifest_that_names_the_target() -> None:
    first = manifest(1, entity("System", "s", {"owner": "user:nobody"}), USER)
    second = manifest(
        2, component("x", "user:nobody"), entity("System", "s", {"owner": "user:nobody"})
    )
    third = manifest(3, entity("System", "s", {"owner": "user:nobody", "domain": "lost"}))
    (problem,) = problems(third, second, first)
    assert (problem.project, problem.line) == ("org/p3", 10)


def test_a_left_out_draft_of_the_same_name_does_not_disturb_the_search() -> None:
    broken = [with_spec("cart", dependsOn=value) for value in (None, [7], ["x"])]
    nameless: dict[str, Any] = {"kind": "Component", "metadata": None}
    found = problems(manifest(1, USER, nameless, *broken, with_spec("cart", system="lost")))
    assert [each.rule for each in found] == ["entity-invalid"] * 4 + ["dangling-ref"]
    assert found[-1].line == 60


def test_many_broken_references_of_one_entity_are_bounded() -> None:
    cart = with_spec("cart", dependsOn=[f"component:lost-{n}" for n in range(500)])
    found = problems(manifest(1, USER, cart))
    assert len(found) == 20
    assert "480 more" in found[0].message


def test_a_group_that_somebody_else_publishes_is_no_broken_link() -> None:
    known = OwnerRules((Team(Ref("group", "default", "payments"), elsewhere=True),))
    manifests = (manifest(1, component("cart", "payments")),)
    assert processed(manifests, BackstageProcessor(rules(), known))[1] == ()
    (problem,) = processed(manifests, BackstageProcessor(rules()))[1]
    assert problem.rule == "dangling-ref"
