"""The issues and merge requests of several GitLabs as those of one: each is asked for its own."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

import structlog

from bridge.errors import TrackerError, TrackerRefused, TrackerStopped, TrackerUnsure
from bridge.model.numbers import mark_in, mark_of, number_of, own_id
from bridge.model.tracker import (
    IssueChange,
    Listing,
    NewIssue,
    Proposal,
    SeenIssue,
    SeenMergeRequest,
)
from bridge.ox.interfaces import NOWHERE
from bridge.ox.remediation.gitlab import GitLabIssues

log = structlog.get_logger()


class IssuesBySource:
    """A `bridge.ports.IssueTracker`, and the `MergeRequests` beside it, over one a source.

    `trackers` are by the sources' names; `without` says of the others why nothing is written
    there. A GitLab that cannot be read puts its own projects in doubt, and no others.
    """

    def __init__(self, trackers: Mapping[str, GitLabIssues], without: Mapping[str, str]) -> None:
        self._trackers = trackers
        self._names = {mark_of(name): name for name in trackers}
        self._without = {mark_of(name): why for name, why in without.items()}
        self._stopped: dict[int, str] = {}  # in this run, by mark: why one takes no more

    async def close(self) -> None:
        """Close the connections; safe to call twice."""
        for tracker in self._trackers.values():
            await tracker.close()

    async def listing(
        self, known: Collection[tuple[int, int]], unsure: Mapping[int, datetime] = NOWHERE
    ) -> Listing:
        """All issues with our label. Never raises: what went wrong is in the listing.

        With it a run begins: a GitLab that asked to wait in the last one is asked again.
        """
        self._stopped.clear()

        async def one(name: str) -> Listing:
            mark = mark_of(name)
            of_it = [(own_id(number), iid) for number, iid in known if mark_in(number) == mark]
            more = {own_id(n): since for n, since in unsure.items() if mark_in(n) == mark}
            return _numbered(name, await self._trackers[name].listing(of_it, more))

        found = await asyncio.gather(*map(one, self._trackers))
        failures = dict(self._without)
        for name, each in zip(self._trackers, found, strict=True):
            if each.failure:
                failures[mark_of(name)] = f"listing the issues failed: {each.failure}"
        return Listing(
            issues=tuple(issue for each in found for issue in each.issues),
            deleted=frozenset().union(*(each.deleted for each in found)),
            doubtful={number: why for each in found for number, why in each.doubtful.items()},
            unseen=frozenset().union(*(each.unseen for each in found)),
            failures=failures,
        )

    async def closed(self, project_id: int) -> str:
        """Why nothing may be written in a project now. Raises `TrackerError`."""
        mark = mark_in(project_id)
        why = self._without.get(mark) or self._stopped.get(mark)
        if why:
            return why
        try:
            return await self._of(project_id)[1].closed(own_id(project_id))
        except TrackerStopped as error:
            self._stopped[mark] = str(error)
            return str(error)

    async def labelled_by(self, project_id: int, iid: int, label: str) -> str:
        """Who put a label on an issue last. Raises `TrackerError`."""
        with self._stops(project_id):
            return await self._of(project_id)[1].labelled_by(own_id(project_id), iid, label)

    async def open(self, issue: NewIssue) -> SeenIssue:
        """Make an issue. Raises `TrackerError`."""
        name, tracker = self._of(issue.project_id)
        with self._stops(issue.project_id):
            made = await tracker.open(replace(issue, project_id=own_id(issue.project_id)))
        return _issue(name, made)

    async def change(self, change: IssueChange) -> SeenIssue:
        """Change texts, state or both. Raises `TrackerError`."""
        name, tracker = self._of(change.project_id)
        with self._stops(change.project_id):
            made = await tracker.change(replace(change, project_id=own_id(change.project_id)))
        return _issue(name, made)

    async def merge_requests(self) -> Sequence[SeenMergeRequest]:
        """All that carry our label, of every GitLab that can be read.

        Of the others the known ones stand, and one that is proposed there is looked for first.
        """
        found: list[SeenMergeRequest] = []
        for name, tracker in self._trackers.items():
            try:
                found += [_request(name, each) for each in await tracker.merge_requests()]
            except TrackerError as error:
                log.warning(
                    "The merge requests of one GitLab could not be listed",
                    action="merge_requests_unlisted",
                    source=name or "first",
                    error=str(error),
                )
        return found

    async def propose(self, proposal: Proposal, labels: Sequence[str]) -> SeenMergeRequest:
        """The branch with its file, and the merge request. Raises `TrackerError`."""
        key = proposal.key
        name, tracker = self._of(key.project_id)
        own = replace(proposal, key=replace(key, project_id=own_id(key.project_id)))
        with self._stops(key.project_id):
            return _request(name, await tracker.propose(own, labels))

    @contextmanager
    def _stops(self, number: int) -> Iterator[None]:
        """One GitLab that takes no more in this run stops itself, and not the run.

        What was asked of it last counts as unheard: the next run looks before it acts.
        """
        try:
            yield
        except TrackerStopped as error:
            self._stopped[mark_in(number)] = str(error)
            raise TrackerUnsure(str(error)) from error

    def _of(self, number: int) -> tuple[str, GitLabIssues]:
        name = self._names.get(mark_in(number))
        if name is None:
            why = self._without.get(mark_in(number), "its GitLab is no longer one of the sources")
            raise TrackerRefused(why)
        if mark_in(number) in self._stopped:
            raise TrackerUnsure(self._stopped[mark_in(number)])
        return name, self._trackers[name]


def _numbered(source: str, listing: Listing) -> Listing:
    return replace(
        listing,
        issues=tuple(_issue(source, each) for each in listing.issues),
        deleted=frozenset((number_of(source, number), iid) for number, iid in listing.deleted),
        doubtful={number_of(source, number): why for number, why in listing.doubtful.items()},
        unseen=frozenset(number_of(source, number) for number in listing.unseen),
    )


def _issue(source: str, seen: SeenIssue) -> SeenIssue:
    return replace(seen, project_id=number_of(source, seen.project_id))


def _request(source: str, seen: SeenMergeRequest) -> SeenMergeRequest:
    return replace(seen, project_id=number_of(source, seen.project_id))
