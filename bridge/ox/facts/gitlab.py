"""`gitlab`: what rode on the crawl's page, as facts. No request is made for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Final

from bridge.model.entities import Json
from bridge.model.facts import FactSchema, Reading, Subject
from bridge.model.moments import zoned_moment
from bridge.model.scrape import Observation, Project
from bridge.ox.facts.readings import ReadingBuilder, unknown_reading
from bridge.ox.facts.schemas import GITLAB

# What GitLab means when it answers null.
_NONE: Final = {
    "pipeline_status": "the newest commit of the default branch has no pipeline: it was skipped "
    "([skip ci]), none is set up, or pipelines are switched off",
    "open_issues": "issues are switched off, or hidden from the token",
    "open_merge_requests": "merge requests are switched off, or hidden from the token",
    "merge_needs_pipeline": "GitLab does not show it to the token",
    "main_language": "GitLab has detected no language",
    "last_release": "there is no release",
    "last_release_at": "there is no release",
}
_GREEN: Final = frozenset({"success", "manual"})  # manual: all that could run by itself has passed
_RED: Final = frozenset({"failed", "canceled"})


class GitLabCollector:
    """Reads observations; a project that the pass did not look at is left as it was."""

    @property
    def schema(self) -> FactSchema:
        """What it gives."""
        return GITLAB

    async def collect(self, subjects: Sequence[Subject]) -> AsyncIterator[Reading]:
        """A reading for every subject whose project was looked at."""
        for subject in subjects:
            if subject.project is not None and subject.observation is not None:
                yield read(subject, subject.project, subject.observation)

    async def close(self) -> None:
        """Nothing is held open."""


def read(subject: Subject, project: Project, told: Observation) -> Reading:
    """The facts of one entity, from its project's observation."""
    where = project.web_url or project.path
    if told.unreadable:
        reason = f"the project could not be read: {told.unreadable}"
        return unknown_reading(GITLAB, subject.ref, told.seen_at, where, reason)
    notes = ReadingBuilder(GITLAB, subject.ref, told.seen_at, where)
    for name, reason in told.unknown.items():
        notes.unknown(reason, name)
    for name, value in told.values.items():
        if value is None:
            notes.not_applicable(_NONE.get(name, "GitLab says that there is none"), name)
        else:
            notes.known(name, value)
    _project(notes, project, told.seen_at)
    _pipeline(notes, told)
    _release(notes, project, told)
    return notes.reading()


def _project(notes: ReadingBuilder, project: Project, now: datetime) -> None:
    notes.known("archived", project.archived)
    notes.known("topics", sorted(set(project.topics)))
    for name, value in (
        ("visibility", project.visibility),
        ("default_branch", project.default_branch),
    ):
        if value:
            notes.known(name, value)
        else:
            notes.not_applicable("GitLab names none", name)
    active = project.last_activity_at
    if active is None:
        notes.unknown("GitLab does not tell it", "last_activity_at", "days_without_activity")
    else:
        notes.known("last_activity_at", active.isoformat())
        notes.known("days_without_activity", _days(active, now))


def _pipeline(notes: ReadingBuilder, told: Observation) -> None:
    name = "default_branch_green"
    if "pipeline_status" in told.unknown or "pipeline_status" not in told.values:
        notes.unknown(told.unknown.get("pipeline_status", "GitLab does not tell it"), name)
        return
    status = told.values["pipeline_status"]
    if status is None:
        notes.not_applicable(_NONE["pipeline_status"], name)
    elif status in _GREEN | _RED:
        notes.known(name, status in _GREEN)
    else:
        notes.unknown(f"the latest pipeline is neither passed nor failed: {status}", name)


def _release(notes: ReadingBuilder, project: Project, told: Observation) -> None:
    name = "days_without_release"
    if "last_release_at" in told.unknown or "last_release_at" not in told.values:
        notes.unknown(told.unknown.get("last_release_at", "GitLab does not tell it"), name)
        return
    released: Json = told.values["last_release_at"]
    since = zoned_moment(released) if released else project.created_at
    if since is None:
        notes.unknown("there is no release, and GitLab does not tell the project's age", name)
    else:
        notes.known(name, _days(since, told.seen_at))


def _days(since: datetime, now: datetime) -> int:
    return max(0, (now - since).days)
