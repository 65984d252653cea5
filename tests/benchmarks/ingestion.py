"""A real Backstage takes a large catalog from Fester's index, and then one change.

    python -m tests.benchmarks.ingestion [--entities 5000]

Prints the seconds until Backstage holds every entity, how many it could not process, and then for
a few pushes of one manifest: the seconds of Fester's pass, and from the push until Backstage shows
it, with nothing but Fester's own refresh (Backstage's processing interval is half an hour).
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import structlog

from bridge.sandbox.organization import generate
from bridge.wiring import utc_now
from tests.backstage import server, site
from tests.backstage.installation import NoBackstage, installed
from tests.backstage.server import REFRESH_TOKEN, Backstage
from tests.backstage.site import Site

ENTITIES_A_PROJECT = 1.85  # in the generated organization: components, systems, owners, domains
PUSHES = 3
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
    wished = parser.parse_args().entities
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        installation = installed()
    except NoBackstage as missing:
        sys.exit(f"no real Backstage here: {missing}")
    world = generate(int(wished / ENTITIES_A_PROJECT), 7, utc_now)
    with TemporaryDirectory() as folder, site.running(Site(world, Path(folder), "bench")) as fester:
        shards = sum(path.startswith("entities/") for path in fester.live.files)
        say(f"{len(fester.entities())} entities in {shards} shards")
        with server.running(
            installation, Path(folder), [fester.index], [fester.host], environment={}
        ) as backstage:
            _load(fester, backstage)
            for number in range(PUSHES):
                _push(fester, backstage, number)


def _load(fester: Site, backstage: Backstage) -> None:
    wanted = len(fester.entities())
    begun = perf_counter()
    _until(lambda: _held(backstage) >= wanted)
    say(f"all of them in Backstage after {perf_counter() - begun:.1f} s")
    everything = backstage.entities().values()
    failed = sum(bool(entity.get("status", {}).get("items")) for entity in everything)
    say(f"{failed} with processing errors")


def _held(backstage: Backstage) -> int:
    """How many entities of ours Backstage shows: whatever is no Location."""
    facets = backstage.get("entity-facets?facet=kind")["facets"]["kind"]
    return sum(facet["count"] for facet in facets if facet["value"] != "Location")


def _push(fester: Site, backstage: Backstage, number: int) -> None:
    """One manifest changed; told from what was published before, as a `serve` that runs on does."""
    fester.tell(backstage.url, REFRESH_TOKEN)
    ref = sorted(ref for ref in fester.entities() if ref.startswith("component:"))[number]
    path = next(p.path for p in fester.world if p.path.endswith("/" + ref.rpartition("/")[2]))
    text = f"Pushed {number}"
    lines = [
        f"  description: {text}" if line.startswith("  description:") else line
        for line in fester.manifest(path).splitlines()
    ]
    begun = perf_counter()
    fester.commit(path, "\n".join(lines) + "\n")
    fester.make_pass()
    passed = perf_counter() - begun
    problem = fester.tell(backstage.url, REFRESH_TOKEN)
    if problem is not None:
        sys.exit(str(problem))
    _until(lambda: _description(backstage, ref) == text)
    seen = perf_counter() - begun
    say(f"push {number + 1}: pass {passed:.1f} s, visible after {seen:.1f} s (aim: {AIM:.0f} s)")


def _description(backstage: Backstage, ref: str) -> object:
    return (backstage.entity(ref) or {}).get("metadata", {}).get("description")


def _until(look: Callable[[], bool]) -> None:
    deadline = perf_counter() + PATIENCE
    while not look():
        if perf_counter() > deadline:
            sys.exit(f"not within {PATIENCE:.0f} s")
        time.sleep(STEP)


if __name__ == "__main__":
    main()
