"""Receivers of changes, real ones at a port: what each is sent, until it takes it."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.exporters import change_receivers
from bridge.exporters.change_receivers import AT_ONCE, ChangeReceivers, Receiver
from bridge.model.entities import Ref
from bridge.model.entity_changes import ChangedManifest, ChangeKind, EntityChange, FieldChange
from bridge.model.receivers import LONGEST_PAUSE, ReceiverState, Wants
from bridge.neighbours.signed_webhook import is_signature, signature
from bridge.store import open_store
from bridge.store.store import SqlStore
from tests.fakes import NOON
from tests.guide import block
from tests.store.saving import changed, forgotten

MakeServer = Callable[[web.Application], Awaitable[TestServer]]
KEY = b"0123456789abcdef0123456789abcdef"
HISTORY = timedelta(days=90)
SOURCE = "https://gitlab.test"


def test_the_signature_is_that_of_the_specification() -> None:
    """Its own reference vector."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    made = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body)
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert is_signature(f"v1a,x {made}", made)
    assert not is_signature(made.replace("v1", "v2"), made)


class Inbox:
    """A receiver: what it took, and what it does with what comes next."""

    def __init__(self) -> None:
        self.took: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.answers: list[int | str] = []
        self.headers: dict[str, str] = {}
        self.hanging = asyncio.Event()
        self.on_taken: Callable[[], None] = lambda: None

    async def receive(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        names = (request.headers["webhook-id"], request.headers["webhook-timestamp"])
        assert request.headers["webhook-signature"] == signature(KEY, *names, body)
        assert request.content_type == "application/json"
        self.ids.append(names[0])
        answer = self.answers.pop(0) if self.answers else 204
        if answer == "hang":
            self.hanging.set()
            await asyncio.Event().wait()
        if answer == "die":
            assert request.transport is not None
            request.transport.abort()
        if answer in (204, "die after it"):
            self.took.append(json.loads(body))
            self.on_taken()
        if answer == "die after it":
            assert request.transport is not None
            request.transport.abort()
        return web.Response(
            status=int(answer) if isinstance(answer, int) else 500, headers=self.headers
        )

    @property
    def numbers(self) -> list[int]:
        return [each["number"] for message in self.took for each in message["data"]["changes"]]


class Post:
    """A store with a history, receivers of it, and a clock that a test moves."""

    def __init__(self, store: SqlStore, receivers: list[Receiver]) -> None:
        self.store, self.now = store, NOON
        self.receivers = receivers
        self.leads = True
        self.teller = self.another()

    def another(self) -> ChangeReceivers:
        """As after a restart, or in another replica."""
        return ChangeReceivers(
            SOURCE,
            self.receivers,
            self.store.receivers,
            lambda query: self.store.entity_changes.find(SOURCE, query),
            lambda: self.now,
            HISTORY,
            lambda: self.leads,
        )

    async def tell(self) -> timedelta | None:
        return await self.teller.tell(self.receivers[0])

    async def changes(self, *changes: EntityChange) -> None:
        await changed(self.store, SOURCE, *changes)

    async def state(self) -> ReceiverState:
        found = await self.store.receivers.known(SOURCE, self.receivers[0].name)
        assert found is not None
        return found


def change(name: str, **more: Any) -> EntityChange:
    manifest = ChangedManifest(f"shop/{name}", "qm.yaml", "ab")
    known = {"owner": "group:default/crew", "manifests": (manifest,), **more}
    at = known.pop("at", NOON)
    return EntityChange(Ref("component", "default", name), ChangeKind.CHANGED, at, name, **known)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
async def post(tmp_path: Path, inbox: Inbox, aiohttp_server: MakeServer) -> AsyncIterator[Post]:
    app = web.Application()
    app.router.add_post("/in", inbox.receive)
    server = await aiohttp_server(app)
    store = await open_store(f"sqlite:///{tmp_path}/s.db")
    await changed(store, SOURCE)
    made = Post(store, [Receiver("audit", str(server.make_url("/in")), lambda: KEY)])
    await made.tell()  # from now on it is told
    yield made
    await store.close()


async def test_what_changed_before_is_not_told_and_what_changes_then_is(
    post: Post, inbox: Inbox
) -> None:
    post.receivers.append(replace(post.receivers[0], name="late"))
    await post.changes(change("cart"))
    assert await post.tell() is None
    await post.teller.tell(post.receivers[1])
    assert len(inbox.took) == 1
    (message,) = inbox.took
    assert message["type"] == "catalog.changed"
    assert message["timestamp"] == "2026-01-01T12:00:00+00:00"
    assert message["data"]["source"] == SOURCE
    assert message["data"]["missed"] is None
    assert [each["ref"] for each in message["data"]["changes"]] == ["component:default/cart"]
    assert await post.tell() is None
    assert len(inbox.took) == 1
    assert (await post.state()).delivered_at == post.now


async def test_a_message_is_as_the_guide_shows_it(post: Post, inbox: Inbox) -> None:
    await post.changes(change("cart", fields=(FieldChange("spec.lifecycle", "a", "b"),)))
    await post.tell()
    assert keys(inbox.took[0]) == keys(json.loads(block("incident", "json", '{"type"')))


def keys(tree: Any) -> Any:
    """A tree without its values."""
    if isinstance(tree, dict):
        return {key: keys(value) for key, value in tree.items()}
    return [keys(each) for each in tree] if isinstance(tree, list) else None


async def test_many_changes_go_in_their_order_some_at_once(post: Post, inbox: Inbox) -> None:
    await post.changes(*(change(f"s{n}") for n in range(2 * AT_ONCE + 1)))
    await post.tell()
    assert [len(each["data"]["changes"]) for each in inbox.took] == [AT_ONCE, AT_ONCE, 1]
    assert inbox.numbers == sorted(inbox.numbers)
    assert len(set(inbox.ids)) == 3


@pytest.mark.parametrize(
    ("wants", "told"),
    [
        (Wants(owners=("group:default/bank",)), ["pay", "moved"]),
        (Wants(projects=("shop/p*",)), ["pay"]),
        (Wants(kinds=("removed",)), []),
        (Wants(entity_kinds=("component",), owners=("group:default/crew",)), ["cart", "moved"]),
    ],
)
async def test_a_receiver_is_told_of_what_it_wants_alone(
    post: Post, inbox: Inbox, wants: Wants, told: list[str]
) -> None:
    post.receivers[0] = replace(post.receivers[0], wants=wants)
    bank = "group:default/bank"
    await post.changes(
        change("cart"), change("pay", owner=bank), change("moved", owner_before=bank)
    )
    await post.tell()
    names = [each["title"] for message in inbox.took for each in message["data"]["changes"]]
    assert names == told
    backlog = await post.store.receivers.backlog(SOURCE, (await post.state()).cursor)
    assert backlog.count == 0


async def test_one_that_fails_is_tried_ever_later_and_then_has_all(
    post: Post, inbox: Inbox
) -> None:
    inbox.answers = [500, 503, 429, "die"]
    await post.changes(change("cart"))
    pauses = []
    for _ in range(4):
        pause = await post.tell()
        assert pause is not None
        pauses.append(pause.total_seconds())
        assert await post.tell() == pause  # not before its time
        post.now += pause
        await post.changes(change("more"))
    assert pauses == [5, 10, 20, 40]
    state = await post.state()
    assert (state.tries, state.failing_since) == (4, NOON)
    assert "the connection failed" in state.reason
    assert await post.tell() is None
    assert len(inbox.numbers) == 5
    assert inbox.ids[:4] == [inbox.ids[0]] * 4  # the same changes, by the same id
    assert (await post.state()).failing_since is None
    assert post.teller.counts == {("audit", "failed"): 4, ("audit", "delivered"): 2}


async def test_a_receiver_says_how_long_it_wants_to_be_left_alone(post: Post, inbox: Inbox) -> None:
    inbox.answers, inbox.headers = [429, 429], {"Retry-After": "600"}
    await post.changes(change("cart"))
    assert await post.tell() == timedelta(minutes=10)
    post.now += timedelta(minutes=10)
    inbox.headers = {"Retry-After": "999999"}
    assert await post.tell() == LONGEST_PAUSE


async def test_where_a_redirect_leads_nothing_is_sent(post: Post, inbox: Inbox) -> None:
    inbox.answers, inbox.headers = [307], {"Location": "/in"}
    await post.changes(change("cart"))
    await post.tell()
    assert len(inbox.ids) == 1
    assert "redirects are not followed" in (await post.state()).reason


async def test_what_arrived_before_the_answer_was_lost_goes_again_by_the_same_id(
    post: Post, inbox: Inbox
) -> None:
    inbox.answers = ["die after it"]
    await post.changes(change("cart"))
    pause = await post.tell()
    assert pause is not None
    post.now += pause
    await post.tell()
    assert [each["data"] for each in inbox.took] == [inbox.took[0]["data"]] * 2
    assert len(set(inbox.ids)) == 1


async def test_who_dies_while_a_receiver_hangs_goes_on_where_it_was(
    post: Post, inbox: Inbox
) -> None:
    inbox.answers = ["hang"]
    await post.changes(change("cart"))
    telling = asyncio.create_task(post.tell())
    await inbox.hanging.wait()
    telling.cancel()
    with suppress(asyncio.CancelledError):
        await telling
    await post.changes(change("pay"))
    restarted = post.another()
    pause = await restarted.tell(post.receivers[0])
    assert pause is not None  # it cannot know that nobody waits for an answer any more
    assert len(inbox.ids) == 1
    post.now += pause
    assert await restarted.tell(post.receivers[0]) is None
    assert inbox.ids[0] == inbox.ids[1] != inbox.ids[2]
    assert len(inbox.numbers) == 2


async def test_a_receiver_that_hangs_is_left_after_a_while(
    post: Post, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change_receivers, "TIMEOUT", 0.05)
    inbox.answers = ["hang"]
    await post.changes(change("cart"))
    assert await post.tell() == timedelta(seconds=5)
    assert "no answer within" in (await post.state()).reason


async def test_who_follows_tells_nobody_and_of_two_leaders_one_settles(
    post: Post, inbox: Inbox
) -> None:
    await post.changes(change("cart"))
    post.leads = False
    assert await post.tell() is None
    assert inbox.ids == []
    post.leads = True
    inbox.answers = ["hang"]
    stuck = asyncio.create_task(post.tell())
    await inbox.hanging.wait()
    post.now += change_receivers.CLAIM
    await post.another().tell(post.receivers[0])  # it leads now, and knows nothing of the other
    await post.changes(change("pay"))
    await post.another().tell(post.receivers[0])
    before = await post.state()
    stuck.cancel()
    with suppress(asyncio.CancelledError):
        await stuck
    assert await post.state() == before
    assert len(inbox.numbers) == 2
    assert len(set(inbox.ids)) == 2


async def test_what_one_sends_another_does_not_send_meanwhile(post: Post, inbox: Inbox) -> None:
    """As a `fester run` beside `fester serve`, which both tell at once."""
    await post.changes(change("cart"))
    inbox.answers = ["hang"]
    sending = asyncio.create_task(post.tell())
    await inbox.hanging.wait()
    await asyncio.gather(*(post.another().tell(post.receivers[0]) for _ in range(3)))
    assert len(inbox.ids) == 1
    sending.cancel()
    with suppress(asyncio.CancelledError):
        await sending
    post.now += change_receivers.CLAIM
    await asyncio.gather(*(post.another().tell(post.receivers[0]) for _ in range(3)))
    assert inbox.ids == inbox.ids[:1] * 2  # who sent it first is gone: one of them went on
    assert await post.tell() is None


async def test_a_late_leader_moves_nobody_back(post: Post) -> None:
    await post.changes(change("cart"))
    old = await post.state()
    await post.tell()
    now = await post.state()
    store = post.store.receivers
    assert not await store.save(SOURCE, "audit", old, replace(old, sending=now.cursor))
    assert await post.state() == now


async def test_who_was_away_for_longer_than_history_is_told_what_it_missed(
    post: Post, inbox: Inbox
) -> None:
    inbox.answers = [500]
    await post.changes(change("cart"))
    await post.tell()
    post.now += HISTORY + timedelta(days=2)
    await forgotten(post.store, SOURCE, post.now - HISTORY)
    await post.changes(change("pay", at=post.now))
    await post.tell()
    since = NOON.isoformat(timespec="seconds")
    until = (NOON + timedelta(days=2)).isoformat(timespec="seconds")
    assert inbox.took[0]["data"]["missed"] == {"since": since, "until": until}
    await post.changes(change("cart", at=post.now))
    await post.tell()
    assert inbox.took[1]["data"]["missed"] is None


async def test_one_that_was_taken_out_for_longer_than_history_is_told_what_it_missed(
    post: Post, inbox: Inbox
) -> None:
    await post.changes(change("cart"))
    await post.tell()  # it takes it; then nobody asks for it
    await post.changes(change("pay", at=NOON + timedelta(days=1)))
    post.now += HISTORY + timedelta(days=2)
    await forgotten(post.store, SOURCE, post.now - HISTORY)
    assert await post.tell() is None  # nothing is left to tell, and nothing said yet
    await post.changes(change("cart", at=post.now))
    inbox.answers = [500]
    pause = await post.tell()
    assert pause is not None
    post.now += pause
    await post.tell()
    missed = inbox.took[1]["data"]["missed"]
    assert missed["since"] == NOON.isoformat(timespec="seconds")
    await post.changes(change("cart", at=post.now))
    await post.tell()
    assert inbox.took[2]["data"]["missed"] is None


async def test_in_a_quiet_catalog_nothing_is_missed(post: Post, inbox: Inbox) -> None:
    for _ in range(10):
        post.now += HISTORY / 5
        await post.tell()
    await post.changes(change("cart", at=post.now))
    await post.tell()
    assert inbox.took[0]["data"]["missed"] is None


async def test_one_that_hangs_does_not_hold_up_another(post: Post, inbox: Inbox) -> None:
    """The loops of `serve`: each receiver has its own."""
    post.receivers[:] = [
        replace(post.receivers[0], name="stuck"),
        replace(post.receivers[0], name="quick"),
    ]
    for each in post.receivers:
        await post.teller.tell(each)
    heard = asyncio.Event()
    inbox.answers = ["hang"]
    inbox.on_taken = heard.set
    running = asyncio.create_task(post.teller.run())
    try:
        await post.changes(change("cart"))
        post.teller.poke()
        await heard.wait()
        await inbox.hanging.wait()
        assert len(inbox.took) == 1
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_how_each_stands_is_known_without_its_path(post: Post, inbox: Inbox) -> None:
    inbox.answers = [500]
    await post.changes(change("cart"), change("pay"))
    await post.tell()
    (standing,) = await post.teller.standings()
    tree = standing.as_json()
    assert (tree["failures"], tree["waiting"], tree["reason"]) == (1, 2, "it answered 500")
    assert tree["oldestWaitingAt"] == NOON.isoformat(timespec="seconds")
    assert "/in" not in str(tree["host"])
    assert "0123" not in repr(post.receivers)


def test_pauses_have_a_bound_however_long_it_takes() -> None:
    state = ReceiverState(1, 2, tries=500)
    failed = state.failed("x", NOON, timedelta(0))
    assert failed.next_at == NOON + LONGEST_PAUSE
    assert failed.failing_since == NOON
