"""A crawl of the sandbox: requests, seconds and memory, against the bounds.

    python -m tests.benchmarks.crawl [--projects 10000] [--latency]

`--latency` adds what a GitLab far away takes: REST 60 ms, GraphQL 60 ms and 8 ms a project read.
The sandbox runs in a process of its own, so that the memory shown is the crawler's.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from bridge.model.runs import Report
from bridge.model.scrape import ScrapeRequest
from bridge.pipeline import Wish, run_pass
from bridge.settings import Settings
from bridge.wiring import utc_now, wired
from tests.benchmarks.gitlab import FAR_AWAY, TOKEN, GitLab, gitlab


def show(label: str, report: Report, requests: int, bound: float, seconds: float) -> None:
    sys.stdout.write(
        f"{label:<28} {requests:6d} requests (bound {bound:.0f})  {seconds:7.2f} s  "
        f"{report.outcome.value}, {sum(report.entities.values())} entities\n"
    )


def settings(url: str, folder: Path) -> Settings:
    """Settings as they are by default, for the sandbox at `url`, all kept below `folder`."""
    return Settings.model_validate(
        {
            "from": url,
            "to": [str(folder / "out")],
            "store": f"sqlite:///{folder}/s.db",
            "token": TOKEN,
        }
    )


async def crawl(server: GitLab, projects: int, folder: Path) -> None:
    async with wired(settings(server.url, folder)) as parts:
        for label in ("a full pass", "the same again"):
            begun = perf_counter()
            done = await run_pass(parts.stages)
            took = perf_counter() - begun
            bound = projects / 100 + projects / 50 + 20
            show(label, done.record.report, server.counts().total(), bound, took)
        begun = perf_counter()
        request = ScrapeRequest(parts.mappings.files, since=utc_now())
        done = await run_pass(parts.stages, Wish(request=request))
        took = perf_counter() - begun
        show("an idle incremental pass", done.record.report, server.counts().total(), 5, took)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--projects", type=int, default=10_000)
    parser.add_argument("--latency", action="store_true")
    arguments = parser.parse_args()
    latency = FAR_AWAY if arguments.latency else None
    with gitlab(arguments.projects, latency) as server, TemporaryDirectory() as folder:
        asyncio.run(crawl(server, arguments.projects, Path(folder)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(f"peak memory of the crawler: {peak:.0f} MB\n")


if __name__ == "__main__":
    main()
