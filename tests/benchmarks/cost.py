"""What passes cost by the size of the catalog: cost must follow change, and not size.

    python -m tests.benchmarks.cost [--sizes 1000 10000] [--pushes 20]

For each number of projects, in a process of its own, with the sandbox in another: the first full
sweep (requests beside their bound, seconds, manifests a second beside a bare `ruamel.yaml` load of
as many, peak memory), then single pushes and idle passes, each from its beginning until the folder
holds the result, with the SQL statements that were sent and the bytes that were written. At the end
the ratios to the smallest size. 100,000 projects take a quarter of an hour.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import multiprocessing
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import structlog
from ruamel.yaml import YAML
from sqlalchemy import event
from sqlalchemy.engine import Engine

from bridge.model.runs import Outcome
from bridge.model.scrape import ScrapeRequest
from bridge.passes.runner import Passes
from bridge.passes.stages import Pass, PassOptions
from bridge.wiring import wired
from tests.benchmarks.crawl import peak, settings
from tests.benchmarks.gitlab import GitLab, gitlab
from tests.benchmarks.manifests import texts

MEGABYTES = {1_000: 200, 10_000: 200, 100_000: 300}
SLOWER = 1.5  # how much a push may be slower than at the smallest size
BARE = 500  # manifests of the bare load


@dataclass(frozen=True)
class Cost:
    """Medians of some passes: seconds, SQL statements, and bytes written to files.

    `core` are the seconds that this process took of a core: the sandbox lists all its projects
    anew for each question, which a pass waits for.
    """

    seconds: float
    core: float
    statements: float
    written: float


@dataclass(frozen=True)
class Measured:
    """What one size took."""

    projects: int
    sweep: float  # seconds
    cpu: float  # seconds of it on a core
    requests: int
    manifests: int
    megabytes: int
    push: Cost
    idle: Cost

    @property
    def bound(self) -> int:
        """The most requests that the first sweep may take."""
        return self.projects // 100 + self.projects // 50 + 20


@contextmanager
def statements() -> Iterator[list[int]]:
    """Counts the statements that are sent to the store."""
    count = [0]

    def sent(*_: object) -> None:
        count[0] += 1

    event.listen(Engine, "before_cursor_execute", sent)
    try:
        yield count
    finally:
        event.remove(Engine, "before_cursor_execute", sent)


def written() -> int:
    """The bytes that this process has written to files so far."""
    text = Path("/proc/self/io").read_text("ascii")
    return int(next(line for line in text.splitlines() if line.startswith("wchar")).split()[1])


async def repeated(count: int, passes: Passes, server: GitLab, *, pushes: bool) -> Cost:
    """The medians of so many passes; with `pushes`, each after a push that it is told of."""
    taken: list[tuple[float, float, int, int]] = []
    for number in range(count):
        only = (server.push(number),) if pushes else ()
        with statements() as sent:
            before, begun, busy = written(), perf_counter(), process_time()
            if pushes:
                request = ScrapeRequest(passes.stages.translator.files, only=only)
                wish = PassOptions(request=request)
            else:
                wish = await passes.next_pass(PassOptions())
            done = await passes.run(wish)
            core = process_time() - busy
            taken.append((perf_counter() - begun, core, sent[0], written() - before))
        _check(done, pushes=pushes)
    return Cost(*(median(each) for each in zip(*taken, strict=True)))


def _check(done: Pass, *, pushes: bool) -> None:
    changed = sum(receipt.written for receipt in done.report.published)
    if done.report.outcome is Outcome.FAILED or bool(changed) is not pushes:
        sys.exit(f"a pass went wrong: {done.report.outcome}, {changed} files written")


async def measure(projects: int, count: int, folder: Path) -> Measured:
    """One size, in this process."""
    with gitlab(projects) as server:
        async with wired(settings(server.url, folder)) as parts:
            passes = Passes(parts.stages)
            begun, busy = perf_counter(), process_time()
            done = await passes.run(PassOptions())
            cpu = process_time() - busy
            sweep, requests, megabytes = perf_counter() - begun, server.counts().total(), peak()
            return Measured(
                projects,
                sweep,
                cpu,
                requests,
                sum(done.report.manifests.values()),
                megabytes,
                await repeated(count, passes, server, pushes=True),
                await repeated(count, passes, server, pushes=False),
            )


def _measured(projects: int, count: int, pipe: Connection) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with TemporaryDirectory() as folder:
        pipe.send(asyncio.run(measure(projects, count, Path(folder))))


def apart(projects: int, count: int) -> Measured:
    """One size, in a process of its own: its peak memory is that of this size alone."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_measured, args=(projects, count, theirs))
    process.start()
    theirs.close()
    found: Measured = ours.recv()
    process.join()
    return found


def bare_rate() -> float:
    """How many manifests a bare load of YAML takes in a second of one core."""
    some = texts(BARE)
    begun = process_time()
    for text in some:
        YAML(typ="safe").load(text)
    return len(some) / (process_time() - begun)


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def show(one: Measured) -> None:
    """Print what one size took."""
    rate, bare = one.manifests / one.cpu, bare_rate()
    most = next((MEGABYTES[size] for size in sorted(MEGABYTES) if size >= one.projects), 300)
    say(
        f"\n{one.projects:,} projects, {one.manifests:,} manifests\n"
        f"  first sweep  {one.sweep:.1f} s, {one.requests} requests (bound {one.bound}), "
        f"{one.megabytes} MB at most (bound {most})\n"
        f"               {rate:.0f} manifests a second of one core, cold (aim 1,000); "
        f"a bare YAML load {bare:.0f}: ratio {bare / rate:.2f}"
    )
    for name, cost in (("push", one.push), ("idle pass", one.idle)):
        say(
            f"  {name:<11}  median {cost.seconds * 1000:.0f} ms, "
            f"{cost.core * 1000:.0f} ms of a core, "
            f"{cost.statements:.0f} statements, {cost.written / 1000:.0f} kB written"
        )


def compare(small: Measured, large: Measured) -> None:
    """Print ratios of two sizes."""
    say(f"\n{large.projects:,} beside {small.projects:,} projects, as ratios")
    linear = large.sweep / small.sweep / (large.projects / small.projects)
    say(f"  first sweep, seconds a project {linear:.2f}")
    for name, one, other in (
        ("push", small.push, large.push),
        ("idle pass", small.idle, large.idle),
    ):
        say(
            f"  {name:<11}  seconds {other.seconds / one.seconds:.2f} (at most {SLOWER}), "
            f"of a core {other.core / one.core:.2f}, "
            f"statements {other.statements / one.statements:.2f}, "
            f"bytes written {other.written / max(one.written, 1):.2f}"
        )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--pushes", type=int, default=20)
    wished = parser.parse_args()
    measured = []
    for projects in wished.sizes:
        measured.append(apart(projects, wished.pushes))
        show(measured[-1])
    for larger in measured[1:]:
        compare(measured[0], larger)


if __name__ == "__main__":
    main()
