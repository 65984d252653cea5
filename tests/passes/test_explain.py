"""Why something is as it is, or missing: there is always an answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bridge.model.entities import Catalog, CatalogEntity, Draft, Json, Origin, Ref
from bridge.model.manifests import CodeOwners, Inherited, Translation, Verdict, as_data
from bridge.model.memory import Horizon, KnownManifest, KnownProject, Memory, PassRecord
from bridge.model.problems import Problem
from bridge.model.runs import Outcome, Report
from bridge.model.scrape import Project
from bridge.passes.explain import Explanation, explain
from tests.fakes import NOON, at

SOURCE = "https://gitlab.test/shop"


def project(number: int, path: str, **more: Any) -> KnownProject:
    return KnownProject(
        Project(number, path, f"https://gitlab.test/git/{path}", "main"), NOON, **more
    )


def component(name: str, *origins: int, **metadata: Json) -> CatalogEntity:
    body = {"kind": "Component", "metadata": {"name": name, **metadata}, "spec": {}}
    made = tuple(Origin(n, PATHS[n], "qm.yaml", "0123456789ab", "qm-v1") for n in origins)
    return CatalogEntity(Ref.of(body), body, made)


def said(number: int, name: str) -> KnownManifest:
    draft = Draft({"kind": "Component", "metadata": {"name": name}, "spec": {}})
    return KnownManifest(
        number, "qm.yaml", "oid", Translation(Verdict.VALID, "f", "qm-v1", (draft,)), NOON
    )


def broken(number: int, name: str, **more: str) -> KnownManifest:
    data = as_data([{"version": 1, "service": {"name": name}}])
    return KnownManifest(number, "qm.yaml", "oid", Translation(Verdict.QUARANTINED, "f", data=data))


PATHS = {
    1: "shop/pay",
    2: "shop/cart",
    3: "shop/deep/legacy",
    4: "shop/lost",
    5: "shop/notes",
    6: "shop/fares",
    7: "shop/empty",
}
MEMORY = Memory(
    {
        1: project(1, PATHS[1]),
        2: project(2, PATHS[2], gap_since=at(5), gap_reason="500 from GitLab"),
        3: KnownProject(Project(3, PATHS[3]), None, left_out="archived (`gitlab.archived` is off)"),
        4: KnownProject(Project(4, PATHS[4]), None, gap_since=at(6), gap_reason="403 from GitLab"),
        5: project(5, PATHS[5]),
        6: project(6, PATHS[6]),
        7: KnownProject(Project(7, PATHS[7]), NOON),
    },
    {
        (1, "qm.yaml"): said(1, "payments-api"),
        (2, "qm.yaml"): said(2, "cart"),
        (6, "qm.yaml"): broken(6, "Fares Board"),
    },
    Horizon(swept_at=NOON),
)
PAYMENTS = component(
    "payments-api",
    1,
    title="The Till",
    annotations={
        "fester.dev/source-name": "Payments: API",
        "fester.dev/aliases": "till_service, Old Till",
    },
)
CART = component("cart", 2)
TEAM = CatalogEntity(
    Ref("group", "default", "red"),
    {"kind": "Group", "metadata": {"name": "red"}, "spec": {}},
    (*PAYMENTS.origins, *CART.origins),
)
PROBLEMS = (
    Problem("no tier", "manifest-invalid", project="shop/fares", file="qm.yaml", line=3),
    Problem(
        "not far", "claim-lost", project="shop/cart", file="qm.yaml", ref="component:default/x"
    ),
)
RECORD = PassRecord(
    Report(Outcome.COMPLETE, 1.0, problems=PROBLEMS), Catalog((CART, PAYMENTS, TEAM))
)


def asked(text: str, memory: Memory = MEMORY, record: PassRecord = RECORD) -> Explanation:
    return explain(text, memory, record, SOURCE)


def refs(answer: Explanation) -> list[str]:
    return [str(entity.ref) for entity in answer.found]


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("component:default/payments-api", ""),
        ("Component:payments-api", ""),
        ("payments-api", ""),
        ("Payments API", ""),
        ("default/payments-api", ""),
        ("the till", "the title of"),
        ("Payments: API", "the title of"),
        ("till_service", "an alias of"),
        ("old-till", "an alias of"),
        ("component:default/old-till", "an alias of"),
    ],
)
def test_an_entity_is_found_by_whatever_it_is_called(text: str, how: str) -> None:
    answer = asked(text)
    assert refs(answer) == ["component:default/payments-api"]
    assert answer.known
    assert how in answer.facts[0]
    (place,) = [fact for fact in answer.facts if fact.startswith("  ")]
    assert place == "  shop/pay qm.yaml (blob 0123456789) by mapping qm-v1"
    assert not any("not in the catalog" in fact for fact in answer.facts)


@pytest.mark.parametrize(
    "text",
    [
        "shop/pay",
        "/Shop/Pay/",
        "1",
        "https://gitlab.test/git/shop/pay",
        "https://gitlab.test/git/shop/pay/-/blob/main/qm.yaml?ref_type=heads#L3",
        "https://gitlab.test/git/shop/pay.git",
        "git@gitlab.test:shop/pay.git",
        "ssh://git@gitlab.test/shop/pay.git",
    ],
)
def test_a_project_is_found_by_path_id_and_url(text: str) -> None:
    answer = asked(text)
    # What the project alone describes comes before what it shares with others.
    assert refs(answer) == ["component:default/payments-api", "group:default/red"]
    assert "shop/pay qm.yaml is valid and speaks of component:default/payments-api" in answer.facts
    assert not any("not in the catalog" in fact for fact in answer.facts)
    assert answer.problems == ()
    assert answer.suggestions == ()


def test_a_projects_name_alone_leads_to_what_its_manifest_says() -> None:
    answer = asked("pay")
    assert answer.known
    assert "shop/pay qm.yaml is valid and speaks of component:default/payments-api" in answer.facts


def test_another_projects_path_with_the_same_name_finds_nothing() -> None:
    answer = asked("elsewhere/cart")
    assert (refs(answer), answer.known) == ([], False)
    assert answer.suggestions == ("component:default/cart",)


@pytest.mark.parametrize("text", ["cart", "shop/cart", "2"])
def test_what_is_not_readable_says_since_when_and_why(text: str) -> None:
    answer = asked(text)
    assert "component:default/cart" in refs(answer)
    said = "\n".join(answer.facts)
    assert "not readable since 2026-01-01T12:05:00+00:00: 500 from GitLab" in said
    assert (
        "project shop/cart is not readable since 2026-01-01T12:05:00+00:00: 500 from GitLab; "
        "what was known of it is kept" in answer.facts
    )
    assert [problem.rule for problem in answer.problems] == ["claim-lost"]


def test_a_project_that_could_never_be_read_says_so() -> None:
    answer = asked("lost")
    assert answer.facts == (
        "lost is not in the catalog.",
        "project shop/lost is not readable since 2026-01-01T12:06:00+00:00: 403 from GitLab; "
        "nothing was known of it yet",
    )
    assert answer.known


@pytest.mark.parametrize("text", ["shop/deep/legacy", "3", "legacy", "component:default/legacy"])
def test_a_project_that_is_left_out_names_the_setting(text: str) -> None:
    answer = asked(text)
    assert answer.facts == (
        f"{text} is not in the catalog.",
        "project shop/deep/legacy was seen and is left out: archived (`gitlab.archived` is off)",
    )
    assert answer.suggestions == ()


def test_a_project_without_a_manifest_says_where_none_is() -> None:
    assert asked("shop/notes").facts == (
        "shop/notes is not in the catalog.",
        "project shop/notes was read and has no manifest on its default branch main; "
        "manifests are read at a repository's root, and deeper where the one at the root names it "
        "in `include`, or the settings do in `gitlab.nested`. Files of other tools, such as a "
        "catalog-info.yaml, are read where `presets.yaml` in the mappings folder says so",
    )
    assert "its repository has no branch yet" in asked("shop/empty").facts[1]


@pytest.mark.parametrize("text", ["fares-board", "Fares Board", "shop/fares", "6"])
def test_a_broken_manifest_is_found_by_what_it_names(text: str) -> None:
    answer = asked(text)
    assert refs(answer) == []
    assert answer.facts[1] == (
        "shop/fares qm.yaml is broken and was never valid, so nothing of it is published"
    )
    assert [problem.rule for problem in answer.problems] == ["manifest-invalid"]


def test_a_lost_claim_is_told_under_the_name_that_was_claimed() -> None:
    for text in ("component:default/x", "x"):
        answer = asked(text)
        assert [problem.rule for problem in answer.problems] == ["claim-lost"]
        assert answer.known


def test_what_nobody_knows_is_answered_too() -> None:
    answer = asked("nowhere/at-all")
    assert not answer.known
    said = "\n".join(answer.facts)
    assert f"manifest or project in {SOURCE} that Fester has seen is called so" in said
    assert "The last full sweep began 2026-01-01T12:00:00+00:00." in said
    for word in ("`gitlab.groups`", "`gitlab.archived`", "hidden from the token"):
        assert word in said
    assert asked("paiments-api").suggestions == ("component:default/payments-api",)
    assert asked("leagcy").suggestions == ("shop/deep/legacy",)


def test_a_listing_with_holes_and_no_sweep_yet_are_said() -> None:
    holed = replace(RECORD.report, problems=(Problem("a part", "enumeration-gap"),))
    answer = asked("nothing", Memory(), replace(RECORD, report=holed))
    said = "\n".join(answer.facts)
    assert "No full sweep has been complete yet" in said
    assert "A part of the list of projects could not be read" in said


@pytest.mark.parametrize(
    "text", ["", "::", "/", "http://", "a" * 600, "git@", "-", "https://[", "#"]
)
def test_whatever_is_asked_there_is_an_answer(text: str) -> None:
    answer = asked(text)
    assert answer.facts
    assert refs(answer) == []


def test_what_a_service_has_from_its_groups_is_told_with_the_file() -> None:
    given = (
        Inherited("owner", "shop", "qm.defaults.yaml"),
        Inherited("tier", "shop", "qm.defaults.yaml"),
        Inherited("product", "", "qm.defaults.yaml"),
    )
    manifest = said(1, "pay")
    manifest = replace(manifest, current=replace(manifest.current, inherited=given))
    memory = replace(MEMORY, manifests={**MEMORY.manifests, (1, "qm.yaml"): manifest})
    facts = explain("pay", memory, RECORD, SOURCE).facts
    assert "    owner, tier: inherited from the defaults for shop/** in qm.defaults.yaml" in facts
    assert "    product: inherited from the defaults for ** in qm.defaults.yaml" in facts


def with_code_owners(number: int, *handles: str) -> Memory:
    """What is known, where the CODEOWNERS of a project names these for everything."""
    manifest = MEMORY.manifests[number, "qm.yaml"]
    owners = CodeOwners("docs/CODEOWNERS", handles)
    current = replace(manifest.current, code_owners=owners)
    return replace(
        MEMORY,
        manifests={**MEMORY.manifests, (number, "qm.yaml"): replace(manifest, current=current)},
    )


def owned(entity: CatalogEntity, owner: str) -> CatalogEntity:
    return replace(entity, body={**entity.body, "spec": {"owner": owner}})


def guesses(answer: Explanation) -> list[str]:
    return [fact for fact in answer.facts if "may be" in fact or "names @" in fact]


@pytest.mark.parametrize("text", ["shop/fares", "Fares Board"])
def test_of_a_manifest_without_an_owner_codeowners_says_who_it_may_be(text: str) -> None:
    (told,) = guesses(asked(text, with_code_owners(6, "@shop/nobody", "@Red")))
    assert told == (
        "the owner of shop/fares may be group:default/red: docs/CODEOWNERS names @Red as the "
        "owner of everything; if so, name red in its manifest. This is a guess, and not in the "
        "catalog"
    )


@pytest.mark.parametrize("text", ["component:default/cart", "cart", "shop/cart"])
def test_of_an_unknown_owner_codeowners_says_who_may_be_meant(text: str) -> None:
    memory = with_code_owners(2, "@red")
    other = component("cart-worker", 2)
    slip = Problem("?", "owner-unknown", project="shop/cart", file="qm.yaml")
    elsewhere, unknown = RECORD.report, replace(RECORD.report, problems=(slip,))
    for owner, report, guessed in (
        ("group:default/rde", unknown, 1),
        ("group:default/red", unknown, 0),
        ("group:default/in-backstage", elsewhere, 0),  # whom `owners.known` names
        ("group:default/unknown", elsewhere, 1),
    ):
        entities = (owned(CART, owner), owned(other, "group:default/red"), PAYMENTS, TEAM)
        found = guesses(asked(text, memory, PassRecord(report, Catalog(entities))))
        assert len(found) == guessed


def test_whom_codeowners_names_and_nobody_knows_is_said_too() -> None:
    assert guesses(asked("shop/fares", with_code_owners(6, "@a", "@b", "@c", "@d"))) == [
        "docs/CODEOWNERS of shop/fares names @a, @b, @c as the owner of everything; no team "
        "in the catalog goes by that name"
    ]
    assert guesses(asked("shop/fares")) == []


def test_who_owns_a_thing_that_several_speak_of_is_not_guessed() -> None:
    assert guesses(asked("group:default/red", with_code_owners(2, "@red"))) == []


def test_of_an_api_without_a_definition_that_is_said() -> None:
    def told(definition: Json) -> list[str]:
        body = {"kind": "API", "metadata": {"name": "pay"}, "spec": {"definition": definition}}
        entity = CatalogEntity(Ref.of(body), body, PAYMENTS.origins)
        found = asked("api:default/pay", record=replace(RECORD, catalog=Catalog((entity,))))
        return [fact for fact in found.facts if "definition" in fact]

    said = "The manifest of pay names this API and gives no definition of it."
    assert told(said) == [f"api:default/pay is published without a definition: {said}"]
    elsewhere = "The definition of this API is a.yaml of shop/pay."
    assert told(elsewhere) == [f"api:default/pay is published without a definition: {elsewhere}"]
    assert told("openapi: 3.1.0\n") == told({"$text": "../definitions/a.yaml"}) == []
