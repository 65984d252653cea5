"""The teams that Backstage has from others, of a catalog on loopback that answers as it does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner
from pydantic import SecretStr

from bridge.cli import main
from bridge.errors import SourceError, StoreError
from bridge.model.runs import Outcome
from bridge.passes.runner import Passes
from bridge.passes.stages import PassOptions
from bridge.settings import Settings
from bridge.store import open_store
from bridge.wiring import renewed, wired
from bridge.wiring.backstage_teams import ASKED_AGAIN, BackstageTeams
from bridge.wiring.clock import utc_now

pytestmark = pytest.mark.real

TOKEN = "backstage-token"
NAME = "shop"


def entity(kind: str, name: str, title: str = "", **annotations: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "title": title or name}
    return {"kind": kind, "metadata": {**metadata, "annotations": annotations}, "spec": {}}


@dataclass
class Backstage:
    """A catalog that gives two entities a page; `failing` is a status that it answers instead."""

    entities: list[dict[str, Any]] = field(default_factory=list)
    failing: int = 0
    asked: list[str] = field(default_factory=list)
    url: str = ""

    async def by_query(self, request: web.Request) -> web.Response:
        self.asked.append(request.query_string)
        if self.failing:
            return web.Response(status=self.failing)
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.Response(status=401)
        start = int(request.query.get("cursor", "0"))
        if not start:
            assert request.query.getall("filter") == ["kind=group", "kind=user"]
        rest = start + 2 < len(self.entities)
        info = {"nextCursor": str(start + 2)} if rest else {}
        items = self.entities[start : start + 2]
        return web.json_response({"items": items, "pageInfo": info})


@asynccontextmanager
async def running(*entities: dict[str, Any]) -> AsyncIterator[Backstage]:
    backstage = Backstage(list(entities))
    app = web.Application()
    app.router.add_get("/under/api/catalog/entities/by-query", backstage.by_query)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    backstage.url = f"http://{host}:{port}/under"
    try:
        yield backstage
    finally:
        await runner.cleanup()


def settings(folder: Path, backstage: Backstage, token: str = TOKEN) -> Settings:
    return Settings.model_validate(
        {
            "from": str(folder / "code"),
            "to": [str(folder / "catalog")],
            "store": f"sqlite:///{folder}/s.db",
            "backstage": {"url": backstage.url},
            "backstage_token": SecretStr(token),
            "owners": {"backstage": True},
        }
    )


TEAMS = (
    entity("Group", "payments", "Payments Crew"),
    entity("Group", "ours", **{"fester.dev/source-name": "Ours"}),
    entity("User", "jane"),
    entity("Group", "guild"),
    entity("Group", "lighthouse"),
)


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.moment = utc_now()

    def __call__(self) -> datetime:
        return self.moment


async def test_every_page_is_read_and_what_fester_published_itself_is_not_from_others(
    tmp_path: Path,
) -> None:
    async with running(*TEAMS) as backstage:
        teams, store = BackstageTeams(settings(tmp_path, backstage), Clock()), None
        store = await open_store(f"sqlite:///{tmp_path}/s.db")
        try:
            await teams.renew(store, NAME)
        finally:
            await store.close()
    assert [str(team.ref) for team in teams.teams] == [
        "group:default/guild",
        "group:default/lighthouse",
        "group:default/payments",
        "user:default/jane",
    ]
    assert all(team.elsewhere for team in teams.teams)
    assert teams.teams[2].names == ("payments-crew",)
    assert len(backstage.asked) == 3
    assert teams.problems == ()


@pytest.mark.parametrize("status", [500, 401, 403, 404])
async def test_a_failure_keeps_what_was_told_also_after_a_restart_and_says_so(
    tmp_path: Path, status: int
) -> None:
    clock = Clock()
    store = await open_store(f"sqlite:///{tmp_path}/s.db")
    try:
        async with running(*TEAMS) as backstage:
            chosen = settings(tmp_path, backstage)
            before = BackstageTeams(chosen, clock)
            await before.renew(store, NAME)
            count = len(backstage.asked)
            again = BackstageTeams(chosen, clock)
            await again.renew(store, NAME)
            assert len(backstage.asked) == count  # the answer of a minute ago is good enough
            assert again.teams == before.teams
            backstage.failing = status
            clock.moment += ASKED_AGAIN
            restarted = BackstageTeams(chosen, clock)
            await restarted.renew(store, NAME)
            assert restarted.teams == before.teams
            (problem,) = restarted.problems
            assert problem.rule == "owners-unread"
            assert "stay known" in problem.message
            assert TOKEN not in problem.message
            backstage.failing, backstage.entities = 0, [entity("Group", "guild")]
            clock.moment += timedelta(minutes=1)
            await restarted.renew(store, NAME)
            assert restarted.teams == before.teams  # not asked again so soon
            clock.moment += ASKED_AGAIN
            await restarted.renew(store, NAME)
            assert [team.ref.name for team in restarted.teams] == ["guild"]
            assert restarted.problems == ()
    finally:
        await store.close()


async def test_a_token_that_was_renewed_is_not_tried_as_it_was_again_and_again(
    tmp_path: Path,
) -> None:
    (tmp_path / "token").write_text(TOKEN)
    clock = Clock()
    store = await open_store(f"sqlite:///{tmp_path}/s.db")
    try:
        async with running(*TEAMS) as backstage:
            files = {"secret_files": {"backstage_token": tmp_path / "token"}}
            older = settings(tmp_path, backstage, token="token-of-before")
            teams = BackstageTeams(older.model_copy(update=files), clock)
            counts = []
            for _ in range(2):
                await teams.renew(store, NAME)
                counts.append(len(backstage.asked))
                clock.moment += ASKED_AGAIN
    finally:
        await store.close()
    assert counts == [4, 7]  # three pages each, and a refusal once


async def test_an_owner_of_theirs_is_known_and_none_of_ours_takes_its_name(tmp_path: Path) -> None:
    for name, team in {"good": "Payments Crew", "typo": "lighthuose"}.items():
        file = tmp_path / "code" / name / "qm.yaml"
        file.parent.mkdir(parents=True)
        owner = f"{{team: {team}, channel: '#pay'}}"
        file.write_text(f"version: 1\nservice:\n  name: {name}\n  owner: {owner}\n")
    async with running(*TEAMS) as backstage:
        chosen = settings(tmp_path, backstage)
        async with wired(chosen) as parts:
            passes = Passes(parts.stages)
            done = await passes.run(PassOptions())
            known = await passes.known()
            assert known.record is not None
            found = {str(each.ref): each.body for each in known.catalog.entities}
            assert set(found) == {"component:default/good", "component:default/typo"}
            owner = found["component:default/good"]["spec"]["owner"]
            assert owner == "group:default/payments"
            (problem,) = [p for p in known.record.report.problems if p.rule == "owner-unknown"]
            assert "did you mean group:default/lighthouse?" in problem.message
            assert done.report.outcome is Outcome.COMPLETE
            assert (await renewed(chosen, parts, parts.stages)).maker == parts.stages.maker


async def test_where_nothing_was_ever_told_nothing_is_published(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    async with running(*TEAMS) as backstage:
        with pytest.raises(SourceError, match=r"refuses the token \(401\).* nothing is published"):
            async with wired(settings(tmp_path, backstage, token="wrong-token")):
                pass
    assert not (tmp_path / "catalog").exists()


async def test_who_was_told_nothing_fails_each_time_and_asks_again(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:///{tmp_path}/s.db")
    try:
        async with running(*TEAMS) as backstage:
            backstage.failing = 500
            teams = BackstageTeams(settings(tmp_path, backstage), Clock())
            for _ in range(2):
                with pytest.raises(SourceError, match="nothing is published"):
                    await teams.renew(store, NAME)
            backstage.failing = 0
            await teams.renew(store, NAME)
            assert len(teams.teams) == 4
    finally:
        await store.close()


@pytest.mark.parametrize("text", ["{", "[]", '{"at": "x", "teams": []}', '{"at": 7}'])
async def test_what_the_store_cannot_tell_is_an_error_of_the_store(
    tmp_path: Path, text: str
) -> None:
    store = await open_store(f"sqlite:///{tmp_path}/s.db")
    try:
        async with running(*TEAMS) as backstage:
            await store.teams_elsewhere.save(NAME, text)
            teams = BackstageTeams(settings(tmp_path, backstage), Clock())
            with pytest.raises(StoreError, match="cannot be understood"):
                await teams.renew(store, NAME)
    finally:
        await store.close()


ORIGIN = "backstage.io/managed-by-origin-location"


@pytest.mark.parametrize(
    ("origin", "ours"),
    [
        ("https://fester.example.com/catalog/index.yaml", True),
        ("https://fester.example.com.evil.example/catalog/index.yaml", False),
        ("https://storage.googleapis.com/shop-catalog/live/index.yaml", True),
        ("https://shop-catalog.storage.googleapis.com/live/index.yaml", True),
        ("https://storage.googleapis.com/shop-catalog/lively/index.yaml", False),
        ("https://gitlab.example.com/org.yaml", False),
    ],
)
async def test_a_group_without_a_mark_is_ours_by_its_location(
    tmp_path: Path, origin: str, ours: bool
) -> None:
    store = await open_store(f"sqlite:///{tmp_path}/s.db")
    try:
        copied = entity("Group", "copied", **{ORIGIN: f"url:{origin}"})
        async with running(copied) as backstage:
            told = {
                "public_url": "https://fester.example.com",
                "to": ("gs://shop-catalog/live",),
            }
            chosen = settings(tmp_path, backstage).model_copy(update=told)
            teams = BackstageTeams(chosen, Clock())
            await teams.renew(store, NAME)
    finally:
        await store.close()
    assert [team.ref.name for team in teams.teams] == ([] if ours else ["copied"])


COPIED = """\
apiVersion: backstage.io/v1alpha1
kind: Group
metadata: {name: copied}
spec: {type: team, children: []}
---
apiVersion: backstage.io/v1alpha1
kind: Group
metadata: {name: guild}
spec: {type: team, children: []}
"""


async def test_a_copied_group_that_comes_back_from_backstage_stays_and_theirs_is_told(
    tmp_path: Path,
) -> None:
    mappings = tmp_path / "mappings"
    mappings.mkdir()
    (mappings / "presets.yaml").write_text("presets: [catalog-info]\n")
    file = tmp_path / "code" / "org" / "catalog-info.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(COPIED)
    index = {ORIGIN: "url:https://files.example.com/index.yaml"}
    directory = {ORIGIN: "ldap://ds.example.com/cn=guild"}
    async with running() as backstage:
        chosen = settings(tmp_path, backstage).model_copy(update={"mappings": mappings})
        for back in (
            (),
            (entity("Group", "copied", **index), entity("Group", "guild", **directory)),
        ):
            backstage.entities = list(back)
            async with wired(chosen) as parts:
                passes = Passes(parts.stages)
                await passes.run(PassOptions())
                known = await passes.known()
                found = {each.ref.name for each in known.catalog.entities}
                assert known.record is not None
                told = [p.ref for p in known.record.report.problems if p.rule == "team-elsewhere"]
                assert (found, told) == (
                    ({"copied"}, ["group:default/guild"]) if back else ({"copied", "guild"}, [])
                )
                await parts.store.teams_elsewhere.save(parts.source, "")  # as if long ago


def test_it_needs_an_address_and_a_token_and_both_are_told(tmp_path: Path) -> None:
    config = tmp_path / "fester.yaml"
    config.write_text(f"from: {tmp_path}\nto: {tmp_path}/c\nowners: {{backstage: true}}\n")
    run = CliRunner().invoke(main, ["run", "--config", str(config)])
    assert run.exit_code == 2
    assert "`owners.backstage` needs `backstage.url`" in run.output
    assert "`owners.backstage` needs a token in FESTER_BACKSTAGE_TOKEN" in run.output
