"""The same sweep by one process, and by several on one PostgreSQL.

    python -m tests.benchmarks.workers [--projects 5000] [--processes 1 2 4] [--rate-limit 2000]
    python -m tests.benchmarks.workers --projects 2000 --farther 10
    python -m tests.benchmarks.workers --projects 1000000 --processes 4 --near --rate-limit 0

The sandbox GitLab stands in a process of its own, as far away as in `tests.benchmarks.peer`
(`--near`: beside us, `--farther`: so many times as far), and allows so many requests a minute (0:
any number). One process leads and the others are `fester worker`. Each count of processes begins
with an empty store and an empty folder; what they publish must be the same to the byte. It prints
seconds, requests and how many of them GitLab refused, the seconds of a core that the leader took
until all was taken in and from then on (merging, rendering, publishing) and that all workers took,
the peak memory of the leader and of the largest worker, and the store's size.

PostgreSQL is started for the benchmark, or is the one of `--server` (a URL without a database).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import multiprocessing
import os
import re
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from urllib.request import urlopen

import psycopg
import structlog

from bridge.model.work import Task
from bridge.passes.runner import Passes
from bridge.passes.stages import PassOptions
from bridge.sandbox.latency import Latency
from bridge.service.schedule import ended
from bridge.settings import Settings
from bridge.wiring import wired
from bridge.wiring.work import crew
from tests.benchmarks.crawl import peak, settings
from tests.benchmarks.gitlab import FAR_AWAY, TOKEN, GitLab, gitlab
from tests.store.postgresql import cluster

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
OURS = ".fester-owner"  # whose the folder is: of each store another one


@dataclass(frozen=True)
class Figures:
    """What one sweep took, with sizes in MB, and the digest of what it published."""

    processes: int
    requests: int
    refused: int
    worker: int
    store: int
    led: Led
    reading: float  # seconds of a core of all workers
    published: str


@dataclass(frozen=True)
class Led:
    """What a leader tells of its sweep: seconds, and those of a core by what they were taken for.

    `refused` are its requests that GitLab refused, `parts` those that were handed out to be read,
    and `others` those of other tasks.
    """

    seconds: float
    taking: float
    publishing: float
    entities: int
    refused: int
    parts: int
    others: int
    memory: int = 0


def published(folder: Path) -> str:
    """One digest of all published files."""
    digest = blake2b(digest_size=16)
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        if path.name != OURS:
            digest.update(f"{path.relative_to(folder)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


async def sweep(given: Settings) -> Led:
    """One sweep, led here."""
    begins: dict[str, float] = {}
    async with (
        wired(given) as parts,
        crew(given, parts, lambda: parts.stages, needed=True) as others,
    ):
        assert others is not None
        hand = asyncio.create_task(others.hand.run())
        # Provenance tells since when; all sweeps are of one moment.
        stages = replace(parts.stages, work=others.work, clock=lambda: MOMENT)
        passes = Passes(stages)
        begun, cpu = perf_counter(), process_time()

        def note(stage: str, _: int) -> None:
            begins.setdefault(stage, process_time())

        done = await passes.run(PassOptions(progress=note))
        took, ended_at = perf_counter() - begun, process_time()
        await ended(hand)
        (_, read) = parts.sources[""]
        refused = getattr(read, "traffic").outcomes.get("429", 0)  # noqa: B009 — offered beside
        progress = await parts.store.parts.progress(parts.source)
        return Led(
            seconds=took,
            taking=begins["process"] - cpu,
            publishing=ended_at - begins["process"],
            entities=sum(done.report.entities.values()),
            refused=refused,
            parts=sum(each.done for each in progress if each.task is Task.READ),
            others=sum(each.done for each in progress if each.task is not Task.READ),
        )


def lead(url: str, store: str, folder: Path, pipe: Connection) -> None:
    """A leader in a process of its own, whose peak memory is then its own."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    found = asyncio.run(sweep(settings(url, folder).model_copy(update={"store": store})))
    pipe.send(replace(found, memory=peak()))


@dataclass
class Worker:
    """A `fester worker`, and where it tells of itself."""

    process: asyncio.subprocess.Process
    address: str

    def refused(self) -> int:
        """How many of its requests GitLab refused for being too many."""
        with urlopen(f"{self.address}metrics") as answer:
            text = answer.read().decode()
        found = re.findall(r'fester_source_requests_total{outcome="429"[^}]*} (\S+)', text)
        return sum(int(float(each)) for each in found)

    def core(self) -> float:
        """The seconds of a core that it has taken so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak(self) -> int:
        """The most memory that it has taken so far, in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        return int(found[1]) // 1024 if found else 0


@asynccontextmanager
async def a_worker(url: str, store: str, folder: Path) -> AsyncIterator[Worker]:
    """A `fester worker` that takes jobs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from bridge.cli import main; main()", "worker", "--port", "0"),
        *("--from", url, "--store", store),
        env={**os.environ, "GITLAB_TOKEN": TOKEN},
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        line = (await process.stdout.readline()).decode()
        found = re.search(r"http://\S+/", line)
        assert found, line
        yield Worker(process, found[0])
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def measured(server: GitLab, database: str, processes: int) -> Figures:
    """The figures of one sweep by so many processes."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        async with AsyncExitStack() as stack:
            workers = [
                await stack.enter_async_context(a_worker(server.url, database, folder))
                for _ in range(processes - 1)
            ]
            await asyncio.to_thread(server.counts)
            before = sum(each.core() for each in workers)
            leader = await asyncio.to_thread(led, server.url, database, folder)
            requests = (await asyncio.to_thread(server.counts)).total()
            refused = leader.refused
            for each in workers:
                refused += await asyncio.to_thread(each.refused)
            return Figures(
                processes=processes,
                requests=requests,
                refused=refused,
                worker=max((each.peak() for each in workers), default=0),
                store=await asyncio.to_thread(size_of, database),
                led=leader,
                reading=sum(each.core() for each in workers) - before,
                published=published(folder / "out"),
            )


def led(url: str, store: str, folder: Path) -> Led:
    """What a leader in a process of its own tells."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=lead, args=(url, store, folder, theirs))
    process.start()
    theirs.close()
    try:
        found: Led = ours.recv()
        return found
    finally:
        process.join(10)
        process.kill()


def size_of(database: str) -> int:
    """MB of a database."""
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return int(row[0]) // 1024 // 1024 if row else 0


def made(server: str, name: str) -> str:
    """The URL of an empty database."""
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}")
        connection.execute(f"CREATE DATABASE {name}")
    return f"{server}/{name}"


async def compared(server: GitLab, postgresql: str, processes: Sequence[int]) -> list[Figures]:
    """The figures for each count of processes, shown as they come."""
    found = []
    for count in processes:
        figures = await measured(server, made(postgresql, f"bench{count}"), count)
        show(figures)
        found.append(figures)
    return found


def show(each: Figures) -> None:
    sys.stdout.write(
        f"{each.processes} processes {each.led.seconds:8.1f} s {each.requests:6d} requests, "
        f"{each.refused} refused; {each.led.entities} entities, {each.led.parts} parts read, "
        f"{each.led.others} of other tasks; "
        f"of a core: leader {each.led.taking:.1f} s + {each.led.publishing:.1f} s, "
        f"workers {each.reading:.1f} s; "
        f"leader {each.led.memory} MB, worker {each.worker} MB, store {each.store} MB\n"
    )
    sys.stdout.flush()


def farther(times: float) -> Latency:
    """The latencies of a GitLab so many times as far away."""
    return Latency(**{name: times * each for name, each in asdict(FAR_AWAY).items()})


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--projects", type=int, default=5000)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--rate-limit", type=int, default=2000)
    parser.add_argument("--near", action="store_true")
    parser.add_argument("--farther", type=float, default=1.0)
    parser.add_argument("--server")
    asked = parser.parse_args()
    latency = None if asked.near else farther(asked.farther)
    with (
        gitlab(asked.projects, latency, rate_limit=asked.rate_limit or None) as server,
        cluster() as own,
    ):
        found = asyncio.run(compared(server, asked.server or own, asked.processes))
    first = found[0]
    for each in found[1:]:
        same = "the same bytes" if each.published == first.published else "OTHER BYTES"
        ratio = first.led.seconds / each.led.seconds
        sys.stdout.write(f"{each.processes} processes: {ratio:.2f} times as fast, {same}\n")
    if any(each.published != first.published for each in found):
        sys.exit(1)


if __name__ == "__main__":
    main()
