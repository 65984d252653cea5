"""Runs on the sandbox GitLab: what is written, what is remembered, and what goes wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from bridge.model.entities import CatalogEntity, Ref
from bridge.model.remediation import ActionOutcome, CaseStatus, IssueKey, IssuePlace, RemediationRun
from bridge.model.scores import CheckState
from bridge.model.scrape import Project
from bridge.model.suggested_owner import LikelyOwners
from bridge.model.tracker import Proposal
from bridge.ox.remediation.drafts import Contact
from bridge.ox.remediation.gitlab import GitLabIssues
from bridge.ox.remediation.marker import digest_of
from bridge.ox.remediation.proposals import (
    codeowners_proposal,
    manifest_proposal,
    runbook_proposal,
)
from bridge.ox.remediation.reconcile_issues import labelled
from bridge.ox.remediation.rules import RemediatedSource, Rules, Task
from bridge.ox.remediation.running import Remediator
from bridge.ox.remediation.situation import Policy
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.faults import Fault, FaultPlan, FaultRule
from bridge.sandbox.tracker import SandboxUser
from bridge.sandbox.world import World
from bridge.store import SqlStore, open_store
from tests.ox.remediation.fleets import CHECKS, board, drafts, place, result, score, service
from tests.sandbox.conftest import HandClock

SERVICES = (1, 2, 3)


@dataclass
class Site:
    clock: HandClock
    world: World
    sandbox: SandboxGitLab
    store: SqlStore
    issues: GitLabIssues
    url: str
    policy: Policy = field(default_factory=lambda: Policy("", True))
    failing: tuple[str, ...] = ("owner",)

    @property
    def remediator(self) -> Remediator:
        rules = Rules(
            lambda _: self.policy,
            drafts(team=Contact("kim", "@corp/team")),
        )
        return Remediator(
            RemediatedSource(
                "corp",
                self.store.remediation,
                self.store.lease,
                self.issues,
                rules,
                "me",
                self.clock,
                self.issues,
            )
        )

    async def day(self, *failing: int, proposals: tuple[Proposal, ...] = ()) -> RemediationRun:
        """A day on which these services fail in `failing`, and everything else passes."""
        self.clock.advance(days=1)
        now = self.clock.now
        scores = [
            score(
                service(n),
                [
                    result(
                        service(n),
                        check,
                        CheckState.FAIL
                        if n in failing and check in self.failing
                        else CheckState.PASS,
                        now,
                    )
                    for check in CHECKS
                ],
                now,
            )
            for n in SERVICES
        ]
        places = {service(n): place(n) for n in SERVICES}
        task = Task(board(now, scores), CHECKS, places, proposals=proposals)
        run = await self.remediator.run(task)
        assert run is not None
        return run

    async def case(self, number: int) -> CaseStatus:
        cases = await self.store.remediation.cases("corp")
        return cases[IssueKey(number, service(number), "owner")].status


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    clock = HandClock()
    world = World(clock)
    for number in SERVICES:
        world.add_project(f"corp/service-{number}", id=number, files={"README.md": "hello"})
    world.people.add("kim", "Kim", *SERVICES)
    sandbox = SandboxGitLab(world, scopes=("api",))
    store = await open_store(f"sqlite:///{tmp_path}/store.db")
    async with running(sandbox) as url:
        issues = GitLabIssues(url, "sandbox-token", label="ox")
        made = Site(clock, world, sandbox, store, issues, url)
        await made.day()
        await made.day()
        yield made
        await issues.close()
        await store.close()


def outcomes(run: RemediationRun) -> list[tuple[str, ActionOutcome]]:
    return [(record.action.kind.value, record.outcome) for record in run.records]


@pytest.mark.real
async def test_an_issue_comes_and_goes(site: Site) -> None:
    """With its label, assignee and mention; the run's account is in the store."""
    site.policy = Policy("", True, confidential=True)
    await site.day(1)
    run = await site.day(1)
    assert outcomes(run) == [("open", ActionOutcome.DONE)]
    (thing,) = site.world.issues
    assert (thing.title, thing.labels, thing.confidential) == (
        "Service 1: Has owner",
        ["ox"],
        True,
    )
    assert [user.username for user in thing.assignees] == ["kim"]
    assert [name for name, _ in site.world.issues.told] == ["corp/team"]
    assert run.records[0].url.endswith("/corp/service-1/-/issues/1")
    kept = await site.store.remediation.latest_run("corp")
    assert kept is not None
    assert [record.as_json() for record in kept.records] == [r.as_json() for r in run.records]
    await site.day()
    assert outcomes(await site.day()) == [("close", ActionOutcome.DONE)]
    assert thing.state == "closed"
    assert await site.case(1) is CaseStatus.FIXED


@pytest.mark.real
async def test_plan_only_writes_nothing_to_gitlab(site: Site) -> None:
    site.policy = Policy()
    await site.day(1)
    assert outcomes(await site.day(1)) == [("open", ActionOutcome.PLANNED)]
    assert list(site.world.issues) == []
    assert all(request.method == "GET" for request in site.sandbox.requests)


@pytest.mark.real
async def test_switched_off_issues_are_skipped_and_stop_nobody(site: Site) -> None:
    """Recorded, left alone for a week, and then asked again."""
    site.world.projects[0].issues_enabled = False
    await site.day(1, 2)
    run = await site.day(1, 2)
    assert outcomes(run) == [("open", ActionOutcome.SKIPPED), ("open", ActionOutcome.DONE)]
    assert "403" in run.records[0].detail
    assert outcomes(await site.day(1, 2)) == []
    site.world.projects[0].issues_enabled = True
    later = [outcomes(await site.day(1, 2)) for _ in range(7)]
    assert [("open", ActionOutcome.DONE)] in later


@pytest.mark.real
async def test_one_archived_project_stops_no_other(site: Site) -> None:
    """Its issue stays as it is, with the reason; all others are opened and closed as ever."""
    await site.day(1)
    await site.day(1)
    site.world.archive(1)
    await site.day(2)
    run = await site.day(2)
    assert run.listing_failure == ""
    assert outcomes(run) == [("close", ActionOutcome.SKIPPED), ("open", ActionOutcome.DONE)]
    assert run.records[0].detail == "the project is archived, so nothing is written there"
    site.world.archive(1, False)
    run = await site.day(2)
    assert outcomes(run) == [("close", ActionOutcome.DONE)]


@pytest.mark.real
async def test_nothing_is_written_to_a_project_that_is_to_be_deleted(site: Site) -> None:
    """Neither an issue nor a merge request; it is asked again after a week, not in each run."""
    site.world.rename(1, "service-1-deletion_scheduled-1")
    site.sandbox.forget_requests()
    await site.day(1, 2)
    run = await site.day(1, 2)
    assert outcomes(run) == [("open", ActionOutcome.SKIPPED), ("open", ActionOutcome.DONE)]
    assert "scheduled for deletion" in run.records[0].detail
    assert not [
        request
        for request in site.sandbox.requests
        if request.method != "GET" and request.project_ids == (1,)
    ]
    assert outcomes(await site.day(1, 2)) == []
    runbook = proposals()[1]
    run = await site.day(1, 2, proposals=(replace(runbook, check=""),))
    skipped = [r for r in run.records if r.outcome is ActionOutcome.SKIPPED]
    assert [r.action.kind.value for r in skipped] == ["merge-request"]


@pytest.mark.real
@pytest.mark.parametrize("revoked", [False, True], ids=["kept", "deleted"])
async def test_a_rotated_tokens_new_user_takes_over(site: Site, revoked: bool) -> None:
    """Nothing stops, nothing is made twice, and its predecessor's issues are closed."""
    await site.day(1)
    await site.day(1)
    before = site.sandbox.session.user
    site.sandbox.rotate("second", "project_1_bot_2")
    if revoked:
        site.world.people.remove(before, site.world.issues)
    site.issues = GitLabIssues(site.url, "second", label="ox")
    await site.day(1, 2)
    assert outcomes(await site.day(1, 2)) == [("open", ActionOutcome.DONE)]
    await site.day(2)
    run = await site.day(2)
    assert (outcomes(run), run.listing_failure) == ([("close", ActionOutcome.DONE)], "")
    await site.day(1, 2)
    assert outcomes(await site.day(1, 2)) == [("reopen", ActionOutcome.DONE)]
    assert len(list(site.world.issues)) == 2
    await site.issues.close()


@pytest.mark.real
async def test_what_people_did_to_an_issue_stays(site: Site) -> None:
    """Ticks, text between our lines, labels and the title, when the list changes."""
    site.failing = ("readme", "ci")
    await site.day(1)
    await site.day(1)
    (thing,) = site.world.issues
    ticked = thing.description.replace("- [ ] **Has readme", "- [x] **Has readme")
    entry = next(line for line in ticked.split("\n") if "Has readme" in line)
    told = ticked.replace(entry, f"{entry}\n\nKim is at it.")
    site.world.issues.edit(1, 1, title="Please look at this", description=told)
    site.world.issues.label(1, 1, "urgent", "team::shore")
    site.failing = ("readme", "ci", "slo")
    await site.day(1)
    assert outcomes(await site.day(1)) == [("edit", ActionOutcome.DONE)]
    assert entry in thing.description
    assert "Kim is at it." in thing.description
    assert "- [ ] **Has slo**" in thing.description
    assert (thing.title, thing.labels) == ("Please look at this", ["ox", "urgent", "team::shore"])


@pytest.mark.real
async def test_a_429_leaves_the_rest_to_the_next_run(site: Site) -> None:
    await site.day(1, 2, 3)
    rule = FaultRule(Fault.RATE_LIMITED, "rest-write", skip=1, first_n=1)
    site.sandbox.use_faults(FaultPlan((rule,), retry_after=3600))
    run = await site.day(1, 2, 3)
    assert [outcome for _, outcome in outcomes(run)] == [
        ActionOutcome.DONE,
        ActionOutcome.FAILED,
        ActionOutcome.PLANNED,
    ]
    assert "429" in run.stopped
    run = await site.day(1, 2, 3)
    assert outcomes(run) == [("open", ActionOutcome.DONE)] * 2


@pytest.mark.real
async def test_a_lost_answer_is_found_by_its_marker(site: Site) -> None:
    await site.day(1)
    site.sandbox.use_faults(FaultPlan((FaultRule(Fault.LOST_ANSWER, first_n=1),)))
    assert outcomes(await site.day(1)) == [("open", ActionOutcome.FAILED)]
    assert await site.case(1) is CaseStatus.OPENING
    assert outcomes(await site.day(1)) == [("adopt", ActionOutcome.NOTED)]
    assert len(list(site.world.issues)) == 1
    assert await site.case(1) is CaseStatus.OPENED


@pytest.mark.real
async def test_a_lost_close_is_ours(site: Site) -> None:
    """What we closed without hearing of it is no person's word: it opens again when it fails."""
    await site.day(1)
    await site.day(1)
    await site.day()
    site.sandbox.use_faults(FaultPlan((FaultRule(Fault.LOST_ANSWER, first_n=1),)))
    assert outcomes(await site.day()) == [("close", ActionOutcome.FAILED)]
    await site.day()
    assert await site.case(1) is CaseStatus.FIXED
    await site.day(1)
    assert outcomes(await site.day(1)) == [("reopen", ActionOutcome.DONE)]


@pytest.mark.real
async def test_only_one_replica_acts(site: Site) -> None:
    """While another one holds the lease there is no run, whatever this host says of the time."""
    site.clock.advance(days=400)
    lease = f"remediation:{digest_of('corp')}"
    assert await site.store.lease.acquire(lease, "another", 60)
    assert await site.remediator.run(Task(board(site.clock.now, []), {}, {})) is None
    await site.store.lease.release(lease, "another")
    assert await site.remediator.run(Task(board(site.clock.now, []), {}, {})) is not None


@pytest.mark.real
async def test_a_lost_lease_stops_before_the_next_write(site: Site) -> None:
    """A process that slept while another took over writes nothing any more."""
    await site.day(1)

    @dataclass
    class Lost:
        inner: SqlStore

        async def acquire(self, *given: object) -> bool:
            return True

        async def renew(self, *given: object) -> bool:
            return False

        async def release(self, *given: object) -> bool:
            return False

    site.clock.advance(days=1)
    now = site.clock.now
    failing = [
        score(service(1), [result(service(1), c, CheckState.FAIL, now) for c in CHECKS], now)
    ]
    task = Task(board(now, failing), CHECKS, {service(1): place(1)})
    lost = replace(site.remediator.site, leases=Lost(site.store))
    run = await Remediator(lost).run(task)
    assert run is not None
    assert run.stopped == "another replica took over"
    assert list(site.world.issues) == []


CREW = (CatalogEntity(Ref("group", "default", "crew"), {"metadata": {}, "spec": {}}, ()),)


def proposals() -> tuple[Proposal, ...]:
    where = IssuePlace(1, "corp/service-1", "Service `1`", "group:default/team", "", "main")
    owners = codeowners_proposal(service(1), where, "@corp/team")
    assert owners is not None
    project = Project(2, "corp/service-2", default_branch="main", description='x": {a: *b}\n# no')
    return (
        owners,
        runbook_proposal(service(1), where),
        manifest_proposal(project, LikelyOwners(CREW)),
    )


def free(given: tuple[Proposal, ...]) -> tuple[Proposal, ...]:
    """The same, asked for by no check."""
    return tuple(replace(each, check="") for each in given)


@pytest.mark.real
async def test_merge_requests_are_made_once(site: Site) -> None:
    """A branch, a file and a draft each; then never again, whatever people do."""
    run = await site.day(proposals=free(proposals()))
    assert outcomes(run) == [("merge-request", ActionOutcome.DONE)] * 3
    made = list(site.world.merge_requests)
    assert [thing.title for thing in made] == [
        "Draft: Name the code owners of Service 1",
        "Draft: A runbook for Service 1",
        "Draft: Describe service-2 in qm.yaml",
    ]
    assert site.world.merge_requests.told == []
    project = site.world.projects[1]
    branch = site.sandbox.branches.find(project, "ox/manifest")
    assert branch is not None
    manifest = YAML(typ="safe").load(branch.files["qm.yaml"].content.decode())
    assert manifest["service"] == {
        "name": "service-2",
        "description": 'x": {a: *b} # no',
        "owner": {"team": "corp"},
    }
    assert outcomes(await site.day(proposals=free(proposals()))) == []
    site.world.merge_requests.close(1, made[0].iid)
    site.sandbox.branches.delete(site.world.projects[0], made[0].source_branch)
    site.sandbox.branches.merge(1, made[1].source_branch)
    site.world.merge_requests.mark_merged(1, made[1].iid)
    for _ in range(3):
        assert outcomes(await site.day(proposals=free(proposals()))) == []
    cases = await site.store.remediation.cases("corp")
    found = {key.check: case.status for key, case in cases.items() if not key.is_issue}
    assert found == {
        "mr:codeowners": CaseStatus.SNOOZED,
        "mr:runbook": CaseStatus.FIXED,
        "mr:manifest": CaseStatus.OPENED,
    }


@pytest.mark.real
async def test_a_merge_request_waits_as_an_issue_does(site: Site) -> None:
    """Two fresh fails; not for what failed from the start, nor where a check is in doubt."""
    owners = replace(proposals()[0], check="owner")
    assert outcomes(await site.day(1, proposals=(owners,))) == []
    run = await site.day(1, proposals=(owners,))
    assert ("merge-request", ActionOutcome.DONE) in outcomes(run)
    fresh = replace(owners, check="never-heard-of")
    assert outcomes(await site.day(1, proposals=(replace(fresh, branch="ox/x"),))) == []


@pytest.mark.real
async def test_merge_requests_keep_to_a_groups_cap(site: Site) -> None:
    site.policy = Policy("corp", True, per_run=1)
    run = await site.day(proposals=free(proposals()))
    assert outcomes(run) == [
        ("merge-request", ActionOutcome.DONE),
        ("defer", ActionOutcome.NOTED),
        ("defer", ActionOutcome.NOTED),
    ]
    assert "put off: 1 are opened in this run already" in run.records[1].action.reason


@pytest.mark.real
@pytest.mark.parametrize("lost", [0, 1])
async def test_a_lost_answer_makes_no_second_merge_request(site: Site, lost: int) -> None:
    """Lost after the commit, or after the merge request: what is there is taken up."""
    rule = FaultRule(Fault.LOST_ANSWER, "rest-write", skip=lost, first_n=1)
    site.sandbox.use_faults(FaultPlan((rule,)))
    only = free(proposals()[:1])
    assert outcomes(await site.day(proposals=only)) == [("merge-request", ActionOutcome.FAILED)]
    assert outcomes(await site.day(proposals=only))[0][1] in (
        ActionOutcome.DONE,
        ActionOutcome.NOTED,
    )
    assert len(list(site.world.merge_requests)) == 1


@pytest.mark.real
async def test_merge_requests_that_cannot_be_listed_are_not_made(site: Site) -> None:
    site.sandbox.use_faults(FaultPlan((FaultRule(Fault.UNAVAILABLE, "rest-list", skip=1),)))
    assert outcomes(await site.day(proposals=free(proposals()))) == []
    assert list(site.world.merge_requests) == []


@pytest.mark.real
async def test_a_file_that_is_there_is_not_overwritten(site: Site) -> None:
    site.world.commit_file(1, "CODEOWNERS", "* @somebody")
    run = await site.day(proposals=free(proposals()[:1]))
    assert outcomes(run) == [("merge-request", ActionOutcome.SKIPPED)]
    assert "file with this name already exists" in run.records[0].detail


def test_a_team_without_a_name_in_gitlab_owns_no_code() -> None:
    for handle in ("", "team", "@team\n* @evil", "@"):
        assert codeowners_proposal(Ref("component", "default", "x"), place(1), handle) is None


@pytest.mark.real
async def test_who_waived_by_a_label_is_remembered_and_forgotten_with_it(site: Site) -> None:
    """Asked for once; the name stands beside the waiver that scoring is given."""
    await site.day(1)
    await site.day(1)
    kim = SandboxUser(77, "kim", "Kim")
    site.world.issues.label(1, 1, "ox::waived", by=kim)

    async def waived_by() -> str:
        await site.day(1)
        cases = await site.store.remediation.cases("corp")
        given = labelled(cases.values(), "ox::waived", site.clock.now)
        return ",".join(waiver.person for each in given.values() for waiver in each)

    assert await waived_by() == "kim"
    site.world.issues.label(1, 1, "ox::waived", by=SandboxUser(78, "anna", "Anna"))
    assert await waived_by() == "kim", "asked for once"
    site.world.issues.unlabel(1, 1, "ox::waived")
    assert await waived_by() == ""


GROUP = "The group that the project lies in; change it if the team goes by another name."


@pytest.mark.real
@pytest.mark.parametrize(
    ("files", "team", "why"),
    [
        ({}, "corp", GROUP),
        (
            {"docs/CODEOWNERS": "* @nobody @Crew"},
            "crew",
            "A guess: docs/CODEOWNERS names @Crew as the owner of everything.",
        ),
        ({"CODEOWNERS": "* @nobody", "docs/CODEOWNERS": "* @crew"}, "corp", GROUP),  # one counts
        ({"CODEOWNERS": "/docs @crew"}, "corp", GROUP),  # not of everything
        ({"CODEOWNERS": "* @crew\n" + "#" * 100_000}, "corp", GROUP),  # too long to be read
    ],
)
async def test_a_draft_names_the_team_that_code_owners_name(
    site: Site, files: dict[str, str], team: str, why: str
) -> None:
    for name, text in files.items():
        site.world.commit_file(2, name, text)
    assert outcomes(await site.day(proposals=free(proposals()[2:])))
    branch = site.sandbox.branches.find(site.world.projects[1], "ox/manifest")
    assert branch is not None
    text = branch.files["qm.yaml"].content.decode()
    assert f'    # {why}\n    team: "{team}"\n' in text
