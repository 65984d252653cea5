"""A real Backstage takes a large catalog from `fester serve`, and then a few pushes.

    python -m tests.benchmarks.ingestion [--entities 5000] [--pushes 10] [--near]

`fester serve` is a process of its own, set up as in production: GitLab's hooks come in, and it
tells Backstage what changed. Prints the seconds until Backstage holds every entity, how many it
could not process, and then for each push of one manifest the seconds until Fester serves it, and
until Backstage shows it (its own processing interval is half an hour). GitLab takes what one far
away takes (see `webhooks`); `--near` takes no time.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import urlopen

from bridge.api.webhooks import PATH
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.hooks import Hooks
from bridge.sandbox.latency import Latency
from bridge.sandbox.organization import generate
from bridge.sandbox.world import World
from tests.backstage.installation import HERE, Installation, NoBackstage, installed
from tests.backstage.server import REFRESH_TOKEN, Backstage, config, free_port, started
from tests.benchmarks.gitlab import changed
from tests.benchmarks.webhooks import FAR_AWAY
from tests.service.process import serve
from tests.service.site import SECRET, TOKEN

ENTITIES_A_PROJECT = 1.85  # in the generated organization: components, systems, owners, domains
STEP = 0.05  # seconds between two looks
PATIENCE = 1200.0
AIM = 5.0


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Run it and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entities", type=int, default=5000)
    parser.add_argument("--pushes", type=int, default=10)
    parser.add_argument("--near", action="store_true")
    wished = parser.parse_args()
    try:
        installation = installed()
    except NoBackstage as missing:
        sys.exit(f"no real Backstage here: {missing}")
    # Nobody touched these for hours: no incremental pass lists them, and only a hook tells of them.
    world = generate(
        int(wished.entities / ENTITIES_A_PROJECT), 7, lambda: datetime.now(UTC) - timedelta(hours=3)
    )
    latency = Latency() if wished.near else FAR_AWAY
    with TemporaryDirectory() as folder:
        asyncio.run(measure(installation, world, latency, wished.pushes, Path(folder)))


async def measure(
    installation: Installation, world: World, latency: Latency, pushes: int, folder: Path
) -> None:
    """Print how long it took."""
    sandbox = SandboxGitLab(world, token=TOKEN, latency=latency, clock=lambda: datetime.now(UTC))
    port = free_port()
    environment = {
        "FESTER_BACKSTAGE__URL": f"http://127.0.0.1:{port}",
        "FESTER_BACKSTAGE__REFRESH": "true",
        "FESTER_BACKSTAGE_TOKEN": REFRESH_TOKEN,
        "FESTER_EVERY": "10m",
    }
    async with (
        running(sandbox) as url,
        serve(url, folder, f"sqlite:///{folder}/s.db", **environment) as fester,
    ):
        there = Backstage(fester.address.rstrip("/"), "", folder / "none.log")
        await _until(lambda: _held(there) > 0)
        say(f"{_held(there)} entities")
        index, host = f"{there.url}/catalog/index.yaml", there.url.removeprefix("http://")

        def tree(port: int, token: str) -> dict[str, Any]:
            return config(port, token, [index], [host], [])

        with ExitStack() as stack:
            backstage = await asyncio.to_thread(
                stack.enter_context,
                started(installation, HERE / "index.cjs", tree, folder, {}, port=port),
            )
            await _load(there, backstage)
            hooks = Hooks(world, fester.address.rstrip("/") + PATH, token=SECRET)
            with_manifest = [p for p in world.projects if "qm.yaml" in p.files and not p.archived]
            taken = []
            for number in range(pushes):
                project = with_manifest[number * 7 % len(with_manifest)]
                text = changed(project.files["qm.yaml"].content.decode(), number)
                begun = perf_counter()
                world.commit_file(project.id, "qm.yaml", text)
                await hooks.deliver()
                taken.append(await _shown(there, backstage, f"push number {number}.", begun))
            say(f"visible in Backstage: median {median(taken):.1f} s, worst {max(taken):.1f} s")


async def _load(fester: Backstage, backstage: Backstage) -> None:
    wanted = _held(fester)
    begun = perf_counter()
    await _until(lambda: _held(backstage) >= wanted)
    say(f"all of them in Backstage after {perf_counter() - begun:.1f} s")
    everything = await asyncio.to_thread(backstage.entities)
    failed = sum(bool(entity.get("status", {}).get("items")) for entity in everything.values())
    say(f"{failed} with processing errors")


def _held(side: Backstage) -> int:
    """How many entities of ours one side holds: whatever is no Location."""
    try:
        facets = side.get("entity-facets?facet=kind")["facets"]["kind"]
    except HTTPError:  # no pass has ended yet
        return 0
    return sum(facet["count"] for facet in facets if facet["value"] != "Location")


async def _shown(fester: Backstage, backstage: Backstage, text: str, begun: float) -> float:
    """Seconds until Backstage shows an entity with this description."""
    asked = f"entities/by-query?limit=1&filter=metadata.description={quote(text)}"
    told = _told(fester)
    await _until(lambda: bool(fester.get(asked)["items"]))
    served = perf_counter() - begun
    metadata = fester.get(asked)["items"][0]["metadata"]
    ref = f"component:{metadata['namespace']}/{metadata['name']}"
    await _until(lambda: _told(fester) > told)
    heard = perf_counter() - begun
    await _until(lambda: _description(backstage, ref) == text)
    seen = perf_counter() - begun
    say(
        f"{text} served after {served:.2f} s, Backstage told after {heard:.2f} s, "
        f"visible after {seen:.2f} s (aim: {AIM:.0f} s)"
    )
    return seen


def _told(fester: Backstage) -> int:
    """How many Locations Backstage was told of."""
    with urlopen(f"{fester.url}/metrics", timeout=30) as answer:
        found = re.search(
            rb'fester_backstage_refreshes_total\{result="refreshed"\} (\d+)', answer.read()
        )
    return int(found[1]) if found else 0


def _description(backstage: Backstage, ref: str) -> object:
    return (backstage.entity(ref) or {}).get("metadata", {}).get("description")


async def _until(look: Callable[[], bool]) -> None:
    deadline = perf_counter() + PATIENCE
    while not await asyncio.to_thread(look):
        if perf_counter() > deadline:
            sys.exit(f"not within {PATIENCE:.0f} s")
        await asyncio.sleep(STEP)


if __name__ == "__main__":
    main()
