"""Facts after a warm crawl of the sandbox: seconds, extra requests, bytes a day; a year's ranges.

    python -m tests.benchmarks.facts [--projects 10000] [--days 7] [--year 200]

Each further day is the same organization a day older, with something changed in every twentieth
project. `--year` is how many services have a year of daily facts when ranges are asked for.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import statistics
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from bridge.model.entities import Catalog
from bridge.model.memory import Memory
from bridge.model.scrape import Observation
from bridge.ox.facts.collecting import FactService
from bridge.ox.facts.gitlab import GitLabCollector
from bridge.ox.facts.gitlab_rest import GitLabRestCollector
from bridge.ox.facts.manifest import ManifestCollector
from bridge.passes.runner import Passes
from bridge.passes.stages import Pass, PassOptions
from bridge.store import FactHistory
from bridge.wiring import Wired, wired
from bridge.wiring.clock import utc_now
from tests.benchmarks.crawl import settings
from tests.benchmarks.gitlab import TOKEN, GitLab, gitlab

RANGES = 200


@dataclass
class Clock:
    """A clock that a day is added to."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now


def say(what: str, figure: str) -> None:
    sys.stdout.write(f"{what:<52} {figure}\n")
    sys.stdout.flush()


def size(folder: Path) -> int:
    """Bytes of the store, everything written back into its file."""
    with sqlite3.connect(folder / "s.db") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return (folder / "s.db").stat().st_size


async def timed(step: FactService, done: Pass, observations: Mapping[int, Observation]) -> float:
    known = await done.known()
    begun = perf_counter()
    await step.after_pass(known.catalog, known.memory, observations)
    return perf_counter() - begun


def older(
    observations: Mapping[int, Observation], day: int, changed: random.Random
) -> dict[int, Observation]:
    """The same projects a day later."""
    aged = {}
    for number, seen in observations.items():
        values = dict(seen.values)
        if changed.random() < 0.05:
            values["open_merge_requests"] = changed.randint(0, 30)
            values["pipeline_status"] = changed.choice(["success", "failed"])
        aged[number] = replace(seen, seen_at=seen.seen_at + timedelta(days=day), values=values)
    return aged


async def first_day(parts: Wired, server: GitLab, clock: Clock, folder: Path) -> Pass:
    """A warm crawl, the facts that ride on it, and one batch of those that do not."""
    await Passes(parts.stages).run(PassOptions())
    server.counts()
    begun = perf_counter()
    done = await Passes(parts.stages).run(PassOptions())
    crawled = server.counts().total()
    say("a warm crawl", f"{perf_counter() - begun:.1f} s, {crawled} requests")
    before = size(folder)
    ours = (ManifestCollector(clock), GitLabCollector())
    step = FactService("facts", ours, parts.store.facts(), clock)
    took = await timed(step, done, done.observations)
    count = sum(len(each.facts) for known in step.board.latest.values() for each in known.values())
    extra = server.counts().total()
    say(f"{count} facts of {len(step.board.latest)} services", f"{took:.1f} s, {extra} requests")
    say("the store grew on the first day by", f"{(size(folder) - before) / 1e6:.1f} MB")
    took = await timed(step, done, done.observations)
    say("the same again, nothing changed", f"{took:.1f} s, {server.counts().total()} requests")
    rest = GitLabRestCollector(server.url, TOKEN, clock=utc_now)
    asking = FactService("rest", (rest,), parts.store.facts(), utc_now)
    took = await timed(asking, done, {})
    await rest.close()
    asked = len(asking.board.latest)
    say(
        f"one batch over REST, {asked} services",
        f"{took:.1f} s, {server.counts().total()} requests",
    )
    return done


async def days(parts: Wired, done: Pass, clock: Clock, count: int, folder: Path) -> None:
    """More days of all services: what each costs."""
    changed = random.Random(7)
    step = FactService(
        "facts", (ManifestCollector(clock), GitLabCollector()), parts.store.facts(), clock
    )
    await step.load()
    before, spent, began = size(folder), [], clock.now
    for day in range(1, count + 1):
        clock.now = began + timedelta(days=day)
        spent.append(await timed(step, done, older(done.observations, day, changed)))
    grown = (size(folder) - before) / count
    say("each further day", f"{statistics.median(spent):.1f} s, {grown / 1e6:.2f} MB")
    begun = perf_counter()
    latest = await parts.store.facts().latest_facts("facts")
    say(f"to load the facts of {len(latest)} services", f"{perf_counter() - begun:.1f} s")


async def year(parts: Wired, done: Pass, clock: Clock, services: int) -> None:
    """A year of daily facts of some services, and ranges over it."""
    began, changed = clock.now, random.Random(8)
    known = await done.known()
    some = Catalog(tuple(e for e in known.catalog.entities if e.ref.kind == "component")[:services])
    wanted = {entity.origins[0].project_id for entity in some.entities}
    seen = {number: each for number, each in done.observations.items() if number in wanted}
    memory = Memory({n: p for n, p in known.memory.projects.items() if n in wanted})
    store = parts.store.facts(FactHistory(thin_after=400 * 86_400))
    step = FactService("year", (ManifestCollector(clock), GitLabCollector()), store, clock)
    for day in range(365):
        clock.now = began + timedelta(days=day)
        await step.after_pass(some, memory, older(seen, day, changed))
    spent, rows = [], 0
    for n in range(RANGES):
        entity = some.entities[n % len(some.entities)].ref
        begun = perf_counter()
        found = await store.facts_between(
            "year", entity, ["manifest", "gitlab"], began - timedelta(days=1), clock.now
        )
        spent.append(perf_counter() - begun)
        rows += len(found)
    ordered = sorted(spent)
    say(
        f"a range over a year, {rows // RANGES} readings",
        f"median {ordered[len(ordered) // 2] * 1000:.1f} ms, "
        f"95 % within {ordered[len(ordered) * 95 // 100] * 1000:.1f} ms",
    )


async def measure(server: GitLab, arguments: argparse.Namespace, folder: Path) -> None:
    clock = Clock(utc_now())
    async with wired(settings(server.url, folder)) as parts:
        done = await first_day(parts, server, clock, folder)
        await days(parts, done, clock, arguments.days, folder)
        await year(parts, done, clock, arguments.year)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--projects", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--year", type=int, default=200)
    arguments = parser.parse_args()
    with gitlab(arguments.projects, None) as server, TemporaryDirectory() as folder:
        asyncio.run(measure(server, arguments, Path(folder)))


if __name__ == "__main__":
    main()
