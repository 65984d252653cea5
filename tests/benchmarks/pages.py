"""How fast and how heavy the pages are over HTTP, with a large catalog and many problems.

    python -m tests.benchmarks.pages --entities 20000

A generated catalog, scored, is served by one process. Prints for every page its bytes, and
in ms the first answer (what is made of a whole catalog is made then), the processor's time of
one on average, the median, the 95th percentile and the longest.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, Final

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bridge.api.app import make_app
from bridge.api.live import Live
from bridge.api.parts import AppParts
from bridge.model.entities import Catalog
from bridge.model.memory import Memory, PassRecord
from bridge.model.problems import Problem, Severity
from bridge.model.runs import Outcome, Report
from bridge.ox.scores.rubric_file import RubricFile
from bridge.ox.scores.scorekeeping import Scorekeeper
from bridge.store import open_store
from tests.answers.fleet import SHOP, TEAM, service
from tests.api.shown import show
from tests.ox.rubrics import NOW, SCHEMA, reading, small

PAGES: Final = (
    "/",
    "/entities",
    "/entities?q=service-7&kind=component",
    "/search?q=service",
    "/search?q=payments+dashboard",
    "/entity/component:default/service-0",
    "/entity/group:default/payments",
    "/entity/system:default/shop",
    "/map",
    "/map/system:default/shop",
    "/map/component:default/service-0",
    "/documents",
    "/documents?kind=runbook&q=service-7",
    "/incident/service-0",
    "/problems",
    "/problems?team=payments&severity=warning",
    "/explain?ref=service-7",
    "/scores",
    "/scores/team",
    "/scores/team/group:default/payments",
    "/scores/entity/component:default/service-7",
    "/waivers",
    "/movers/team",
    "/changes",
)
TEXT: Final = "Takes what others give, and gives what others take, each in its own time. " * 3


def town(size: int) -> tuple[Any, ...]:
    """`size` services of one team and one system, each with documents; all need the first one."""
    made = [TEAM, SHOP]
    for number in range(size):
        name = f"service-{number}"
        links = [
            {"url": f"https://wiki.example.com/{name}", "title": f"When {name} is down"}
            | {"type": "runbook"},
            {"url": f"https://grafana.example.com/d/{number}", "title": "Dashboard"},
        ]
        needs = ("service-0", f"service-{number // 2}") if number else ()
        made.append(service(name, tier=1 + number % 4, needs=needs, links=links, description=TEXT))
    return tuple(sorted(made, key=lambda each: str(each.ref)))


def wrong(size: int) -> tuple[Problem, ...]:
    """A problem for every fourth service, as long as ours get."""
    return tuple(
        Problem(
            f"unknown key `lifecyle` in service-{number}: {TEXT}",
            ("unknown-key", "manifest-invalid", "dangling")[number % 3],
            list(Severity)[number % 3],
            project=f"shop/service-{number}",
            file="qm.yaml",
            line=number + 1,
            ref=f"component:default/service-{number}",
        )
        for number in range(0, size, 4)
    )


@asynccontextmanager
async def served(size: int) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    """All of it over HTTP, scored once."""
    entities = town(size)
    live = Live()
    kinds = {"Component": size, "Group": 1, "System": 1}
    report = Report(Outcome.COMPLETE, 1.0, entities=kinds, problems=wrong(size))
    show(live, PassRecord(report, Catalog(entities)), (), Memory(), NOW)
    store = await open_store("sqlite://")
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = RubricFile(Path(folder, "rubric.yaml"), [SCHEMA], small(Path(folder)))
            keeper = Scorekeeper("https://gitlab.example.com", file, store.scores(), lambda: NOW)
            keeper.take_catalog(Catalog(entities))
            facts = {"readme": False, "protected": False, "approvals": 1}
            services = [each for each in entities if each.ref.kind == "component"]
            await keeper.evaluate({each.ref: reading(each, facts, at=NOW) for each in services})
            app = make_app(live, AppParts(clock=lambda: NOW, scored=keeper))
            async with TestClient(TestServer(app)) as client:
                yield client
    finally:
        await store.close()


async def measure(size: int, times: int) -> None:
    """Print a line for each page."""
    async with served(size) as client:
        for path in PAGES:
            taken, weight, busy = [], 0, process_time()
            for _ in range(times):
                begun = perf_counter()
                answer = await client.get(path)
                weight = len(await answer.read())
                taken.append(1000 * (perf_counter() - begun))
            busy = 1000 * (process_time() - busy) / times
            first = taken[0]
            taken.sort()
            late = taken[int(0.95 * (len(taken) - 1))]
            print(  # noqa: T201 — a benchmark prints
                f"{path:45}{weight:8,} bytes; first {first:6.1f}, busy {busy:6.1f}, median "
                f"{statistics.median(taken):6.1f}, p95 {late:6.1f}, longest {taken[-1]:6.1f} ms"
            )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entities", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=20)
    given = parser.parse_args()
    asyncio.run(measure(given.entities, given.times))


if __name__ == "__main__":
    main()
