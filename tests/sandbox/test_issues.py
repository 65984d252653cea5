"""Issues, branches and merge requests as GitLab handles them, also where that is unpleasant."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from yarl import URL

from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.faults import Fault, FaultPlan, FaultRule
from bridge.sandbox.project import ProjectFacts
from bridge.sandbox.tracker import BOT, SOMEBODY
from bridge.sandbox.world import World
from tests.sandbox.conftest import TOKEN, Lab


@pytest.fixture
async def desk(world: World) -> AsyncIterator[Lab]:
    """A sandbox whose token may write."""
    sandbox = SandboxGitLab(world, token=TOKEN, scopes=("api",))
    headers = {"PRIVATE-TOKEN": TOKEN}
    async with running(sandbox) as url, aiohttp.ClientSession(headers=headers) as session:
        yield Lab(world, sandbox, session, url)


async def say(desk: Lab, method: str, path: str, **body: Any) -> tuple[int, Any]:
    where = URL(f"{desk.url}/api/v4{path}", encoded=True)
    async with desk.session.request(method, where, json=body) as answer:
        return answer.status, None if answer.status == 204 else await answer.json()


@pytest.mark.real
async def test_an_issue_lives(desk: Lab) -> None:
    """Created, found by its label and author, edited, closed, opened again."""
    desk.world.add_project("a/b", facts=ProjectFacts(open_issues=2))
    robin = desk.world.people.add("kim", "Kim", 1)
    status, made = await say(
        desk,
        "POST",
        "/projects/1/issues",
        title="Fix it",
        labels="ox,later",
        assignee_ids=[robin.id, BOT.id],
        confidential=True,
    )
    assert (status, made["labels"], made["confidential"]) == (201, ["ox", "later"], True)
    assert [one["username"] for one in made["assignees"]] == ["kim"]
    where = f"/projects/1/issues/{made['iid']}"
    found = await (await desk.get("/issues?labels=ox&scope=all&author_id=1")).json()
    assert [row["iid"] for row in found] == [made["iid"]]
    assert await (await desk.get("/projects/1/issues?labels=later&state=closed")).json() == []
    status, edited = await say(desk, "PUT", where, title="Fix it now", add_labels="soon")
    assert (status, edited["title"], edited["labels"]) == (
        200,
        "Fix it now",
        ["ox", "later", "soon"],
    )
    status, closed = await say(desk, "PUT", where, state_event="close")
    assert (closed["state"], closed["closed_by"]["id"]) == ("closed", 1)
    assert (await say(desk, "PUT", where, state_event="reopen"))[1]["state"] == "opened"
    assert (await say(desk, "PUT", where))[0] == 400
    await say(desk, "POST", f"{where}/notes", body="why?")
    notes = await (await desk.get(f"{where}/notes")).json()
    assert [note["body"] for note in notes if not note["system"]] == ["why?"]
    assert (await desk.get("/projects/1/issues/99")).status == 404


@pytest.mark.real
async def test_texts_are_obeyed(desk: Lab) -> None:
    """Quick actions work and mentions tell people, except inside code."""
    desk.world.add_project("a/b")
    text = "Hello @kim\n/close\n`@not-her`\n```\n/confidential\n```"
    _, made = await say(desk, "POST", "/projects/1/issues", title="x", description=text)
    thing = desk.world.issues.find(1, 1)
    assert thing is not None
    assert (thing.state, thing.confidential) == ("closed", False)
    assert [name for name, _ in desk.world.issues.told] == ["kim"]
    assert "/close" not in made["description"]


@pytest.mark.real
async def test_refusals(desk: Lab, world: World) -> None:
    """Blank and long titles, switched-off issues, archived projects."""
    world.add_project("a/b")
    world.add_project("a/off").issues_enabled = False
    world.add_project("a/old", archived=True)
    assert (await say(desk, "POST", "/projects/1/issues", title=" "))[0] == 400
    assert (await say(desk, "POST", "/projects/1/issues"))[0] == 400
    status, body = await say(desk, "POST", "/projects/1/issues", title="x" * 256)
    assert (status, list(body["message"])) == (400, ["title"])
    assert (await say(desk, "POST", "/projects/2/issues", title="x"))[0] == 403
    assert await (await desk.get("/projects/2/issues")).json() == []
    assert (await desk.get("/projects/2/issues/1")).status == 404
    assert (await say(desk, "POST", "/projects/3/issues", title="x"))[0] == 403
    assert (await say(desk, "POST", "/projects/9/issues", title="x"))[0] == 404


@pytest.mark.real
async def test_a_reading_token_does_not_write(lab: Lab) -> None:
    """The scope is named, as GitLab names it."""
    lab.world.add_project("a/b")
    status, body = await say(lab, "POST", "/projects/1/issues", title="x")
    assert (status, body["error"]) == (403, "insufficient_scope")


@pytest.mark.real
async def test_a_lost_answer_leaves_what_was_written(desk: Lab) -> None:
    """The client sees a reset; the issue is there."""
    desk.world.add_project("a/b")
    desk.sandbox.use_faults(FaultPlan((FaultRule(Fault.LOST_ANSWER),)))
    with pytest.raises(aiohttp.ClientError):
        await say(desk, "POST", "/projects/1/issues", title="x")
    assert [thing.title for thing in desk.world.issues] == ["x"]


@pytest.mark.real
async def test_a_listing_can_come_back_empty(desk: Lab) -> None:
    """With 200 and no rows, as if there were none."""
    desk.world.add_project("a/b")
    desk.world.issues.create(1, "x")
    desk.sandbox.use_faults(FaultPlan((FaultRule(Fault.CUT_SHORT, "rest-list"),)))
    answer = await desk.get("/projects/1/issues")
    assert (answer.status, await answer.json()) == (200, [])


async def test_people_act_on_their_own(world: World) -> None:
    """Closing, labelling and editing is remembered with who did it; scoped labels replace."""
    world.add_project("a/b")
    world.issues.create(1, "x", BOT)
    world.issues.label(1, 1, "team::a")
    world.issues.label(1, 1, "team::b", "ox")
    world.issues.unlabel(1, 1, "ox")
    world.issues.close(1, 1)
    world.issues.close(1, 1)
    world.issues.edit(1, 1, description="mine now")
    thing = world.issues.find(1, 1)
    assert thing is not None
    assert (thing.labels, thing.closed_by, thing.description) == (["team::b"], SOMEBODY, "mine now")
    assert [(e.what, e.by.bot) for e in world.issues.events if e.what != "labelled"] == [
        ("created", True),
        ("closed", False),
        ("edited", False),
    ]
    world.issues.delete(1, 1)
    assert world.issues.find(1, 1) is None


@pytest.mark.real
async def test_a_merge_request_lives(desk: Lab) -> None:
    """A branch with files, one open request of it, and no overwriting."""
    desk.world.add_project("a/b", files={"README.md": "hello"})
    create = {"action": "create", "file_path": "CODEOWNERS", "content": "* @a"}
    commit = {"branch": "ox/x", "start_branch": "main", "commit_message": "x", "actions": [create]}
    where = "/projects/1/repository/commits"
    assert (await say(desk, "POST", where, **commit))[0] == 201
    status, body = await say(desk, "POST", where, **commit)
    assert status == 400
    assert "already exists" in body["message"]
    direct = {**commit, "branch": "main", "start_branch": None}
    assert (await say(desk, "POST", where, **direct))[0] == 400
    twice = {**commit, "start_branch": None}
    assert "file with this name" in (await say(desk, "POST", where, **twice))[1]["message"]
    branch = {"branch": "ox/x", "ref": "main"}
    assert (await say(desk, "POST", "/projects/1/repository/branches", **branch))[0] == 400
    ask = {"source_branch": "ox/x", "target_branch": "main", "title": "Draft: owners"}
    status, made = await say(desk, "POST", "/projects/1/merge_requests", **ask)
    assert (status, made["draft"]) == (201, True)
    assert (await say(desk, "POST", "/projects/1/merge_requests", **ask))[0] == 409
    nowhere = {**ask, "source_branch": "nowhere"}
    assert (await say(desk, "POST", "/projects/1/merge_requests", **nowhere))[0] == 400
    listed = await desk.get("/projects/1/merge_requests?source_branch=ox/x&state=all")
    assert [row["iid"] for row in await listed.json()] == [1]
    desk.sandbox.branches.merge(1, "ox/x")
    project = desk.world.get(1)
    assert project is not None
    assert "CODEOWNERS" in project.files
    assert (await desk.get("/projects/1/repository/branches/ox%2Fx")).status == 404


@pytest.mark.real
async def test_people_are_found(desk: Lab) -> None:
    """By name, and among a project's members."""
    desk.world.add_project("a/b")
    desk.world.people.add("kim", "Kim", 1)
    rows = await (await desk.get("/users?username=KIM")).json()
    assert [row["name"] for row in rows] == ["Kim"]
    rows = await (await desk.get("/projects/1/members/all?query=ki")).json()
    assert [(row["username"], row["access_level"]) for row in rows] == [("kim", 30)]
