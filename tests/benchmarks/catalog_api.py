"""The catalog's read API beside a real Backstage on SQLite, with the same entities, in one run.

    python -m tests.benchmarks.catalog_api [--counts 5000 20000] [--seconds 4] [--patience 900]

Backstage ingests Fester's published index first; where that takes longer than `--patience`
seconds, it is said and Fester is measured alone. Latency is that of one connection, throughput
that of four; the clients run on the same machine and take their share of it from both.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from urllib.parse import quote

from bridge.catalog.reader import Reader
from bridge.exporters.render import shards
from bridge.model.entities import Body
from tests.backstage import server
from tests.backstage.installation import NoBackstage, installed
from tests.backstage.serving import KINDS, catalog_of, serving
from tests.benchmarks.raw_http import Connection, Measured, Request, measure

_SPAWN = multiprocessing.get_context("spawn")
_TEXT = ",".join(("metadata.name", "metadata.title", "spec.profile.displayName"))


def entities(count: int) -> list[Body]:
    """As many entities as teams with many services have; the same each time."""
    chance = random.Random(7)
    groups, systems = max(1, count // 40), max(1, count // 25)
    found = [
        _entity("Group", f"team-{at}", {"type": "team", "children": []}) for at in range(groups)
    ]
    found += [
        _entity("System", f"system-{at}", {"owner": f"group:default/team-{at % groups}"})
        for at in range(systems)
    ]
    for at in range(count - len(found)):
        spec: Body = {
            "type": chance.choice(("service", "library", "website")),
            "lifecycle": chance.choice(("production", "experimental")),
            "owner": f"group:default/team-{chance.randrange(groups)}",
            "system": f"system:default/system-{chance.randrange(systems)}",
            "dependsOn": [f"component:default/service-{chance.randrange(count)}" for _ in range(2)],
        }
        found.append(_entity("Component", f"service-{at}", spec))
    return found


def _entity(kind: str, name: str, spec: Body) -> Body:
    digits = name.rpartition("-")[2]
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": kind,
        "metadata": {
            "name": name,
            "title": f"The {kind.lower()} number {digits}",
            "description": f"What it does is done for everybody who needs number {digits}",
            "labels": {"fester.dev/tier": f"tier_{int(digits) % 4 + 1}"},
            "annotations": {
                "gitlab.com/project-slug": f"group/{name}",
                "fester.dev/aliases": digits,
            },
            "tags": [("java", "go", "python", "rust")[int(digits) % 4], "benchmark"],
            "links": [{"url": f"https://grafana.example.com/{name}", "title": "Dashboard"}],
        },
        "spec": spec,
    }


def questions(count: int) -> dict[str, list[Request]]:
    """What is asked, each kind in a hundred forms."""
    components = count - max(1, count // 40) - max(1, count // 25)
    some = random.Random(3).sample(range(components), 100)
    base = "/api/catalog"
    page = "orderField=metadata.name,asc&limit=20"
    owned = "filter=" + quote("kind=component,spec.type=service,spec.owner=group:default/team-")
    kind = "filter=" + quote("kind=component")
    refs = [f"component:default/service-{at}" for at in some]
    return {
        "by-name": [
            Request(f"{base}/entities/by-name/component/default/service-{at}") for at in some
        ],
        "by-query, filter": [
            Request(f"{base}/entities/by-query?{owned}{at % max(1, count // 40)}&{page}")
            for at in some
        ],
        "full text": [
            Request(
                f"{base}/entities/by-query?{kind}&{page}&fullTextFilterTerm={at}"
                f"&fullTextFilterFields={_TEXT}"
            )
            for at in some
        ],
        "facets": [
            Request(f"{base}/entity-facets?facet=spec.type&facet=metadata.tags&{kind}")
            for _ in some
        ],
        "by-refs of 100": [
            Request(
                f"{base}/entities/by-refs",
                json.dumps({"entityRefs": refs[at % 100 :] + refs[: at % 100]}).encode(),
            )
            for at in some
        ],
    }


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * 4096 / 1e6


def _serve(count: int, pipe: Pipe) -> None:
    catalog = catalog_of(entities(count))
    gc.collect()
    before = _resident()
    with serving(catalog) as url:
        gc.collect()
        grown, begun = _resident() - before, perf_counter()
        Reader(shards).read(catalog)
        pipe.send((url, perf_counter() - begun, grown))
        pipe.recv()


@contextmanager
def fester(count: int) -> Iterator[str]:
    """Fester in a process of its own; says what its index costs."""
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_serve, args=(count, theirs))
    process.start()
    theirs.close()  # so that its end ends our waiting
    url, seconds, megabytes = ours.recv()
    say(
        f"Fester: read in {seconds:.1f} s; {megabytes:.0f} MB beside the catalog's own entities, "
        f"published files included: {megabytes / count * 10_000:.0f} MB per 10,000"
    )
    try:
        yield url
    finally:
        ours.send("end")
        process.join()


def say(text: str) -> None:
    """Print a line at once: some take minutes."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@contextmanager
def backstage(url: str, count: int, patience: float) -> Iterator[tuple[str, str] | None]:
    """Backstage with the same entities; None, and why, where it does not get that far."""
    try:
        installation = installed()
    except NoBackstage as missing:
        say(f"Backstage: {missing}")
        yield None
        return
    with (
        TemporaryDirectory() as folder,
        server.running(
            installation,
            Path(folder),
            targets=[],
            hosts=[url.removeprefix("http://")],
            environment={"NODE_ENV": "production"},
            kinds=KINDS,
        ) as running,
    ):
        running.register(f"{url}/catalog/index.yaml")
        seconds, have = _ingested(running.url, running.token, count, patience)
        say(f"Backstage: {have} of {count} entities ingested after {seconds:.0f} s")
        yield (running.url, running.token) if have >= count else None


def _ingested(url: str, token: str, count: int, patience: float) -> tuple[float, int]:
    """Seconds until all are there, with relations; and how many are."""
    begun, have = perf_counter(), 0
    stitched = quote("kind=component,relations.ownedby")
    total = Request(f"/api/catalog/entities/by-query?limit=0&filter={stitched}")
    components = count - max(1, count // 40) - max(1, count // 25)
    connection = Connection(url, token)
    while have < components and perf_counter() - begun < patience:
        sleep(2)
        have = json.loads(connection.ask(total))["totalItems"]
    connection.close()
    return perf_counter() - begun, count if have >= components else have


def compare(count: int, seconds: float, patience: float) -> None:
    """One table."""
    say(f"\n{count} entities")
    with fester(count) as url, backstage(url, count, patience) as other:
        say(f"{'':<18} {'':>10}  {'requests/s':>10}  {'p50 ms':>8}  {'p95 ms':>8}  {'bytes':>8}")
        for name, requests in questions(count).items():
            ours = _both(url, "", requests, seconds)
            _row(name, "Fester", *ours)
            if other is None:
                continue
            theirs = _both(*other, requests, seconds)
            _row("", "Backstage", *theirs)
            say(
                f"{'':<18} {'ratio':>10}  {ours[1].rate / theirs[1].rate:>9.1f}x  "
                f"{theirs[0].p50 / ours[0].p50:>7.1f}x  {theirs[0].p95 / ours[0].p95:>7.1f}x"
            )


def _both(
    url: str, token: str, requests: list[Request], seconds: float
) -> tuple[Measured, Measured]:
    alone = measure(url, token, requests, seconds=seconds, connections=1)
    return alone, measure(url, token, requests, seconds=seconds, connections=4)


def _row(name: str, who: str, alone: Measured, loaded: Measured) -> None:
    say(
        f"{name:<18} {who:>10}  {loaded.rate:>10.0f}  {alone.p50:>8.2f}  {alone.p95:>8.2f}  "
        f"{alone.size:>8}"
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--counts", type=int, nargs="+", default=[5000, 20_000])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--patience", type=float, default=900.0)
    arguments = parser.parse_args()
    for count in arguments.counts:
        compare(count, arguments.seconds, arguments.patience)


if __name__ == "__main__":
    main()
