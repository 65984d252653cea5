"""`/api/catalog` over a real socket; what it answers is compared with Backstage elsewhere."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from bridge.api.app import make_app
from bridge.api.live import Live
from bridge.api.parts import AppParts
from bridge.exporters.render import render_catalog
from bridge.model.entities import Body
from bridge.model.memory import Memory, PassRecord
from bridge.model.runs import Outcome, Report
from bridge.processors.validation import entity_faults
from tests.api.shown import show
from tests.api.test_app import Client, MakeClient
from tests.backstage.village import village
from tests.catalog.test_reader import catalog_of
from tests.fakes import NOON

CATALOG = catalog_of(village())
RECORD = PassRecord(Report(Outcome.COMPLETE, 1.0), CATALOG)


@pytest.fixture
def live() -> Live:
    return Live(public_url="https://fester.example.com")


@pytest.fixture
async def client(live: Live, aiohttp_client: MakeClient) -> Client:
    show(live, RECORD, render_catalog(CATALOG), Memory(), NOON)
    return await aiohttp_client(make_app(live, AppParts(validate=entity_faults)))


async def asked(client: Client, path: str, body: Any = None) -> tuple[int, Any]:
    url = f"/api/catalog{path}"
    answer = await (client.get(url) if body is None else client.post(url, json=body))
    return answer.status, await answer.json()


async def test_before_the_first_pass_it_says_so(live: Live, aiohttp_client: MakeClient) -> None:
    client = await aiohttp_client(make_app(live, AppParts()))
    status, body = await asked(client, "/entities")
    assert status == 503
    assert body["error"]["name"] == "ServiceUnavailableError"


async def test_references_are_compared_without_regard_to_case(client: Client) -> None:
    """As Backstage does since catalog-backend 4.0.3."""
    refs = ["Component:Default/TIDE-Table", "component:default/tide-table", "API:Sea/Weather", "x"]
    status, body = await asked(client, "/entities/by-refs", {"entityRefs": refs})
    assert status == 200
    names = [each and each["metadata"]["name"] for each in body["items"]]
    assert names == ["Tide-Table", "Tide-Table", "weather", None]


async def test_what_was_given_out_stays_as_it_was(live: Live, client: Client) -> None:
    before = live.index
    smaller = catalog_of(village()[5:])
    record = PassRecord(Report(Outcome.INCOMPLETE, 1.0), smaller)
    show(live, record, render_catalog(smaller), Memory(), NOON)
    assert live.report is record.report
    assert len(before) == len(live.index) + 5
    assert (await asked(client, "/entities/by-name/component/default/boat-00"))[0] == 404


async def test_a_failed_pass_leaves_the_catalog_as_it_was(live: Live, client: Client) -> None:
    before = live.index
    failed = PassRecord(Report(Outcome.FAILED, 1.0, failure="GitLab is down"), CATALOG)
    show(live, failed, (), Memory(), NOON)
    assert live.index is before
    assert live.report is failed.report


async def test_errors_have_backstages_shape(client: Client) -> None:
    status, body = await asked(client, "/entities/by-name/component/default/ghost")
    assert status == 404
    message = "No entity named 'ghost' found, with kind 'component' in namespace 'default'"
    assert body == {
        "error": {"name": "NotFoundError", "message": message},
        "request": {"method": "GET", "url": "/entities/by-name/component/default/ghost"},
        "response": {"statusCode": 404},
    }


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/entities?x=1", "Unknown query parameter 'x'"),
        ("/entities?limit=0", "Invalid limit, must be greater than zero"),
        ("/entities?limit=", "Empty value found for query parameter 'limit'"),
        ("/entities?limit=1&limit=2", "request/query/limit must be integer"),
        ("/entities?after=bnVsbA==", "Malformed after cursor, could not be parsed"),
        ("/entities/by-query?limit=-1", "request/query/limit must be >= 0"),
        ("/entities/by-query?orderField=a,b", "Invalid order field order, must be asc or desc"),
        ("/entities/by-uid/x?y=1", "Unknown query parameter 'y'"),
        ("/entity-facets", "request/query must have required property 'facet'"),
        ("/locations?x=1", "Unknown query parameter 'x'"),
    ],
)
async def test_what_is_not_understood_is_a_400(client: Client, path: str, message: str) -> None:
    status, body = await asked(client, path)
    assert (status, body["error"]) == (400, {"name": "InputError", "message": message})


@pytest.mark.parametrize(
    ("path", "sent", "message"),
    [
        ("/entities/by-query", [], "request/body must be object"),
        ("/entities/by-query", {"query": []}, "request/body/query must be object"),
        ("/entities/by-query", {"orderBy": "a"}, "request/body/orderBy must be array"),
        ("/entities/by-query", {"cursor": ""}, "Cursor cannot be empty"),
        ("/entities/by-query", {"limit": True}, "request/body/limit must be number"),
        ("/entities/by-refs", {}, "request/body must have required property 'entityRefs'"),
        ("/entities/by-refs", {"entityRefs": [1]}, "request/body/entityRefs/0 must be string"),
        (
            "/entities/by-refs",
            {"entityRefs": ["x"] * 1001},
            "request/body/entityRefs must NOT have more than 1000 items",
        ),
        (
            "/entity-facets",
            {"facets": ["x"] * 51},
            "request/body/facets must NOT have more than 50 items",
        ),
    ],
)
async def test_a_body_that_is_not_understood_is_a_400(
    client: Client, path: str, sent: Any, message: str
) -> None:
    status, body = await asked(client, path, sent)
    assert (status, body["error"]) == (400, {"name": "InputError", "message": message})


@pytest.mark.parametrize("body", [b"{bad", b"\xff", b"[" * 100_000, b'{"a": 1e999}x'])
async def test_a_body_that_is_no_json_is_a_400(client: Client, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await client.post("/api/catalog/entities/by-query", data=body, headers=headers)
    assert answer.status == 400
    assert (await answer.json())["error"]["message"].startswith("The body is not JSON")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/entities/by-uid/x"),
        ("POST", "/locations"),
        ("PUT", "/locations/x"),
        ("DELETE", "/locations/x"),
        ("POST", "/refresh"),
        ("POST", "/analyze-location"),
    ],
)
async def test_writing_is_refused_and_says_where_to_change(
    client: Client, method: str, path: str
) -> None:
    answer = await client.request(method, f"/api/catalog{path}", json={})
    assert answer.status == 403
    error = (await answer.json())["error"]
    assert error["name"] == "NotAllowedError"
    assert "manifests in GitLab" in error["message"]


async def test_the_link_header_leads_through_the_list(client: Client) -> None:
    path, seen = "/entities?limit=9&filter=kind=component&offset=2", []
    while path:
        answer = await client.get(f"/api/catalog{path}")
        seen += [item["metadata"]["name"] for item in await answer.json()]
        link = answer.links.get("next")
        path = urlsplit(str(link["url"])).query if link else ""
        assert "offset=" not in path
        path = path and f"/entities?{path}"
    whole = (await asked(client, "/entities?offset=2&filter=kind=component"))[1]
    assert seen == [item["metadata"]["name"] for item in whole]


async def test_a_cursor_goes_on_by_get_and_by_post(client: Client) -> None:
    _, first = await asked(
        client, "/entities/by-query", {"query": {"kind": "component"}, "limit": 5}
    )
    cursor = first["pageInfo"]["nextCursor"]
    answer = await client.get(
        "/api/catalog/entities/by-query", params={"cursor": cursor, "limit": 5}
    )
    got = await answer.json()
    _, posted = await asked(client, "/entities/by-query", {"cursor": cursor, "limit": 5})
    assert got == posted
    assert got["pageInfo"]["prevCursor"]


async def test_a_large_list_comes_in_pieces_and_whole(
    live: Live, aiohttp_client: MakeClient
) -> None:
    bodies: list[Body] = [
        {
            "apiVersion": "backstage.io/v1alpha1",
            "kind": "Resource",
            "metadata": {"name": f"r-{number}"},
            "spec": {"type": "x", "owner": "y"},
        }
        for number in range(350)
    ]
    catalog = catalog_of(bodies)
    show(
        live,
        PassRecord(Report(Outcome.COMPLETE, 1.0), catalog),
        render_catalog(catalog),
        Memory(),
        NOON,
    )
    client = await aiohttp_client(make_app(live, AppParts()))
    answer = await client.get("/api/catalog/entities?filter=kind=resource&fields=metadata.name")
    assert answer.headers.get("Transfer-Encoding") == "chunked"
    names = [item["metadata"]["name"] for item in await answer.json()]
    assert sorted(names) == sorted(f"r-{number}" for number in range(350))
    page = await client.get("/api/catalog/entities/by-query?limit=300&filter=kind=resource")
    body = await page.json()
    assert (len(body["items"]), body["totalItems"]) == (300, 350)


async def test_validation_lists_every_broken_rule(client: Client) -> None:
    entity = {"apiVersion": "x", "kind": "Component", "metadata": {"name": "-"}, "spec": {}}
    status, body = await asked(
        client, "/validate-entity", {"entity": entity, "location": "url:https://example.com/x"}
    )
    assert status == 400
    assert len(body["errors"]) > 3
    assert all(error["name"] == "InputError" for error in body["errors"])
