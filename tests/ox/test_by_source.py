"""Ox over several GitLabs: each is asked, and written to, about its own projects alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from bridge.errors import SourceRefused, TrackerRefused, TrackerUnsure
from bridge.model.entities import CatalogEntity, Ref
from bridge.model.facts import FactSchema, Reading, Subject
from bridge.model.numbers import mark_of, number_of
from bridge.model.remediation import IssueKey
from bridge.model.scrape import Project
from bridge.model.tracker import IssueChange, NewIssue, Proposal
from bridge.ox.facts.by_source import BySource
from bridge.ox.facts.schemas import GITLAB_REST
from bridge.ox.remediation.by_source import IssuesBySource
from bridge.ox.remediation.gitlab import GitLabIssues
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.faults import Fault, FaultPlan, FaultRule
from bridge.sandbox.world import World
from bridge.secret.live import Secret

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LAB = number_of("lab", 1)


@dataclass
class Asked:
    """A collector that notes which projects it was asked about."""

    refuses: bool = False
    ids: list[int] = field(default_factory=list)
    closed: int = 0

    @property
    def schema(self) -> FactSchema:
        return GITLAB_REST

    async def collect(self, subjects: Sequence[Subject]) -> AsyncIterator[Reading]:
        if self.refuses:
            raise SourceRefused("401")
        for each in subjects:
            assert each.project is not None
            self.ids.append(each.project.id)
            yield Reading(each.ref, GITLAB_REST.id, "1", NOW, ())

    async def close(self) -> None:
        self.closed += 1


def subject(name: str, number: int | None) -> Subject:
    ref = Ref("component", "default", name)
    entity = CatalogEntity(ref, {"kind": "Component"}, ())
    return Subject(entity, Project(number, "a/b") if number is not None else None)


async def test_every_subject_goes_to_its_own_gitlab_under_its_own_id() -> None:
    """One that refuses its token keeps nothing from the others, and is told at the end."""
    first, lab = Asked(), Asked()
    both = BySource({"": first, "lab": lab})
    asked = [
        subject("a", 1),
        subject("b", LAB),
        subject("c", None),
        subject("d", number_of("gone", 1)),
    ]
    found = {reading.entity.name async for reading in both.collect(asked)}
    assert (found, first.ids, lab.ids) == ({"a", "b"}, [1], [1])
    first.refuses = True
    got: list[str] = []
    rest = both.collect(asked)
    got.append((await anext(rest)).entity.name)
    with pytest.raises(SourceRefused):
        await anext(rest)
    assert got == ["b"]
    await both.close()
    assert (first.closed, lab.closed) == (1, 1)


@pytest.mark.real
async def test_issues_are_made_where_the_service_is_and_a_dead_gitlab_doubts_only_itself() -> None:
    async with AsyncExitStack() as stack:
        sandboxes, trackers = {}, {}
        for name in ("", "lab"):
            world = World(lambda: NOW)
            world.add_project("a/b", files={"README.md": "hello"})
            sandboxes[name] = SandboxGitLab(world, token="t-" + name, scopes=("api",))
            url = await stack.enter_async_context(running(sandboxes[name]))
            variable = "GITLAB_TOKEN_LAB" if name else "GITLAB_TOKEN"
            trackers[name] = GitLabIssues(url, Secret("t-" + name, variable=variable), label="ox")
        both = IssuesBySource(trackers, {"bare": "there is no token for the source bare"})
        stack.push_async_callback(both.close)
        made = await both.open(NewIssue(LAB, "Fix it", "text", ("ox",)))
        assert (made.project_id, made.iid) == (LAB, 1)
        assert not list(sandboxes[""].world.issues)
        await both.change(IssueChange(LAB, 1, "Now"))
        thing = sandboxes["lab"].world.issues.find(1, 1)
        assert thing is not None
        assert thing.title == "Now"
        assert await both.closed(1) == await both.closed(LAB) == ""

        assert await both.labelled_by(LAB, 1, "y") == ""

        listing = await both.listing([(LAB, 1), (LAB, 2), (1, 7)])
        assert [(each.project_id, each.iid) for each in listing.issues] == [(LAB, 1)]
        assert listing.deleted == {(LAB, 2), (1, 7)}
        assert (listing.failure, listing.doubt(1), listing.doubt(LAB)) == ("", "", "")
        bare = number_of("bare", 3)
        assert "no token" in listing.doubt(bare)
        assert await both.closed(bare) == "there is no token for the source bare"
        for number in (bare, number_of("gone", 3)):
            with pytest.raises(TrackerRefused):
                await both.open(NewIssue(number, "Fix it", "text", ("ox",)))

        key = IssueKey(LAB, Ref("project", "gitlab", "x"), "mr:manifest")
        proposal = Proposal(key, "a/b", "ox/x", "main", "qm.yaml", "x\n", "Draft: x", "x", "x")
        seen = await both.propose(proposal, ["ox"])
        assert (seen.project_id, seen.branch) == (LAB, "ox/x")
        assert [each.project_id for each in await both.merge_requests()] == [LAB]

        # The lab's token is refused: the run goes on elsewhere, and the next one asks again.
        sandboxes["lab"].token = "another"
        with pytest.raises(TrackerUnsure, match="check GITLAB_TOKEN_LAB"):
            await both.change(IssueChange(LAB, 1, "Later"))
        assert "refuses the token" in await both.closed(LAB)
        assert (await both.open(NewIssue(1, "Fix it", "text", ("ox",)))).project_id == 1
        sandboxes["lab"].token = "t-lab"
        await both.listing([(LAB, 1), (1, 1)])
        assert await both.closed(LAB) == ""

        sandboxes[""].use_faults(FaultPlan((FaultRule(Fault.SERVER_ERROR, None, 1.0),)))
        listing = await both.listing([(LAB, 1), (1, 1)])
        assert [(each.project_id, each.iid) for each in listing.issues] == [(LAB, 1)]
        assert listing.failure == ""
        assert listing.failures.keys() == {mark_of(""), mark_of("bare")}
        assert "listing the issues failed" in listing.doubt(99)
        assert listing.doubt(LAB) == ""
        assert [each.project_id for each in await both.merge_requests()] == [LAB]
