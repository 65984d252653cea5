"""Facts from what rode on the crawl's page."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bridge.model.facts import Reading, Standing
from bridge.model.scrape import Observation, Project
from bridge.ox.facts.gitlab import GitLabCollector
from bridge.ox.facts.schemas import GITLAB
from tests.ox.subjects import NOW, fact, subject, told

PROJECT = Project(
    7,
    "shop/api",
    "https://gitlab.example.com/shop/api",
    "main",
    visibility="internal",
    topics=("b", "a"),
    created_at=NOW - timedelta(days=400),
    last_activity_at=NOW - timedelta(days=2, hours=5),
)


def observed(**values: Any) -> Observation:
    whole = {"pipeline_status": "success", "last_release_at": None, "last_release": None}
    return Observation(7, NOW, whole | values)


async def collected(observation: Observation | None, project: Project = PROJECT) -> list[Reading]:
    about = subject(project=project, observation=observation)
    return [reading async for reading in GitLabCollector().collect([about])]


@pytest.mark.parametrize(
    ("status", "green"),
    [
        ("success", True),
        ("manual", True),
        ("failed", False),
        ("canceled", False),
        ("running", "unknown"),
        (None, "not_applicable"),
    ],
)
async def test_green_is_what_has_passed_and_unknown_what_still_runs(
    status: str | None, green: object
) -> None:
    (reading,) = await collected(observed(pipeline_status=status))
    assert told(reading, "default_branch_green") == green


async def test_days_without_a_release_count_from_the_projects_birth_when_there_was_none() -> None:
    (never,) = await collected(observed())
    assert told(never, "days_without_release") == 400
    assert told(never, "last_release") == "not_applicable"
    released = observed(last_release="v1", last_release_at=(NOW - timedelta(days=3)).isoformat())
    (once,) = await collected(released)
    assert told(once, "days_without_release") == 3
    assert told(once, "days_without_activity") == 2


async def test_what_gitlab_did_not_tell_is_unknown_for_its_own_reason() -> None:
    told_less = Observation(7, NOW, {}, {"pipeline_status": "Timeout", "last_release_at": "502"})
    (reading,) = await collected(told_less)
    assert fact(reading, "default_branch_green").reason == "Timeout"
    assert fact(reading, "days_without_release").reason == "502"
    assert told(reading, "readme") == "unknown"
    assert told(reading, "topics") == ["a", "b"]


async def test_an_unreadable_project_makes_every_fact_unknown() -> None:
    (reading,) = await collected(Observation(7, NOW, unreadable="403 from GitLab"))
    assert len(reading.facts) == len(GITLAB.facts)
    assert all(fact.standing is Standing.UNKNOWN for fact in reading.facts)
    assert all("403 from GitLab" in fact.reason for fact in reading.facts)


async def test_a_project_that_was_not_looked_at_keeps_its_facts() -> None:
    """An incremental pass says nothing of it: no reading, which is not an unknown one."""
    assert await collected(None) == []


async def test_dates_that_gitlab_does_not_tell_are_unknown() -> None:
    odd = replace(PROJECT, created_at=None, last_activity_at=None)
    (reading,) = await collected(observed(), odd)
    assert told(reading, "days_without_release") == "unknown"
    assert told(reading, "last_activity_at") == "unknown"
