"""Issues through python-gitlab, on the sandbox GitLab with its faults."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from bridge.errors import TrackerError, TrackerRefused, TrackerStopped, TrackerUnsure
from bridge.model.tracker import IssueChange, IssueEvent, NewIssue
from bridge.ox.remediation.gitlab import GitLabIssues
from bridge.ox.remediation.gitlab_listing import MADE_SINCE
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.faults import Fault, FaultPlan, FaultRule
from bridge.sandbox.tracker import BOT, SandboxUser
from bridge.sandbox.world import World
from bridge.secret.live import Secret

pytestmark = pytest.mark.real

TOKEN = "glpat-only-for-tests"


@dataclass
class Desk:
    world: World
    sandbox: SandboxGitLab
    issues: GitLabIssues
    url: str


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    world = World(lambda: datetime(2026, 3, 1, tzinfo=UTC))
    world.add_project("a/b")
    sandbox = SandboxGitLab(world, token=TOKEN, scopes=("api",))
    async with running(sandbox) as url:
        issues = GitLabIssues(url, TOKEN, label="ox")
        yield Desk(world, sandbox, issues, url)
        await issues.close()


def new(assignee: str = "") -> NewIssue:
    return NewIssue(1, "Fix it", "text", ("ox",), assignee)


async def test_open_change_and_list(desk: Desk) -> None:
    desk.world.people.add("kim", "Kim", 1)
    made = await desk.issues.open(NewIssue(1, "Fix it", "text", ("ox",), "kim", True))
    thing = desk.world.issues.find(1, made.iid)
    assert thing is not None
    assert (thing.confidential, [user.username for user in thing.assignees]) == (True, ["kim"])
    assert made.url == f"{desk.url}/a/b/-/issues/1"
    await desk.issues.change(IssueChange(1, 1, "Now", "other", IssueEvent.CLOSE))
    assert (thing.title, thing.description, thing.state) == ("Now", "other", "closed")
    desk.world.issues.edit(1, 1, due_date=date(2026, 4, 1))
    (seen,) = (await desk.issues.listing([])).issues
    assert (seen.opened, seen.ours, seen.closed_by_us, seen.due) == (
        False,
        True,
        True,
        date(2026, 4, 1),
    )


async def test_an_assignee_who_is_no_member_is_left_out(desk: Desk) -> None:
    await desk.issues.open(new("nobody"))
    assert [thing.assignees for thing in desk.world.issues] == [[]]


async def test_a_listing_reads_every_page_and_knows_ours(desk: Desk) -> None:
    for number in range(230):
        desk.world.issues.create(1, f"x{number}", BOT, labels=["ox"])
    desk.world.issues.create(1, "a person's", labels=["ox"])
    listing = await desk.issues.listing([])
    assert listing.failure == ""
    assert [seen.ours for seen in listing.issues] == [True] * 230 + [False]


@pytest.mark.parametrize("fault", [Fault.LOST_PAGE, Fault.CUT_SHORT])
@pytest.mark.parametrize("skip", [0, 1, 2])
async def test_a_lost_page_is_told_by_the_number_of_rows(
    desk: Desk, fault: Fault, skip: int
) -> None:
    """Whoever takes fewer rows for all of them makes issues twice."""
    for number in range(230):
        desk.world.issues.create(1, f"x{number}", BOT, labels=["ox"])
    rule = FaultRule(fault, "rest-list", skip=skip, first_n=1)
    desk.sandbox.use_faults(FaultPlan((rule,)))
    assert (await desk.issues.listing([(1, 1)])).failure


@pytest.mark.parametrize("group", ["", "a"])
async def test_archived_projects_are_in_the_list(desk: Desk, group: str) -> None:
    """GitLab hides their issues and merge requests unless it is asked not to."""
    desk.world.issues.create(1, "x", BOT, labels=["ox"])
    desk.world.merge_requests.create(1, "x", BOT, labels=["ox"], source_branch="ox/manifest")
    desk.world.archive(1)
    issues = GitLabIssues(desk.url, TOKEN, label="ox", group=group)
    listing = await issues.listing([(1, 1)])
    assert ([seen.iid for seen in listing.issues], listing.failure) == ([1], "")
    assert listing.doubtful == {}
    assert len(await issues.merge_requests()) == 1
    await issues.close()


async def test_issues_of_an_earlier_bot_user_are_ours(desk: Desk) -> None:
    """A rotated token has another user; who wrote what the store knows is one of ours.

    A user's name may be given, too; a deleted one's work is a ghost's, who is nobody's.
    """
    for title in ("known", "unknown to the store"):
        desk.world.issues.create(1, title, BOT, labels=["ox"])
    desk.world.issues.create(1, "a person's", labels=["ox"])
    desk.world.issues.close(1, 2, BOT)
    desk.sandbox.rotate("second", "project_1_bot_2")
    blank, after, late = (GitLabIssues(desk.url, "second", label="ox") for _ in range(3))
    named = GitLabIssues(desk.url, "second", label="ox", bots=["@Catalog-Crawler"])
    assert [seen.ours for seen in (await blank.listing([])).issues] == [False] * 3
    assert [seen.ours for seen in (await named.listing([])).issues] == [True, True, False]
    listing = await after.listing([(1, 1)])
    assert (listing.failure, listing.doubtful) == ("", {})
    assert [seen.ours for seen in listing.issues] == [True, True, False]
    assert listing.issues[1].closed_by_us is True
    desk.world.people.remove(BOT, desk.world.issues)
    ghostly = (await late.listing([(1, 1)])).issues
    assert [seen.ours for seen in ghostly] == [False] * 3
    assert ghostly[1].closed_by_us is None
    for one in (after, blank, named, late):
        await one.close()


async def test_a_token_that_changes_while_we_run_is_followed(desk: Desk, tmp_path: Path) -> None:
    """Its new user is ours at once, and the old one still is."""
    file = tmp_path / "token"
    file.write_text(TOKEN)
    issues = GitLabIssues(desk.url, Secret(TOKEN, file=file), label="ox")
    desk.world.issues.create(1, "x", BOT, labels=["ox"])
    assert [seen.ours for seen in (await issues.listing([])).issues] == [True]
    second = desk.sandbox.rotate("second", "project_1_bot_2")
    file.write_text("second\n")
    desk.world.issues.create(1, "y", second, labels=["ox"])
    listing = await issues.listing([])
    assert ([seen.ours for seen in listing.issues], listing.failure) == ([True, True], "")
    await issues.close()


async def test_what_may_have_been_made_unheard_is_looked_for_in_its_project(desk: Desk) -> None:
    desk.world.add_project("a/other", id=5)
    for project in (1, 5):
        desk.world.issues.create(project, "x", BOT, labels=["ox"])
    desk.sandbox.use_faults(FaultPlan((FaultRule(Fault.FORBIDDEN, "rest-list", skip=1),)))
    since = dict.fromkeys((1, 5), desk.world.clock())
    listing = await desk.issues.listing([], since)
    assert [seen.project_id for seen in listing.issues] == [1, 5]
    assert set(listing.doubtful) == {1, 5}
    assert "its issues could not be listed: GitLab refused (403)" in listing.doubtful[1]
    desk.sandbox.use_faults(FaultPlan())
    assert (await desk.issues.listing([], since)).doubtful == {}


async def test_what_was_made_unheard_is_found_without_label_and_marker(desk: Desk) -> None:
    """By who made it, and when: what people did to it meanwhile hides nothing."""
    issues, now = desk.world.issues, desk.world.clock()
    bot = desk.world.people.add("project_1_bot_9", "Gone")
    issues.create(1, "ours, long ago", BOT).created_at = now - timedelta(hours=2)
    issues.create(1, "ours", BOT)
    issues.create(1, "a person's")
    issues.create(1, "of a deleted bot", bot, labels=["ox"])
    issues.unlabel(1, 4, "ox")
    desk.world.people.remove(bot, issues)
    listing = await desk.issues.listing([], {1: now})
    assert [(seen.title, seen.ours, seen.orphan) for seen in listing.issues] == [
        ("of a deleted bot", False, True),
        ("ours", True, False),
    ]
    assert (await desk.issues.listing([])).issues == ()


async def test_where_too_many_were_made_since_then_nothing_is_written(desk: Desk) -> None:
    for number in range(MADE_SINCE + 1):
        desk.world.issues.create(1, f"No. {number}")
    listing = await desk.issues.listing([], {1: desk.world.clock()})
    assert listing.doubtful[1].endswith(f"GitLab lists more than {MADE_SINCE}")


async def test_closed_projects_are_told_before_anything_is_written(desk: Desk) -> None:
    desk.world.add_project("a/old", archived=True)
    desk.world.add_project("a/dead-deletion_scheduled-3")
    desk.world.add_project("b-deleted-9/c")
    said = [await desk.issues.closed(number) for number in (1, 2, 3, 4, 99)]
    assert [one.partition(",")[0] for one in said] == [
        "",
        "the project is archived",
        "the project is scheduled for deletion",
        "the project is scheduled for deletion",
        "GitLab does not show the project (any more)",
    ]
    for number in (2, 3, 4):
        with pytest.raises(TrackerRefused, match="403"):
            await desk.issues.open(NewIssue(number, "Fix it", "text", ("ox",)))


async def test_what_a_listing_leaves_out_is_looked_for(desk: Desk) -> None:
    """Gone is gone, without its label it is still ours, and a listing that lies is told."""
    for title in ("gone", "unlabelled", "there"):
        desk.world.issues.create(1, title, BOT, labels=["ox"])
    desk.world.issues.delete(1, 1)
    desk.world.issues.unlabel(1, 2, "ox")
    listing = await desk.issues.listing([(1, 1), (1, 2), (1, 3)])
    assert (listing.failure, listing.deleted) == ("", frozenset({(1, 1)}))
    assert sorted(seen.iid for seen in listing.issues) == [2, 3]
    desk.sandbox.use_faults(FaultPlan((FaultRule(Fault.CUT_SHORT, "rest-list"),)))
    assert "left out 1 issues" in (await desk.issues.listing([(1, 3)])).failure
    many = [(1, number) for number in range(100, 700)]
    assert "600 of 600" in (await desk.issues.listing(many)).failure


async def test_what_is_not_shown_is_not_deleted(desk: Desk) -> None:
    """GitLab says 404 also for a project that it hides, and where issues are switched off."""
    for number in (2, 3):
        desk.world.add_project(f"a/c{number}")
    for project in (1, 2, 3):
        desk.world.issues.create(project, "x", BOT, labels=["ox"])
    desk.world.projects[1].hidden = True
    desk.world.projects[2].issues_enabled = False
    listing = await desk.issues.listing([(1, 1), (2, 1), (3, 1)])
    assert (listing.failure, listing.deleted, list(listing.unseen)) == ("", frozenset(), [2])
    assert listing.doubtful == {
        2: "GitLab does not show the project (any more)",
        3: "issues are switched off",
    }


async def test_one_unreadable_project_puts_only_itself_in_doubt(desk: Desk) -> None:
    rule = FaultRule(Fault.FORBIDDEN, "rest", project_ids=(1,))
    desk.sandbox.use_faults(FaultPlan((rule,)))
    listing = await desk.issues.listing([(1, 7)])
    assert listing.failure == ""
    assert "issue 7 could not be read" in listing.doubtful[1]


@pytest.mark.parametrize(
    "fault", [Fault.BAD_GATEWAY, Fault.TRUNCATED, Fault.RESET, Fault.RATE_LIMITED]
)
async def test_a_listing_that_fails_says_so(desk: Desk, fault: Fault) -> None:
    desk.sandbox.use_faults(FaultPlan((FaultRule(fault, "rest-list"),), retry_after=3600))
    assert (await desk.issues.listing([])).failure


async def test_errors_say_what_happens_next(desk: Desk) -> None:
    """Refused: not here. Unsure: look before doing it again. Stopped: not in this run."""
    plan = FaultPlan((FaultRule(Fault.LOST_ANSWER, first_n=1),))
    desk.sandbox.use_faults(plan)
    with pytest.raises(TrackerUnsure, match="did not answer"):
        await desk.issues.open(new())
    assert len(list(desk.world.issues)) == 1
    assert sum(request.method == "POST" for request in desk.sandbox.requests) == 1
    desk.sandbox.use_faults(FaultPlan((FaultRule(Fault.RATE_LIMITED, first_n=1),), retry_after=99))
    with pytest.raises(TrackerStopped, match="429"):
        await desk.issues.open(new())
    desk.sandbox.use_faults(FaultPlan((FaultRule(Fault.BAD_GATEWAY, first_n=1),)))
    with pytest.raises(TrackerUnsure, match="502"):
        await desk.issues.open(new())
    desk.world.projects[0].issues_enabled = False
    with pytest.raises(TrackerRefused, match="403"):
        await desk.issues.open(new())


async def test_a_token_that_may_only_read_stops_the_run(desk: Desk) -> None:
    sandbox = SandboxGitLab(desk.world, token=TOKEN)
    async with running(sandbox) as url:
        issues = GitLabIssues(url, TOKEN, label="ox")
        with pytest.raises(TrackerStopped, match="scope `api`"):
            await issues.open(new())
        wrong = GitLabIssues(url, "wrong", label="ox")
        assert "refuses the token (401)" in (await wrong.listing([])).failure
        assert TOKEN not in repr(issues)
        await issues.close()
        await wrong.close()


async def test_who_put_a_label_on_an_issue_is_told(desk: Desk) -> None:
    """Last, and only as long as it is on it."""
    made = await desk.issues.open(new())
    issues = desk.world.issues
    where = (made.project_id, made.iid)
    assert await desk.issues.labelled_by(*where, "ox::waived") == ""
    for name in ("anna", "kim"):
        issues.label(*where, "ox::waived", "other", by=SandboxUser(90, name, name))
    assert await desk.issues.labelled_by(*where, "ox::waived") == "kim"
    issues.unlabel(*where, "ox::waived")
    assert await desk.issues.labelled_by(*where, "ox::waived") == ""
    with pytest.raises(TrackerError):
        await desk.issues.labelled_by(made.project_id, 99_999, "ox::waived")
