"""`/api/ox/remediations` over a real socket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from bridge.api.app import make_app
from bridge.api.live import Live
from bridge.api.parts import AppParts
from bridge.api.remediation import NoRemediation, RemediationBook
from bridge.model.entities import Json, Ref
from bridge.model.notices import (
    Delivery,
    DeliveryState,
    Notice,
    NoticeFilter,
    NoticeKind,
    NoticeTally,
)
from bridge.model.remediation import (
    Action,
    ActionKind,
    ActionOutcome,
    ActionRecord,
    Case,
    CaseStatus,
    IssueDraft,
    IssueKey,
    Pause,
    RemediationRun,
)

pytestmark = pytest.mark.real

NOW = datetime(2026, 3, 1, tzinfo=UTC)
API = Ref("component", "default", "api")
WEB = Ref("component", "default", "web")


@dataclass
class Book:
    """What a store would give."""

    held: Mapping[IssueKey, Case] = field(default_factory=dict)
    run: RemediationRun | None = None

    async def cases(self) -> Mapping[IssueKey, Case]:
        return self.held

    async def latest_run(self) -> RemediationRun | None:
        return self.run

    async def notices(self, limit: int, asked: NoticeFilter) -> Sequence[Delivery]:
        notice = Notice(
            "k", NoticeKind.GATE, "group:default/a", "it broke", str(API), "owner", "/x"
        )
        return [Delivery(notice, "webhook", NOW, NOW, tries=2)][:limit]

    async def notice_tallies(self) -> Sequence[NoticeTally]:
        return [
            NoticeTally("webhook", DeliveryState.SENT, 7, 1, NOW),
            NoticeTally("webhook", DeliveryState.WAITING, 1, 2, NOW),
        ]

    async def digests(self) -> Sequence[Json]:
        return [{"team": "group:default/a"}]


def book() -> Book:
    cases = [
        Case(IssueKey(1, API, "owner"), CaseStatus.OPENED, NOW, 3, "https://g/3", "d", ("owner",)),
        Case(IssueKey(1, API, "*"), CaseStatus.SNOOZED, NOW, 4, until=NOW, reason="closed"),
    ]
    records = [
        _record(ActionKind.OPEN, WEB, ActionOutcome.PLANNED),
        _record(ActionKind.DEFER, WEB, ActionOutcome.NOTED),
        _record(ActionKind.EDIT, WEB, ActionOutcome.FAILED, "502"),
        _record(ActionKind.CLOSE, WEB, ActionOutcome.DONE),
    ]
    run = RemediationRun(NOW, tuple(records), (Pause("ci", 9, 10),), 7, "", "429")
    return Book({case.key: case for case in cases}, run)


def _record(kind: ActionKind, ref: Ref, outcome: ActionOutcome, detail: str = "") -> ActionRecord:
    draft = IssueDraft("Fix it", "text", "d")
    action = Action(kind, IssueKey(2, ref, "ci"), "a/web", "ci fails", ("ci",), None, draft)
    return ActionRecord(action, outcome, detail)


async def asked(given: RemediationBook, path: str) -> tuple[int, Any]:
    async with TestClient(TestServer(make_app(Live(), AppParts(remediation=given)))) as client:
        answer = await client.get(path)
        return answer.status, await answer.json()


async def test_what_stands_and_what_is_left_to_do() -> None:
    status, body = await asked(book(), "/api/ox/remediations")
    assert status == 200
    found = [(item["entity"], item["status"], item["kind"]) for item in body["items"]]
    assert found == [
        (str(WEB), "planned", "gate"),
        (str(WEB), "deferred", "gate"),
        (str(WEB), "failed", "gate"),
        (str(API), "snoozed", "checklist"),
        (str(API), "opened", "gate"),
    ]
    assert body["items"][2]["reason"] == "ci fails (502)"
    assert (body["baseline"], body["stopped"], body["total"]) == (7, "429", 5)
    assert body["paused"][0]["check"] == "ci"


@pytest.mark.parametrize(
    ("query", "count"),
    [("entity=api", 2), ("status=planned", 1), ("entity=component:default/web&status=opened", 0)],
)
async def test_filters(query: str, count: int) -> None:
    assert (await asked(book(), f"/api/ox/remediations?{query}"))[1]["total"] == count


async def test_the_list_goes_on() -> None:
    _, whole = await asked(book(), "/api/ox/remediations")
    found = []
    for offset in range(0, 6, 2):
        _, part = await asked(book(), f"/api/ox/remediations?limit=2&offset={offset}")
        assert part["total"] == 5
        found += part["items"]
    assert found == whole["items"]


@pytest.mark.parametrize(
    "query", ["status=nonsense", "entity=a/b/c", "limit=0", "limit=1001", "offset=-1", "limit=x"]
)
async def test_what_cannot_be_asked_is_refused(query: str) -> None:
    status, body = await asked(book(), f"/api/ox/remediations?{query}")
    assert (status, body["error"]["name"]) == (400, "InputError")


async def test_where_there_is_none_the_lists_are_empty() -> None:
    assert (await asked(NoRemediation(), "/api/ox/remediations"))[1]["items"] == []
    assert (await asked(NoRemediation(), "/api/ox/digests"))[1] == {"items": []}
    assert (await asked(book(), "/api/ox/digests"))[1]["items"] == [{"team": "group:default/a"}]


async def test_notices_are_listed_with_how_far_each_is() -> None:
    status, body = await asked(book(), "/api/ox/notices?limit=1")
    assert (status, body["items"]) == (
        200,
        [
            {
                "kind": "gate",
                "team": "group:default/a",
                "entity": str(API),
                "check": "owner",
                "text": "it broke",
                "link": "/x",
                "channel": "webhook",
                "state": "waiting",
                "made": NOW.isoformat(),
                "at": NOW.isoformat(),
                "refused": 2,
            }
        ],
    )
    assert (await asked(book(), "/api/ox/notices?limit=0"))[0] == 400
    assert (await asked(NoRemediation(), "/api/ox/notices"))[1] == {"items": []}
