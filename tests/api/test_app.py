"""The HTTP side over a real socket."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from bridge.api import pages
from bridge.api.app import make_app
from bridge.api.live import Live
from bridge.api.parts import AppParts
from bridge.model.entities import Catalog, CatalogEntity, Origin, Ref
from bridge.model.memory import Horizon, Memory, PassRecord
from bridge.model.problems import Problem, Severity
from bridge.model.runs import Artifact, Outcome, Receipt, Report, Stage
from bridge.model.scrape import Coverage
from tests.api.shown import show
from tests.fakes import NOON

Client = TestClient[web.Request, web.Application]
MakeClient = Callable[[web.Application], Awaitable[Client]]

BODY = {
    "apiVersion": "backstage.io/v1alpha1",
    "kind": "Component",
    "metadata": {
        "name": "api",
        "title": "<script>alert(1)</script>",
        "annotations": {"gitlab.com/project-slug": "shop/api"},
    },
    "spec": {"owner": "group:default/team"},
}
ENTITY = CatalogEntity(
    Ref.of(BODY), BODY, (Origin(1, "shop/api", "qm.yaml", "0123456789abcdef", "qm-v1"),)
)
INDEX = Artifact("index.yaml", b"kind: Location\n", "application/yaml; charset=utf-8", Stage.INDEX)
PROBLEM = Problem(
    "<b>bold</b> is wrong", "manifest-invalid", project="shop/web", file="qm.yaml", line=3, column=1
)


def record(outcome: Outcome = Outcome.COMPLETE, **more: object) -> PassRecord:
    report = Report(
        outcome,
        1.5,
        projects={"seen": 2, "with_manifest": 2, "unreadable": 0},
        manifests={"valid": 1, "quarantined": 1, "ignored": 0},
        entities={"Component": 1},
        problems=(PROBLEM,),
        published=(Receipt("./catalog", 3, 1, 0),),
        failure=str(more.get("failure", "")),
    )
    return PassRecord(report, Catalog((ENTITY,)))


@pytest.fixture
def live() -> Live:
    live = Live(schemas={"qm-v1.schema.json": b'{"title": "qm"}'})
    complete = Horizon(listed_at=NOON, complete_at=NOON)
    show(live, record(), (INDEX,), Memory(horizon=complete), NOON)
    return live


@pytest.fixture
async def client(live: Live, aiohttp_client: MakeClient) -> Client:
    return await aiohttp_client(make_app(live, AppParts(clock=lambda: NOON + timedelta(minutes=5))))


async def test_the_published_tree_has_strong_etags_and_answers_304(client: Client) -> None:
    first = await client.get("/catalog/index.yaml")
    assert first.status == 200
    assert await first.read() == INDEX.body
    assert first.headers["Content-Type"] == INDEX.content_type
    tag = first.headers["ETag"]
    assert not tag.startswith("W/")
    again = await client.get("/catalog/index.yaml", headers={"If-None-Match": f'"x", {tag}'})
    assert again.status == 304
    assert await again.read() == b""
    other = await client.get("/catalog/index.yaml", headers={"If-None-Match": '"x"'})
    assert other.status == 200


async def test_a_pass_that_changes_one_file_changes_one_etag(client: Client, live: Live) -> None:
    other = Artifact("entities/a.yaml", b"a", "application/yaml", Stage.ENTITIES)
    show(live, record(), (INDEX, other), Memory(), NOON)
    before = {path: served.digest for path, served in live.files.items()}
    changed = Artifact("entities/a.yaml", b"b", "application/yaml", Stage.ENTITIES)
    show(live, record(), (INDEX, changed), Memory(), NOON)
    after = {path: served.digest for path, served in live.files.items()}
    assert before["index.yaml"] == after["index.yaml"]
    assert before["entities/a.yaml"] != after["entities/a.yaml"]


@pytest.mark.parametrize(
    "path", ["/catalog/nothing.yaml", "/catalog/../pyproject.toml", "/catalog/%2e%2e/x", "/nope"]
)
async def test_what_is_not_there_is_404_in_the_common_shape(client: Client, path: str) -> None:
    answer = await client.get(path)
    assert answer.status == 404
    body = await answer.json()
    assert body["response"] == {"statusCode": 404}
    assert body["error"]["name"]


async def test_a_failed_pass_keeps_serving_what_was_there(client: Client, live: Live) -> None:
    show(live, record(Outcome.FAILED, failure="GitLab is down"), (), Memory(), NOON)
    assert (await client.get("/catalog/index.yaml")).status == 200
    assert (await client.get("/readyz")).status == 200
    page = await (await client.get("/")).text()
    assert "GitLab is down" in page
    assert (await (await client.get("/api/report")).json())["outcome"] == "failed"


async def test_before_the_first_pass_it_is_alive_but_not_ready(aiohttp_client: MakeClient) -> None:
    client = await aiohttp_client(make_app(Live(), AppParts()))
    assert (await client.get("/healthz")).status == 200
    for path in ("/readyz", "/catalog/index.yaml", "/api/report", "/api/explain?ref=x"):
        assert (await client.get(path)).status == 503
    for path in ("/", "/entities", "/explain", "/explain?ref=x", "/metrics"):
        assert (await client.get(path)).status == 200


async def test_pages_escape_what_manifests_say(client: Client) -> None:
    for path in ("/", "/entities", "/entities?q=api&kind=component", "/explain?ref=api"):
        answer = await client.get(path)
        assert answer.status == 200
        text = await answer.text()
        assert "<script>" not in text
        assert "<b>bold" not in text
        assert "script-src" not in answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "&lt;b&gt;bold" in await (await client.get("/")).text()


async def test_the_search_finds_by_owner_and_project(client: Client) -> None:
    assert "1 found" in await (await client.get("/entities?q=TEAM")).text()
    assert "1 found" in await (await client.get("/entities?q=shop/api")).text()
    assert "0 found" in await (await client.get("/entities?q=nobody")).text()


@pytest.mark.parametrize(
    ("page", "shown"),
    [("", "1 to 2 of 5"), ("&page=2", "3 to 4 of 5"), ("&page=3", "5 to 5 of 5"),
     ("&page=9", "5 to 5 of 5"), ("&page=-1", "1 to 2 of 5"), ("&page=x", "1 to 2 of 5")],
)  # fmt: skip
async def test_the_list_of_entities_goes_on(
    client: Client, live: Live, monkeypatch: pytest.MonkeyPatch, page: str, shown: str
) -> None:
    monkeypatch.setattr("bridge.api.pages.model.SHOWN", 2)
    bodies = [{**BODY, "metadata": {"name": f"api-{n}"}} for n in range(5)]
    several = tuple(CatalogEntity(Ref.of(body), body, ENTITY.origins) for body in bodies)
    show(live, replace(record(), catalog=Catalog(several)), (INDEX,), Memory(), NOON)
    text = await (await client.get(f"/entities?q=api{page}")).text()
    assert "5 found" in text
    assert shown in text
    assert ('rel="next"' in text) is not shown.startswith("5")
    assert ('rel="prev"' in text) is not shown.startswith("1")
    if shown.startswith("3"):
        assert 'href="?q=api&amp;page=3" rel="next"' in text


def test_tables_have_named_columns_and_what_scrolls_can_be_reached_by_keyboard() -> None:
    """What axe found: an empty table header, and a scrollable region without focus."""
    templates = sorted(Path(pages.__file__).parents[1].glob("templates/*.html"))
    assert len(templates) > 10
    for template in templates:
        text = template.read_text("utf-8")
        assert not re.search(r"<th[^>]*></th>", text), template.name
        for opened in re.findall(r"<pre[^>]*>", text):
            assert 'tabindex="0"' in opened, template.name


async def test_explain_names_the_manifest(client: Client) -> None:
    body = await (await client.get("/api/explain?ref=component:default/api")).json()
    assert body["found"][0]["ref"] == "component:default/api"
    assert any("shop/api qm.yaml" in fact for fact in body["facts"])
    missing = await (await client.get("/api/explain?ref=apy")).json()
    assert missing["found"] == []
    assert missing["suggestions"] == ["component:default/api"]
    assert (await client.get("/api/explain")).status == 400
    assert (await client.get("/api/explain?ref=" + "x" * 600)).status == 400


async def test_schemas_are_offered_to_editors(client: Client) -> None:
    assert (await (await client.get("/schemas/")).json()) == {
        "schemas": ["/schemas/qm-v1.schema.json"]
    }
    answer = await client.get("/schemas/qm-v1.schema.json")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert await answer.json(content_type="application/schema+json") == {"title": "qm"}
    assert (await client.get("/schemas/other.json")).status == 404


async def test_metrics_tell_of_the_last_pass(client: Client) -> None:
    text = await (await client.get("/metrics")).text()
    assert 'fester_last_pass_outcome{outcome="complete"} 1.0' in text
    assert "fester_last_complete_pass_age_seconds 300.0" in text
    assert "fester_known_age_seconds 300.0" in text
    assert 'fester_problems{rule="manifest-invalid",severity="error"} 1.0' in text
    assert 'fester_entities{kind="Component"} 1.0' in text
    assert 'fester_published_files{fate="written",to="./catalog"} 3.0' in text


async def test_after_a_push_all_projects_are_still_counted(client: Client, live: Live) -> None:
    whole = record()
    pushed = replace(whole.report, kind=Coverage.SELECTED, this_pass={"seen": 1, "unreadable": 0})
    show(live, replace(whole, report=pushed), (INDEX,), Memory(), NOON)
    page = await (await client.get("/")).text()
    assert "<b>2</b><span>projects seen</span>" in page
    assert "looked at 1 project that may have changed" in page
    text = await (await client.get("/metrics")).text()
    assert 'fester_projects{state="seen"} 2.0' in text
    assert 'fester_last_pass_projects{state="seen"} 1.0' in text


async def test_the_report_lists_problems_with_their_place(client: Client) -> None:
    body = await (await client.get("/api/report")).json()
    assert body["problems"][0]["line"] == 3
    assert body["problems"][0]["severity"] == Severity.ERROR.value
    assert body["published"] == [{"to": "./catalog", "written": 3, "kept": 1, "removed": 0}]
