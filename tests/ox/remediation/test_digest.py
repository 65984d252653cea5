"""A team's week, and its way to a receiver that may fail."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bridge.model.entities import Json, Ref
from bridge.model.facts import Fact, Reading, Standing
from bridge.model.initiatives import Initiative, OpenService, Progress
from bridge.model.scores import CheckState, Rollup, RollupKind, Scoreboard, ScoreDay
from bridge.ox.remediation.digest import digests, slack_message, week_ago, week_of
from bridge.ox.remediation.posting import Digesting, Webhook
from bridge.store import open_store
from tests.ox.remediation.fleets import CHECKS, result, score, service

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
F, P = CheckState.FAIL, CheckState.PASS


def day(value: float | None, **states: CheckState) -> ScoreDay:
    return ScoreDay(date(2026, 11, 15), value, 1, True, "x", 2, 80, "r", states)


def week() -> tuple[Scoreboard, dict[Ref, ScoreDay]]:
    """Service 1 got better, 2 worse, 3 stayed, 4 is new; `owner` is a gate."""
    states = {1: {"ci": P, "slo": F}, 2: {"ci": F, "owner": F}, 3: {"slo": F}, 4: {}}
    scores = [
        score(service(n), [result(service(n), c, said.get(c, P), NOW) for c in CHECKS], NOW)
        for n, said in states.items()
    ]
    members = tuple(service(n) for n in states)
    rollups = (Rollup(RollupKind.TEAM, "group:default/a", 50.0, 1, 4, 0, 0, {}, members),)
    board = Scoreboard(NOW, "r", {one.entity: one for one in scores}, rollups)
    before = {
        service(1): day(40.0, ci=F, slo=F),
        service(2): day(60.0, ci=P, owner=P),
        service(3): day(50.2),
    }
    return board, before


def test_what_moved_and_what_would_bring_most() -> None:
    (made,) = digests(*week(), week_of(NOW))
    tree = made.as_json()
    assert tree["week"] == "2026-W48"
    assert tree["better"] == [
        {"entity": "component:default/service-1", "points": 10.0, "checks": ["ci"]}
    ]
    assert tree["worse"] == [
        {"entity": "component:default/service-2", "points": -10.0, "checks": ["owner", "ci"]}
    ]
    assert [(win["check"], win["gate"]) for win in tree["wins"]] == [
        ("owner", True),
        ("ci", False),
        ("slo", False),
    ]
    assert len(tree["wins"]) == 3


def test_it_compares_with_the_end_of_the_week_before_last() -> None:
    """On Monday as on Sunday: the same digest all week."""
    days = {week_ago(datetime(2026, 11, n, tzinfo=UTC)) for n in range(23, 30)}
    assert days == {date(2026, 11, 15)}


def test_slack_reads_no_mention_and_no_link() -> None:
    board, before = week()
    nasty = Rollup(
        RollupKind.TEAM, "<!channel> @all *x*", None, 1, 4, 0, 0, {}, board.rollups[0].members
    )
    (made,) = digests(Scoreboard(NOW, "r", board.scores, (nasty,)), before, "2026-W48")
    message = slack_message(made)
    text = message["blocks"][0]["text"]["text"]
    assert "&lt;!channel&gt; @\u200ball *\u200bx*\u200b" in text
    assert len(text) <= 3000


def snyk(number: int, value: Json, standing: Standing = Standing.KNOWN) -> Reading:
    fact = Fact("issues_by_severity", value, NOW, "Snyk", standing)
    return Reading(service(number), "snyk", "1.0.0", NOW, (fact,))


def test_what_snyk_has_open_is_told_by_team() -> None:
    """Summed over services; what is not watched is left out, what was not read is said."""
    board, before = week()
    latest = {
        service(1): {"snyk": snyk(1, {"critical": 1, "high": 2, "medium": 0, "low": 4})},
        service(2): {"snyk": snyk(2, {"critical": 1, "high": 0, "medium": 0, "low": 0})},
        service(3): {"snyk": snyk(3, None, Standing.UNKNOWN)},
        service(4): {"snyk": snyk(4, None, Standing.NOT_APPLICABLE)},
    }
    (made,) = digests(board, before, "2026-W48", latest)
    assert made.as_json()["snyk"] == {
        "open": {"critical": 2, "high": 2, "medium": 0, "low": 4},
        "services": 2,
        "unread": 1,
    }
    said = slack_message(made)["blocks"][0]["text"]["text"]
    assert said.endswith(
        "*Open in Snyk*: 2 critical, 2 high, 0 medium, 4 low, in 2 services; 1 could not be read"
    )
    assert digests(board, before, "2026-W48")[0].snyk is None


@dataclass
class Receiver:
    """A Slack-compatible receiver that answers by a list of statuses."""

    statuses: list[int] = field(default_factory=list)
    got: list[Any] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200:
            self.got.append(await request.json())
        return web.Response(status=status, text="ok")


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[Receiver, str]]:
    made = Receiver()
    app = web.Application()
    app.router.add_post("/secret-path", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield made, f"http://127.0.0.1:{runner.addresses[0][1]}/secret-path"
    await runner.cleanup()


@pytest.mark.real
async def test_each_team_gets_its_digest_once(
    receiver: tuple[Receiver, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A receiver that fails is asked again in the next run; its address is never told."""
    made, url = receiver
    board, _ = week()
    store = await open_store(f"sqlite:///{tmp_path}/s.db")
    weekly = Digesting("corp", store.scores(), store.digests, Webhook(url), lambda: NOW)
    made.statuses = [500]
    assert len(await weekly.run(board)) == 1
    assert made.got == []
    await weekly.run(board)
    await weekly.run(board)
    assert [message["text"] for message in made.got] == [
        "group:default/a, 2026-W48: score 50, 4 services"
    ]
    assert (await store.digests.latest("corp"))[0]["team"] == "group:default/a"
    own = replace(weekly, webhook=None, teams={"group:default/a": Webhook(url)}, source="other")
    await own.run(board)
    assert len(made.got) == 2
    calm = replace(weekly, source="calm")  # nothing moved and nothing fails: nobody is written to
    quiet = score(service(1), [result(service(1), c, P, NOW) for c in CHECKS], NOW)
    rollup = replace(board.rollups[0], members=(service(1),))
    await calm.run(Scoreboard(NOW, "r", {service(1): quiet}, (rollup,)))
    assert len(made.got) == 2
    gone = Webhook("http://127.0.0.1:1/secret-path")
    assert await gone.post([{}] * 5) == [False] * 5
    assert "secret-path" not in repr(gone) + capsys.readouterr().out
    await store.close()


def test_a_team_reads_which_initiatives_wait_for_it() -> None:
    """Those that run, as far as they are the team's; nothing is said of others."""
    today = NOW.date()
    runs = Initiative("r", "<!here> READMEs", "group:default/p", ("ci",), today, today)
    ended = replace(runs, id="e", due=today - timedelta(days=1))
    left = tuple(OpenService(ref, ("ci",), ()) for ref in (service(1), service(2), service(99)))
    goals = [Progress(goal, today, today, 9, left) for goal in (runs, ended)]
    board, before = week()
    (made,) = digests(board, before, week_of(NOW), initiatives=goals)
    assert made.as_json()["initiatives"] == [
        {"title": "<!here> READMEs", "due": today.isoformat(), "open": 2, "atRisk": True}
    ]
    text = slack_message(made)["blocks"][0]["text"]["text"]
    assert "READMEs: 2 open, due 2026-11-24, at risk" in text
    assert "<!here>" not in text
