"""The pages about the model: search, entities, maps, documents."""

from __future__ import annotations

import html
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from bridge.answers.portrait import MOST_TEXT
from bridge.answers.system_map import MOST_BOXES
from bridge.api.app import make_app
from bridge.api.live import Live
from bridge.api.nothing import NoFacts
from bridge.api.parts import AppParts
from bridge.api.rendering import breakable
from bridge.model.blob_ids import blob_id
from bridge.model.entities import Catalog, Ref
from bridge.model.facts import FactBoard
from bridge.model.memory import Memory, PassRecord
from bridge.model.problems import Problem
from bridge.model.runs import Artifact, Outcome, Report
from tests.answers.fleet import CART, FLEET, GITLAB, entity, reading, service
from tests.api.shown import show
from tests.fakes import NOON

Client = TestClient[web.Request, web.Application]
MakeClient = Callable[[web.Application], Awaitable[Client]]
EVIL = '"><script>alert(1)</script>'
HOSTILE = service(
    "evil",
    title=EVIL,
    description=EVIL,
    needs=("cart",),
    tags=["a"],
    links=[{"url": "javascript:alert(1)", "title": EVIL, "type": "runbook"}],
)
PROBLEM = Problem(f"unknown key {EVIL}", "unknown-key", project="shop/cart", file="qm.yaml")
PAGES = (
    "/search?q=cart",
    "/search",
    f"/search?q={EVIL}",
    f"/entity/{CART}",
    "/entity/component:default/evil",
    "/entity/group:default/payments",
    "/fields/component:default/evil",
    f"/fields/{CART}",
    "/map",
    "/map/system:default/shop",
    "/documents",
    f"/documents?q={EVIL}&kind=runbook",
)


@pytest.fixture
async def client(aiohttp_client: MakeClient) -> Client:
    live = Live()
    entities = tuple(sorted((*FLEET, HOSTILE), key=lambda each: str(each.ref)))
    report = Report(Outcome.COMPLETE, 1.0, problems=(PROBLEM,))
    show(live, PassRecord(report, Catalog(entities)), (), Memory(), NOON)
    return await aiohttp_client(make_app(live, AppParts(clock=lambda: NOON)))


@pytest.mark.parametrize("path", PAGES)
async def test_pages_run_nothing_that_a_manifest_says(client: Client, path: str) -> None:
    answer = await client.get(path)
    page = await answer.text()
    assert answer.status == 200
    assert len(page) < 200_000
    assert "<script>" not in page
    assert not re.search(r"""(?:href|src|action|style|on\w+)=["']?\s*javascript:""", page)
    scripts = "script-src" in answer.headers["Content-Security-Policy"]
    assert scripts == path.startswith("/map")


async def test_every_link_of_the_pages_leads_somewhere(client: Client) -> None:
    seen: set[str] = set()
    for path in PAGES:
        page = await (await client.get(path)).text()
        seen |= set(re.findall(r'(?:href|src|action)="(/[^"#?]*)', page))
    missing = {path for path in seen if (await client.get(path)).status not in (200, 503)}
    missing.discard("/api/fields")  # which is asked with a reference
    assert missing == {"/entity/component%3Adefault/gone"}  # named, and described by nobody


async def test_search_finds_entities_documents_and_problems(client: Client) -> None:
    page = await (await client.get("/search?q=cart")).text()
    for heading in ("entities", "Documents", "Problems"):
        assert heading in page
    nothing = await (await client.get("/search?q=zzz")).text()
    assert "/explain?ref=zzz" in nothing


async def test_what_is_not_there_says_where_to_ask(client: Client) -> None:
    for kind in ("entity", "map", "fields"):
        path = f"/{kind}/component:default/nope"
        answer = await client.get(path)
        assert answer.status == 404
        assert "Ask why" in await answer.text()


async def test_a_teams_page_has_its_services_and_problems(client: Client) -> None:
    """Those of the most critical services first; the problem is its project's team's."""
    page = await (await client.get("/entity/group:default/payments")).text()
    services = page.partition("Services")[2].partition("</table>")[0]
    titles = re.findall(r'href="/entity/component[^"]*">([^<]*)</a>', services)
    assert titles[:-1] == ["mail", "The Cart", "stock", "web"]
    assert html.unescape(titles[-1]) == EVIL
    assert 'href="/problems?team=group%3Adefault/payments&amp;severity=error">1 error</a>' in page
    assert "problems?team" not in await (await client.get(f"/entity/{CART}")).text()


async def test_a_map_is_a_picture_and_a_table_of_the_same(client: Client) -> None:
    page = await (await client.get("/map/system:default/shop")).text()
    arrows = len(re.findall(r'<path d="M\d+,\d+ C', page))
    table = page.partition("<tbody>")[2]
    assert arrows == table.count("<a ") - table.count("<tr>") > 0  # a row for each who needs


async def test_an_apis_definition_is_read_on_its_page(aiohttp_client: MakeClient) -> None:
    """It is published as a file beside the entity, which the catalog's API only points to."""
    body = f"openapi: 3.1.0 # {EVIL}\n".encode() + b"x" * MOST_TEXT
    path = f"definitions/{blob_id(body)}.yaml"
    api = entity("API", "orders", spec={"type": "openapi", "definition": {"$text": f"../{path}"}})
    record = PassRecord(Report(Outcome.COMPLETE, 1.0), Catalog((api,)))
    pages = []
    for files in ([Artifact(path, body, "application/yaml")], []):
        live = Live()
        show(live, record, files, Memory(), NOON)
        client = await aiohttp_client(make_app(live, AppParts()))
        pages.append(await (await client.get("/entity/api:default/orders")).text())
    whole, gone = pages
    assert "openapi: 3.1.0 # &#34;&gt;&lt;script&gt;" in whole
    assert "the beginning of it" in whole
    assert f'href="/catalog/{path}">as a file</a>' in whole
    assert "<script>" not in whole
    assert "The definition of this API is published at" in gone


async def test_the_page_of_a_service_tells_what_is_wrong_with_it(client: Client) -> None:
    """What is said of it, and of its manifest; not what is wrong with others."""
    page = html.unescape(await (await client.get(f"/entity/{CART}")).text())
    assert f"unknown key {EVIL}" in page
    other = await (await client.get("/entity/component:default/stock")).text()
    assert "unknown key" not in other
    assert "Problems <span" not in other


async def test_of_a_repository_with_several_services_each_has_its_own_problems(
    aiohttp_client: MakeClient,
) -> None:
    mono = {"gitlab.com/project-slug": "x/mono"}
    made = [
        service(name, annotations={**mono, "backstage.io/view-url": f"{GITLAB}/x/mono/-/blob/{at}"})
        for name, at in {"root": "main/qm.yaml", "part": "main/part/qm.yaml"}.items()
    ]
    problems = [
        Problem(f"wrong {number}", "rule", project="x/mono", file=file, ref=ref)
        for number, (file, ref) in enumerate(
            [
                ("qm.yaml", ""),
                ("part/qm.yaml", ""),
                ("qm.yaml", "component:default/part"),
                ("", "component:default/root"),
            ]
        )
    ]
    many = [Problem(f"again {n}", "rule", ref="component:default/part") for n in range(20)]
    live = Live()
    report = Report(Outcome.COMPLETE, 1.0, problems=(*problems, *many))
    show(live, PassRecord(report, Catalog(tuple(made))), (), Memory(), NOON)
    client = await aiohttp_client(make_app(live, AppParts()))
    root, part = [
        await (await client.get(f"/entity/component:default/{name}")).text()
        for name in ("root", "part")
    ]
    assert re.findall(r"wrong (\d)", root) == ["3", "0"]
    assert re.findall(r"wrong (\d)", part) == ["2"]  # and ten of the others, of 22
    assert "… and 12 more" in part


async def test_the_navigation_says_where_one_is(client: Client) -> None:
    places = {
        f"/entity/{CART}": "/entities",
        f"/fields/{CART}": "/entities",
        "/map/system:default/shop": "/map",
        "/notices": "/scores",
        "/documents": "/documents",
    }
    for path, here in places.items():
        page = await (await client.get(path)).text()
        assert re.findall(r'<a href="([^"]*)" aria-current="page">', page) == [here], path


async def test_a_box_that_stands_for_no_entity_leads_nowhere(aiohttp_client: MakeClient) -> None:
    many = tuple(service(f"s{number:03}", needs=("s000",)) for number in range(MOST_BOXES + 1))
    for each in many[::2]:
        del each.body["spec"]["system"]
    live = Live()
    show(live, PassRecord(Report(Outcome.COMPLETE, 1.0), Catalog(many)), (), Memory(), NOON)
    client = await aiohttp_client(make_app(live, AppParts()))
    page = await (await client.get("/map")).text()
    assert "No system" in page
    assert 'href="/map/system%3A"' not in page
    assert 'href="/entity/system%3A"' not in page


def test_long_paths_may_be_broken_and_run_nothing() -> None:
    assert breakable("a/b.c <i>") == "a/<wbr>b.c &lt;i&gt;"
    assert breakable("a/b.c", "/.") == "a/<wbr>b.<wbr>c"


async def test_documents_are_filtered_and_paged(aiohttp_client: MakeClient) -> None:
    link = {"url": "https://wiki.example.com/a", "title": "Guide", "type": "guide"}
    many = tuple(service(f"s{number:03}", links=[link]) for number in range(150))
    live = Live()
    show(live, PassRecord(Report(Outcome.COMPLETE, 1.0), Catalog(many)), (), Memory(), NOON)
    client = await aiohttp_client(make_app(live, AppParts()))
    first = await (await client.get("/documents?kind=guide")).text()
    assert 'href="/documents?kind=guide&amp;offset=100"' in first
    second = await (await client.get("/documents?kind=guide&offset=100")).text()
    assert second.count("wiki.example.com") == 50
    for odd in ("x", "-1", "9" * 20, "²"):
        assert (await client.get(f"/documents?offset={odd}")).status == 200
    none = await (await client.get("/documents?kind=runbook")).text()
    assert "No document fits" in none


async def test_the_maps_script_is_served_as_one(client: Client) -> None:
    answer = await client.get("/assets/map.js")
    here = Path(__file__).parents[2] / "bridge" / "api" / "assets" / "map.js"
    assert (answer.content_type, await answer.read()) == ("text/javascript", here.read_bytes())


async def test_stale_and_broken_documents_are_marked_and_listed(aiohttp_client: MakeClient) -> None:
    blob = "https://gitlab.example.com/shop/{}/-/blob/main/docs/a.md"
    names = ("old", "new", "lost")
    made = [
        service(
            each, links=[{"url": blob.format(each), "title": f"{each} guide", "type": "runbook"}]
        )
        for each in names
    ]
    long_ago = (NOON - timedelta(days=800)).isoformat()
    told = {
        "old": reading("gitlab_rest", NOON, docs_changed_at=long_ago, runbook_present=True),
        "new": reading("gitlab_rest", NOON, docs_changed_at=NOON.isoformat()),
        "lost": reading("gitlab_rest", NOON, runbook_present=False),
    }
    book = NoFacts()
    branch = reading("gitlab", NOON, default_branch="main")
    latest = {
        Ref.parse(f"component:default/{name}"): {"gitlab_rest": each, "gitlab": branch}
        for name, each in told.items()
    }
    book.board = FactBoard((), latest, NOON)
    live = Live()
    catalog = Catalog(tuple(sorted(made, key=lambda each: str(each.ref))))
    show(live, PassRecord(Report(Outcome.COMPLETE, 1.0), catalog), (), Memory(), NOON)
    client = await aiohttp_client(make_app(live, AppParts(clock=lambda: NOON, facts=book)))

    async def titles(query: str) -> list[str]:
        page = await (await client.get(f"/documents{query}")).text()
        return re.findall(r">(\w+) guide</a>", page)

    assert sorted(await titles("")) == sorted(names)
    assert await titles("?state=stale") == ["old"]
    assert await titles("?state=broken") == ["lost"]
    assert sorted(await titles("?state=odd")) == sorted(names)
    page = await (await client.get("/documents")).text()
    assert page.count(">stale<") == page.count(">missing or empty</b>") == 1
