"""What the API needs to know of remediation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from bridge.model.entities import Json
from bridge.model.notices import Delivery, NoticeFilter, NoticeTally
from bridge.model.remediation import Case, IssueKey, RemediationRun

MOST: Final = 1000  # in one answer


class RemediationBook(Protocol):
    """What is known of remediation; every method raises `StoreError`."""

    async def cases(self) -> Mapping[IssueKey, Case]:
        """Every issue and merge request of ours."""

    async def latest_run(self) -> RemediationRun | None:
        """The latest run's account."""

    async def notices(self, limit: int, asked: NoticeFilter) -> Sequence[Delivery]:
        """The newest notices that are asked for."""

    async def notice_tallies(self) -> Sequence[NoticeTally]:
        """How many there are, by channel and state."""

    async def digests(self) -> Sequence[Json]:
        """The latest week's digests."""


class NoRemediation:
    """Where there is none."""

    async def cases(self) -> Mapping[IssueKey, Case]:
        """No issue of ours."""
        return {}

    async def latest_run(self) -> RemediationRun | None:
        """No run was made."""
        return None

    async def notices(self, limit: int, asked: NoticeFilter) -> Sequence[Delivery]:
        """No notice."""
        return []

    async def notice_tallies(self) -> Sequence[NoticeTally]:
        """No notice."""
        return []

    async def digests(self) -> Sequence[Json]:
        """No digest."""
        return []
