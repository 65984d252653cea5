"""From a push in GitLab to the published file, while full sweeps run in the background.

    python -m tests.benchmarks.webhooks [--projects 2000] [--pushes 200] [--near]

`fester serve` is a process of its own that sweeps all projects again and again. Each push changes
one manifest; its webhook is sent at once, and the clock stops when the folder holds the change.
GitLab takes what one far away takes (REST 60 ms, GraphQL 60 ms and 8 ms a project read); `--near`
takes no time.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from bridge.api.webhooks import PATH
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.hooks import Hooks
from bridge.sandbox.latency import Latency
from bridge.sandbox.organization import generate
from tests.benchmarks.gitlab import changed
from tests.service.process import serve
from tests.service.site import SECRET, TOKEN, until

FAR_AWAY = Latency(rest=0.060, graphql=0.060, per_project=0.008)
# Sweeps without a pause, and the lease as it is by default: the tests' short one may be lost on a
# busy machine, and a push then waits for the next leader.
AGAIN_AND_AGAIN = {"FESTER_EVERY": "1s", "FESTER_FULL_EVERY": "1s", "FESTER_LEASE": "15s"}
LOOK = 0.005  # seconds between two looks at the folder: the figures are no finer


def shards(folder: Path) -> list[Path]:
    return list(folder.glob("*.yaml"))


async def holds(folder: Path, text: bytes) -> None:
    """Wait until one of the published shards holds a text."""
    seen: dict[Path, int] = {}
    while True:
        for file in await asyncio.to_thread(shards, folder):
            now = file.stat().st_mtime_ns
            if seen.get(file) != now and text in await asyncio.to_thread(file.read_bytes):
                return
            seen[file] = now
        await asyncio.sleep(LOOK)


async def measure(projects: int, pushes: int, latency: Latency, folder: Path) -> None:
    """Print how long pushes took."""
    world = generate(projects, seed=1, clock=lambda: datetime.now(UTC) - timedelta(hours=3))
    sandbox = SandboxGitLab(world, token=TOKEN, latency=latency, clock=lambda: datetime.now(UTC))
    store, out = f"sqlite:///{folder}/s.db", folder / "out" / "entities"
    async with (
        running(sandbox) as url,
        serve(url, folder, store, **AGAIN_AND_AGAIN) as fester,
    ):
        await until(out.exists)
        await until(fester.leads)
        hooks = Hooks(world, fester.address.rstrip("/") + PATH, token=SECRET)
        with_manifest = [p for p in world.projects if "qm.yaml" in p.files and not p.archived]
        taken: list[float] = []
        sandbox.forget_requests()
        for number in range(pushes):
            project = with_manifest[number * 7 % len(with_manifest)]
            text = changed(project.files["qm.yaml"].content.decode(), number)
            begun = perf_counter()
            world.commit_file(project.id, "qm.yaml", text)
            await hooks.deliver()
            await holds(out, f"push number {number}.".encode())
            taken.append(perf_counter() - begun)
        sweeps = sandbox.counts["graphql"]
        sys.stdout.write(
            f"{projects} projects, {len(with_manifest)} with a manifest; {pushes} pushes during "
            f"sweeps ({sweeps} pages read meanwhile)\n"
            f"push to published file: median {median(taken):.2f} s, "
            f"95 % within {sorted(taken)[int(len(taken) * 0.95)]:.2f} s, worst {max(taken):.2f} s\n"
        )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--projects", type=int, default=2000)
    parser.add_argument("--pushes", type=int, default=200)
    parser.add_argument("--near", action="store_true")
    arguments = parser.parse_args()
    latency = Latency() if arguments.near else FAR_AWAY
    with TemporaryDirectory() as folder:
        asyncio.run(measure(arguments.projects, arguments.pushes, latency, Path(folder)))


if __name__ == "__main__":
    main()
