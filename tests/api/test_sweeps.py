"""How far a sweep is that several processes read, on the page and for Prometheus."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bridge.api.app import make_app
from bridge.api.live import Live
from bridge.api.parts import AppParts
from bridge.errors import StoreError
from bridge.model.runs import Outcome, Report
from bridge.model.work import SweepProgress, Task
from tests.fakes import NOON

SWEEP = SweepProgress("lab", NOON, False, 3, 2, 7, 1, 2600, 1400, ("<b>500</b> from GitLab",))


async def told(
    aiohttp_client: Any, *sweeps: SweepProgress, broken: bool = False
) -> tuple[str, str]:
    """The page and the metrics."""

    async def found() -> list[SweepProgress]:
        if broken:
            raise StoreError("it does not answer")
        return list(sweeps)

    live = Live(report=Report(Outcome.COMPLETE, 1.0), sweeps=found)
    client = await aiohttp_client(make_app(live, AppParts(clock=lambda: NOON)))
    texts = []
    for path in ("/", "/metrics"):
        answer = await client.get(path)
        assert answer.status == 200
        texts.append(await answer.text())
    return texts[0], texts[1]


async def test_a_sweep_under_way_is_shown(aiohttp_client: Any) -> None:
    page, metrics = await told(aiohttp_client, SWEEP)
    assert "1400 of 2600 projects so far" in page
    assert "&lt;b&gt;500" in page
    assert 'fester_sweep_parts{source="lab",state="under_way"} 2.0' in metrics
    assert 'fester_sweep_parts{source="lab",state="failed"} 1.0' in metrics
    assert 'fester_sweep_projects{source="lab",state="listed"} 2600.0' in metrics
    assert "fester_task_parts" not in metrics


async def test_what_several_merge_is_shown_apart(aiohttp_client: Any) -> None:
    page, metrics = await told(aiohttp_client, SWEEP, replace(SWEEP, task=Task.MERGE, under_way=9))
    assert "1400 of 2600 entities so far" in page
    assert 'fester_task_parts{source="lab",state="under_way",task="merge"} 9.0' in metrics
    assert 'fester_sweep_parts{source="lab",state="under_way"} 2.0' in metrics
    assert metrics.count("fester_sweep_projects{") == 2


async def test_one_that_ended_well_is_no_news(aiohttp_client: Any) -> None:
    page, _ = await told(aiohttp_client, SweepProgress("", NOON, True, done=4))
    assert "several processes" not in page


async def test_a_store_that_does_not_answer_takes_nothing_else_away(aiohttp_client: Any) -> None:
    page, metrics = await told(aiohttp_client, broken=True)
    assert "Last pass" in page
    assert "fester_sweep_parts" not in metrics
