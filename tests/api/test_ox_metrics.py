"""What `/metrics` tells of Ox."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.core import Metric

from bridge.api.app import make_app
from bridge.api.live import Live
from bridge.api.ox_metrics import OxMetrics
from bridge.api.parts import AppParts
from bridge.errors import StoreError
from bridge.model.collector_health import cause
from bridge.model.remediation import Case, IssueKey
from tests.api.measured import watched
from tests.api.scored import API, TODAY
from tests.api.test_remediation import Book
from tests.ox.rubrics import reading
from tests.ox.test_collecting import Clock


def samples(families: list[Metric]) -> dict[tuple[str, ...], float]:
    """Values by name and labels, in the order that they were declared."""
    return {
        (each.name.removeprefix("fester_ox_"), *each.labels.values()): each.value
        for family in families
        for each in family.samples
    }


@pytest.mark.store
async def test_each_is_counted(tmp_path: Path) -> None:
    async with watched(tmp_path) as metrics:
        clock = metrics.clock
        assert isinstance(clock, Clock)
        clock.now = TODAY + timedelta(hours=1)
        found = samples(await metrics.families())
    expected = {
        ("facts", "mine", "known", ""): 1,
        ("facts", "mine", "unknown", "token"): 2,
        ("facts_age_seconds", "mine"): 3600,
        ("collector_cadence_seconds", "mine"): 86_400,
        ("collector_round_age_seconds", "mine"): 3600,
        ("collector_waiting", "mine"): 0,
        ("collector_failed", "mine"): 2,
        ("services", "insufficient data"): 1,
        ("services", "starting"): 1,
        ("services", "silver"): 1,
        ("gates_failed", "protected"): 1,
        ("below_target",): 1,
        ("check_flips_total", "readme", "pass"): 1,
        ("remediations", "opened"): 1,
        ("remediations", "snoozed"): 1,
        ("remediation_actions", "open", "planned"): 1,
        ("remediation_actions", "defer", "put off"): 1,
        ("remediation_actions", "edit", "refused"): 1,
        ("remediation_actions", "close", "written"): 1,
        ("remediation_paused_checks",): 1,
        ("remediation_stopped",): 1,
        ("remediation_unlisted",): 0,
        ("notices", "webhook", "sent"): 7,
        ("notices", "webhook", "waiting"): 1,
        ("notices_refused", "webhook"): 3,
    }
    assert {key: found.get(key) for key in expected} == expected
    assert 0 < found["coverage_ratio",] < 1
    assert found["scores_age_seconds",] > 0
    assert found["notices_waiting_seconds", "webhook"] > 0


@pytest.mark.store
async def test_it_counts_anew_what_has_changed_and_only_that(tmp_path: Path) -> None:
    async with watched(tmp_path) as metrics:
        before = samples(await metrics.families())
        known = metrics._facts[1], metrics._scores[1]
        await metrics.families()
        assert (metrics._facts[1] is known[0], metrics._scores[1] is known[1]) == (True, True)
        keeper = metrics.scored
        assert keeper is not None
        worse = {"readme": False, "protected": True, "approvals": 1}
        await keeper.evaluate({API.ref: reading(API, worse, at=TODAY)})  # type: ignore[attr-defined]
        after = samples(await metrics.families())
    assert after["check_flips_total", "readme", "fail"] == 1
    assert after["check_flips_total", "protected", "pass"] == 1
    assert before["gates_failed", "protected"] == 1
    assert ("gates_failed", "protected") not in after


class _Away(Book):
    """A store that does not answer, and counts how often it was asked."""

    asked = 0

    async def cases(self) -> Mapping[IssueKey, Case]:
        self.asked += 1
        raise StoreError("gone")


@pytest.mark.store
async def test_a_store_that_is_away_is_asked_once_a_minute_and_fails_nothing(
    tmp_path: Path,
) -> None:
    async with watched(tmp_path) as made:
        book, clock = _Away(), Clock(TODAY)
        metrics = OxMetrics(made.facts, made.scored, book, clock)
        found = [samples(await metrics.families()) for _ in range(3)]
        assert book.asked == 1
        assert ("facts", "mine", "known", "") in found[2]
        clock.now += timedelta(seconds=61)
        await metrics.families()
        assert book.asked == 2


@pytest.mark.real
async def test_they_are_served_and_a_fester_without_ox_serves_the_others(tmp_path: Path) -> None:
    async with watched(tmp_path) as made:
        app = make_app(
            Live(),
            AppParts(clock=made.clock, facts=made.facts, scored=made.scored, remediation=made.book),
        )
        async with TestClient(TestServer(app)) as client:
            text = await (await client.get("/metrics")).text()
    assert 'fester_ox_facts{cause="token",collector="mine",standing="unknown"} 2.0' in text
    assert "fester_hints_waiting 0.0" in text
    async with TestClient(TestServer(make_app(Live(), AppParts()))) as client:
        answer = await client.get("/metrics")
        assert (answer.status, "fester_ready 0.0" in await answer.text()) == (200, True)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("403 from GitLab: the token's role is too low here, it needs Reporter", "role"),
        ("this GitLab's licence is Free; only GitLab Premium has approval rules", "licence"),
        ("Snyk asks to wait (429)", "rate-limit"),
        ("PagerDuty refuses the token (401)", "token"),
        ("Snyk did not answer: time out", "no-answer"),
        ("the collector did not end within 1800 s", "no-answer"),
        ("the collector failed: ValueError: x", "collector"),
        ("PagerDuty answered 502", "answer"),
        ("🦊 \n{label='x'}", "other"),
    ],
)
def test_a_reason_becomes_one_of_few_causes(reason: str, expected: str) -> None:
    assert cause(reason) == expected
