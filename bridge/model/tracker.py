"""What GitLab's tracker lists of ours, and what is asked of it: issues and merge requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from bridge.model.numbers import mark_in
from bridge.model.remediation import IssueKey


@dataclass(frozen=True, slots=True)
class SeenIssue:
    """An issue as GitLab lists it. `ours`: its author is a bot user that is known to be ours.

    `orphan`: its author's account was deleted, so that nobody can tell whose it was.
    """

    project_id: int
    iid: int
    opened: bool
    ours: bool
    url: str = ""
    description: str = ""
    labels: tuple[str, ...] = ()
    closed_at: datetime | None = None
    closed_by_us: bool | None = None  # None: GitLab does not say who closed it
    due: date | None = None
    title: str = ""
    author: str = ""  # user name
    orphan: bool = False
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """All issues that carry our label; with `failure`, what is missing means nothing.

    `deleted` are issues of ours that GitLab says are no more (404), by project and iid;
    `doubtful` are projects of which something known could not be read, and why; `unseen` are
    those of them that GitLab does not show at all. `failures` are the sources whose whole list
    failed, by their marks, where there are several.
    """

    issues: tuple[SeenIssue, ...] = ()
    failure: str = ""
    deleted: frozenset[tuple[int, int]] = frozenset()
    doubtful: Mapping[int, str] = field(default_factory=dict)
    unseen: frozenset[int] = frozenset()
    failures: Mapping[int, str] = field(default_factory=dict)

    def doubt(self, project_id: int) -> str:
        """Why what is listed of a project cannot be trusted; "" when it can."""
        return self.doubtful.get(project_id, "") or self.failures.get(mark_in(project_id), "")


@dataclass(frozen=True, slots=True)
class NewIssue:
    """An issue to make. `assignee` is a user name; "" for nobody."""

    project_id: int
    title: str
    text: str
    labels: tuple[str, ...]
    assignee: str = ""
    confidential: bool = False


class IssueEvent(StrEnum):
    """What GitLab calls the event that gives an issue another state."""

    CLOSE = "close"
    REOPEN = "reopen"


@dataclass(frozen=True, slots=True)
class IssueChange:
    """What to change about an issue; None leaves it."""

    project_id: int
    iid: int
    title: str | None = None
    text: str | None = None
    event: IssueEvent | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """A merge request to make: one new file on one branch of its own.

    `check` is the one whose failure asks for it; "" when something else does. `by_code_owners`
    gives the content by who owns everything (handles) by which CODEOWNERS file, where that counts.
    """

    key: IssueKey  # its check is "mr:" and the kind
    project: str
    branch: str
    target: str  # the default branch
    file: str
    content: str
    title: str
    text: str
    reason: str
    check: str = ""
    by_code_owners: Callable[[Sequence[str], str], str] | None = field(
        default=None, compare=False, repr=False
    )


class MergeRequestState(StrEnum):
    """GitLab's states of a merge request."""

    OPENED = "opened"
    CLOSED = "closed"
    MERGED = "merged"
    LOCKED = "locked"  # it is being merged


@dataclass(frozen=True, slots=True)
class SeenMergeRequest:
    """A merge request of ours as GitLab lists it."""

    project_id: int
    iid: int
    branch: str
    state: MergeRequestState
    url: str = ""
