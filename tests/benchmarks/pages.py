"""How fast and how heavy the pages are over HTTP, with a large catalog and many problems.

    python -m tests.benchmarks.pages --entities 20000

A generated organization is served by one process. Prints for every page its bytes, and in ms the
first answer (what is made of a whole catalog is made then), the processor's time of one on average
and at most, the median, the 95th percentile and the longest; PASS where all are within the bounds.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from time import perf_counter, process_time
from typing import Final

from aiohttp import web
from aiohttp.test_utils import TestClient

from tests.benchmarks.town import served

HEAVIEST: Final = 200_000  # bytes
LONGEST: Final = 300.0  # ms
PAGES: Final = (
    "/",
    "/entities",
    "/entities?q=service-7&kind=component",
    "/search?q=service",
    "/search?q=payments+dashboard",
    "/entity/component:default/service-0",
    "/entity/component:default/service-7",
    "/entity/group:default/payments",
    "/entity/group:default/crew-7",
    "/entity/system:default/shop",
    "/entity/domain:default/d1",
    "/fields/component:default/service-7",
    "/fields/group:default/payments",
    "/map",
    "/map/system:default/shop",
    "/map/domain:default/d1",
    "/map/group:default/payments",
    "/map/component:default/service-0",
    "/documents",
    "/documents?kind=runbook&q=service-7",
    "/documents?state=broken",
    "/incident",
    "/incident/service-0",
    "/incident/service-7",
    "/problems",
    "/problems?team=payments&severity=warning",
    "/explain?ref=service-7",
    "/scores",
    "/scores?q=service-7",
    "/scores/team",
    "/scores/team/group:default/payments",
    "/scores/team/group:default/crew-7",
    "/scores/entity/component:default/service-7",
    "/initiatives",
    "/initiatives/readmes",
    "/waivers",
    "/movers/team",
    "/vulnerabilities",
    "/notices",
    "/changes",
    "/changes?owner=payments",
    "/changes?around=service-0&since=1d",
    "/changes/receivers",
)

Client = TestClient[web.Request, web.Application]


async def measured(client: Client, path: str, times: int) -> bool:
    """Print the line of a page; whether it is within the bounds."""
    taken, busy, weight = [], [], 0
    for _ in range(times):
        begun, worked = perf_counter(), process_time()
        answer = await client.get(path)
        weight = len(await answer.read())
        taken.append(1000 * (perf_counter() - begun))
        busy.append(1000 * (process_time() - worked))
    first = taken[0]
    taken.sort()
    good = weight <= HEAVIEST and taken[-1] <= LONGEST
    late = taken[int(0.95 * (len(taken) - 1))]
    print(  # noqa: T201 — a benchmark prints
        f"{path:45}{weight:8,} bytes; first {first:6.1f}, busy {statistics.fmean(busy):6.1f} "
        f"(most {max(busy):6.1f}), median {statistics.median(taken):6.1f}, p95 {late:6.1f}, "
        f"longest {taken[-1]:6.1f} ms  {'PASS' if good else 'over the bound'}"
    )
    return good


async def measure(size: int, times: int) -> list[str]:
    """Print a line for each page; gives those that are over a bound."""
    async with served(size) as client:
        begun = perf_counter()
        await client.get("/api/ox/initiatives")  # a page does not wait for it
        print(f"a history for an initiative, once: {perf_counter() - begun:.1f} s")  # noqa: T201
        return [path for path in PAGES if not await measured(client, path, times)]


def main() -> int:
    """The command line; 1 when a page is over a bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entities", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=20)
    given = parser.parse_args()
    over = asyncio.run(measure(given.entities, given.times))
    bounds = f"{HEAVIEST:,} bytes and {LONGEST:.0f} ms"
    said = f"over the bound of {bounds}: {', '.join(over)}" if over else f"PASS: within {bounds}"
    print(f"{given.entities} services, {len(PAGES)} pages; {said}")  # noqa: T201
    return 1 if over else 0


if __name__ == "__main__":
    raise SystemExit(main())
