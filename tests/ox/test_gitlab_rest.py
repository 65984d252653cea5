"""How a project guards its default branch, asked of the sandbox GitLab at its most unpleasant."""

from __future__ import annotations

import pytest

from bridge.errors import SourceRefused
from bridge.ox.facts.guards import covers
from bridge.sandbox.faults import Fault, FaultPlan, FaultRule
from bridge.sandbox.project import ApprovalRule, ProtectedBranch
from tests.ox.gitlab_bench import bench, one
from tests.ox.subjects import NOW, fact, told

GUARDS = ("default_branch_protected", "force_push_allowed", "code_owner_approval_required")


@pytest.mark.real
@pytest.mark.parametrize(
    ("branches", "guards"),
    [
        ((), (False, True, False)),
        ((ProtectedBranch("main"),), (True, False, False)),
        ((ProtectedBranch("release/*"),), (False, True, False)),
        (
            (ProtectedBranch("ma*"), ProtectedBranch("*", allow_force_push=True)),
            (True, True, False),
        ),
        (
            (ProtectedBranch("main"), ProtectedBranch("m*", code_owner_approval_required=True)),
            (True, False, True),
        ),
    ],
)
async def test_patterns_guard_as_well_as_names(
    branches: tuple[ProtectedBranch, ...], guards: tuple[bool, ...]
) -> None:
    async with bench(one(protected_branches=branches)) as it:
        reading = await it.only()
    assert tuple(told(reading, name) for name in GUARDS) == guards


@pytest.mark.real
async def test_the_strictest_rule_for_the_default_branch_counts() -> None:
    rules = (
        ApprovalRule("all", 1),
        ApprovalRule("main", 2, ("ma*",)),
        ApprovalRule("other", 5, ("release/*",)),
    )
    named = (ProtectedBranch("ma*"), ProtectedBranch("release/*"))
    async with bench(one(approval_rules=rules, protected_branches=named)) as it:
        assert told(await it.only(), "approvals_required") == 2


@pytest.mark.real
async def test_settings_that_the_token_may_not_see_are_unknown_and_never_unprotected() -> None:
    async with bench(one(settings_hidden=True)) as it:
        reading = await it.only()
    assert [told(reading, name) for name in GUARDS] == ["unknown"] * 3
    assert "role is too low" in fact(reading, "force_push_allowed").reason


@pytest.mark.real
async def test_one_project_that_fails_costs_only_itself() -> None:
    world = one(protected_branches=(ProtectedBranch("main"),))
    world.add_project("shop/poisoned", poisoned=True)
    world.add_project("shop/someday", repository="empty")
    async with bench(world) as it:
        readings = await it.read()
    assert told(readings["shop/api"], GUARDS[0]) is True
    assert told(readings["shop/poisoned"], GUARDS[0]) == "unknown"
    assert fact(readings["shop/poisoned"], GUARDS[0]).reason.startswith("500 from GitLab")
    assert told(readings["shop/someday"], GUARDS[0]) == "not_applicable"


@pytest.mark.real
async def test_too_many_requests_wait_as_long_as_gitlab_says_and_then_read_on() -> None:
    for form in ("seconds", "date"):
        limited = FaultPlan((FaultRule(Fault.RATE_LIMITED),), retry_after=7, retry_after_as=form)
        world = one(protected_branches=(ProtectedBranch("main"),))
        async with bench(world, faults=limited, clock=lambda: NOW) as it:
            reading = await it.only()
        assert told(reading, GUARDS[0]) is True
        assert it.waits == [7.0]


@pytest.mark.real
@pytest.mark.parametrize("fault", [Fault.RESET, Fault.BAD_GATEWAY, Fault.TRUNCATED, Fault.HANG])
async def test_whatever_happens_on_the_wire_is_unknown_with_a_reason(fault: Fault) -> None:
    patience = 0.1 if fault is Fault.HANG else 2.0  # nothing comes, however long one waits
    async with bench(one(), patience=patience, faults=FaultPlan((FaultRule(fault),))) as it:
        reading = await it.only()
    assert [told(reading, name) for name in GUARDS] == ["unknown"] * 3
    assert all("GitLab" in fact(reading, name).reason for name in GUARDS)


@pytest.mark.real
async def test_a_refused_token_ends_it_and_is_not_shown() -> None:
    async with bench(one(), token="wrong-token") as it:
        with pytest.raises(SourceRefused, match="GITLAB_TOKEN") as caught:
            await it.only()
        assert "wrong-token" not in repr(it.collector) + str(caught.value)


@pytest.mark.real
@pytest.mark.parametrize(
    ("link", "there"),
    [
        ("", False),
        ("https://wiki.example.com/runbook", True),
        ("{url}/shop/api/-/blob/main/docs/run%20book.md#start", True),
        ("{url}/shop/api/-/blob/main/empty.md", False),
        ("{url}/shop/api/-/blob/main/../secret.md", False),
        ("{url}/shop/api/-/blob/main/gone.md", False),
    ],
)
async def test_a_runbook_in_the_project_must_be_there_and_hold_something(
    link: str, there: bool
) -> None:
    async with bench(one()) as it:
        assert told(await it.only(link.format(url=it.url)), "runbook_present") is there


def test_a_star_matches_slashes_and_nothing_else_is_special() -> None:
    assert covers("*", "feature/x")
    assert covers("rel*/?", "release/1/?")
    assert not covers("mai?", "main")
    assert not covers("[m]ain", "main")
    assert not covers("a*" * 40 + "b", "a" * 200)
