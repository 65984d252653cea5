"""A crawl of the sandbox: requests, seconds and memory, against the bounds.

    python -m tests.benchmarks.crawl [--projects 10000] [--latency]

`--latency` adds what a GitLab far away takes: REST 60 ms, GraphQL 60 ms and 8 ms a project read.
The sandbox runs in a process of its own, so that the memory shown is the crawler's.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import resource
import sys
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from bridge.model.runs import Report
from bridge.model.scrape import ScrapeRequest
from bridge.pipeline import Wish, run_pass
from bridge.sandbox.app import Latency, SandboxGitLab, running
from bridge.sandbox.organization import generate
from bridge.settings import Settings
from bridge.wiring import utc_now, wired

TOKEN = "sandbox-token"
FAR_AWAY = Latency(rest=0.060, graphql=0.060, per_project=0.008)


def serve(projects: int, latency: bool, pipe: Connection) -> None:
    """The sandbox, in a process: sends its URL, then its count of requests for every message."""

    async def main() -> None:
        # Three hours old, so that nothing lies within the overlap of the watermark.
        world = generate(projects, seed=1, clock=lambda: datetime.now(UTC) - timedelta(hours=3))
        delay = FAR_AWAY if latency else Latency()
        sandbox = SandboxGitLab(world, token=TOKEN, latency=delay, clock=lambda: datetime.now(UTC))
        async with running(sandbox) as url:
            pipe.send(url)
            while await asyncio.to_thread(pipe.recv):
                pipe.send(len(sandbox.requests))
                sandbox.forget_requests()

    asyncio.run(main())


def show(label: str, report: Report, requests: int, bound: float, seconds: float) -> None:
    sys.stdout.write(
        f"{label:<28} {requests:6d} requests (bound {bound:.0f})  {seconds:7.2f} s  "
        f"{report.outcome.value}, {sum(report.entities.values())} entities\n"
    )


async def crawl(url: str, projects: int, pipe: Connection, folder: Path) -> None:
    settings = Settings.model_validate(
        {
            "from": url,
            "to": [str(folder / "out")],
            "store": f"sqlite:///{folder}/s.db",
            "token": TOKEN,
        }
    )

    def counted() -> int:
        pipe.send(True)
        return int(pipe.recv())

    async with wired(settings) as parts:
        counted()
        for label in ("a full pass", "the same again"):
            begun = perf_counter()
            done = await run_pass(parts.stages)
            took = perf_counter() - begun
            bound = projects / 100 + projects / 50 + 20
            show(label, done.record.report, counted(), bound, took)
        begun = perf_counter()
        request = ScrapeRequest(parts.mappings.files, since=utc_now())
        done = await run_pass(parts.stages, Wish(request=request))
        show("an idle incremental pass", done.record.report, counted(), 5, perf_counter() - begun)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--projects", type=int, default=10_000)
    parser.add_argument("--latency", action="store_true")
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=serve, args=(arguments.projects, arguments.latency, theirs))
    server.start()
    try:
        url = ours.recv()
        with TemporaryDirectory() as folder:
            asyncio.run(crawl(url, arguments.projects, ours, Path(folder)))
        ours.send(False)
    finally:
        server.join(5)
        server.kill()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(f"peak memory of the crawler: {peak:.0f} MB\n")


if __name__ == "__main__":
    main()
