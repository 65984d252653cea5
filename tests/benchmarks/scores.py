"""Scores of many services: seconds a board, seconds to save it, and queries over a year.

    python -m tests.benchmarks.scores [--services 10000] [--changing 0.05]

The year is written as the store would have: a row for each service on each day that it changed,
`--changing` of all services a day.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

from bridge.model.entities import CatalogEntity, Ref
from bridge.model.facts import Fact, Reading, Standing
from bridge.model.scores import RollupKind, Scoreboard
from bridge.ox.scores.rubric import LoadedRubric
from bridge.ox.scores.scoreboard import EarlierScores, evaluate
from bridge.store import SqlStore, open_store
from bridge.store.ox_tables import rollup_days, score_days
from bridge.store.score_rows import day_values, rollup_values
from bridge.store.upsert import put_rows
from bridge.wiring.ox import rubric

TODAY = datetime(2026, 6, 1, tzinfo=UTC)
SOURCE = "https://gitlab.example.com"
DAYS = 365
CHOICES: dict[str, list[Any]] = {
    "force_push_allowed": [True, False],
    "critical_older_than_30_days": [0, 1, 5],
    "approvals_required": [0, 1, 2],
    "days_without_release": [3, 60, 200],
}


def say(label: str, took: float, more: str = "") -> None:
    sys.stdout.write(f"{label:<52} {took:9.3f} s  {more}\n")


def size_of(file: Path) -> int:
    """What a store takes on the disk, its log included."""
    return sum(each.stat().st_size for each in file.parent.glob(f"{file.name}*"))


def fleet(count: int) -> list[CatalogEntity]:
    """Services of 300 teams, 100 systems and 20 products."""
    bodies = (
        {
            "kind": "Component",
            "metadata": {
                "name": f"service-{number}",
                "labels": {"fester.dev/tier": f"tier_{1 + number % 4}"},
                "annotations": {"fester.dev/product": f"Product {number % 20}"},
            },
            "spec": {"owner": f"group:default/t{number % 300}", "system": f"s{number % 100}"},
        }
        for number in range(count)
    )
    return [CatalogEntity(Ref.of(body), body, ()) for body in bodies]


def facts_of(
    loaded: LoadedRubric, entities: list[CatalogEntity], rng: random.Random
) -> dict[Ref, dict[str, Reading]]:
    """What a warm crawl knows: one fact in twenty could not be read."""
    names = sorted({fact for check in loaded.rubric.checks for fact in check.facts})
    readings: dict[Ref, dict[str, Reading]] = {}
    for entity in entities:
        found: dict[str, list[Fact]] = {}
        for name in names:
            retriever, _, fact = name.partition(".")
            values = CHOICES.get(fact, [True, True, False])
            known = rng.random() > 0.05
            value = rng.choice(values) if known else None
            standing = Standing.KNOWN if known else Standing.UNKNOWN
            source = f"https://gitlab.example.com/shop/{entity.ref.name}"
            reason = "" if known else "GitLab answered 502"
            found.setdefault(retriever, []).append(
                Fact(fact, value, TODAY, source, standing, reason)
            )
        readings[entity.ref] = {
            name: Reading(entity.ref, name, "1.0.0", TODAY, tuple(each))
            for name, each in found.items()
        }
    return readings


async def timed(label: str, work: Callable[[], Awaitable[object]], more: str = "") -> None:
    begun = perf_counter()
    await work()
    say(label, perf_counter() - begun, more)


async def write_year(
    store: SqlStore, loaded: LoadedRubric, board: Scoreboard, share: float, rng: random.Random
) -> int:
    """A year of history before `TODAY`; how many rows."""
    refs = list(board.scores)
    written = 0
    async with store._writing("write a year") as connection:
        for back in range(DAYS, 0, -1):
            day = (TODAY - timedelta(days=back)).date().toordinal()
            changing = refs if back == DAYS else rng.sample(refs, int(len(refs) * share))
            whose = {"source_id": 1, "day": day}
            rows = [
                {**whose, "entity": str(ref), **day_values(board.scores[ref], loaded.rubric)}
                for ref in changing
            ]
            for row in rows:
                row["value"] = round(rng.uniform(0, 100), 4)
            rollups = [
                {**whose, "kind": each.kind, "name": each.name, **rollup_values(each)}
                for each in board.rollups
            ]
            await put_rows(connection, score_days, rows)
            await put_rows(connection, rollup_days, rollups)
            written += len(rows) + len(rollups)
    return written


async def run(count: int, share: float, folder: Path) -> None:
    """Measure, and print."""
    rng = random.Random(7)
    loaded, entities = rubric(None), fleet(count)
    readings = facts_of(loaded, entities, rng)
    begun, earlier = perf_counter(), EarlierScores()
    board = evaluate(loaded, entities, readings, TODAY, earlier=earlier)
    took = perf_counter() - begun
    checks = sum(len(score.results) for score in board.scores.values())
    say(f"evaluate {count} services", took, f"{checks} checks, {count / took:.0f} services/s")
    later, one = TODAY + timedelta(minutes=1), entities[0]
    newer = {name: replace(each, seen_at=later) for name, each in readings[one.ref].items()}
    begun = perf_counter()
    evaluate(loaded, entities, {**readings, one.ref: newer}, later, earlier=earlier)
    say("evaluate them again, one of them changed", perf_counter() - begun)
    file = folder / "store.db"
    store = await open_store(f"sqlite:///{file}")
    try:
        scores = store.scores()
        await timed(
            "save the first board", lambda: scores.record_scores(SOURCE, board, loaded.rubric)
        )
        sys.stdout.write(f"{'the store after it':<52} {size_of(file) / 1e6:9.1f} MB\n")
        again = evaluate(loaded, entities, readings, TODAY + timedelta(minutes=10))
        await timed(
            "save a board in which nothing changed",
            lambda: scores.record_scores(SOURCE, again, loaded.rubric),
        )
        await timed("load the latest board", lambda: scores.latest_scores(SOURCE))
        begun, before = perf_counter(), size_of(file)
        rows = await write_year(store, loaded, board, share, rng)
        grown = size_of(file) - before
        say(f"write a year, {share:.0%} of services changing a day", perf_counter() - begun)
        sys.stdout.write(
            f"{'rows of the year':<52} {rows:9d}    {grown / DAYS / 1e3:.0f} KB a day\n"
        )
        await queries(store, board)
    finally:
        await store.close()


async def queries(store: SqlStore, board: Scoreboard) -> None:
    """Questions over the whole year."""
    scores, refs = store.scores(), list(board.scores)
    start, end = (TODAY - timedelta(days=DAYS)).date(), TODAY.date()
    team = board.rollup(RollupKind.TEAM, "group:default/t0")
    await timed("a service's trend", lambda: scores.score_trend(SOURCE, refs[0], start, end))
    await timed(
        "the organization's trend",
        lambda: scores.rollup_trend(SOURCE, RollupKind.ORGANIZATION, "all", start, end),
    )
    if team is not None:
        members = team.members
        await timed(
            f"a team of {len(members)} on one day",
            lambda: scores.scores_on(SOURCE, members, start + timedelta(days=180)),
        )
    await timed(
        f"all {len(refs)} on one day",
        lambda: scores.scores_on(SOURCE, refs, start + timedelta(days=180)),
    )


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("--changing", type=float, default=0.05)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(options.services, options.changing, Path(folder)))


if __name__ == "__main__":
    main()
