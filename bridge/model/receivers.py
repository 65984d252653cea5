"""Who is told of changes in the catalog by webhook, and how far each has been told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Final

from bridge.model.entities import Json
from bridge.model.entity_changes import EntityChange
from bridge.model.moments import iso

FIRST_PAUSE: Final = timedelta(seconds=5)
LONGEST_PAUSE: Final = timedelta(hours=1)
_NOTED: Final = 1 / 100  # of the history


@dataclass(frozen=True, slots=True)
class Wants:
    """Which changes a receiver is told of: all that is given must fit; empty fits everything.

    `owners` are references, of the owner before or after; `projects` globs of paths, in lower case.
    """

    entity_kinds: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()

    def fit(self, change: EntityChange) -> bool:
        """Whether it is told of this one."""
        paths = [each.project.lower() for each in change.manifests]
        return (
            (not self.entity_kinds or change.ref.kind in self.entity_kinds)
            and (not self.kinds or change.kind.value in self.kinds)
            and (not self.owners or not {change.owner, change.owner_before}.isdisjoint(self.owners))
            and (
                not self.projects
                or any(fnmatchcase(path, glob) for path in paths for glob in self.projects)
            )
        )


@dataclass(frozen=True, slots=True)
class ReceiverState:
    """How far a receiver has been told: of all changes up to the number `cursor`.

    Those up to `sending` are on their way: nobody knows yet whether they arrived, and they go again
    together. `tries` failed in a row, the first of them at `failing_since`, the last for `reason`;
    before `next_at` nobody else tries. Until `told_until` there is nothing that it was not told,
    or not told that it missed; None: not known.
    """

    cursor: int
    sending: int = 0
    tries: int = 0
    next_at: datetime | None = None
    failing_since: datetime | None = None
    delivered_at: datetime | None = None
    reason: str = ""
    told_until: datetime | None = None

    def claimed(self, sending: int, until: datetime) -> ReceiverState:
        """Those up to `sending` are on their way, and who sends them has so long for it."""
        return replace(self, sending=sending, next_at=until)

    def delivered(self, now: datetime, until: datetime | None = None) -> ReceiverState:
        """What is on its way was taken; the last of it changed at `until`."""
        told = until or self.told_until
        return ReceiverState(self.sending, delivered_at=now, told_until=told)

    def up_to_date(self, now: datetime, history: timedelta) -> ReceiverState:
        """There is nothing to tell: noted once in a while.

        Who was away for longer than `history` keeps the moment until it takes a message that says
        so.
        """
        until = self.told_until
        if until is not None and (now - until > history or now - until < history * _NOTED):
            return self
        return replace(self, told_until=now)

    def passed_over(self) -> ReceiverState:
        """What was on its way is not for this receiver, or no longer kept.

        That it takes nothing is forgotten when it takes something.
        """
        return replace(self, cursor=self.sending, sending=0, next_at=None)

    def failed(self, reason: str, now: datetime, asked: timedelta) -> ReceiverState:
        """It was not taken: the next try is put off ever longer, and as long as was `asked` for."""
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self.tries, 20))
        return ReceiverState(
            self.cursor,
            self.sending,
            self.tries + 1,
            now + min(LONGEST_PAUSE, max(pause, asked)),
            self.failing_since or now,
            self.delivered_at,
            reason,
            self.told_until,
        )


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many changes a receiver has not been told of, filters or not, and when the oldest was."""

    count: int = 0
    oldest: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReceiverStanding:
    """How a receiver stands. `state` is None before it was looked at first."""

    name: str
    host: str
    state: ReceiverState | None = None
    backlog: Backlog = field(default_factory=Backlog)
    counts: Mapping[str, int] = field(default_factory=dict)  # by this replica: delivered, failed

    def as_json(self) -> dict[str, Json]:
        """What `/api/changes/receivers` tells."""
        state = self.state
        return {
            "name": self.name,
            "host": self.host,
            "deliveredAt": iso(state.delivered_at) or None if state else None,
            "failingSince": iso(state.failing_since) or None if state else None,
            "failures": state.tries if state else 0,
            "reason": state.reason if state else "",
            "nextTryAt": iso(state.next_at) or None if state and state.tries else None,
            "waiting": self.backlog.count,
            "oldestWaitingAt": iso(self.backlog.oldest) or None,
        }
