"""One catalog of many manifests: the same in every order, and nothing vanishes without a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.model.entities import Body, Catalog, CatalogEntity, Draft
from bridge.model.manifests import AggregatedManifests, TranslatedManifest, Translation, Verdict
from bridge.model.moments import moment_in
from bridge.model.problems import Problem, Severity
from bridge.model.scrape import Project
from bridge.model.suggested_owner import SOURCE_NAME
from bridge.processors.mapping.loading import shipped_folder
from bridge.processors.merge_file import load_merge_rules
from bridge.processors.merging import MergeRules
from bridge.processors.provenance import KEPT_SINCE, STALE
from tests.laws import examples
from tests.whole import aggregate


@cache
def rules() -> MergeRules:
    return load_merge_rules(shipped_folder() / "merge.yaml")


def entity(kind: str, name: str, spec: Mapping[str, Any], **metadata: Any) -> dict[str, Any]:
    return {
        **{"apiVersion": "backstage.io/v1alpha1", "kind": kind},
        **{"metadata": {"name": name, **metadata}, "spec": dict(spec)},
    }


def named(source: str, name: str, kind: str = "System", owner: str = "a") -> dict[str, Any]:
    """An entity that remembers how a person wrote its name."""
    spec = {"owner": owner}
    if kind == "Component":
        spec |= {"type": "service", "lifecycle": "live"}
    return entity(kind, name, spec, annotations={SOURCE_NAME: source})


def component(name: str, owner: str = "team-a") -> dict[str, Any]:
    return entity("Component", name, {"type": "service", "lifecycle": "live", "owner": owner})


def manifest(project: int, *bodies: Body, file: str = "qm.yaml", **more: Any) -> TranslatedManifest:
    drafts = tuple(Draft(body, 10 * n, 3) for n, body in enumerate(bodies, 1))
    return TranslatedManifest(
        Project(project, f"org/p{project}"),
        file,
        f"oid-{project}-{file}",
        Translation(Verdict.VALID, "f", "qm-v1", drafts),
        **more,
    )


def made(*manifests: TranslatedManifest) -> tuple[Catalog, tuple[Problem, ...]]:
    return aggregate(AggregatedManifests(manifests), rules())


def only(catalog: Catalog) -> CatalogEntity:
    (found,) = catalog.entities
    return found


def test_an_ordinary_manifest_becomes_its_entities_sorted_by_reference() -> None:
    first = manifest(1, component("cart"), named("Shop", "shop"), component("api"))
    catalog, problems = made(first)
    refs = [str(each.ref) for each in catalog.entities]
    assert refs == ["component:default/api", "component:default/cart", "system:default/shop"]
    assert problems == ()
    assert catalog.entities[0].origins[0].project == "org/p1"
    assert catalog.entities[1].body is first.translation.drafts[0].body, "nothing is copied"


def test_the_older_claim_stays_and_the_others_are_reported() -> None:
    catalog, (unknown, lost) = made(
        manifest(0, component("cart", "unknown")),
        manifest(1, component("cart", "late"), held_since=moment_in("2026-05-01T00:00:00Z")),
        manifest(2, component("Cart", "early"), held_since=moment_in("2025-01-01T00:00:00Z")),
    )
    assert (unknown.rule, unknown.project) == ("claim-lost", "org/p0")
    assert only(catalog).body["spec"]["owner"] == "early"
    assert [origin.project for origin in only(catalog).origins] == ["org/p2"]
    assert (lost.rule, lost.severity) == ("claim-lost", Severity.ERROR)
    assert (lost.project, lost.file, lost.line, lost.column) == ("org/p1", "qm.yaml", 10, 3)
    assert lost.ref == "component:default/cart"
    assert "org/p1" in lost.message
    assert "org/p2" in lost.message
    assert "2025-01-01" in lost.message


def test_without_ages_the_lowest_project_id_and_then_the_first_file_hold_the_claim() -> None:
    catalog, problems = made(
        manifest(7, component("cart", "c")),
        manifest(3, component("cart", "b"), file="z.yaml"),
        manifest(3, component("cart", "a"), file="a.yaml"),
    )
    assert only(catalog).body["spec"]["owner"] == "a"
    assert {(each.project, each.file) for each in problems} == {
        ("org/p3", "z.yaml"),
        ("org/p7", "qm.yaml"),
    }


def test_one_file_that_claims_a_name_twice_is_told_both_lines() -> None:
    catalog, (lost,) = made(manifest(1, component("cart", "a"), component("cart", "b")))
    assert only(catalog).body["spec"]["owner"] == "a"
    assert lost.line == 20
    assert "line 10" in lost.message


def test_two_component_names_that_collapse_are_told_in_the_lost_claim() -> None:
    _, (lost,) = made(
        manifest(1, named("Cart", "cart", "Component")),
        manifest(2, named("cart!", "cart", "Component")),
    )
    assert lost.rule == "claim-lost"
    assert '"Cart" and "cart!"' in lost.message


def test_shared_names_that_collapse_are_a_reported_collision() -> None:
    catalog, (problem,) = made(
        manifest(1, named("Order Management", "order-management")),
        manifest(2, named("order_management", "order-management")),
    )
    assert len(only(catalog).origins) == 2
    assert (problem.rule, problem.severity) == ("name-collision", Severity.WARNING)
    assert problem.project == "org/p2"
    for part in ("Order Management", "order_management", "org/p1", "org/p2"):
        assert part in problem.message


def test_a_title_that_repeats_the_name_does_not_report_the_collision_twice() -> None:
    bodies = [
        entity("System", "shop", {"owner": "a"}, title=name, annotations={SOURCE_NAME: name})
        for name in ("Shop", "SHOP")
    ]
    _, problems = made(manifest(1, bodies[0]), manifest(2, bodies[1]))
    assert [problem.rule for problem in problems] == ["name-collision"]


def test_a_disagreement_is_one_warning_that_names_both_sides_the_winner_and_the_rule() -> None:
    catalog, (problem,) = made(
        manifest(1, named("shop", "shop", owner="group:a")),
        manifest(2, named("shop", "shop", owner="group:b")),
        manifest(3, named("shop", "shop", owner="group:b")),
    )
    assert only(catalog).body["spec"]["owner"] == "group:b"
    assert (problem.rule, problem.severity) == ("merge-conflict", Severity.WARNING)
    assert (problem.project, problem.line) == ("org/p1", 10)
    for part in ("org/p1", "org/p2", '"group:a"', '"group:b"', "spec.owner", "2 of 3 projects"):
        assert part in problem.message


def test_many_different_values_make_one_bounded_message() -> None:
    manifests = [manifest(n, named("s", "s", owner=f"g{n}" + "x" * 900)) for n in range(300)]
    _, problems = made(*manifests)
    assert len(problems) == 1
    assert "297 other ways" in problems[0].message
    assert len(problems[0].message) < 800


def test_contributions_of_one_manifest_are_merged_too() -> None:
    team = {"type": "team", "children": []}
    catalog, problems = made(
        manifest(
            1,
            entity("Group", "a", {**team, "members": ["user:x"]}),
            entity("Group", "a", {**team, "members": ["user:b"]}),
        )
    )
    assert only(catalog).body["spec"]["members"] == ["user:b", "user:x"]
    assert only(catalog).body["spec"]["children"] == []
    assert len(only(catalog).origins) == 1
    assert problems == ()


def test_an_invalid_draft_is_left_out_alone_and_told_with_its_rule() -> None:
    catalog, (problem,) = made(
        manifest(1, component("good"), component("not good")), manifest(2, component("fine"))
    )
    assert [each.ref.name for each in catalog.entities] == ["fine", "good"]
    assert (problem.rule, problem.severity) == ("entity-invalid", Severity.ERROR)
    assert (problem.project, problem.file, problem.line) == ("org/p1", "qm.yaml", 20)
    assert "metadata.name" in problem.message
    assert "[A-Za-z0-9]" in problem.message


def test_an_invalid_older_claim_does_not_take_the_name_from_a_valid_one() -> None:
    catalog, _ = made(
        manifest(1, component("cart", ""), held_since=moment_in("2020-01-01")),
        manifest(2, component("cart")),
    )
    assert only(catalog).origins[0].project == "org/p2"


def test_a_placeholder_is_published_as_plain_data_and_reported() -> None:
    body = component("cart")
    body["spec"]["definition"] = {"$text": "https://evil.example/x"}
    catalog, (problem,) = made(manifest(1, body))
    assert only(catalog).body["spec"]["definition"] == {"text": "https://evil.example/x"}
    assert (problem.rule, problem.severity) == ("placeholder", Severity.WARNING)
    assert "spec.definition" in problem.message


def test_merging_never_makes_a_placeholder() -> None:
    """Two harmless objects whose other keys are silent would leave a lone `$text`."""
    bodies = [entity("System", "s", {"owner": "a", "x": {"$text": "./x", k: None}}) for k in "bc"]
    catalog, _ = made(manifest(1, bodies[0]), manifest(2, bodies[1]))
    assert only(catalog).body["spec"]["x"] == {"text": "./x"}


def test_a_union_that_grows_too_big_is_cut_and_reported() -> None:
    team = {"type": "team", "children": []}
    members = [[f"user:u{n}-{i}" for i in range(700)] for n in range(2)]
    catalog, (problem,) = made(
        *(manifest(n, entity("Group", "g", {**team, "members": members[n]})) for n in range(2))
    )
    assert len(only(catalog).body["spec"]["members"]) == 1000
    assert "the last 400 are left out" in problem.message


def test_a_conflict_of_lists_shows_what_is_in_them() -> None:
    bodies = [entity("System", "s", {"owner": "a", "zones": [z, "c", "d", "e"]}) for z in "ab"]
    _, (problem,) = made(manifest(1, bodies[0]), manifest(2, bodies[1]))
    assert '["b", "c", "d", …]' in problem.message
    assert "a tie, so the lowest project id" in problem.message


def test_an_entity_without_kind_and_name_is_told_all_the_same() -> None:
    catalog, (problem,) = made(manifest(1, {"metadata": {}}))
    assert catalog.entities == ()
    assert "an entity of no kind without a name is left out" in problem.message
    assert problem.ref == ""


@pytest.mark.parametrize("verdict", [Verdict.QUARANTINED, Verdict.IGNORED])
def test_only_valid_translations_speak(verdict: Verdict) -> None:
    broken = manifest(1, component("cart"))
    broken = replace(broken, translation=replace(broken.translation, verdict=verdict))
    assert made(broken) == (Catalog(), ())


def test_a_kept_component_says_since_when() -> None:
    catalog, _ = made(manifest(1, component("cart"), kept_since=moment_in("2026-01-02T03:04:05Z")))
    found = only(catalog)
    assert found.body["metadata"]["annotations"] == {KEPT_SINCE: "2026-01-02T03:04:05+00:00"}
    assert found.body["metadata"]["tags"] == [STALE]
    assert found.origins[0].kept_since == moment_in("2026-01-02T03:04:05Z")


def test_a_shared_entity_is_kept_only_when_all_who_speak_of_it_are() -> None:
    old = manifest(1, named("s", "s"), kept_since=moment_in("2026-01-01T00:00:00Z"))
    older = manifest(2, named("s", "s"), kept_since=moment_in("2025-01-01T00:00:00Z"))
    fresh = manifest(3, named("s", "s"))
    both, _ = made(old, older)
    assert only(both).body["metadata"]["annotations"][KEPT_SINCE] == "2026-01-01T00:00:00+00:00"
    mixed, _ = made(old, older, fresh)
    assert KEPT_SINCE not in only(mixed).body["metadata"]["annotations"]
    kept = [origin.kept_since for origin in only(mixed).origins]
    assert kept == [moment_in("2026-01-01T00:00:00Z"), moment_in("2025-01-01T00:00:00Z"), None]


NAMES = st.sampled_from(["cart", "Cart", "api", "bad name"])
WORDS = st.sampled_from(["a", "b", "Team A"])
AGES = st.sampled_from([None, *(datetime(year, 1, 1, tzinfo=UTC) for year in (2024, 2025))])
BODIES = st.one_of(
    st.builds(component, NAMES, st.sampled_from(["a", "b", ""])),
    st.builds(named, WORDS, st.sampled_from(["s", "S", "t"]), owner=st.sampled_from("ab")),
    st.builds(
        lambda tags, title: entity(
            "Group", "g", {"type": "team", "children": []}, tags=tags, title=title
        ),
        st.lists(st.sampled_from(["x", "y", "z"]), max_size=2),
        WORDS,
    ),
)


@st.composite
def organizations(draw: st.DrawFn) -> list[TranslatedManifest]:
    places = draw(
        st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["a", "b"])), unique=True, max_size=6)
    )
    return [
        manifest(
            project,
            *draw(st.lists(BODIES, max_size=3)),
            file=file,
            held_since=draw(AGES),
            kept_since=draw(AGES),
        )
        for project, file in places
    ]


@settings(max_examples=examples(60), deadline=None)
@given(organizations(), st.integers())
def test_the_order_of_arrival_does_not_matter(
    organization: list[TranslatedManifest], seed: int
) -> None:
    """Laws: shuffled manifests give the same result; each reference once; nobody is lost."""
    shuffled = list(organization)
    Random(seed).shuffle(shuffled)
    catalog, problems = made(*organization)
    assert made(*shuffled) == (catalog, problems)
    refs = [str(each.ref) for each in catalog.entities]
    assert refs == sorted(set(refs))
    for each in catalog.entities:
        assert list(each.origins) == sorted(set(each.origins), key=lambda origin: origin.place)
    seen = {(o.project, o.file) for each in catalog.entities for o in each.origins}
    told = {(problem.project, problem.file) for problem in problems}
    speaking = {(m.project.path, m.file) for m in organization if m.translation.drafts}
    assert speaking <= seen | told


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(AGES, min_size=1, max_size=4), st.lists(st.integers(1, 9), max_size=4))
def test_a_later_claim_never_takes_a_name(ages: list[datetime | None], later: list[int]) -> None:
    """A law: whoever holds a name keeps it, however many claim it after_pass."""
    held = [manifest(100 + n, component("cart"), held_since=age) for n, age in enumerate(ages)]
    new = [
        manifest(
            n, component("cart"), file=f"{at}.yaml", held_since=moment_in("2026-06-01T00:00:00Z")
        )
        for at, n in enumerate(later)
    ]
    before, _ = made(*held)
    if any(ages):
        after, problems = made(*held, *new)
        assert after == before
        assert len(problems) == len(held) + len(new) - 1


def in_gitlab(given: TranslatedManifest) -> TranslatedManifest:
    """The same from a GitLab, which has pages."""
    web_url = f"https://gitlab.test/{given.project.path}"
    return replace(given, project=replace(given.project, web_url=web_url, default_branch="main"))


def page(project: int, verb: str = "blob", file: str = "qm.yaml") -> str:
    return f"https://gitlab.test/org/p{project}/-/{verb}/main/{file}"


def notes_of(found: CatalogEntity) -> dict[str, str]:
    return dict(found.body["metadata"].get("annotations", {}))


def test_every_entity_leads_to_its_manifest() -> None:
    """Backstage's "view source" and pencil, on APIs, Systems, Domains and Groups too."""
    api = entity("API", "a", {"type": "x", "lifecycle": "y", "owner": "o", "definition": "d"})
    catalog, _ = made(in_gitlab(manifest(1, api)))
    assert notes_of(only(catalog)) == {
        "backstage.io/source-location": f"url:{page(1)}",
        "backstage.io/view-url": page(1),
        "backstage.io/edit-url": page(1, "edit"),
    }
    catalog, _ = made(manifest(1, api))
    assert only(catalog).body is api, "a checkout has no pages"


def test_what_several_describe_leads_to_the_manifest_that_says_most() -> None:
    brief, other = named("s", "s"), named("s", "s")
    full = {**other, "spec": {"owner": "a", "domain": "d", "type": "product"}}
    catalog, _ = made(*(in_gitlab(manifest(n, b)) for n, b in ((1, brief), (2, full), (3, full))))
    assert notes_of(only(catalog))["backstage.io/view-url"] == page(2)
    catalog, _ = made(*(in_gitlab(manifest(n, brief)) for n in (5, 4)))
    assert notes_of(only(catalog))["backstage.io/view-url"] == page(4)


def test_links_that_a_mapping_gives_stay() -> None:
    own = {
        "backstage.io/view-url": "https://wiki.test/s",
        "backstage.io/edit-url": "https://e.test",
    }
    body = entity("System", "s", {"owner": "a"}, annotations=own)
    catalog, _ = made(in_gitlab(manifest(1, body)))
    assert notes_of(only(catalog)) == own


def test_what_stands_on_an_old_text_shows_it_in_backstage() -> None:
    old = component("cart")
    old["metadata"] |= {"tags": ["java"], "links": [{"url": "https://x.test", "title": "X"}]}
    catalog, _ = made(in_gitlab(manifest(1, old, kept_since=moment_in("2026-01-02T03:04:05Z"))))
    metadata = only(catalog).body["metadata"]
    assert metadata["tags"] == ["java", STALE]
    assert metadata["links"] == [
        {"url": "https://x.test", "title": "X"},
        {
            "url": page(1),
            "title": "The manifest is broken since 2026-01-02: mend it",
            "icon": "warning",
            "type": "manifest",
        },
    ]
    assert old["metadata"]["tags"] == ["java"], "the draft is somebody else's"
    assert metadata["annotations"][KEPT_SINCE] == "2026-01-02T03:04:05+00:00"
    shared = [
        manifest(n, named("s", "s"), kept_since=moment_in(f"202{n}-01-01T00:00:00Z"))
        for n in (4, 5)
    ]
    catalog, _ = made(*map(in_gitlab, shared))
    metadata = only(catalog).body["metadata"]
    assert (metadata["tags"], metadata["links"][0]["url"]) == ([STALE], page(5))


@pytest.mark.parametrize("kind", ["component", "Datastore", "Servcie"])
def test_a_kind_that_backstage_does_not_know_is_never_published(kind: str) -> None:
    """One of them would freeze the whole location that it is listed in."""
    body = {**component("cart"), "kind": kind}
    catalog, problems = made(manifest(1, body, component("shop")))
    assert [str(each.ref) for each in catalog.entities] == ["component:default/shop"]
    (problem,) = problems
    assert (problem.rule, problem.severity) == ("entity-invalid", Severity.ERROR)
    assert "no kind that Backstage knows" in problem.message
