"""What changed, as data and as a page."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID
from xml.etree import ElementTree

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from bridge.api.app import make_app
from bridge.api.changes.atom import atom_feed
from bridge.api.live import Live
from bridge.api.parts import AppParts
from bridge.errors import StoreError
from bridge.model.entities import Catalog, Ref
from bridge.model.entity_changes import (
    ChangedManifest,
    ChangeKind,
    ChangeQuery,
    EntityChange,
    FieldChange,
)
from bridge.model.memory import Memory, PassRecord
from bridge.model.receivers import Backlog, ReceiverStanding, ReceiverState
from bridge.model.runs import Outcome, Report
from tests.answers.fleet import FLEET
from tests.api.shown import show
from tests.fakes import NOON

Client = TestClient[web.Request, web.Application]
MakeClient = Callable[[web.Application], Awaitable[Client]]
EVIL = "<script>alert(1)</script>"


def change(number: int) -> EntityChange:
    return EntityChange(
        Ref("component", "default", "cart"),
        ChangeKind.CHANGED,
        NOON,
        f"Cart {EVIL}",
        "group:default/crew",
        manifests=(ChangedManifest("shop/cart", "qm.yaml", "abc"),),
        fields=(FieldChange("spec.owner", EVIL, "crew"),),
        number=number,
    )


@pytest.fixture
def asked() -> list[ChangeQuery]:
    return []


@pytest.fixture
async def client(aiohttp_client: MakeClient, asked: list[ChangeQuery]) -> Client:
    async def changes(query: ChangeQuery) -> list[EntityChange]:
        asked.append(query)
        below = query.below or 151
        return [change(number) for number in range(below - 1, 0, -1)][: query.limit]

    live = Live()
    entities = tuple(sorted(FLEET, key=lambda each: str(each.ref)))
    record = PassRecord(Report(Outcome.COMPLETE, 1.0), Catalog(entities))
    show(live, record, (), Memory(), NOON)
    live.changes, live.public_url = changes, "http://fester.test"
    return await aiohttp_client(make_app(live, AppParts(clock=lambda: NOON)))


async def test_the_data_comes_in_sheets_that_follow_each_other(client: Client) -> None:
    first = await (await client.get("/api/changes")).json()
    assert [each["number"] for each in first["items"]] == list(range(150, 50, -1))
    assert first["nextBelow"] == 51
    rest = await (await client.get("/api/changes?below=51")).json()
    assert [each["number"] for each in rest["items"]] == list(range(50, 0, -1))
    assert rest["nextBelow"] is None
    assert first["items"][0]["fields"] == [{"path": "spec.owner", "before": EVIL, "after": "crew"}]


async def test_names_and_spans_are_understood(client: Client, asked: list[ChangeQuery]) -> None:
    await client.get("/api/changes?ref=cart&owner=crew&project=shop/cart&kind=added&since=2h")
    (query,) = asked
    assert query.refs == ("component:default/cart",)
    assert query.owner == "group:default/crew"
    assert query.since == NOON - timedelta(hours=2)
    assert (query.project, query.kind) == ("shop/cart", "added")


@pytest.mark.parametrize(
    "wrong",
    ["kind=x", "since=soon", "since=2026-01-01", "since=99999d&until=x", "ref=a/b/c", "below=x"],
)
async def test_what_cannot_be_meant_is_said(client: Client, wrong: str) -> None:
    answer = await client.get(f"/api/changes?{wrong}")
    assert answer.status == 400
    assert (await answer.json())["error"]["name"] == "InputError"
    page = await client.get(f"/changes?{wrong}")
    assert page.status == 400
    assert 'class="error"' in await page.text()


async def test_the_page_shows_changes_and_runs_nothing(client: Client) -> None:
    text = await (await client.get("/changes?owner=crew")).text()
    assert "<code>spec.owner</code>" in text
    assert "shop/cart qm.yaml" in text.replace("<wbr>", "")
    assert EVIL not in text
    assert 'href="/changes?owner=crew&amp;below=51"' in text


async def test_the_page_stays_light_whatever_changed(aiohttp_client: MakeClient) -> None:
    """A changed mapping changes much of everything: twenty long fields of each."""
    long = FieldChange("metadata.annotations.example.com/" + "x" * 60, "b" * 400, "a" * 400)
    manifests = tuple(ChangedManifest(f"shop/p{at}", "qm.yaml", "abc") for at in range(30))
    much = replace(change(1), fields=(long,) * 20, left_out=3, manifests=manifests)

    async def changes(query: ChangeQuery) -> list[EntityChange]:
        return [much] * query.limit

    live = Live()
    live.changes = changes
    client = await aiohttp_client(make_app(live, AppParts(clock=lambda: NOON)))
    page = await (await client.get("/changes")).text()
    assert len(page) < 200_000
    assert "… and 18 more fields" in page, "fifteen that are not shown, three that were not kept"
    assert "… and 27 more" in page, "of the manifests"


async def test_what_lies_around_something_is_asked_for_by_its_references(
    client: Client, asked: list[ChangeQuery]
) -> None:
    data = await (await client.get("/api/changes?around=cart&hops=1&since=2h")).json()
    assert data["around"]["roles"]["component:default/web"] == {"role": "dependent", "hops": 1}
    assert set(asked[-1].refs) == set(data["around"]["roles"])
    page = await (await client.get("/changes?around=cart&since=2h")).text()
    assert 'value="cart"' in page
    assert 'href="/changes.atom?around=cart&amp;since=2h"' in page
    assert (await client.get("/changes.atom?around=cart&hops=9")).status == 400


async def test_the_page_lists_what_may_be_meant_or_what_is_near(client: Client) -> None:
    page = await (await client.get("/changes?around=gitlab.example.com")).text()
    assert "Which one is it?" not in page  # one service alone links there
    page = await (await client.get("/changes?around=crt")).text()
    assert "Cart" in page  # what is gone is looked for by its name
    nothing = await (await client.get("/changes?around=https://nowhere.example.com/x")).text()
    assert "Nothing known is called so" in nothing


async def test_an_empty_page_says_what_will_come(aiohttp_client: MakeClient) -> None:
    client = await aiohttp_client(make_app(Live(), AppParts(clock=lambda: NOON)))
    assert "from the second pass on" in await (await client.get("/changes")).text()


ATOM = "{http://www.w3.org/2005/Atom}"


async def test_the_feed_is_atom_with_ids_and_a_next_page(client: Client) -> None:
    answer = await client.get("/changes.atom?owner=crew")
    assert answer.content_type == "application/atom+xml"
    feed = ElementTree.fromstring(await answer.read())
    assert feed.tag == f"{ATOM}feed"
    links = {each.get("rel"): each.get("href") for each in feed.iterfind(f"{ATOM}link")}
    assert links == {
        "self": "http://fester.test/changes.atom?owner=crew",
        "alternate": "http://fester.test/changes?owner=crew",
        "next": "http://fester.test/changes.atom?owner=crew&below=51",
    }
    assert feed.findtext(f"{ATOM}updated") == "2026-01-01T12:00:00Z"
    entries = feed.findall(f"{ATOM}entry")
    ids = [entry.findtext(f"{ATOM}id") for entry in entries]
    assert len(set(ids)) == len(entries) == 100
    assert all(each and UUID(each) for each in ids)
    assert entries[0].findtext(f"{ATOM}title") == f"Cart {EVIL} changed: spec.owner"
    assert "In shop/cart qm.yaml" in "".join(entries[0].itertext())
    rest = ElementTree.fromstring(await (await client.get("/changes.atom?below=150")).read())
    assert rest.findtext(f"{ATOM}entry/{ATOM}id") == ids[1]  # of one change, wherever it stands


async def test_a_reader_of_the_feed_that_has_it_gets_nothing_again(client: Client) -> None:
    first = await client.get("/changes.atom")
    tag = first.headers["ETag"]
    again = await client.get("/changes.atom", headers={"If-None-Match": tag})
    assert (again.status, await again.read()) == (304, b"")
    other = await client.get("/changes.atom?below=150", headers={"If-None-Match": tag})
    assert other.status == 200
    assert (await client.get("/changes.atom?kind=x")).status == 400


async def test_the_page_leads_to_its_feed(client: Client) -> None:
    text = await (await client.get("/changes?owner=crew&since=2h")).text()
    assert (
        '<link rel="alternate" type="application/atom+xml" title="What changed" '
        'href="/changes.atom?owner=crew&amp;since=2h">'
    ) in text


MARKUP = "feed id title updated author name link entry category content div p ul li"
HOSTILE = [EVIL, "a]]>b", "&amp;<![CDATA[", "\x00\x1b\ufffe\ud800", '"/><x y="']


@pytest.mark.parametrize("evil", HOSTILE)
def test_hostile_names_make_no_markup_in_the_feed(evil: str) -> None:
    bad = EntityChange(
        *(Ref("component", "default", "x"), ChangeKind.REMOVED, NOON, evil, evil),
        manifests=(ChangedManifest(evil, evil, evil),),
        fields=(FieldChange(evil, evil, None),),
    )
    body = atom_feed([bad], source=evil, base="http://fester.test", query=evil, following=evil)
    feed = ElementTree.fromstring(body)
    assert {each.tag.rpartition("}")[2] for each in feed.iter()} <= set(MARKUP.split())
    shown = re.sub("[\x00-\x1f\ufffe\ud800]", "�", evil)
    assert feed.findtext(f"{ATOM}entry/{ATOM}title") == f"{shown} removed: {shown}"


def test_a_feed_of_nothing_stays_the_same() -> None:
    empty = [
        atom_feed([], source="s", base="http://fester.test", query="", following="")
        for _ in range(2)
    ]
    assert empty[0] == empty[1]
    assert ElementTree.fromstring(empty[0]).findall(f"{ATOM}entry") == []


async def test_who_is_told_by_webhook_is_a_page_and_data(aiohttp_client: MakeClient) -> None:
    failing = ReceiverState(3, 9).failed(f"it said {EVIL}", NOON, timedelta(0))
    standings = [
        ReceiverStanding("audit", "https://a.example", failing, Backlog(2, NOON)),
        ReceiverStanding("fine", "https://f.example", ReceiverState(9, delivered_at=NOON)),
        ReceiverStanding("fresh", "https://n.example"),
    ]

    async def receivers() -> list[ReceiverStanding]:
        return standings

    live = Live(receivers=receivers)
    client = await aiohttp_client(make_app(live, AppParts(clock=lambda: NOON + timedelta(hours=2))))
    page = await (await client.get("/changes/receivers")).text()
    assert EVIL not in page
    for said in (
        "since 2 hours ago",
        "1 try",
        "2 changes wait, the oldest since 2 hours ago",
        "not looked at",
    ):
        assert said in page
    data = (await (await client.get("/api/changes/receivers")).json())["items"]
    assert [each["failures"] for each in data] == [1, 0, 0]
    metrics = await (await client.get("/metrics")).text()
    assert 'fester_receiver_behind_seconds{receiver="audit"} 7200.0' in metrics
    assert 'fester_receiver_failing_seconds{receiver="fine"} 0.0' in metrics


async def test_without_receivers_the_page_says_how_to_have_some(client: Client) -> None:
    page = await (await client.get("/changes/receivers")).text()
    assert "changes.receivers" in page
    assert "fester_receiver" not in await (await client.get("/metrics")).text()


async def test_metrics_are_given_while_the_store_is_away(aiohttp_client: MakeClient) -> None:
    async def away() -> list[ReceiverStanding]:
        raise StoreError("the store is away")

    client = await aiohttp_client(make_app(Live(receivers=away), AppParts()))
    answer = await client.get("/metrics")
    assert (answer.status, "fester_ready" in await answer.text()) == (200, True)
    assert (await client.get("/api/changes/receivers")).status == 503
