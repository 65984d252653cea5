"""The incident's answer over HTTP, and Slack's signed command."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from urllib.parse import quote, urlencode

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from bridge.answers.faces import as_json
from bridge.answers.incident import answer
from bridge.api.app import make_app
from bridge.api.incident import SlackCommand
from bridge.api.incident.slack import MOST_BODY
from bridge.api.live import Live
from bridge.api.parts import AppParts
from bridge.model.entities import Catalog
from bridge.model.memory import Horizon, Memory, PassRecord
from bridge.model.runs import Outcome, Report
from tests.answers.fleet import CART, FLEET, known, service
from tests.api.shown import show
from tests.fakes import NOON

Client = TestClient[web.Request, web.Application]
MakeClient = Callable[[web.Application], Awaitable[Client]]
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
EVIL = service("evil", title="<img src=x onerror=alert(1)>", links=[{"url": "javascript:alert(1)"}])


@pytest.fixture
async def client(aiohttp_client: MakeClient) -> Client:
    live = Live()
    entities = tuple(sorted((*FLEET, EVIL), key=lambda each: str(each.ref)))
    record = PassRecord(Report(Outcome.COMPLETE, 1.0), Catalog(entities))
    complete = Horizon(complete_at=NOON - timedelta(hours=1))
    show(live, record, (), Memory(horizon=complete), NOON)
    return await aiohttp_client(
        make_app(live, AppParts(clock=lambda: NOON, slack=SlackCommand(SECRET)))
    )


async def test_the_json_is_what_the_answer_is(client: Client) -> None:
    got = await client.get("/api/incident/cart")
    assert got.status == 200
    right = as_json(answer("cart", known(*FLEET, EVIL), NOON))
    assert await got.json() == json.loads(json.dumps(right))


@pytest.mark.parametrize("asked", ["https://grafana.example.com/d/cart?orgId=1", "shop/cart"])
async def test_an_address_or_a_path_may_stand_in_the_url_as_it_is_or_quoted(
    client: Client, asked: str
) -> None:
    for url in (
        f"/api/incident/{asked}",
        f"/api/incident/{quote(asked, safe='')}",
        f"/api/incident?{urlencode({'q': asked})}",
    ):
        got = await client.get(url)
        assert (await got.json())["incident"]["ref"] == CART


async def test_none_several_and_wrong_questions_have_their_status(client: Client) -> None:
    none = await client.get("/api/incident/carrt")
    assert none.status == 404
    assert (await none.json())["near"] == [CART]
    odd = await client.get("/api/incident/%18%0Ax")
    assert (odd.status, "near" in await odd.json()) == (404, True)
    host = await client.get("/api/incident/gitlab.example.com")
    assert (host.status, (await host.json())["total"]) == (200, 1)
    for url in ("/api/incident/x?format=xml", "/api/incident/" + "x" * 501, "/api/incident"):
        assert (await client.get(url)).status == 400


async def test_before_the_first_pass_it_says_so(aiohttp_client: MakeClient) -> None:
    fresh = await aiohttp_client(make_app(Live(), AppParts(slack=SlackCommand(SECRET))))
    assert (await fresh.get("/api/incident/cart")).status == 503
    page = await fresh.get("/incident/cart")
    assert "first pass has not ended" in await page.text()


async def test_text_and_slack_are_faces_of_the_same_answer(client: Client) -> None:
    text = await client.get("/api/incident/cart", headers={"Accept": "text/plain"})
    assert (await text.text()).startswith("The Cart (found by its name)\nComponent · tier 1")
    slack = await (await client.get("/api/incident/cart?format=slack")).json()
    assert slack["text"] == "The Cart (found by its name)"


async def test_the_page_says_the_same_and_runs_nothing(client: Client) -> None:
    page = await (await client.get("/incident/cart")).text()
    for said in ("The Cart", "#payments", "When it is down", "stock", "no runbook is linked"):
        assert (said in page) is (said != "no runbook is linked")
    evil = await (await client.get("/incident?q=evil")).text()
    assert "<img" not in evil
    assert not re.search(r'href="(?!/|#content|https?:)', evil)
    assert (await client.get("/incident/nope")).status == 404


def signed(body: bytes, stamp: int, secret: str = SECRET) -> dict[str, str]:
    digest = hmac.digest(secret.encode(), f"v0:{stamp}:".encode() + body, "sha256").hex()
    return {
        "X-Slack-Request-Timestamp": str(stamp),
        "X-Slack-Signature": f"v0={digest}",
        "Content-Type": "application/x-www-form-urlencoded",
    }


BODY = urlencode({"command": "/incident", "text": " cart ", "user_id": "U1"}).encode()
NOW = int(NOON.timestamp())


async def test_a_signed_command_is_answered_to_the_asker_alone(client: Client) -> None:
    got = await client.post("/slack/incident", data=BODY, headers=signed(BODY, NOW))
    message = await got.json()
    assert (got.status, message["response_type"]) == (200, "ephemeral")
    assert message["text"] == "The Cart (found by its name)"
    blank = b"command=%2Fincident&text="
    got = await client.post("/slack/incident", data=blank, headers=signed(blank, NOW))
    assert "Say what it is about" in (await got.json())["text"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        signed(BODY, NOW, "another secret"),
        signed(BODY + b"x", NOW),
        signed(BODY, NOW - 301),
        signed(BODY, NOW + 301),
        signed(BODY, NOW) | {"X-Slack-Request-Timestamp": str(NOW - 1)},
        signed(BODY, NOW) | {"X-Slack-Request-Timestamp": "²"},
        signed(BODY, NOW) | {"X-Slack-Signature": "v0=é"},
    ],
)
async def test_what_slack_did_not_sign_lately_is_refused(
    client: Client, headers: dict[str, str]
) -> None:
    got = await client.post("/slack/incident", data=BODY, headers=headers)
    assert got.status == 401
    assert "Cart" not in await got.text()


async def test_an_endless_command_and_one_without_a_secret_are_refused(
    client: Client, aiohttp_client: MakeClient
) -> None:
    long = b"text=" + b"x" * MOST_BODY
    got = await client.post("/slack/incident", data=long, headers=signed(long, NOW))
    assert got.status == 413
    bare = await aiohttp_client(make_app(Live(), AppParts()))
    got = await bare.post("/slack/incident", data=BODY, headers=signed(BODY, NOW, ""))
    assert got.status == 403
    assert "FESTER_SLACK_SIGNING_SECRET" in await got.text()
    assert SECRET not in repr(SlackCommand(SECRET))
