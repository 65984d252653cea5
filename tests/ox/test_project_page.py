"""Guards by a page of GraphQL or by REST: the same facts, and reasons that are true.

The token's role and GitLab's licence decide which way it goes; the sandbox counts what it costs.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from bridge.model.facts import Reading, Standing
from bridge.model.scores import CheckState
from bridge.ox.facts import page_asking
from bridge.ox.facts.collecting import due
from bridge.ox.facts.guards import OF_BRANCH
from bridge.ox.facts.project_page import OPTIONAL, RULES_OF
from bridge.ox.facts.project_page_fields import RIDER_FACTS
from bridge.ox.facts.schemas import GITLAB_REST
from bridge.ox.scores.scoreboard import evaluate
from bridge.sandbox.faults import Fault, FaultPlan, FaultRule
from bridge.sandbox.organization import generate
from bridge.sandbox.project import ApprovalRule, OpenMergeRequest, ProjectFacts, ProtectedBranch
from bridge.sandbox.sessions import Edition, Role, Session
from bridge.sandbox.world import World
from tests.benchmarks.fact_requests import TOKENS, known, round_of
from tests.ox.gitlab_bench import bench, one
from tests.ox.rubrics import service, shipped
from tests.ox.subjects import NOW, component, fact, project_of, subject, told

pytestmark = pytest.mark.real

NA, UNKNOWN = "not_applicable", "unknown"
MAIN = ProtectedBranch("main", code_owner_approval_required=True)
WORLDS: list[tuple[dict[str, Any], tuple[Any, ...]]] = [
    ({}, (False, True, False, 0)),
    ({"protected_branches": (MAIN,)}, (True, False, True, 0)),
    (
        {
            "protected_branches": (ProtectedBranch("ma*", allow_force_push=True), MAIN),
            "approval_rules": (ApprovalRule("main", 2, ("ma*",)), ApprovalRule("all", 1)),
        },
        (True, True, True, 2),
    ),
    (
        {
            "protected_branches": (ProtectedBranch("release/*"),),
            "approval_rules": (
                ApprovalRule("release", 5, ("release/*",)),
                ApprovalRule("protected", 4, all_protected=True),
                ApprovalRule("a report's", 3, type="REPORT_APPROVER"),
                ApprovalRule("everywhere", 1),
            ),
        },
        (False, True, False, 1),
    ),
    (
        {
            "protected_branches": (ProtectedBranch("main"),),
            "approval_rules": (
                ApprovalRule("protected", 4, all_protected=True),
                ApprovalRule("everywhere", 1),
            ),
        },
        (True, False, False, 4),
    ),
]
OLD = frozenset(
    {"BranchRule.id", "Namespace.availableFeatures", "PushRules.preventSecrets"}
)  # what 16.3 does not know
WAYS: dict[str, dict[str, Any]] = {
    "one page": {"session": Session()},
    "an old one's page": {"session": Session(), "lacks": OLD},
    "REST, as the role is too low for the page": {"session": Session(role=Role.REPORTER)},
    "REST, as there is no GraphQL": {
        "faults": FaultPlan((FaultRule(Fault.FORBIDDEN, "graphql"),)),
    },
    "REST, as there are no branch rules": {"lacks": frozenset({RULES_OF})},
}


def guarded(reading: Reading) -> tuple[Any, ...]:
    return tuple(told(reading, name) for name in OF_BRANCH)


@pytest.mark.parametrize("way", WAYS)
async def test_every_way_tells_the_same(way: str) -> None:
    world = World(lambda: NOW)
    expected = {}
    for number, (facts, guards) in enumerate(WORLDS):
        project = world.add_project(f"shop/p{number}", facts=ProjectFacts(**facts))
        expected[project.path] = guards
    async with bench(world, **WAYS[way]) as it:
        readings = await it.read()
        by_rest = any("/protected_branches" in request.path for request in it.sandbox.requests)
    assert {path: guarded(reading) for path, reading in readings.items()} == expected
    assert by_rest == way.startswith("REST")


@pytest.mark.parametrize("role", [Role.MAINTAINER, Role.REPORTER])
@pytest.mark.parametrize("lacks", [frozenset(), OLD], ids=["new", "old"])
@pytest.mark.parametrize(
    ("edition", "said"),
    [
        (
            Edition.CE,
            "this GitLab is the Community Edition; only GitLab Premium and Ultimate have {}",
        ),
        (Edition.FREE, "this GitLab's licence is Free; only GitLab Premium and Ultimate have {}"),
    ],
)
async def test_what_is_not_licensed_does_not_apply(
    edition: Edition, said: str, lacks: frozenset[str], role: Role
) -> None:
    """Neither false nor "the role is too low"; where nothing is protected, too."""
    world = one(protected_branches=(MAIN,), approval_rules=(ApprovalRule("all", 1),))
    world.add_project("shop/bare")
    session = Session(edition=edition, role=role)
    async with bench(world, session=session, lacks=lacks) as it:
        readings = await it.read()
        asked = [r.path for r in it.sandbox.requests]
    assert guarded(readings["shop/api"]) == (True, False, NA, NA)
    assert guarded(readings["shop/bare"]) == (False, True, NA, NA)
    for reading in readings.values():
        reasons = [fact(reading, name).reason for name in OF_BRANCH[2:]]
        assert reasons == [
            said.format(thing) for thing in ("code owners' approval", "approval rules")
        ]
    assert not any("approval_rules" in path for path in asked)


@pytest.mark.parametrize("edition", list(Edition))
async def test_the_shipped_rubric_fails_nobody_for_a_licence(edition: Edition) -> None:
    world = one(protected_branches=(ProtectedBranch("main"),))
    async with bench(world, session=Session(edition=edition)) as it:
        reading = await it.only()
    entity = service("c7")
    readings = {entity.ref: {"gitlab_rest": reading}}
    score = evaluate(shipped(), [entity], readings, NOW).scores[entity.ref]
    (check,) = [each for each in score.results if each.check == "approvals"]
    paid = edition >= Edition.PREMIUM
    assert check.state is (CheckState.FAIL if paid else CheckState.NOT_APPLICABLE)
    assert paid or "only GitLab Premium" in check.reason


async def test_a_role_that_is_too_low_is_told_by_group() -> None:
    """It is no licence's fault, and what has a licence nowhere does not depend on the role."""
    world = World(lambda: NOW)
    for path in ("shop/api", "bank/api"):
        world.add_project(path, facts=ProjectFacts(protected_branches=(MAIN,)))
    groups = {"bank": Role.GUEST}
    async with bench(world, session=Session(groups=groups)) as it:
        readings = await it.read()
    assert guarded(readings["shop/api"]) == (True, False, True, 0)
    assert guarded(readings["bank/api"]) == (UNKNOWN,) * 4
    assert (
        "role is too low here, it needs Reporter" in fact(readings["bank/api"], OF_BRANCH[3]).reason
    )
    async with bench(world, session=Session(groups=groups, edition=Edition.FREE)) as it:
        readings = await it.read()
    assert guarded(readings["bank/api"]) == (UNKNOWN, UNKNOWN, NA, NA)
    assert "licence is Free" in fact(readings["bank/api"], OF_BRANCH[3]).reason


async def test_a_project_with_many_rules_is_read_whole() -> None:
    branches = [ProtectedBranch(f"a{number:03}") for number in range(130)]
    rules = [ApprovalRule("last", 7, ("main",))]
    world = one(protected_branches=(*branches, MAIN), approval_rules=rules)
    async with bench(world) as it:
        reading = await it.only()
        kinds = Counter(request.kind for request in it.sandbox.requests)
    assert guarded(reading) == (True, False, True, 7)
    assert kinds == {"graphql": 3}


def fleet(count: int) -> World:
    world = World(lambda: NOW)
    for number in range(count):
        facts = ProjectFacts(protected_branches=(MAIN,))
        world.add_project(f"shop/p{number}", facts=facts, files={"docs/runbook.md": "x"})
    return world


@pytest.mark.parametrize(
    ("session", "most"),
    [
        (Session(), 3),
        (Session(edition=Edition.FREE), 3),
        (Session(edition=Edition.CE), 8),  # it says one by one what it does not know
        (Session(role=Role.REPORTER), 3 + 2 * 130),
        (Session(role=Role.REPORTER, edition=Edition.FREE), 3 + 130),
    ],
    ids=["Maintainer", "Free", "Community", "Reporter", "Reporter on Free"],
)
async def test_what_a_round_of_130_services_costs(session: Session, most: int) -> None:
    """A page for fifty, with their runbooks, which took a request each besides."""
    async with bench(fleet(130), session=session) as it:
        link = "{url}/-/blob/main/docs/runbook.md"
        subjects = []
        for project in it.sandbox.world:
            known = project_of(project, it.url)
            links = [{"type": "runbook", "url": link.format(url=known.web_url)}]
            subjects.append(subject(component(f"c{known.id}", links=links), project=known))
        readings = [reading async for reading in it.collector.collect(subjects)]
        assert all(told(reading, "runbook_present") is True for reading in readings)
        assert all(told(reading, OF_BRANCH[0]) is True for reading in readings)
        assert len(readings) == 130
        assert len(it.sandbox.requests) <= most
        assert it.collector.requests == len(it.sandbox.requests)
        before = len(it.sandbox.requests)
        again = {reading.entity: reading async for reading in it.collector.collect(subjects)}
        assert again == {reading.entity: reading for reading in readings}
        assert len(it.sandbox.requests) - before <= min(before, most)


@pytest.mark.parametrize(
    ("token", "most"),
    [
        ("Maintainer", 250 / 10_000),
        ("Maintainer, licence Free", 250 / 10_000),
        ("Reporter", 2.02),
        ("Reporter, licence Free", 1.02),
    ],
)
async def test_a_round_costs_what_the_benchmark_says(token: str, most: float) -> None:
    """The benchmark in small: requests a service; nothing of the guards stays unknown."""
    services = 600
    world = generate(services, seed=1, clock=lambda: NOW)
    counts, readings = await round_of(world, TOKENS[token])
    assert len(readings) == services
    assert counts.total() <= most * services
    assert known(readings) == services * len(OF_BRANCH)


async def test_one_poisoned_project_of_a_page_costs_only_itself() -> None:
    world = fleet(50)
    world.projects[20].poisoned = True
    async with bench(world) as it:
        readings = await it.read()
        requests = it.sandbox.requests
    lost = [path for path, reading in readings.items() if told(reading, OF_BRANCH[0]) is not True]
    assert lost == [world.projects[20].path]
    assert told(readings[lost[0]], "commits") == UNKNOWN
    assert len(requests) <= page_asking.BUDGET + 2


async def test_a_query_that_is_refused_for_all_falls_back_to_rest() -> None:
    plan = FaultPlan((FaultRule(Fault.NO_DATA, "graphql"),))
    async with bench(fleet(3), faults=plan) as it:
        readings = await it.read()
    assert {guarded(reading) for reading in readings.values()} == {(True, False, True, 0)}


def rich() -> World:
    ages = [
        OpenMergeRequest(NOW - timedelta(days=n), NOW - timedelta(days=n // 4)) for n in (1, 40, 80)
    ]
    return one(
        merge_requests=ages,
        incidents=2,
        discussions_resolved=True,
        catalog_resource=True,
        vulnerabilities={"critical": 1, "high": 5},
        dora={"DEPLOYMENT_FREQUENCY": 1.5},
    )


async def test_what_rides_along() -> None:
    async with bench(rich(), session=Session(edition=Edition.ULTIMATE)) as it:
        reading = await it.only()
    assert {name: told(reading, name) for name in RIDER_FACTS} == {
        "discussions_must_be_resolved": True,
        "source_branch_removed": True,
        "ci_catalog_resource": True,
        "container_repositories": 1,
        "long_open_merge_requests": 2,
        "stale_merge_requests": 1,
        "open_incidents": 2,
        "repository_size": 1,
        "commits": 17,
        "unsigned_commits_rejected": False,
        "secrets_rejected": False,
        "critical_vulnerabilities": 1,
        "high_vulnerabilities": 5,
        "deployments_per_day": 1.5,
        "lead_time": NA,
    }
    assert "no figure" in fact(reading, "lead_time").reason


@pytest.mark.parametrize(
    "options",
    [
        {"session": Session(edition=Edition.CE)},
        {"session": Session(edition=Edition.FREE)},
        {"session": Session(role=Role.REPORTER)},
        {"session": Session(), "lacks": OPTIONAL},
        {"faults": FaultPlan((FaultRule(Fault.FORBIDDEN, "graphql"),))},
    ],
    ids=["Community", "Free", "Reporter", "old", "no GraphQL"],
)
async def test_what_is_refused_makes_nobody_unsure(options: dict[str, Any]) -> None:
    """A project with a fact that is unknown is asked again within the hour; these are not."""
    async with bench(rich(), **options) as it:
        reading = await it.only()
    refused = [fact(reading, name) for name in RIDER_FACTS if told(reading, name) == NA]
    assert refused
    assert all(each.reason for each in refused)
    assert all(each.standing is not Standing.UNKNOWN for each in reading.facts)
    body = component("c7")
    again = due(
        GITLAB_REST,
        [subject(body)],
        {reading.entity: {"gitlab_rest": reading}},
        NOW + timedelta(hours=20),
    )
    assert again == ()


async def test_a_slow_field_is_asked_again() -> None:
    world = one(slow=frozenset({"mergeRequests"}))
    async with bench(world) as it:
        reading = await it.only()
    assert told(reading, "stale_merge_requests") == UNKNOWN
    assert guarded(reading) == (False, True, False, 0)


async def test_a_folder_is_no_runbook() -> None:
    world = one()
    project = world.projects[0]
    project.files["docs/submodule"] = type(project.files["empty.md"])(b"x", mode="160000")
    async with bench(world) as it:
        for path, there in (("docs/run%20book.md", True), ("docs/submodule", False)):
            link = f"{it.url}/shop/api/-/blob/main/{path}"
            assert told(await it.only(link), "runbook_present") is there
        assert {request.kind for request in it.sandbox.requests} == {"graphql"}


@pytest.mark.parametrize("by_rest", [False, True])
async def test_of_several_runbooks_those_that_are_missing_are_named(by_rest: bool) -> None:
    """By REST no file is asked for once one is there, and nobody is unsure for that."""
    rules = (FaultRule(Fault.FORBIDDEN, "graphql"),) if by_rest else ()
    async with bench(one(), faults=FaultPlan(rules)) as it:
        root = f"{it.url}/shop/api/-/blob/main"
        none = await it.only(f"{root}/empty.md", f"{root}/gone.md")
        some = await it.only(f"{root}/gone.md", f"{root}/docs/run%20book.md", f"{root}/empty.md")
    assert told(none, "runbook_present") is False
    assert told(none, "runbooks_missing") == ["empty.md", "gone.md"]
    assert told(some, "runbook_present") is True
    assert told(some, "runbooks_missing") == (NA if by_rest else ["empty.md", "gone.md"])
