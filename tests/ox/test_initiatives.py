"""Initiatives: read from their file, followed over days, and kept as a record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from bridge.api.app import make_app
from bridge.api.live import Live
from bridge.api.parts import AppParts
from bridge.errors import ConfigurationError, StoreError
from bridge.model.entities import Catalog, Ref
from bridge.model.initiatives import Initiative, OpenService, Progress
from bridge.model.problems import Problem
from bridge.model.scores import CheckResult, CheckState, Rollup, RollupKind, Score, Scoreboard
from bridge.ox.scores.initiatives import Initiatives, concerned, load_initiatives, promised
from bridge.ox.scores.rubric_in_force import RubricFile
from bridge.ox.scores.scorekeeping import Scorekeeper
from bridge.store import open_store
from tests.ox.rubrics import NOW, SCHEMA, reading, service, small
from tests.ox.test_collecting import Clock

EVIL = "<script>alert(1)</script>"
FILE = f"""\
readmes:
  title: Every service has a README {EVIL}
  owner: platform
  checks: [readme]
  tiers: [1, 2]
  teams: [red]
  starts: 2026-03-01
  due: 2026-04-30
"""
CHECKS = ("readme", "protected", "approvals")
FLEET = [
    service(f"s{n}", tier=1 if n < 10 else 4, spec={"owner": "group:default/red"})
    for n in range(12)
]
OTHERS = service("others", tier=1, spec={"owner": "group:default/blue"})


@asynccontextmanager
async def following(
    folder: Path, days: int, *, each_week: int = 2, step: int = 1
) -> AsyncIterator[Initiatives]:
    """So many days, in each week of which so many more services of the fleet get a README.

    They are judged once in `step` days.
    """
    (folder / "initiatives.yaml").write_text(FILE, "utf-8")
    clock, store = Clock(NOW), await open_store("sqlite://")
    keeper = Scorekeeper(
        "here", RubricFile(folder / "rubric.yaml", [SCHEMA], small(folder)), store.scores(), clock
    )
    keeper.take_catalog(Catalog((*FLEET, OTHERS)))
    for day in range(0, days + 1, step):
        clock.now = NOW + timedelta(days=day)
        done = day // 7 * each_week
        await keeper.evaluate(
            {
                each.ref: reading(each, {"readme": n < done, "protected": False}, at=clock.now)
                for n, each in enumerate([*FLEET, OTHERS])
            }
        )
    try:
        yield Initiatives(folder / "initiatives.yaml", keeper, clock)
    finally:
        await store.close()


@pytest.mark.store
async def test_it_is_for_whom_it_says_and_burns_down(tmp_path: Path) -> None:
    async with following(tmp_path, 21) as goals:
        (found,) = await goals.progress()
    assert (found.state, found.concerned, found.done) == ("running", 10, 6)
    assert [each.entity.name for each in found.open] == ["s6", "s7", "s8", "s9"]
    assert found.open[0].failing == ("readme",)
    counts = [count for _, count in found.burn_down]
    assert counts == sorted(counts, reverse=True)
    assert found.burn_down[0] == (date(2026, 3, 1), 10)
    assert found.burn_down[-1] == (date(2026, 3, 22), 4)
    # Six in three weeks: the other four in two.
    assert found.expected == date(2026, 4, 5)
    assert not found.at_risk
    assert promised([found]) == {(each.entity, "readme") for each in found.open}


@pytest.mark.store
async def test_what_stands_still_is_at_risk(tmp_path: Path) -> None:
    async with following(tmp_path, 21, each_week=0) as goals:
        (found,) = await goals.progress()
    assert (found.expected, found.at_risk, found.done) == (None, True, 0)


@pytest.mark.store
async def test_one_that_has_ended_stays_as_it_was_on_its_last_day(tmp_path: Path) -> None:
    async with following(tmp_path, 75, each_week=1, step=5) as goals:
        (found,) = await goals.progress()
        assert (await goals.progress())[0] is found
    assert (found.state, found.day) == ("ended", date(2026, 4, 30))
    assert found.done == 8  # on the 60th day; ten weeks on it would be ten
    assert found.burn_down[-1] == (date(2026, 4, 30), 2)
    assert not found.at_risk
    assert promised([found]) == frozenset()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("checks: [readme]", "checks: [redme]"), r":4:12: `redme` is not a check .*readme"),
        (("due: 2026-04-30", "due: 2026-02-28"), r":8:8: `due` comes before `starts`"),
        (("due: 2026-04-30", "due: 2026-02-30"), r":8:8: .*no day of the calendar"),
        (("due: 2026-04-30", "due: soon"), r":8:8: .*must be a date"),
        (("tiers: [1, 2]", "tiers: [5]"), r":5:11: "),
        (("owner: platform", "owner: 'a b/c/d'"), r":3:10: "),
        (("title:", "titel:"), r"title"),
    ],
)
def test_what_is_wrong_is_told_at_its_line(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    path = tmp_path / "initiatives.yaml"
    assert load_initiatives(path, CHECKS) == ()
    path.write_text(FILE.replace(*change), "utf-8")
    with pytest.raises(ConfigurationError, match=said):
        load_initiatives(path, CHECKS)


@pytest.mark.store
async def test_a_broken_file_keeps_the_last_good_one_and_says_so(tmp_path: Path) -> None:
    async with following(tmp_path, 8) as goals:
        before = await goals.progress()
        (tmp_path / "initiatives.yaml").write_text("readmes: 1\n", "utf-8")
        assert await goals.progress() == before
        assert [problem.line for problem in goals.problems] == [1]
        (tmp_path / "initiatives.yaml").unlink()
        assert await goals.progress() == ()
        assert goals.problems == ()


@pytest.mark.real
async def test_the_pages_and_the_data(tmp_path: Path) -> None:
    async with following(tmp_path, 21) as goals:
        app = make_app(Live(), AppParts(clock=goals.clock, scored=goals.scores, initiatives=goals))
        async with TestClient(TestServer(app)) as client:
            listed = await (await client.get("/api/ox/initiatives")).json()
            one = await (await client.get("/api/ox/initiatives/readmes")).json()
            missing = await client.get("/api/ox/initiatives/none")
            pages = {}
            for path in ("/initiatives", "/initiatives/readmes", "/initiatives/none"):
                answer = await client.get(path)
                pages[path] = (answer.status, await answer.text())
    assert (listed["items"][0]["openServices"], "open" in listed["items"][0]) == (4, False)
    assert one["open"][0]["entityRef"] == "component:default/s6"
    assert missing.status == 404
    assert {path: status for path, (status, _) in pages.items()} == {
        "/initiatives": 200,
        "/initiatives/readmes": 200,
        "/initiatives/none": 404,
    }
    assert "The share went from 0 to 60" in pages["/initiatives/readmes"][1]
    assert "6 of 10" in pages["/initiatives"][1]
    assert 'data-label="Fails">There is a README<' in pages["/initiatives/readmes"][1]
    assert 'href="/scores/entity/component:default/s6"' in pages["/initiatives/readmes"][1]
    assert not any(EVIL in text for _, text in pages.values())


class Slow:
    """A book that answers when it is let go, or cannot read its store."""

    problems: Sequence[Problem] = ()

    def __init__(self, goals: Initiatives) -> None:
        self.goals, self.go, self.asked, self.fails = goals, asyncio.Event(), 0, False

    async def progress(self) -> Sequence[Progress]:
        self.asked += 1
        await self.go.wait()
        if self.fails:
            raise StoreError("the disk is full")
        return await self.goals.progress()


@pytest.mark.real
async def test_a_page_does_not_wait_for_a_long_history(tmp_path: Path) -> None:
    async with following(tmp_path, 21) as goals:
        slow = Slow(goals)
        parts = AppParts(clock=goals.clock, scored=goals.scores, initiatives=slow)
        app = make_app(Live(), parts)
        async with TestClient(TestServer(app)) as client:

            async def told() -> str:
                """The page, as it is when it says no longer that it is worked out."""
                while True:
                    page = await (await client.get("/initiatives")).text()
                    if "worked out" not in page:
                        return page

            for path in ("/initiatives", "/initiatives/readmes"):
                assert "worked out" in await (await client.get(path)).text()
            assert slow.asked == 1, "what goes on is not begun again"
            slow.go.set()
            assert "6 of 10" in await told()
            slow.fails = True
            assert "the disk is full" in await told()


def goal(due: datetime, open_: int, *burn: tuple[int, int]) -> Progress:
    start = due.date() - timedelta(days=60)
    made = Initiative("x", "X", "group:default/a", ("readme",), start, due.date())
    left = tuple(OpenService(service(f"s{n}").ref, ("readme",), ()) for n in range(open_))
    points = tuple((NOW.date() - timedelta(days=ago), count) for ago, count in burn)
    return Progress(made, NOW.date(), NOW.date(), 10, left, points)


def test_the_pace_is_that_of_four_weeks() -> None:
    """What went fast long ago does not count; what grows has no end."""
    due = NOW + timedelta(days=20)
    assert goal(due, 5, (50, 90), (28, 9), (0, 5)).expected == NOW.date() + timedelta(days=35)
    assert goal(due, 5, (50, 90), (28, 9), (0, 5)).at_risk
    assert goal(due, 5, (28, 4), (0, 5)).expected is None
    assert not goal(due, 0, (28, 9)).at_risk
    assert not replace(goal(due, 5), today=due.date() + timedelta(days=1)).at_risk


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("tier <= 2 and team == 'group:default/red'", ["a", "b"]),
        ("product == 'Checkout'", ["b"]),
        ("score < 80", ["a"]),
        ("level in ['gold', 'silver'] or name == 'c'", ["b", "c"]),
        ("system", []),  # a text is not true
        ("system == 'system:default/shop'", ["a"]),
        ("name | split('-') == 3", []),
    ],
)
def test_an_expression_says_whom_it_concerns(where: str, names: list[str]) -> None:
    scores = {
        ref: Score(ref, value, 1.0, known, level, tier, 90.0, (), (failing(ref),), "r", NOW)
        for name, value, known, level, tier in [
            ("a", 70.0, True, "bronze", 1),
            ("b", 95.0, True, "gold", 2),
            ("c", 10.0, False, "", None),
        ]
        for ref in [Ref("component", "default", name)]
    }
    a, b, _ = scores
    rollups = [
        Rollup(RollupKind.TEAM, "group:default/red", 1.0, 1.0, 2, 0, 0, {}, (a, b)),
        Rollup(RollupKind.SYSTEM, "system:default/shop", 1.0, 1.0, 1, 0, 0, {}, (a,)),
        Rollup(RollupKind.PRODUCT, "Checkout", 1.0, 1.0, 1, 0, 0, {}, (b,)),
    ]
    board = Scoreboard(NOW, "r", scores, tuple(rollups))
    goal = Initiative(
        "g", "G", "o", ("readme",), NOW.date(), NOW.date(), where=f"${{{{ {where} }}}}"
    )
    assert [ref.name for ref in concerned(goal, board, 3)] == names


def failing(ref: Ref, check: str = "readme") -> CheckResult:
    return CheckResult(ref, check, CheckState.FAIL, 1.0)


def test_what_none_of_its_checks_is_about_is_not_concerned() -> None:
    """APIs and groups are on the board, too: of an initiative of services they are no part."""
    api, web = Ref("api", "default", "http"), Ref("component", "default", "web")
    scores = {
        ref: Score(ref, 0.0, 1.0, True, "", 1, 90.0, (), results, "r", NOW)
        for ref, results in (
            (api, (failing(api, "api-defined"),)),
            (web, (failing(web),)),
        )
    }
    board = Scoreboard(NOW, "r", scores)
    goal = Initiative("g", "G", "o", ("readme",), NOW.date(), NOW.date())
    assert concerned(goal, board, 3) == [web]
    assert concerned(replace(goal, checks=("api-defined",)), board, 3) == [api]


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("tier <= 2", "expected one expression"),
        ("${{ tier <= 2 }} and more", "expected one expression"),
        ("${{ teir <= 2 }}", "did you mean `tier`"),
        ("${{ tier == '2' }}", "`tier` is a number"),
        ("${{ team.name == 'x' }}", "`team` has no parts"),
        ("${{ tier <= }}", "cannot"),
    ],
)
def test_what_is_wrong_with_an_expression_is_told_at_its_line(
    tmp_path: Path, where: str, said: str
) -> None:
    path = tmp_path / "initiatives.yaml"
    path.write_text(f'{FILE}  where: "{where}"\n', "utf-8")
    with pytest.raises(ConfigurationError, match=said) as refused:
        load_initiatives(path, CHECKS)
    assert [problem.line for problem in refused.value.problems] == [9]
