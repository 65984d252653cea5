"""Projects in which nothing is written: archived ones, and those scheduled for deletion. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

from bridge.model.memory import Memory
from bridge.model.numbers import mark_in
from bridge.model.remediation import IssuePlace
from bridge.ox.facts.namesakes import namesakes

ARCHIVED: Final = "the project is archived, so nothing is written there"
SCHEDULED: Final = "the project is scheduled for deletion, so nothing is written there"
# GitLab renames what is scheduled for deletion, a group or a project, and shows it for 30 days.
_RENAMED: Final = re.compile(r"-(?:deletion_scheduled|deleted)-\d+(?=/|$)")


def why_closed(path: str, *, archived: bool, marked: bool = False) -> str:
    """Why nothing is written in the project at `path`; "" when it may be.

    `marked` is GitLab's own word that it is to be deleted; not every release gives it.
    """
    if marked or _RENAMED.search(path):
        return SCHEDULED
    return ARCHIVED if archived else ""


def closed_projects(memory: Memory) -> Mapping[int, str]:
    """The projects of the last pass in which nothing is written, by id, each with the reason."""
    reasons = {
        number: why_closed(
            known.project.path,
            archived=known.project.archived,
            marked=known.project.marked_for_deletion,
        )
        for number, known in memory.projects.items()
    }
    return {number: reason for number, reason in reasons.items() if reason}


def archived_places(memory: Memory) -> list[IssuePlace]:
    """The projects of the first source that GitLab said to be archived when it was asked last.

    One that could not be read is not among them, nor one whose path is another project's by now.
    """
    mine = [(n, each) for n, each in memory.projects.items() if n >= 0 and not mark_in(n)]
    used = Counter(known.project.path.lower() for _, known in mine)
    alike = namesakes(memory)
    return [
        IssuePlace(
            number,
            known.project.path,
            known.project.path,
            web_url=known.project.web_url,
            namesakes=alike.get(number, ()),
        )
        for number, known in sorted(mine, key=lambda pair: pair[0])
        if known.project.archived
        and known.gap_since is None
        and used[known.project.path.lower()] == 1
    ]
