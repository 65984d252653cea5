"""`/api/ox/remediations`, `/api/ox/digests`: reading only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from aiohttp import web

from bridge.api import paging
from bridge.api.answers import error_response
from bridge.api.remediation.book import MOST, RemediationBook
from bridge.errors import BadQuestion
from bridge.model.entities import Json, Ref
from bridge.model.remediation import (
    ActionKind,
    ActionOutcome,
    ActionRecord,
    Case,
    IssueKey,
    KeyKind,
    RemediationRun,
)

STATUSES: Final = (
    *("planned", "deferred", "failed", "skipped"),
    *("opening", "opened", "snoozed", "waived", "fixed"),
)


class Remediation:
    """The routes over a book."""

    def __init__(self, book: RemediationBook) -> None:
        self._book = book

    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        return [
            web.get("/api/ox/remediations", self._remediations),
            web.get("/api/ox/digests", self._digests),
        ]

    async def about(self, entity: Ref) -> list[dict[str, Json]]:
        """What there is about one entity. Raises `StoreError`."""
        every = remediations(await self._book.cases(), await self._book.latest_run())
        return [item for item in every if item["entity"] == str(entity)]

    async def deactivations(self) -> list[dict[str, Json]]:
        """What the last run left to do about Snyk's projects of archived repositories.

        Raises `StoreError`.
        """
        run = await self._book.latest_run()
        left = _left_to_do(run.records if run is not None else ())
        return [item for item in left if item["kind"] == KeyKind.DEACTIVATION.value]

    async def _remediations(self, request: web.Request) -> web.StreamResponse:
        asked = request.query
        wanted = asked.get("status", "")
        if wanted and wanted not in STATUSES:
            message = f"`status` is one of {', '.join(STATUSES)}"
            return error_response(request, 400, "InputError", message)
        try:
            entity = Ref.parse(asked["entity"], kind="component") if asked.get("entity") else None
        except ValueError as error:
            return error_response(request, 400, "InputError", str(error)[:300])
        try:
            page = paging.page(asked, default=MOST, most=MOST)
        except BadQuestion as refusal:
            return error_response(request, 400, "InputError", str(refusal))
        run = await self._book.latest_run()
        every = remediations(await self._book.cases(), run)
        found = [
            item
            for item in every
            if (not wanted or item["status"] == wanted)
            and (entity is None or item["entity"] == str(entity))
        ]
        body = {
            "at": run.at.isoformat() if run is not None else None,
            "baseline": run.baseline if run is not None else 0,
            "paused": [{"check": p.check, "reason": str(p)} for p in run.pauses] if run else [],
            "listing_failure": run.listing_failure if run is not None else "",
            "stopped": run.stopped if run is not None else "",
            "total": len(found),
            "items": found[page.offset : page.offset + page.limit],
        }
        return web.json_response(body)

    async def _digests(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"items": list(await self._book.digests())})


def remediations(
    cases: Mapping[IssueKey, Case], run: RemediationRun | None
) -> list[dict[str, Json]]:
    """The issues as they stand, and before them what the latest run left to be done."""
    left = _left_to_do(run.records) if run is not None else []
    standing = [
        {**cases[key].as_json(), "action": "", "title": "", "project": ""} for key in sorted(cases)
    ]
    return [*left, *standing]


def _left_to_do(records: Iterable[ActionRecord]) -> list[dict[str, Json]]:
    found = []
    for record in records:
        tree = record.as_json()
        status = "deferred" if record.action.kind is ActionKind.DEFER else tree["outcome"]
        if status in (ActionOutcome.DONE.value, ActionOutcome.NOTED.value):
            continue
        reason = f"{tree['reason']} ({record.detail})" if record.detail else tree["reason"]
        kept = ("project_id", "entity", "kind", "check", "project", "action", "checks")
        found.append(
            {
                **{key: tree[key] for key in kept},
                "status": status,
                "reason": reason,
                "url": record.url,
                "title": tree["title"],
                "since": None,
                "until": None,
            }
        )
    return found
