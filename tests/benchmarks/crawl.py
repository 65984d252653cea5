"""A crawl of the sandbox: requests, seconds and memory, against the bounds.

    python -m tests.benchmarks.crawl [--projects 10000] [--latency]

`--latency` adds what a GitLab far away takes: REST 60 ms, GraphQL 60 ms and 8 ms a project read.
The sandbox runs in a process of its own, so that the memory shown is the crawler's.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import resource
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import structlog

from bridge.model.runs import Report
from bridge.passes.runner import Passes
from bridge.passes.stages import PassOptions
from bridge.settings import Settings
from bridge.wiring import wired
from tests.benchmarks.gitlab import FAR_AWAY, TOKEN, GitLab, gitlab

IDLE = 5  # requests of a pass in which nothing has changed
MEGABYTES = 300


def show(label: str, report: Report, requests: int, bound: float, seconds: float) -> None:
    sys.stdout.write(
        f"{label:<28} {requests:6d} requests (bound {bound:.0f})  {seconds:7.2f} s  "
        f"{report.kind}, {report.outcome.value}, {sum(report.entities.values())} entities, "
        f"{peak()} MB at most\n"
    )
    sys.stdout.flush()


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
    """The passes of one process, as `fester serve` makes them."""
    async with wired(settings(server.url, folder)) as parts:
        passes = Passes(parts.stages)
        everything = projects / 100 + projects / 50 + 20
        for label, bound in (
            ("a full pass", everything),
            ("the same again", everything),
            ("an idle incremental pass", IDLE),
        ):
            wish = await passes.next_pass(PassOptions()) if bound == IDLE else PassOptions()
            begun = perf_counter()
            done = await passes.run(wish)
            took = perf_counter() - begun
            show(label, done.report, server.counts().total(), bound, took)


def peak() -> int:
    """The most memory that this process has taken so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--projects", type=int, default=10_000)
    parser.add_argument("--latency", action="store_true")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    latency = FAR_AWAY if arguments.latency else None
    with gitlab(arguments.projects, latency) as server, TemporaryDirectory() as folder:
        asyncio.run(crawl(server, arguments.projects, Path(folder)))
    sys.stdout.write(f"peak memory of the crawler: {peak()} MB (bound {MEGABYTES})\n")


if __name__ == "__main__":
    main()
