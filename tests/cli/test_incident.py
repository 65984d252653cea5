"""Ten questions that are asked in an incident, put to the sample organization in every face."""

from __future__ import annotations

import asyncio
import html
import json
import re
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from click.testing import CliRunner, Result
from yarl import URL

from bridge.answers.identify import identify
from bridge.answers.incident import answer
from bridge.answers.knowledge import Knowledge
from bridge.api.app import make_app
from bridge.api.incident import KNOWLEDGE
from bridge.api.live import Live
from bridge.api.parts import AppParts
from bridge.cli import main
from bridge.model.memory import Memory
from bridge.store import open_store
from bridge.wiring.answers import stored_incident, stored_knowledge
from bridge.wiring.clock import utc_now
from bridge.wiring.stored_part import StoredPart
from tests.api.shown import show
from tests.fakes import NOON

if TYPE_CHECKING:
    from mcp import Client

# What is asked, by what it is found, and what the answer holds.
QUESTIONS = [
    ("vessel-tracker", "name", "Crows Nest (#crows-nest)"),  # whose is it?
    ("vessel-tracker", "name", "On call  https://oncall.kestrel.example/crows-nest"),
    ("vessel-tracker", "name", "When vessel-tracker is down (runbook)"),
    ("vessel-tracker", "name", "eta-predictor (tier 2, crows-nest)"),  # who is hit?
    ("kestrel/passenger/app/whale-watch", "GitLab project", "vessel-tracker (tier 1, crows-nest)"),
    ("https://grafana.kestrel.example/d/booking-api?from=now-1h", "link", "harbour-lights"),
    ("component:default/booking-api", "reference", "part of checkout"),
    ("crows-nest", "name", "weather-feed"),  # what does this team run?
    ("tracking", "name", "Holds ("),  # what is in this system?
    ("grafana.kestrel.example", "host of a link", "Which one is it?"),  # too many to guess
    # What changed lately nearby? What the whale-watch needs did.
    ("whale-watch", "name", "vessel-tracker changed: spec.lifecycle (dependency"),
    ("whale-watch", "name", "in kestrel/tracking/vessel-tracker qm.yaml"),
]


MakeClient = Callable[[web.Application], Awaitable[TestClient[web.Request, web.Application]]]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a pass over the sample organization left behind."""
    folder = tmp_path_factory.mktemp("demo")
    made = CliRunner().invoke(main, ["demo", "--once", "--to", str(folder)])
    assert made.exit_code == 0, made.output
    noted(folder / ".fester.db")
    return f"sqlite:///{folder}/.fester.db"


def noted(file: Path) -> None:
    """As a pass twenty minutes ago would have noted a change of one service."""
    body = {
        "title": "vessel-tracker",
        "owner": "group:default/crows-nest",
        "owner_before": "",
        "manifests": [
            {"project": "kestrel/tracking/vessel-tracker", "file": "qm.yaml", "blob": "ab"}
        ],
        "fields": [{"path": "spec.lifecycle", "before": "experimental", "after": "production"}],
        "left_out": 0,
    }
    moment = int((utc_now() - timedelta(minutes=20)).timestamp() * 1_000_000)
    about = '["project kestrel/tracking/vessel-tracker"]'
    row = (moment, "component:default/vessel-tracker", "changed", about, json.dumps(body))
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            "INSERT INTO fester_entity_changes (source_id, at, ref, kind, about, body) "
            "SELECT id, ?, ?, ?, ?, ? FROM fester_sources",
            row,
        )


def asked(store: str, text: str, *more: str) -> Result:
    return CliRunner().invoke(main, ["incident", "--store", store, text, *more])


def words(text: str) -> set[str]:
    """The words of a face, without its own marks."""
    bare = html.unescape(re.sub(r"<[^>|]*>|<[^|>]*\|", " ", text)).replace("\u2060", "")
    return set(re.findall(r"[\w#-]+", bare))


@pytest.mark.real
@pytest.mark.parametrize(("text", "key", "expected"), QUESTIONS)
def test_the_terminal_answers(store: str, text: str, key: str, expected: str) -> None:
    said = asked(store, text)
    assert expected in said.output
    data = json.loads(asked(store, text, "--json").output)
    assert {match["key"] for match in data["matches"]} == {key}
    assert (data["incident"] is not None) is (said.exit_code == 0) is (data["total"] == 1)


async def test_every_face_gives_the_same_answers(store: str, aiohttp_client: MakeClient) -> None:
    opened = await open_store(store)
    try:
        (source,) = await opened.sources()
        record = await opened.latest(source)
        known = await stored_knowledge(opened, source, NOON)
    finally:
        await opened.close()
    assert record is not None
    assert known is not None
    live = Live()
    show(live, record, (), Memory(), NOON)
    app = make_app(live, AppParts())
    app[KNOWLEDGE] = lambda: known
    client = await aiohttp_client(app)
    for text, key, expected in QUESTIONS:
        right = answer(text, known, NOON)
        assert {match.key for match in right.found.matches} == {key}
        wanted = words(expected.partition("  ")[0])  # where links lead is not shown by each
        for form in ("text", "slack"):
            got = await client.get("/api/incident", params={"q": text, "format": form})
            face = await got.text()
            if form == "slack":
                face = json.dumps(json.loads(face), ensure_ascii=False)
            assert wanted <= words(face)
        data = await (await client.get("/api/incident", params={"q": text})).json()
        assert data["total"] == right.found.total
        page = await (await client.get("/incident", params={"q": text})).text()
        assert wanted <= words(page)
        async with assistant_at(client.make_url("/mcp")) as assistant:
            told = await assistant.call_tool("incident", {"about": text})
            assert as_of_now(answered(told)) == as_of_now(data)


def assistant_at(url: URL) -> Client:
    """An assistant that speaks MCP; what it needs loads slowly, and unit tests need none."""
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    return Client(streamable_http_client(str(url)))


def answered(result: Any) -> Any:
    assert not result.is_error
    return json.loads(result.content[0].text)


def as_of_now(data: dict[str, Any]) -> dict[str, Any]:
    """An answer without the moments at which it was given."""
    changed = (data["incident"] or {}).get("changed") or {}
    changed.pop("since", None)
    return {key: value for key, value in data.items() if key != "at"}


async def test_what_changed_around_something_is_the_same_on_every_face(
    store: str, aiohttp_client: MakeClient
) -> None:
    opened = await open_store(store)
    try:
        (source,) = await opened.sources()
        known = await stored_knowledge(opened, source, NOON)
        assert known is not None
        live = Live()
        live.changes = partial(opened.entity_changes.find, source)
        app = make_app(live, AppParts())
        app[KNOWLEDGE] = lambda: known
        client = await aiohttp_client(app)
        data = await (await client.get("/api/changes?around=whale-watch&since=2h")).json()
        assert [each["ref"] for each in data["items"]] == ["component:default/vessel-tracker"]
        async with assistant_at(client.make_url("/mcp")) as assistant:
            told = await assistant.call_tool("changes", {"about": "whale-watch"})
            assert answered(told) == data
        expected = words("vessel-tracker changed spec.lifecycle experimental production")
        for path in ("/changes", "/changes.atom"):
            face = await (await client.get(f"{path}?around=whale-watch&since=2h")).text()
            assert expected <= words(face)
        said = await asyncio.to_thread(around, store, "--json")
        assert json.loads(said.output) == data
        assert expected <= words((await asyncio.to_thread(around, store)).output)
        far = await (await client.get("/api/changes?around=harbour-lights&since=2h")).json()
        assert far["items"] == []
    finally:
        await opened.close()


def around(store: str, *more: str) -> Result:
    asked = ["changes", "--store", store, "whale-watch", "--around", "--since", "2h", *more]
    return CliRunner().invoke(main, asked)


@pytest.mark.real
def test_an_explanation_shows_the_last_changes(store: str) -> None:
    said = CliRunner().invoke(main, ["explain", "--store", store, "vessel-tracker"])
    assert "Last changes:" in said.output
    assert "spec.lifecycle: experimental → production" in said.output


@pytest.mark.real
def test_what_is_not_known_is_said_with_what_is_near(store: str) -> None:
    said = asked(store, "vesel-tracker")
    assert said.exit_code == 1
    assert "Did you mean   vessel-tracker" in said.output


@pytest.mark.store
def test_a_store_without_a_pass_says_what_to_do(tmp_path: object) -> None:
    said = asked(f"sqlite:///{tmp_path}/new.db", "cart")
    assert said.exit_code == 2
    assert "`fester run` makes one" in said.output


def everything_to_ask(known: Knowledge) -> list[str]:
    """All references, and of some entities whatever else means them, or nearly does."""
    found = [text for text, _, _ in QUESTIONS]
    found += [
        "nothing-like-it",
        "Vessel Trackr",
        "x",
        "",
        "Übersicht",
        '"',
        "https://a.example/b/c",
    ]
    for ref in list(known.index.slots):
        entity = known.entity(ref) or {}
        metadata = entity["metadata"]
        found += [ref, metadata["name"]]
        if len(found) < 400:
            texts = [metadata.get("title"), *(metadata.get("annotations") or {}).values()]
            urls = [link["url"] for link in metadata.get("links") or ()]
            found += [each for each in texts if isinstance(each, str)]
            found += [*urls, *(f"{url}/deeper?from=now-1h" for url in urls)]
    return list(dict.fromkeys(found))


@pytest.mark.real
async def test_a_part_of_the_store_answers_as_the_whole(store: str) -> None:
    opened = await open_store(store)
    try:
        (source,) = await opened.sources()
        known = await stored_knowledge(opened, source, NOON)
        assert known is not None
        for text in everything_to_ask(known):
            told = await stored_incident(opened, source, text, NOON)
            assert told == answer(text, known, NOON), text
    finally:
        await opened.close()


@pytest.mark.real
async def test_of_one_service_little_is_loaded(store: str) -> None:
    opened = await open_store(store)
    try:
        (source,) = await opened.sources()
        everything = len(await opened.search.refs(source))
        for text in ("vessel-tracker", "https://grafana.kestrel.example/d/booking-api?from=now-1h"):
            part = StoredPart(opened, source)
            assert await part.meant_by(text)
            assert len(part.entities) < 10
            await part.around(identify(text, Knowledge(part.index)).matches[0].ref)
            assert len(part.entities) < everything / 2
    finally:
        await opened.close()
