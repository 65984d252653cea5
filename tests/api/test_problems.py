"""What is wrong: filters that can be bookmarked, whose it is, and how many there were."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from bridge.answers.census import census_of
from bridge.answers.owners import Owners
from bridge.api.app import make_app
from bridge.api.live import Live
from bridge.api.memo import OF_REPORT, Memo, Value
from bridge.api.parts import AppParts
from bridge.errors import StoreError
from bridge.model.census import Census
from bridge.model.entities import Catalog
from bridge.model.memory import Memory, PassRecord
from bridge.model.problems import Problem, Severity
from bridge.model.runs import Outcome, Report
from bridge.model.scrape import Coverage
from tests.answers.fleet import FLEET, GITLAB, known, service
from tests.api.shown import show
from tests.fakes import NOON

Client = TestClient[web.Request, web.Application]
MakeClient = Callable[[web.Application], Awaitable[Client]]
EVIL = '"><script>alert(1)</script>'
PAGE = f"{GITLAB}/shop/mono/-/blob/main"
PAYMENTS, SEARCH = "group:default/payments", "group:default/search"


def of_search(name: str, file: str) -> Any:
    """A component of another team, in the project of the `mono` one."""
    made = service(
        name,
        annotations={
            "gitlab.com/project-slug": "shop/mono",
            "backstage.io/view-url": f"{PAGE}/{file}",
        },
    )
    return replace(made, body={**made.body, "spec": {**made.body["spec"], "owner": SEARCH}})


MONO = service("mono", annotations={"backstage.io/view-url": f"{PAGE}/qm.yaml"})
CATALOG = (*FLEET, MONO, of_search("finder", "finder/qm.yaml"))
PROBLEMS = (
    Problem("an odd key", "unknown-key", Severity.WARNING, "shop/cart", "qm.yaml", 3, 1),
    Problem(f"broken {EVIL}", "manifest-invalid", Severity.ERROR, "shop/mono", "finder/qm.yaml"),
    Problem("broken", "manifest-invalid", Severity.ERROR, "shop/stranger", "qm.yaml"),
    Problem("no such team", "owner", Severity.WARNING, ref="component:default/web"),
    Problem("worth knowing", "note", Severity.INFO, "shopping/list"),
)
REPORT = Report(
    Outcome.INCOMPLETE,
    2.0,
    {"seen": 9},
    gitlab_requests=7,
    problems=PROBLEMS,
    started_at=NOON,
    this_pass={"seen": 9},
)


def serving(live: Live, *problems: Problem) -> web.Application:
    entities = tuple(sorted(CATALOG, key=lambda each: str(each.ref)))
    record = PassRecord(replace(REPORT, problems=problems), Catalog(entities))
    show(live, record, (), Memory(), NOON)
    return make_app(live, AppParts(clock=lambda: NOON))


@pytest.fixture
async def client(aiohttp_client: MakeClient) -> Client:
    return await aiohttp_client(serving(Live(), *PROBLEMS))


async def found(client: Client, query: str) -> list[str]:
    body = await (await client.get(f"/api/problems{query}")).json()
    assert body["totalItems"] == len(body["items"]) == sum(body["counts"].values())
    items = body["items"]
    return [f"{each['message'].partition(' ')[0]} {each['team'] or '-'}" for each in items]


async def test_each_filter_and_all_together(client: Client) -> None:
    everything = await found(client, "")
    assert everything == [
        f"broken {SEARCH}",
        "broken -",
        f"an {PAYMENTS}",
        f"no {PAYMENTS}",
        "worth -",
    ]
    for query, expected in {
        f"?team={PAYMENTS}": everything[2:4],
        "?team=payments": everything[2:4],
        "?team=nobody": [everything[1], everything[4]],
        "?project=shop": [*everything[:3]],  # a group with all below it, not what begins alike
        "?project=/Shop/Mono/": everything[:1],
        "?kind=manifest-invalid": everything[:2],
        "?severity=warning": everything[2:4],
        "?team=search&kind=manifest-invalid&severity=error&project=shop/mono": everything[:1],
        "?team=search&severity=info": [],
    }.items():
        assert await found(client, query) == expected, query


class PassMeanwhile(Memo):
    """A pass ends in the moment in which the problems of the one before are worked out."""

    def __init__(self, ends: Callable[[], object]) -> None:
        super().__init__()
        self._ends = ends

    async def get(self, state: object, key: Hashable, make: Callable[[], Value]) -> Value:
        value = await super().get(state, key, make)
        ends, self._ends = self._ends, lambda: None
        ends()
        return value


@pytest.mark.parametrize(
    ("path", "wrong"),
    [("/entity/component:default/web", "no such team"), (f"/entity/{PAYMENTS}", "2 warnings")],
)
async def test_what_was_wrong_before_a_pass_is_not_told_after_it(
    path: str, wrong: str, aiohttp_client: MakeClient
) -> None:
    live = Live()
    app = serving(live, *PROBLEMS)
    app[OF_REPORT] = PassMeanwhile(lambda: serving(live))
    client = await aiohttp_client(app)
    assert wrong in await (await client.get(path)).text()
    assert wrong not in await (await client.get(path)).text()


async def test_the_page_and_the_api_answer_the_same(client: Client) -> None:
    for query in ("", "?team=payments", "?kind=manifest-invalid", "?severity=info", "?team=search"):
        total = len(await found(client, query))
        page = await (await client.get(f"/problems{query}")).text()
        assert page.partition("<tbody>")[2].partition("</tbody>")[0].count("<tr>") == total
        assert f"{total} found" in page


async def test_a_link_of_the_page_is_the_filter(client: Client) -> None:
    """What a team bookmarks shows the same when it is opened again."""
    page = await (await client.get("/problems?team=payments")).text()
    links = {html.replace("&amp;", "&") for html in re.findall(r'href="(/problems\?[^"]*)"', page)}
    assert f"/problems?team={quote(PAYMENTS, safe='')}" in links
    assert "/problems?team=payments&severity=warning" in links
    for link in links:
        assert (await client.get(link)).status == 200
    narrowed = await (await client.get("/problems?team=payments&severity=warning")).text()
    assert "2 found" in narrowed


async def test_what_cannot_be_asked_is_refused(client: Client) -> None:
    for query in ("?severity=bad", "?team=a/b/c", "?limit=0"):
        answer = await client.get(f"/api/problems{query}")
        assert answer.status == 400, query
    page = await client.get("/problems?severity=bad")
    assert page.status == 400
    assert "is one of error, warning, info" in await page.text()


async def test_a_hostile_problem_and_a_hostile_filter_run_nothing(client: Client) -> None:
    for query in ("", f"?kind={EVIL}", f"?project={EVIL}", "?team=search"):
        answer = await client.get("/problems" + query)
        text = await answer.text()
        assert "<script>" not in text
        assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert (await client.get(f"/problems?team={EVIL}")).status == 200


async def test_problems_go_on(aiohttp_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.api.problems.routes.SHOWN", 2)
    client = await aiohttp_client(serving(Live(), *PROBLEMS))
    first = await (await client.get("/problems?severity=warning")).text()
    assert 'rel="next"' not in first
    first = await (await client.get("/problems")).text()
    assert "worth knowing" not in first
    assert "worth knowing" in await (await client.get("/problems?page=3")).text()


async def test_long_messages_do_not_bloat_the_page(aiohttp_client: MakeClient) -> None:
    many = [replace(PROBLEMS[0], message="x" * 50_000, line=n) for n in range(1, 300)]
    client = await aiohttp_client(serving(Live(), *many))
    for path in ("/", "/problems"):
        assert len(await (await client.get(path)).read()) < 200_000, path


def census(day: int, **errors: int) -> Census:
    counts = {team: {"error": count} for team, count in errors.items()}
    total = {"error": sum(errors.values())}
    at = NOON.replace(hour=6) - timedelta(days=10 - day)
    return Census(at, Outcome.COMPLETE, 61.0, 40, 800, problems=total, by_team=counts)


def counting(live: Live, *kept: Census) -> None:
    async def since(first: date) -> list[Census]:
        return [each for each in kept if each.at.date() >= first]

    async def last() -> Census | None:
        return kept[-1] if kept else None

    live.censuses, live.last_census = since, last


async def test_the_count_over_time_is_that_of_the_filter(aiohttp_client: MakeClient) -> None:
    live = Live()
    counting(live, census(1, **{PAYMENTS: 7, SEARCH: 30}), census(3, **{PAYMENTS: 4, SEARCH: 1}))
    client = await aiohttp_client(serving(live, *PROBLEMS))
    for query, said in {
        "": "number of problems went from 37 to 5",
        "?team=payments": "number of problems went from 7 to 4",
        "?severity=error": "number of problems went from 37 to 5",
        "?severity=info": "number of problems is 0, and has not changed",
        "?team=nobody": "number of problems is 0, and has not changed",
        "?project=shop": "not by project",
        "?team=payments&kind=owner": "not by project",
    }.items():
        assert said in await (await client.get(f"/problems{query}")).text(), query


async def test_after_a_push_the_last_full_pass_stands_beside_it(
    aiohttp_client: MakeClient,
) -> None:
    live = Live()
    counting(live, census(3))
    app = serving(live)
    assert live.report is not None
    live.report = replace(live.report, kind=Coverage.SELECTED, this_pass={"seen": 1})
    client = await aiohttp_client(app)
    began = census(3).at.strftime("%Y-%m-%d %H:%M")
    for path in ("/", "/problems"):
        page = await (await client.get(path)).text()
        assert f"The last full pass began {began} UTC, saw 800 projects" in page
    live.report = replace(live.report, kind=Coverage.FULL)
    assert "The last full pass began" not in await (await client.get("/")).text()


async def test_pages_stand_while_the_store_is_away(aiohttp_client: MakeClient) -> None:
    live = Live()

    async def away(*_: object) -> Any:
        raise StoreError("the disk is full")

    live.censuses = live.last_census = away
    client = await aiohttp_client(serving(live, *PROBLEMS))
    assert (await client.get("/")).status == 200
    page = await client.get("/problems")
    assert page.status == 200
    text = await page.text()
    assert "They cannot be shown now: the disk is full" in text
    assert "5 found" in text


async def test_before_the_first_pass_the_page_says_so(aiohttp_client: MakeClient) -> None:
    client = await aiohttp_client(make_app(Live(), AppParts(clock=lambda: NOON)))
    page = await (await client.get("/problems")).text()
    assert "The first pass has not ended yet" in page
    assert "the first one has not ended yet" in page


def test_a_census_counts_each_problem_once_by_rule_and_by_team() -> None:
    owners = Owners.of(known(*CATALOG).index)
    made = census_of(REPORT, NOON, [*PROBLEMS[:2], replace(PROBLEMS[0], line=9)], owners)
    assert made.problems == {"error": 2, "warning": 3, "info": 1}
    assert made.by_rule["unknown-key"] == {"warning": 2}
    assert made.by_team[""] == {"error": 1, "info": 1}
    assert made.by_team[PAYMENTS] == {"warning": 3}
    assert (made.at, made.looked_at, made.requests) == (NOON, 9, 7)
    assert made.count() == 6
    assert made.count(team="", severity="error") == 1
    assert made.count(rule="owner") == 1
    assert made.count(rule="owner", team="") is None


def test_the_span_of_a_trend_is_kept() -> None:
    from bridge.api.problems.routes import SPAN
    from bridge.wiring.census import KEPT

    assert timedelta(days=90) == SPAN < KEPT
