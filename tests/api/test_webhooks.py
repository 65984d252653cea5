"""The route for webhooks: who may, how often, how much, and how fast it answers."""

from __future__ import annotations

import base64
import gzip
import io
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestClient
from structlog.testing import capture_logs

from bridge.api.app import make_app
from bridge.api.hooks import HookFilter
from bridge.api.live import Live
from bridge.api.parts import AppParts
from bridge.api.webhooks import BODY_LIMIT, PATH, HookSecrets, Webhooks
from bridge.errors import StoreError
from bridge.model.hints import Hint
from bridge.model.numbers import FIRST, number_of
from bridge.sandbox.hooks import Hooks
from bridge.sandbox.world import World

TOKEN = "the-secret-token"
KEY = b"0123456789abcdef0123456789abcdef"
NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
RENAME = {"event_name": "project_rename", "project_id": 5}

Client = TestClient[web.Request, web.Application]
MakeClient = Callable[[web.Application], Awaitable[Client]]


class Door:
    """A receiver at a real port, and the hints that it let in."""

    def __init__(self, token: str = TOKEN, signing_key: bytes = b"") -> None:
        self.hints: list[Hint] = []
        self.away = False
        self.webhooks = Webhooks(
            self.keep,
            lambda source: HookFilter(frozenset({"qm.yaml"})),
            {FIRST: lambda: HookSecrets(token, signing_key)},
        )

    async def keep(self, hints: Iterable[Hint]) -> None:
        if self.away:
            raise StoreError("the store is away")
        self.hints.extend(hints)

    async def open(self, aiohttp_client: MakeClient) -> Client:
        app = make_app(Live(), AppParts(clock=lambda: NOW, webhooks=self.webhooks))
        return await aiohttp_client(app)


def a_world() -> World:
    world = World(lambda: NOW)
    files = {"qm.yaml": "version: 1", "README.md": "hi"}
    world.add_project("shop/cart", id=5, files=files)
    return world


async def test_what_cannot_be_kept_is_not_accepted(aiohttp_client: MakeClient) -> None:
    """503, so that GitLab delivers it again; and then it is no duplicate."""
    door = Door()
    client = await door.open(aiohttp_client)
    headers = {"X-Gitlab-Token": TOKEN, "Idempotency-Key": "one"}
    door.away = True
    answer = await client.post(PATH, json=RENAME, headers=headers)
    assert answer.status == 503
    assert "deliver it again" in await answer.text()
    assert door.webhooks.counts["unkept"] == 1
    door.away = False
    answer = await client.post(PATH, json=RENAME, headers=headers)
    assert (answer.status, (await answer.json())["status"]) == (202, "accepted")
    assert door.hints == [Hint(5)]


async def test_the_token_opens_and_the_hint_goes_in(aiohttp_client: MakeClient) -> None:
    door = Door()
    client = await door.open(aiohttp_client)
    world = a_world()
    hooks = Hooks(world, str(client.make_url(PATH)), token=TOKEN)
    world.commit_file(5, "qm.yaml", "version: 1\n")
    world.commit_file(5, "README.md", "hello")
    world.rename(5, "basket")
    assert await hooks.deliver() == [202, 202, 202]
    assert door.hints == [Hint(5), Hint(5)]
    assert dict(door.webhooks.counts) == {"accepted": 2, "ignored": 1}
    text = await (await client.get("/metrics")).text()
    assert 'fester_webhooks_total{fate="accepted"} 2.0' in text


@pytest.mark.parametrize("headers", [{}, {"X-Gitlab-Token": "wrong"}, {"X-Gitlab-Token": "é"}])
async def test_a_forged_hook_is_refused(
    aiohttp_client: MakeClient, headers: dict[str, str]
) -> None:
    door = Door()
    client = await door.open(aiohttp_client)
    answer = await client.post(PATH, json=RENAME, headers=headers)
    assert answer.status == 401
    assert TOKEN not in await answer.text()
    assert (door.hints, door.webhooks.counts["refused"]) == ([], 1)


async def test_without_a_secret_nothing_is_taken_and_the_answer_says_what_to_set(
    aiohttp_client: MakeClient,
) -> None:
    client = await Door(token="").open(aiohttp_client)
    answer = await client.post(PATH, json=RENAME, headers={"X-Gitlab-Token": ""})
    assert answer.status == 403
    assert "FESTER_WEBHOOK_TOKEN" in (await answer.json())["reason"]


async def test_a_signature_opens_as_well(aiohttp_client: MakeClient) -> None:
    door = Door(token="", signing_key=KEY)
    client = await door.open(aiohttp_client)
    world = a_world()
    hooks = Hooks(world, str(client.make_url(PATH)), signing_key=KEY)
    world.rename(5, "basket")
    assert await hooks.deliver() == [202]
    assert door.hints == [Hint(5)]


async def test_of_several_signatures_one_is_enough(aiohttp_client: MakeClient) -> None:
    door = Door(token="", signing_key=KEY)
    client = await door.open(aiohttp_client)
    headers, body = signed(KEY)
    old = base64.b64encode(b"x" * 32).decode()
    headers["webhook-signature"] = f"v1,{old} v2,later {headers['webhook-signature']}"
    assert (await client.post(PATH, data=body, headers=headers)).status == 202


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": "v1,é"},
        {"webhook-id": "another"},
        {"webhook-timestamp": "1"},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "9" * 40},
    ],
)
async def test_a_signature_of_something_else_is_refused(
    aiohttp_client: MakeClient, changed: dict[str, str]
) -> None:
    door = Door(token="", signing_key=KEY)
    client = await door.open(aiohttp_client)
    headers, body = signed(KEY)
    answer = await client.post(PATH, data=body, headers={**headers, **changed})
    assert (answer.status, door.hints) == (401, [])


async def test_a_replayed_delivery_takes_no_other_ones_place(aiohttp_client: MakeClient) -> None:
    """Whoever overhears a signed delivery can send it again under another one's key."""
    door = Door(token="", signing_key=KEY)
    client = await door.open(aiohttp_client)
    headers, body = signed(KEY)
    for key in ("its own", "the next one's"):
        answer = await client.post(PATH, data=body, headers={**headers, "Idempotency-Key": key})
        assert answer.status == 202
    assert dict(door.webhooks.counts) == {"accepted": 1, "duplicate": 1}


async def test_a_signed_delivery_cannot_be_replayed_later(aiohttp_client: MakeClient) -> None:
    door = Door(token="", signing_key=KEY)
    client = await door.open(aiohttp_client)
    headers, body = signed(KEY, NOW - timedelta(minutes=6))
    assert (await client.post(PATH, data=body, headers=headers)).status == 401


def signed(key: bytes, at: datetime = NOW) -> tuple[dict[str, str], bytes]:
    world = World(lambda: at)
    hooks = Hooks(world, "http://127.0.0.1", signing_key=key)
    world.add_project("shop/cart")
    (delivery,) = hooks.pending
    return hooks.headers(delivery), delivery.body


async def test_a_delivery_that_comes_again_counts_once(aiohttp_client: MakeClient) -> None:
    door = Door()
    client = await door.open(aiohttp_client)
    world = a_world()
    url = str(client.make_url(PATH))
    hooks = Hooks(world, url, token=TOKEN, repeats=1.0, reorder=True, seed=3)
    world.rename(5, "basket")
    world.archive(5)
    assert await hooks.deliver() == [202] * 4
    assert door.hints == [Hint(5), Hint(5)]
    assert door.webhooks.counts["duplicate"] == 2


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(
    aiohttp_client: MakeClient,
) -> None:
    client = await Door().open(aiohttp_client)
    async with ClientSession() as session:
        url = client.make_url(PATH)
        body = io.BytesIO(b" " * (BODY_LIMIT + 1))
        async with session.post(url, data=body, headers={"X-Gitlab-Token": TOKEN}) as answer:
            assert answer.status == 413


async def test_a_body_that_unpacks_to_too_much_is_refused(aiohttp_client: MakeClient) -> None:
    client = await Door().open(aiohttp_client)
    body = gzip.compress(b" " * (BODY_LIMIT + 1))
    headers = {"X-Gitlab-Token": TOKEN, "Content-Encoding": "gzip"}
    assert (await client.post(PATH, data=body, headers=headers)).status == 413


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b"null"])
async def test_a_body_that_says_nothing_is_ignored_and_does_not_disable_the_hook(
    aiohttp_client: MakeClient, body: bytes
) -> None:
    door = Door()
    client = await door.open(aiohttp_client)
    answer = await client.post(PATH, data=body, headers={"X-Gitlab-Token": TOKEN})
    said: Any = await answer.json()
    assert (answer.status, said["status"], door.hints) == (202, "ignored", [])


async def test_a_push_of_an_id_that_no_number_can_be_made_of_is_json_all_the_same(
    aiohttp_client: MakeClient,
) -> None:
    door = Door()
    client = await door.open(aiohttp_client)
    push = {"event_name": "push", "project_id": 1 << 62, "ref": "refs/heads/main"}
    answer = await client.post(PATH, json=push, headers={"X-Gitlab-Token": TOKEN})
    said: Any = await answer.json()
    assert (answer.status, said, door.hints) == (202, {"status": "accepted"}, [])


@pytest.mark.parametrize("lab_key", [b"", KEY[::-1]])
async def test_a_hook_of_one_gitlab_opens_no_other_ones_door(
    aiohttp_client: MakeClient, lab_key: bytes
) -> None:
    """Neither by a token nor by a signature; and what is missing is told by its variable."""
    door = Door(signing_key=KEY)
    door.webhooks.doors = {
        FIRST: lambda: HookSecrets(TOKEN, KEY),
        "lab": lambda: HookSecrets("", lab_key, "_LAB"),
        "old-lab": lambda: HookSecrets("the-old-labs-token", b"", "_OLD_LAB"),
    }
    client = await door.open(aiohttp_client)
    headers, body = signed(KEY)
    with capture_logs() as said:
        for name in ("old-lab", "<b>unheard"):
            await client.post(f"{PATH}/{name}", data=body)
        await client.post(PATH, data=body)
    assert [line["source"] for line in said] == ["old-lab", "", "first"]
    for shown in ({"X-Gitlab-Token": TOKEN}, headers):
        answer = await client.post(f"{PATH}/lab", data=body, headers=shown)
        assert answer.status == (401 if lab_key else 403)
        assert ("FESTER_WEBHOOK_TOKEN_LAB " in await answer.text()) is not bool(lab_key)
        assert (await client.post(f"{PATH}/old-lab", data=body, headers=shown)).status == 401
        assert (await client.post(f"{PATH}/unheard", data=body, headers=shown)).status == 404
    assert door.hints == []
    old = {"X-Gitlab-Token": "the-old-labs-token"}
    assert (await client.post(PATH, json=RENAME, headers=old)).status == 401
    assert (await client.post(f"{PATH}/old-lab", json=RENAME, headers=old)).status == 202
    assert door.hints == [Hint(number_of("old-lab", 5))]


async def test_the_secrets_are_in_no_repr() -> None:
    door = Door(signing_key=KEY)
    for shown in (repr(door.webhooks), repr(door.webhooks.doors[FIRST]())):
        assert TOKEN not in shown
        assert repr(KEY) not in shown
