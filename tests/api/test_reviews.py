"""Waivers for reviewers, movement, and badges, over a real socket."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from bridge.access.gate import open_gate
from bridge.access.static_tokens import StaticToken
from bridge.api.access import Access
from bridge.api.app import make_app
from bridge.api.live import Live
from bridge.api.nothing import NoFacts
from bridge.api.parts import AppParts
from bridge.api.remediation import NoRemediation
from bridge.api.scores.badge import said, svg
from bridge.model.access import Scope
from bridge.model.entities import Json, Ref
from bridge.model.facts import Fact, FactBoard, Reading, Standing
from bridge.model.remediation import (
    Action,
    ActionKind,
    ActionOutcome,
    ActionRecord,
    IssueKey,
    RemediationRun,
)
from bridge.model.scores import RollupKind, Score, Waiver, WaiverPlace
from bridge.model.vulnerabilities import BY_AGE
from bridge.ox.scores.scorekeeping import Scorekeeper
from tests.api.scored import API, DARK, EVIL, TODAY, WEB, scored
from tests.ox.rubrics import reading

pytestmark = pytest.mark.real

Client = TestClient[web.Request, web.Application]
MakeClient = Callable[[web.Application], Awaitable[Client]]
FIRST = (TODAY + timedelta(days=14)).date()
LATER = FIRST + timedelta(days=1)
GIVEN = {
    API.ref: [Waiver("protected", f"the label on {EVIL}", LATER, WaiverPlace.ISSUE, person="kim")],
    WEB.ref: [Waiver("readme", "soon gone", FIRST, WaiverPlace.ISSUE)],
    DARK.ref: [
        Waiver("readme", "in the wiki", LATER, WaiverPlace.MANIFEST, person=f"robin {EVIL}"),
        Waiver("protected", "a mirror", LATER, WaiverPlace.RUBRIC),
    ],
}


async def given() -> Mapping[Ref, Sequence[Waiver]]:
    return GIVEN


@pytest.fixture
async def keeper(tmp_path: Path) -> AsyncIterator[Scorekeeper]:
    async with scored(tmp_path, given) as keeper:
        yield keeper


@pytest.fixture
async def client(keeper: Scorekeeper, aiohttp_client: MakeClient) -> Client:
    return await aiohttp_client(make_app(Live(), AppParts(clock=lambda: TODAY, scored=keeper)))


async def test_waivers_are_listed_with_who_and_until_when(client: Client) -> None:
    async def found(query: str = "") -> list[tuple[str, str, str, bool]]:
        body = await (await client.get(f"/api/ox/waivers{query}")).json()
        return [(i["check"], i["person"], i["expires"], i["soon"]) for i in body["items"]]

    web_, api = ("readme", "", str(FIRST), True), ("protected", "kim", str(LATER), False)
    dark = [("protected", "", str(LATER), False), ("readme", f"robin {EVIL}", str(LATER), False)]
    assert await found() == [web_, api, *dark]
    assert await found("?q=robin") == dark[1:]
    assert await found("?soon=true") == [web_]
    assert await found("?q=KIM") == [api]
    assert await found("?q=component:default/web") == [web_]
    assert await found("?limit=1&offset=1") == [api]
    assert (await client.get("/api/ox/waivers?limit=0")).status == 400
    text = await (await client.get("/waivers")).text()
    assert "kim, by a label" in text
    assert "somebody, by a label" in text
    assert EVIL not in text
    assert "robin &lt;script&gt;alert(1)&lt;/script&gt;, in the manifest" in text
    assert "nobody is named, in the rubric" in text
    assert "4 hold now" in text
    assert "1 end within two weeks" in text
    text = await (await client.get("/waivers?q=nobody")).text()
    assert "<p>None that fits.</p>" in text


async def test_movement_is_that_of_the_score_whatever_the_rank(client: Client) -> None:
    body = await (await client.get("/api/ox/movers/team?days=30")).json()
    assert (body["kind"], body["since"], body["totalItems"]) == ("team", "2026-02-19", 2)
    red = body["items"][0]
    assert red["before"] is None, "there were no scores a month ago"
    assert red["points"] is None
    assert (await client.get("/api/ox/movers/team?days=31")).status == 400
    assert (await client.get("/api/ox/movers/nothing")).status == 400
    assert (await client.get("/movers/nothing")).status == 404
    assert "not known" in await (await client.get("/movers/team")).text()


async def test_who_gained_most_stands_first(
    keeper: Scorekeeper, aiohttp_client: MakeClient
) -> None:
    """Thirty days after the first week: the README of the tenth day is a gain of its team."""
    later = TODAY + timedelta(days=15)
    client = await aiohttp_client(make_app(Live(), AppParts(clock=lambda: later, scored=keeper)))
    body = await (await client.get("/api/ox/movers/team")).json()
    red = body["items"][0]
    assert [each["name"] for each in body["items"]] == ["group:default/red", "user:default/jane"]
    before = await keeper.rollups_on(RollupKind.TEAM, (later - timedelta(days=30)).date())
    then = before["group:default/red"].value
    board = keeper.board
    assert board is not None
    now = board.rollup(RollupKind.TEAM, "red")
    assert now is not None
    assert now.value is not None
    assert then is not None
    assert red["points"] == round(now.value - then, 1) > 0
    assert (red["services"], red["servicesBefore"]) == (2, 2)
    text = await (await client.get("/movers/team")).text()
    assert f"{now.value - then:+.1f}" in text


async def test_a_badge_is_a_picture_that_may_be_kept_for_a_while(client: Client) -> None:
    answer = await client.get("/badges/api.svg")
    assert (answer.status, answer.content_type) == (200, "image/svg+xml")
    assert answer.headers["Cache-Control"] == "max-age=300"
    tree = ET.fromstring(await answer.text())
    assert tree.attrib["aria-label"].startswith("Ox score: ")
    again = await client.get(
        "/badges/component:default/api.svg", headers={"If-None-Match": answer.headers["ETag"]}
    )
    assert (again.status, await again.read()) == (304, b"")
    assert (await client.get("/badges/nobody.svg")).status == 404
    assert (await client.get("/badges/a/b/c.svg")).status == 400
    dark = await (await client.get("/badges/dark.svg")).text()
    assert "insufficient data" in dark


async def test_a_badge_is_shown_to_whom_scores_are(
    keeper: Scorekeeper, aiohttp_client: MakeClient
) -> None:
    token = "0123456789abcdef0123456789abcdef"
    known = StaticToken("t", hashlib.sha256(token.encode()).hexdigest(), frozenset({Scope.READ}))
    async with open_gate([known], None, lambda: TODAY.astimezone(UTC)) as gate:
        closed = await aiohttp_client(
            make_app(Live(), AppParts(access=Access(gate), scored=keeper))
        )
        assert (await closed.get("/badges/api.svg")).status == 401
        headers = {"Authorization": f"Bearer {token}"}
        assert (await closed.get("/badges/api.svg", headers=headers)).status == 200
        opened = Access(gate, public=frozenset({"badges"}))
        open_ = await aiohttp_client(make_app(Live(), AppParts(access=opened, scored=keeper)))
        assert (await open_.get("/badges/api.svg")).status == 200
        assert (await open_.get("/api/ox/scores")).status == 401


def test_what_a_badge_says() -> None:
    score = Score(API.ref, 84.4, 1.0, True, "<gold>", 1, 90.0, (), (), "r", TODAY)
    poor, bad = said(score), said(replace(score, gates_failed=("owner",)))
    assert (poor[0], bad[0]) == ("84 <gold>", "84 <gold>, a gate fails")
    good = said(replace(score, value=95.0))
    unknown = said(replace(score, value=None))
    assert len({poor[1], bad[1], good[1], unknown[1]}) == 4
    assert said(replace(score, target=None)) == ("84 <gold>", unknown[1]), "no target, no verdict"
    drawn = svg("Ox score", "<b>" * 40, "#000")
    assert "<b>" not in drawn
    assert ET.fromstring(drawn).tag.endswith("svg")


async def test_before_the_first_scores_there_is_an_answer(aiohttp_client: MakeClient) -> None:
    client = await aiohttp_client(make_app(Live(), AppParts()))
    for path, status in {
        "/api/ox/waivers": 503,
        "/waivers": 503,
        "/api/ox/movers/team": 503,
        "/movers/team": 503,
        "/badges/api.svg": 404,
        "/vulnerabilities": 503,
        "/api/ox/vulnerabilities": 503,
        "/api/ox/vulnerabilities.csv": 503,
    }.items():
        assert (await client.get(path)).status == status, path


def snyk_board() -> FactBoard:
    """Of the api's repository something is open, of the web's nothing could be read."""
    counts: dict[str, Json] = {"critical": {"week": 2, "older": 1, "odd": 9}, "high": "no counts"}
    known = Fact(BY_AGE, counts, TODAY, "snyk")
    away = Fact(BY_AGE, None, TODAY, "snyk", Standing.UNKNOWN, "503")
    latest = {
        ref: {"snyk": Reading(ref, "snyk", "1.0.0", TODAY, (fact,))}
        for ref, fact in {API.ref: known, WEB.ref: away}.items()
    }
    return FactBoard((), latest, TODAY)


async def test_what_is_open_is_told_by_team_severity_and_age(
    keeper: Scorekeeper, aiohttp_client: MakeClient
) -> None:
    book = NoFacts()
    book.board = snyk_board()
    client = await aiohttp_client(make_app(Live(), AppParts(facts=book, scored=keeper)))
    (red,) = (await (await client.get("/api/ox/vulnerabilities")).json())["items"]
    assert (red["team"], red["services"], red["unread"], red["unwatched"]) == (
        "group:default/red",
        1,
        1,
        0,
    )
    assert red["open"]["critical"] == {"week": 2, "month": 0, "quarter": 0, "older": 1}
    assert red["open"]["high"] == {"week": 0, "month": 0, "quarter": 0, "older": 0}
    answer = await client.get("/api/ox/vulnerabilities.csv")
    assert answer.content_type == "text/csv"
    head, critical, *rest = (await answer.text()).splitlines()
    assert head == "team,severity,week,month,quarter,older,total,services,unread,unwatched"
    assert critical == "group:default/red,critical,2,0,0,1,3,1,1,0"
    assert len(rest) == 3
    text = await (await client.get("/vulnerabilities")).text()
    assert "1, 1 could not be read" in text


async def test_where_snyk_is_not_asked_the_page_says_so(client: Client) -> None:
    assert "Snyk is not set up" in await (await client.get("/vulnerabilities")).text()
    found = await (await client.get("/api/ox/vulnerabilities")).json()
    assert found == {"items": [], "deactivations": []}


class _Proposed(NoRemediation):
    async def latest_run(self) -> RemediationRun:
        action = Action(ActionKind.DEACTIVATE, IssueKey.deactivation(7, "s1"), EVIL, "archived")
        records = [
            ActionRecord(action, each) for each in (ActionOutcome.PLANNED, ActionOutcome.DONE)
        ]
        return RemediationRun(TODAY, tuple(records))


async def test_projects_of_archived_repositories_are_proposed_beside_what_is_open(
    keeper: Scorekeeper, aiohttp_client: MakeClient
) -> None:
    """Only what is left to do; a repository's path is a stranger's text."""
    client = await aiohttp_client(
        make_app(Live(), AppParts(scored=keeper, remediation=_Proposed()))
    )
    found = (await (await client.get("/api/ox/vulnerabilities")).json())["deactivations"]
    assert found == [{"project": EVIL, "snyk": "s1", "status": "planned", "reason": "archived"}]
    page = await (await client.get("/vulnerabilities")).text()
    assert "Of archived repositories" in page
    assert EVIL not in page


async def test_scores_of_earlier_days_can_be_added_and_the_latest_stay(
    keeper: Scorekeeper, aiohttp_client: MakeClient
) -> None:
    board = keeper.board
    assert board is not None
    before = await keeper.trend(API.ref, (TODAY - timedelta(days=90)).date(), TODAY.date())
    long_ago = TODAY - timedelta(days=60)
    facts = {"readme": False, "protected": True, "approvals": 0}
    await keeper.backfill([(long_ago, {API.ref: reading(API, facts, at=long_ago)})])
    after = await keeper.trend(API.ref, (TODAY - timedelta(days=90)).date(), TODAY.date())
    assert keeper.board is board
    assert after[0].day == long_ago.date()
    assert after[0].value != before[0].value
    assert after[-1].value == before[-1].value
    again = Scorekeeper(keeper._source, keeper._file, keeper._store, lambda: TODAY)
    await again.load()
    assert again.board is not None
    assert again.board.scores[API.ref].value == board.scores[API.ref].value
