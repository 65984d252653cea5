"""What GitLab shows of a project's guards depends on the token's role and on the licence."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.project import ApprovalRule, ProtectedBranch
from bridge.sandbox.sessions import Edition, Role, Session
from bridge.sandbox.world import World
from tests.sandbox.conftest import TOKEN, HandClock, Lab

pytestmark = pytest.mark.real

RULES = """
{ projects(ids: ["gid://gitlab/Project/1"]) { nodes {
  userPermissions { adminProject } namespace { availableFeatures { hasIssueWeightsFeature } }
  branchRules(first: 20) { nodes { id name isProtected branchProtection { allowForcePush } }
    pageInfo { hasNextPage } }
} } }
"""
GUARDS = """
query guards($ids: [ID!], $first: Int) { projects(ids: $ids, first: $first) { nodes {
  id userPermissions { adminProject } repository { rootRef }
  branchRules(first: 20) { nodes { id name isProtected
      branchProtection { allowForcePush codeOwnerApprovalRequired }
      approvalRules { nodes { type approvalsRequired } } }
    pageInfo { hasNextPage endCursor } } } } queryComplexity { score } }
"""


@asynccontextmanager
async def asked(session: Session) -> AsyncIterator[Lab]:
    world = World(HandClock())
    project = world.add_project("corp/shop/api", files={"README.md": "x"})
    project.facts.protected_branches = [ProtectedBranch("main", code_owner_approval_required=True)]
    project.facts.approval_rules = [
        ApprovalRule("everywhere", 1),
        ApprovalRule("protected", 2, all_protected=True),
        ApprovalRule("main", 3, ("main",)),
    ]
    sandbox = SandboxGitLab(world, token=TOKEN, session=session)
    headers = {"PRIVATE-TOKEN": TOKEN}
    async with running(sandbox) as url, aiohttp.ClientSession(headers=headers) as client:
        yield Lab(world, sandbox, client, url)


async def seen(lab: Lab) -> dict[str, Any]:
    """REST's statuses, what it says of code owners and the licence, and GraphQL's rules."""
    branches = await lab.get("/projects/1/protected_branches")
    rows = await branches.json()
    project = await (await lab.get("/projects/1")).json()
    (node,) = (await lab.ask(RULES))["data"]["projects"]["nodes"]
    return {
        "branches": branches.status,
        "owners": rows[0].get("code_owner_approval_required", "absent")
        if type(rows) is list
        else "",
        "approvals": (await lab.get("/projects/1/approval_rules")).status,
        "licensed": "approvals_before_merge" in project,
        "weights": node["namespace"]["availableFeatures"]["hasIssueWeightsFeature"],
        "rules": [rule["id"].split("/")[-2] for rule in node["branchRules"]["nodes"]],
    }


async def test_a_licence_is_not_a_role() -> None:
    """Free answers 403 and false, the community edition 404 and nothing at all."""
    found = {}
    for edition in Edition:
        async with asked(Session(edition=edition)) as lab:
            found[edition] = await seen(lab)
            (refused,) = (await lab.ask(GUARDS, ids=[])).get("errors", [{"message": ""}])[:1]
            assert ("doesn't exist" in refused["message"]) == (edition is Edition.CE)
    assert {edition: (told["approvals"], told["owners"]) for edition, told in found.items()} == {
        Edition.CE: (404, "absent"),
        Edition.FREE: (403, False),
        Edition.PREMIUM: (200, True),
        Edition.ULTIMATE: (200, True),
    }
    assert [told["licensed"] for told in found.values()] == [False, False, True, True]
    assert [told["weights"] for told in found.values()] == [False, False, True, True]
    assert found[Edition.FREE]["rules"] == ["Projects::BranchRule"]
    assert found[Edition.PREMIUM]["rules"] == [
        "Projects::AllBranchesRule",
        "Projects::AllProtectedBranchesRule",
        "Projects::BranchRule",
    ]


@pytest.mark.parametrize(
    ("role", "statuses", "rules"),
    [
        (Role.GUEST, (403, 403), 0),
        (Role.REPORTER, (200, 200), 0),
        (Role.DEVELOPER, (200, 200), 0),
        (Role.MAINTAINER, (200, 200), 3),
    ],
)
async def test_below_maintainer_the_rules_are_an_empty_list(
    role: Role, statuses: tuple[int, int], rules: int
) -> None:
    """Without an error; REST tells them to a Reporter already. Roles are by group."""
    groups = {"corp": Role.OWNER, "CORP/shop": role}
    async with asked(Session(role=Role.NONE, groups=groups)) as lab:
        told = await seen(lab)
    assert (told["branches"], told["approvals"]) == statuses
    assert len(told["rules"]) == rules


async def test_ultimates_counts_are_refused_with_a_path() -> None:
    query = '{ project(fullPath: "corp/shop/api") { vulnerabilitySeveritiesCount { high } } }'
    async with asked(Session()) as lab:
        body = await lab.ask(query)
    assert body["data"]["project"] == {"vulnerabilitySeveritiesCount": None}
    assert body["errors"][0]["path"] == ["project", "vulnerabilitySeveritiesCount"]
    async with asked(Session(edition=Edition.ULTIMATE)) as lab:
        body = await lab.ask(query)
    assert body["data"]["project"] == {"vulnerabilitySeveritiesCount": {"high": 0}}


@pytest.mark.parametrize(("first", "score"), [(50, 45), (100, 60)])
async def test_guards_cost_what_gitlab_asks(first: int, score: int) -> None:
    async with asked(Session()) as lab:
        body = await lab.ask(GUARDS, ids=["gid://gitlab/Project/1"], first=first)
    assert body["data"]["queryComplexity"]["score"] - 2 == score
