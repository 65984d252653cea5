"""`/api/ox/…` and the scorecards over a real socket."""

from __future__ import annotations

import asyncio
import html
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from bridge.api.app import make_app
from bridge.api.live import Live
from bridge.api.parts import AppParts
from bridge.model.entities import Catalog
from bridge.model.memory import Memory, PassRecord
from bridge.model.runs import Outcome, Report
from bridge.model.scores import Rollup, RollupKind, Scoreboard
from bridge.ox.facts.collecting import FactService
from bridge.ox.scores.scorekeeping import Scorekeeper
from bridge.wiring.remediation import Book
from tests.api.scored import API, EVIL, STORES, TODAY, WEB, close_store, scored
from tests.api.shown import show
from tests.ox.rubrics import NOW, SCHEMA, reading

Client = TestClient[web.Request, web.Application]
MakeClient = Callable[[web.Application], Awaitable[Client]]


@pytest.fixture
async def keeper(tmp_path: Path) -> AsyncIterator[Scorekeeper]:
    async with scored(tmp_path) as keeper:
        yield keeper


@pytest.fixture
async def client(keeper: Scorekeeper, aiohttp_client: MakeClient) -> Client:
    return await aiohttp_client(make_app(Live(), AppParts(clock=lambda: TODAY, scored=keeper)))


async def get(client: Client, path: str) -> Any:
    response = await client.get(path)
    assert response.status == 200, await response.text()
    return await response.json()


async def test_scores_are_listed_filtered_ordered_and_paged(client: Client) -> None:
    async def names(query: str) -> list[str]:
        items = (await get(client, f"/api/ox/scores{query}"))["items"]
        return [item["entityRef"].rpartition("/")[2] for item in items]

    assert await names("") == ["api", "dark", "web"]
    assert await names("?order=score") == ["web", "api", "dark"]
    assert await names("?order=-score") == ["api", "web", "dark"]
    assert await names("?order=coverage&limit=1") == ["dark"]
    assert await names("?limit=1&offset=1") == ["dark"]
    assert await names("?team=group:default/red") == ["api", "web"]
    assert await names("?team=group:default/none") == []
    assert await names("?system=system:default/shop&tier=4") == ["web"]
    assert await names("?domain=domain:default/retail&q=AP") == ["api"]
    assert await names("?level=none") == ["dark"]
    assert await names("?onTarget=false") == ["api"]
    assert await names("?check=readme") == ["web"]
    assert await names("?check=readme&state=unknown") == ["dark"]
    whole = await get(client, "/api/ox/scores?limit=1")
    assert whole["totalItems"] == 3
    assert whole["items"][0] == {
        "entityRef": "component:default/api",
        "score": 70.0,
        "level": "starting",
        "coverage": 1.0,
        "sufficient": True,
        "tier": 2,
        "target": 80,
        "onTarget": False,
        "gatesFailed": ["protected"],
    }


async def test_one_score_has_evidence_and_what_to_fix(client: Client) -> None:
    score = await get(client, "/api/ox/scores/component:default/WEB")
    assert score["score"] == 60
    (fix,) = score["fixes"]
    assert (fix["check"], fix["points"]) == ("readme", 40)
    readme = score["checks"][0]
    assert readme["state"] == "fail"
    (evidence,) = readme["evidence"]
    assert (evidence["fact"], evidence["value"]) == ("repo.readme", False)
    assert evidence["seenAt"] == TODAY.isoformat()
    assert (await get(client, "/api/ox/scores/web"))["entityRef"] == "component:default/web"
    assert (await get(client, "/api/ox/scores/dark"))["score"] is None


async def test_rollups_count_the_unknown(client: Client) -> None:
    (whole,) = (await get(client, "/api/ox/rollups/organization"))["items"]
    assert (whole["score"], whole["services"], whole["unknown"]) == (65, 3, 1)
    teams = (await get(client, "/api/ox/rollups/team"))["items"]
    assert [each["name"] for each in teams] == ["group:default/red", "user:default/jane"]
    team = await get(client, "/api/ox/rollups/team/group:default/red")
    assert [each["entityRef"] for each in team["items"]] == [
        "component:default/api",
        "component:default/web",
    ]
    products = (await get(client, "/api/ox/rollups/product"))["items"]
    assert [each["name"] for each in products] == [EVIL]


@pytest.mark.parametrize("name", ["red", "Red", "default/red", "group:default/red"])
async def test_a_team_is_asked_for_by_its_bare_name_too(client: Client, name: str) -> None:
    team = await get(client, f"/api/ox/rollups/team/{name}")
    assert (team["name"], team["totalItems"]) == ("group:default/red", 2)
    assert (await get(client, f"/api/ox/scores?team={name}"))["totalItems"] == 2
    trend = await get(client, f"/api/ox/trends/team/{name}")
    assert [day["score"] for day in trend["days"]] == [55, 65]
    assert (await get(client, f"/api/ox/changes/team/{name}?from=2026-03-05"))["totalItems"] == 1
    assert (await client.get(f"/scores/team/{name}")).status == 200


async def test_a_short_name_that_two_go_by_is_nobodys() -> None:
    teams = [
        Rollup(RollupKind.TEAM, name, 1.0, 1.0, 1, 0, 0) for name in ("group:a/red", "group:b/red")
    ]
    board = Scoreboard(NOW, "r", rollups=tuple(teams))
    assert board.rollup(RollupKind.TEAM, "red") is None
    assert board.rollup(RollupKind.TEAM, "b/red") is teams[1]
    assert board.rollup(RollupKind.SYSTEM, "red") is None


async def test_long_tables_go_on(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.api.scores.pages.SHOWN", 2)
    assert 'rel="next"' not in await (await client.get("/scores?days=30&q=web")).text()
    first = await (await client.get("/scores?days=30")).text()
    assert "1 to 2 of 3" in first
    assert 'href="?days=30&amp;page=2" rel="next"' in first
    last = await (await client.get("/scores?days=30&page=2")).text()
    assert "3 to 3 of 3" in last
    assert 'href="?days=30&amp;page=1" rel="prev"' in last
    monkeypatch.setattr("bridge.api.scores.pages.SHOWN", 1)
    assert "2 to 2 of 2" in await (await client.get("/scores/team?page=99")).text()


async def test_trends_and_changes(client: Client) -> None:
    trend = await get(client, "/api/ox/trends/entity/api?from=2026-03-05&to=2026-03-21")
    assert [(day["day"], day["score"]) for day in trend["days"]] == [
        ("2026-03-05", 50),
        ("2026-03-11", 70),
    ]
    team = await get(client, "/api/ox/trends/team/group:default/red")
    assert [day["score"] for day in team["days"]] == [55, 65]
    change = await get(client, "/api/ox/changes/entity/api?from=2026-03-05&to=2026-03-21")
    assert (change["before"], change["after"], change["points"]) == (50, 70, 20)
    assert change["checks"] == [
        {"check": "readme", "before": "fail", "after": "pass", "points": 20}
    ]
    both = await get(client, "/api/ox/changes/team/group:default/red?from=2026-03-05")
    assert [each["entityRef"] for each in both["items"]] == ["component:default/api"]
    none = await get(client, "/api/ox/changes/team/group:default/red?from=2026-03-15")
    assert none["totalItems"] == 0


async def test_the_rubric_in_force_and_why_its_file_is_not(
    client: Client, keeper: Scorekeeper, tmp_path: Path
) -> None:
    rubric = await get(client, "/api/ox/rubric")
    assert rubric["version"] == keeper.rubric.version
    assert rubric["problems"] == []
    assert rubric["checks"][0]["pass"] == "${{ repo.readme }}"
    (tmp_path / "rubric.yaml").write_text("rubric: [", "utf-8")
    await keeper.look_at_rubric()
    again = await get(client, "/api/ox/rubric")
    assert again["version"] == rubric["version"]
    assert again["problems"][0]["line"] > 0


AWAY = [
    "/api/ox/trends/entity/api",
    "/api/ox/trends/team/group:default/red",
    "/api/ox/changes/entity/api",
    "/api/ox/changes/team/group:default/red",
    "/api/ox/remediations",
    "/api/ox/digests",
    "/api/tech-insights/facts/range?entity=component:default/api&ids=repo"
    "&startDatetime=2026-03-01&endDatetime=2026-04-01",
    "/scores",
    "/scores/team/group:default/red",
    "/scores/entity/api",
]


async def test_a_store_that_is_away_is_503_with_the_reason_wherever_it_is_asked(
    keeper: Scorekeeper, aiohttp_client: MakeClient
) -> None:
    store = STORES[id(keeper)]
    facts = FactService("here", (), store.facts(), lambda: NOW, pushable=(SCHEMA,))
    await facts.after_pass(Catalog((API,)), Memory(), {})
    live = Live()
    show(live, PassRecord(Report(Outcome.COMPLETE, 1.0), Catalog()), (), Memory(), NOW)
    client = await aiohttp_client(
        make_app(
            live,
            AppParts(
                clock=lambda: TODAY,
                facts=facts,
                checks=keeper,
                scored=keeper,
                remediation=Book("here", store),
            ),
        )
    )
    for path in AWAY:
        assert (await client.get(path)).status == 200, path
    await close_store(keeper)
    for path in AWAY:
        response = await client.get(path)
        assert (response.status, "is closed" in await response.text()) == (503, True), path
        if path.startswith("/api/"):
            assert (await response.json())["error"]["name"] == "ServiceUnavailableError"
    pushed = {
        "retriever": "repo",
        "readings": [{"entity": "component:default/api", "facts": {"readme": True}}],
    }
    response = await client.post("/api/ox/facts", json=pushed)
    assert response.status == 503, await response.text()
    for path in ("/", "/entities", "/metrics", "/api/report", "/api/ox/scores/api"):
        assert (await client.get(path)).status == 200, path


REFUSALS = [
    ("/api/ox/scores?limit=0", 400, "`limit` is a number from 1 to 500"),
    ("/api/ox/scores?limit=٣", 400, "`limit` is a number"),
    ("/api/ox/scores?offset=-1", 400, "`offset` is a number"),
    ("/api/ox/scores?colour=red", 400, "unknown parameter `colour`"),
    ("/api/ox/scores?order=up", 400, "`order` is one of"),
    ("/api/ox/scores?state=pass", 400, "together with `check`"),
    ("/api/ox/scores?check=x&state=good", 400, "`state` is one of pass"),
    ("/api/ox/scores?onTarget=yes", 400, "true or false"),
    ("/api/ox/scores/a:b:c", 400, "is not an entity"),
    ("/api/ox/scores/nobody", 404, "component:default/nobody has no score"),
    ("/api/ox/rollups/colour", 400, "there are roll-ups by team, system"),
    ("/api/ox/rollups/team/group:default/x", 404, "/api/ox/rollups/team lists them"),
    ("/api/ox/trends/entity/api?from=soon", 400, "`from` is a day"),
    ("/api/ox/trends/entity/api?from=2026-03-09&to=2026-03-01", 400, "lies after"),
    ("/api/ox/trends/entity/api?from=2001-01-01", 400, "days at once"),
    ("/api/ox/trends/entity/nobody", 404, "has no score"),
    ("/api/ox/changes/entity/nobody", 404, "has no score"),
    ("/api/ox/changes/team/nobody", 404, "no such team"),
    ("/api/ox/trends/team/nobody", 404, "no such team"),
]


async def test_refusals_have_backstages_shape(client: Client) -> None:
    for path, status, said in REFUSALS:
        response = await client.get(path)
        body = await response.json()
        assert (path, response.status) == (path, status)
        assert body["response"]["statusCode"] == status
        assert body["error"]["name"] == {400: "InputError", 404: "NotFoundError"}[status]
        assert said in body["error"]["message"]


async def test_without_scores_the_answer_is_503_and_the_page_says_when(
    aiohttp_client: MakeClient,
) -> None:
    client = await aiohttp_client(make_app(Live(), AppParts(clock=lambda: TODAY)))
    for path in ("/api/ox/scores", "/api/ox/rubric"):
        response = await client.get(path)
        assert response.status == 503
        assert (await response.json())["error"]["name"] == "ServiceUnavailableError"
    page = await client.get("/scores")
    assert page.status == 503
    assert "first pass" in await page.text()


PAGES = [
    "/scores",
    "/scores?q=web&days=365",
    "/scores/team",
    "/scores/product",
    "/scores/team/group:default/red",
    "/scores/domain/domain:default/retail?days=30",
    "/scores/product/%3Cscript%3Ealert(1)%3C/script%3E",
    "/scores/entity/component:default/api",
    "/scores/entity/component:default/dark",
]


async def test_pages_escape_what_strangers_wrote_and_load_nothing(client: Client) -> None:
    for path in PAGES:
        response = await client.get(path)
        text = await response.text()
        assert (path, response.status) == (path, 200)
        assert "<script" not in text
        assert "src=" not in text
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]


async def test_a_scorecard_says_what_to_fix_with_points_and_evidence(client: Client) -> None:
    text = await (await client.get("/scores/entity/component:default/web")).text()
    for said in ("60", "+40.0 points", "<code>README.md</code>", "repo.readme = false", "✗ fail"):
        assert said in text
    text = await (await client.get("/scores/entity/component:default/dark")).text()
    for said in ("insufficient data", "nobody has looked yet; is", "? unknown"):
        assert said in text


async def test_a_gate_that_nobody_could_see_is_not_said_to_pass(client: Client) -> None:
    dark = await (await client.get("/scores/entity/component:default/dark")).text()
    assert "? 1 not known" in dark
    assert "none failed" not in dark
    assert "70 % of the weight must be known before there is a score; 0 % is." in dark
    for name, said in (("api", "✗ 1 failed"), ("web", "✓ none failed")):
        page = await (await client.get(f"/scores/entity/component:default/{name}")).text()
        assert said in page
        assert "What is not known" not in page
    whole = await (await client.get("/scores")).text()
    (unseen,) = re.findall(r"<h2>What is not known</h2>.*?</table>", whole, re.DOTALL)
    assert "repo.readme: nobody has looked yet; is <code>repo</code> set up?" in unseen


async def test_services_that_are_new_are_counted_and_not_listed_as_changed(client: Client) -> None:
    text = await (await client.get("/scores?days=365")).text()
    assert "3 services are scored that had no score when it began." in text
    (changed,) = re.findall(r"<h2>What changed in this time</h2>(.*?)<h2>", text, re.DOTALL)
    assert "<table>" not in changed


async def test_pages_that_are_not_there_say_so(client: Client) -> None:
    for path in (
        "/scores/colour",
        "/scores/team/none",
        "/scores/entity/none",
        "/scores/entity/a:b:c",
    ):
        response = await client.get(path)
        assert response.status == 404
        assert "The whole organization" in await response.text()
    moved = await client.get("/scores/organization", allow_redirects=False)
    assert (moved.status, moved.headers["Location"]) == (302, "/scores")


async def test_each_check_is_a_fact_for_a_backstage_that_pulls(
    keeper: Scorekeeper, aiohttp_client: MakeClient
) -> None:
    """True or false where it is decided; nothing where it is not."""
    client = await aiohttp_client(make_app(Live(), AppParts(clock=lambda: TODAY, scored=keeper)))
    (listed,) = await (await client.get("/api/ox/fact-retrievers")).json()
    assert listed["id"] == "fester_checks"
    assert set(listed["schema"]) == {check.id for check in keeper.rubric.checks}
    path = "/api/ox/fact-retrievers/fester_checks/facts"
    rows = await (await client.get(path)).json()
    told = {row["entity"]["name"]: row["facts"] for row in rows}
    assert keeper.board is not None
    for ref, score in keeper.board.scores.items():
        known = [result for result in score.results if result.state.known]
        assert told[ref.name] == {each.check: each.state.passed for each in known}
    assert {value for facts in told.values() for value in facts.values()} == {True, False}
    asked = "/api/tech-insights/facts/latest?entity=component:default/api&ids=fester_checks"
    assert (await (await client.get(asked)).json())["fester_checks"]["facts"] == told["api"]


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# Runs beside the page, in a frame of a phone's width, and reports what overflows or has no name.
PROBE = """<!doctype html><title>wait</title><body style="margin:0">
<iframe src="PAGE" style="width:360px;height:800px;border:0"></iframe>
<script>
document.querySelector('iframe').addEventListener('load', event => {
  const page = event.target.contentDocument;
  const root = page.documentElement;
  const wide = [...page.querySelectorAll('main *')].filter(each =>
    !each.closest('svg') && !each.closest('.scroll') && each.getBoundingClientRect().right > 361);
  const unnamed = [...page.querySelectorAll('input,select')].filter(each =>
    !each.getAttribute('aria-label')).length
    + [...page.querySelectorAll('svg')].filter(each => !each.querySelector('title')).length
    + [...page.querySelectorAll('a')].filter(each => !each.textContent.trim()).length;
  const style = event.target.contentWindow.getComputedStyle(page.body);
  const found = JSON.stringify({
    scrolls: root.scrollWidth > 360, wide: wide.map(each => each.outerHTML.slice(0, 200)), unnamed,
    drawn: [...page.querySelectorAll('path.line')].map(each => each.getTotalLength()),
    colour: style.color, back: style.backgroundColor});
  document.body.innerHTML = '<pre id="found"></pre>';
  document.getElementById('found').textContent = found;
});
</script>"""


def luminance(colour: str) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    channels = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.real
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(
    "path", ["/scores", "/scores/team", "/scores/team/group:default/red", "/scores/entity/api"]
)
async def test_a_phone_shows_the_pages_whole_in_a_real_browser(
    keeper: Scorekeeper, aiohttp_client: MakeClient, tmp_path: Path, path: str, dark: bool
) -> None:
    if CHROMIUM is None:
        pytest.skip("NOT PROVEN IN A BROWSER: chromium is not installed")
    app = make_app(Live(), AppParts(clock=lambda: TODAY, scored=keeper))

    async def probe(_: web.Request) -> web.Response:
        response = web.Response(text=PROBE.replace("PAGE", path), content_type="text/html")
        # The probe is ours: it may run its script and look into the page.
        response.headers["Content-Security-Policy"] = "default-src 'self' 'unsafe-inline'"
        return response

    async def framed(request: web.Request, response: web.StreamResponse) -> None:
        policy = response.headers["Content-Security-Policy"]
        loosened = policy.replace("frame-ancestors 'none'", "frame-ancestors 'self'")
        response.headers["Content-Security-Policy"] = loosened

    app.router.add_get("/probe", probe)
    app.on_response_prepare.append(framed)
    client = await aiohttp_client(app)
    url = str(client.make_url("/probe"))
    found = await in_the_browser(url, tmp_path / "profile", dark=dark)
    assert not found["scrolls"], found["wide"]
    assert found["wide"] == []
    assert found["unnamed"] == 0
    assert path == "/scores/team" or found["drawn"][0] > 100
    one, two = sorted((luminance(found["colour"]), luminance(found["back"])))
    assert (two + 0.05) / (one + 0.05) > 7
    assert (luminance(found["back"]) < luminance(found["colour"])) is dark


async def in_the_browser(url: str, profile: Path, *, dark: bool) -> Any:
    """What the probe found, as chromium sees it."""
    process = await asyncio.create_subprocess_exec(
        str(CHROMIUM),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={profile}",
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        "--virtual-time-budget=10000",
        "--dump-dom",
        url,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    found = re.search(r'<pre id="found">(.*?)</pre>', output.decode(), re.DOTALL)
    assert found, output.decode()[:2000]
    return json.loads(html.unescape(found[1]))


async def test_what_a_proposed_rubric_would_move(
    tmp_path: Path, keeper: Scorekeeper, aiohttp_client: MakeClient
) -> None:
    """By the page and as data, from nothing proposed to a broken one."""
    report = Report(Outcome.COMPLETE, seconds=1.0)
    live = Live()
    assert keeper._catalog is not None
    show(live, PassRecord(report, keeper._catalog), (), Memory(), TODAY)
    store = STORES[id(keeper)]
    facts = FactService(keeper._source, [], store.facts(), lambda: TODAY, pushable=[SCHEMA])
    known = {"readme": False, "protected": True, "approvals": 2}
    await facts.record([reading(each, known, at=TODAY)["repo"] for each in (API, WEB)])
    client = await aiohttp_client(
        make_app(live, AppParts(clock=lambda: TODAY, scored=keeper, facts=facts))
    )
    addresses = ("/api/ox/rubric/next", "/scores/rubric/next")
    for address in addresses:
        answer = await client.get(address)
        assert (answer.status, "rubric.next.yaml" in await answer.text()) == (404, True)
    text = (tmp_path / "rubric.yaml").read_text("utf-8")
    (tmp_path / "rubric.next.yaml").write_text(text.replace("weight: 2", "weight: 20"), "utf-8")
    tree = await get(client, addresses[0])
    assert [each["entityRef"] for each in tree["services"]] == [str(API.ref), str(WEB.ref)]
    assert (tree["counts"]["moved"], tree["counts"]["lower"]) == (2, 2)
    page = await (await client.get(addresses[1])).text()
    assert f"<b>{tree['counts']['moved']}</b> of 3 scores would move" in page
    (tmp_path / "rubric.next.yaml").write_text(f"rubric: '{EVIL}'\nnonsense: 1\n", "utf-8")
    broken = await client.get(addresses[0])
    assert (broken.status, "nonsense" in await broken.text()) == (409, True)
    page = await (await client.get(addresses[1])).text()
    assert "rubric.next.yaml:2:1" in page
    assert EVIL not in page


async def test_where_nothing_is_scored_no_rubric_can_be_tried(aiohttp_client: MakeClient) -> None:
    client = await aiohttp_client(make_app(Live(), AppParts()))
    for path in ("/api/ox/rubric/next", "/scores/rubric/next"):
        assert (await client.get(path)).status == 503
