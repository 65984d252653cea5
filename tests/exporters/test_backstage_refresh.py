"""Telling Backstage what changed, against a server on loopback that answers as it does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from aiohttp import web
from click.testing import CliRunner

from bridge.cli import main
from bridge.exporters.backstage_refresh import AGAIN, SIDE_BY_SIDE, TRIES, Refresher
from bridge.exporters.render import location_of
from bridge.model.problems import Problem, Severity

INDEX = "index.yaml"


@dataclass
class Backstage:
    """Knows some Locations. `statuses` are given first, one a request."""

    known: set[str] = field(default_factory=set)
    statuses: list[int] = field(default_factory=list)
    refreshed: list[str] = field(default_factory=list)
    asked: int = 0
    at_once: int = 0
    most_at_once: int = 0
    url: str = ""

    async def refresh(self, request: web.Request) -> web.Response:
        self.asked += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        ref = (await request.json())["entityRef"]
        self.at_once -= 1
        if self.statuses:
            return web.Response(status=self.statuses.pop(0))
        if request.headers["Authorization"] != "Bearer secret-token":
            return web.Response(status=401)
        if ref not in self.known:
            return web.Response(status=404)
        self.refreshed.append(ref)
        return web.Response()

    async def listing(self, request: web.Request) -> web.Response:
        term = request.query["fullTextFilterTerm"]
        names = [ref.rpartition("/")[2] for ref in sorted(self.known)]
        items = [{"metadata": {"name": name}} for name in names if term in name]
        return web.json_response({"items": items})


@asynccontextmanager
async def running(backstage: Backstage) -> AsyncIterator[Refresher]:
    app = web.Application()
    app.router.add_post("/api/catalog/refresh", backstage.refresh)
    app.router.add_get("/api/catalog/entities/by-query", backstage.listing)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        backstage.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield refresher(backstage.url)
    finally:
        await runner.cleanup()


async def at_once(seconds: float) -> None:
    """A sleep that takes no time."""


def refresher(url: str, token: str = "secret-token") -> Refresher:
    return Refresher(url, token, "fester", partial(location_of, prefix="fester"), at_once)


def location(bits: str) -> str:
    return f"location:default/fester-{bits}"


def tree(**shards: str) -> dict[str, str]:
    """Shards of these digests, the index that lists them, and a file that Backstage ignores."""
    made = {f"entities/{bits[1:]}.yaml": text for bits, text in shards.items()}
    index = {INDEX: " ".join(sorted(shards))}
    return {**made, **index, "services.csv": str(shards)}


@pytest.mark.real
async def test_only_the_locations_of_changed_shards_are_refreshed() -> None:
    backstage = Backstage({location("0"), location("1")})
    async with running(backstage) as telling:
        assert await telling.tell(tree(_0="a", _1="b"), changed=["services.csv"]) is None
        assert backstage.asked == 0, "what a publish did not write is no news"
        assert await telling.tell(tree(_0="a", _1="c")) is None
        assert backstage.refreshed == [location("1")]
        assert await telling.tell(tree(_0="a", _1="c")) is None
        assert backstage.asked == 1
        assert telling.counts == {"refreshed": 1}


@pytest.mark.real
async def test_the_first_time_what_the_publish_wrote_is_told_or_all_without_one() -> None:
    for changed, expected in ((["entities/1.yaml"], ["1"]), (None, ["0", "1"])):
        backstage = Backstage({location("0"), location("1")})
        async with running(backstage) as telling:
            assert await telling.tell(tree(_0="a", _1="b"), changed) is None
            assert sorted(backstage.refreshed) == [location(bits) for bits in expected]


@pytest.mark.real
async def test_a_shard_that_another_source_stood_in_the_way_of_is_told_a_few_times() -> None:
    """Backstage's discovery drops the other entity sooner or later, and tells nobody."""
    backstage, files, now = Backstage({location("0"), location("1")}), tree(_0="a", _1="b"), [0.0]
    async with running(backstage) as telling:
        telling.clock = lambda: now[0]
        assert await telling.tell(files, changed=[], freed={"entities/1.yaml"}) is None
        assert backstage.refreshed == [location("1")]
        asked_at = []
        for now[0] in range(0, 7200, 30):
            backstage.refreshed.clear()
            assert await telling.tell(files) is None
            asked_at += [now[0] / 60 for each in backstage.refreshed if each == location("1")]
            assert location("0") not in backstage.refreshed
        assert asked_at == [minutes for minutes in AGAIN if minutes]


@pytest.mark.real
async def test_what_is_freed_while_backstage_is_away_is_told_when_it_is_back() -> None:
    backstage, files = Backstage({location("0"), location("1")}), tree(_0="a", _1="b")
    async with running(backstage) as telling:
        assert await telling.tell(files, changed=[]) is None
        backstage.statuses = [503] * TRIES
        warned(await telling.tell(files, freed={"entities/0.yaml"}))
        assert await telling.tell(files) is None
        assert backstage.refreshed == [location("0")]


@pytest.mark.real
async def test_new_shards_alone_are_reached_by_any_location_that_backstage_has() -> None:
    """A group splits: none of the new Locations is known yet, the old one leads to the index."""
    backstage = Backstage({"location:default/other-0", location("all")})
    async with running(backstage) as telling:
        assert await telling.tell(tree(_all="a"), changed=[]) is None
        assert await telling.tell(tree(_0="a", _1="b")) is None
        assert backstage.refreshed == [location("all")]


@pytest.mark.real
async def test_a_shard_that_goes_is_an_index_that_changed() -> None:
    backstage = Backstage({location("0"), location("1")})
    async with running(backstage) as telling:
        assert await telling.tell(tree(_0="a", _1="b"), changed=[]) is None
        assert await telling.tell(tree(_0="a")) is None
        assert backstage.refreshed == [location("0")]


def warned(problem: Problem | None) -> str:
    assert problem is not None
    assert problem.severity is Severity.WARNING
    assert "secret-token" not in str(problem)
    return str(problem)


@pytest.mark.real
async def test_a_backstage_that_does_not_know_the_index_is_a_warning_that_says_so() -> None:
    async with running(Backstage({"location:default/other"})) as telling:
        assert "`fester deploy backstage`" in warned(await telling.tell(tree(_0="a")))


@pytest.mark.real
async def test_a_backstage_that_is_between_two_indexes_is_asked_again() -> None:
    """It has dropped the old Location and does not show the new one yet."""
    backstage = Backstage()
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        backstage.known.add(location("1"))

    async with running(backstage) as telling:
        telling.sleep = sleep
        assert await telling.tell(tree(_1="a")) is None
    assert backstage.refreshed == [location("1")]
    assert len(waited) == 1


@pytest.mark.real
async def test_a_backstage_that_is_down_is_a_warning_and_is_told_later() -> None:
    backstage = Backstage({location("0")})
    async with running(backstage) as telling:
        url, telling.url = telling.url, "http://127.0.0.1:9"
        assert "cannot be reached" in warned(await telling.tell(tree(_0="a")))
        telling.url = url
        assert await telling.tell(tree(_0="a"), changed=[]) is None
        assert backstage.refreshed == [location("0")], "although this publish wrote nothing"
        assert telling.counts == {"failed": 1, "refreshed": 1}


@pytest.mark.real
async def test_a_refused_token_is_asked_with_once() -> None:
    backstage = Backstage({location("0"), location("1")})
    async with running(backstage) as telling:
        telling.token = "wrong"
        assert "FESTER_BACKSTAGE_TOKEN" in warned(await telling.tell(tree(_0="a", _1="b")))
        assert backstage.asked == 1


@pytest.mark.real
async def test_a_moment_of_overload_is_tried_again_and_a_long_one_is_not() -> None:
    backstage = Backstage({location("0")}, statuses=[503, 429])
    async with running(backstage) as telling:
        assert await telling.tell(tree(_0="a")) is None
        backstage.statuses, backstage.asked = [503] * 10, 0
        assert "503" in warned(await telling.tell(tree(_0="b")))
        assert backstage.asked == TRIES


@pytest.mark.real
async def test_a_redirect_does_not_carry_the_token_away() -> None:
    backstage = Backstage({location("0")}, statuses=[302])
    async with running(backstage) as telling:
        assert "302" in warned(await telling.tell(tree(_0="a")))
        assert backstage.asked == 1


@pytest.mark.real
async def test_many_are_asked_for_side_by_side_within_a_bound() -> None:
    names = [f"{number:06b}" for number in range(40)]
    backstage = Backstage({location(name) for name in names})
    async with running(backstage) as telling:
        assert await telling.tell(tree(**{f"_{name}": "a" for name in names})) is None
        assert len(backstage.refreshed) == 40
        assert backstage.most_at_once <= SIDE_BY_SIDE


def test_its_token_is_not_in_its_repr() -> None:
    assert "secret-token" not in repr(refresher("http://127.0.0.1:9"))


@pytest.mark.real("it waits between tries")
def test_run_tells_and_a_dry_run_says_what_it_would_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Backstage that is not there costs a warning and no exit code."""
    project = tmp_path / "checkouts" / "shop"
    project.mkdir(parents=True)
    project.joinpath("qm.yaml").write_text(
        "version: 1\nservice:\n  name: Shop\n  owner: {team: tills}\n", "utf-8"
    )
    config = tmp_path / "fester.yaml"
    config.write_text("backstage: {url: 'http://127.0.0.1:9', refresh: true}\n", "utf-8")
    monkeypatch.setenv("FESTER_BACKSTAGE_TOKEN", "secret-token")
    command = [
        "run",
        f"--config={config}",
        f"--from={tmp_path / 'checkouts'}",
        f"--to={tmp_path / 'catalog'}",
        f"--store=sqlite:///{tmp_path}/store.db",
    ]
    done = CliRunner().invoke(main, [*command, "--dry-run"])
    assert "Backstage would refresh: location:default/fester-all" in done.output
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0
    assert "was not told what changed" in done.output
    assert "secret-token" not in done.output
