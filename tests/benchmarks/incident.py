"""How fast an incident is answered over HTTP, with a large catalog that is read anew all the time.

    python -m tests.benchmarks.incident --entities 20000

A generated catalog is served by one process; another thread of it makes the index anew without a
pause, as a sweep would. Prints the median, the 95th percentile and the longest answer, in ms; PASS
where the 95th percentile is below 50.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import threading
from dataclasses import replace
from time import perf_counter
from typing import Any, Final

from aiohttp.test_utils import TestClient, TestServer

from bridge.answers.lately import MOST, Lately
from bridge.api.app import make_app
from bridge.api.live import Live
from bridge.api.parts import AppParts
from bridge.catalog.reader import Reader
from bridge.cli.serve import answer_between_turns
from bridge.model.entities import Catalog, Ref
from bridge.model.entity_changes import ChangedManifest, ChangeKind, EntityChange, FieldChange
from bridge.model.memory import Memory, PassRecord
from bridge.model.runs import Outcome, Report
from tests.answers.fleet import SHOP, TEAM, service
from tests.api.shown import show
from tests.fakes import NOON

BOUND: Final = 0.05  # seconds, for 95 answers of 100


def fleet(size: int) -> tuple[Any, ...]:
    """`size` services that depend on up to three earlier ones each."""
    dice = random.Random(7)  # repeatable on purpose
    made = [TEAM, SHOP]
    for number in range(size):
        needs = {f"service-{dice.randrange(number)}" for _ in range(3)} if number else set()
        link = {"url": f"https://grafana.example.com/d/{number}", "title": "Dashboard"}
        made.append(
            service(
                f"service-{number}", tier=1 + number % 4, needs=tuple(sorted(needs)), links=[link]
            )
        )
    return tuple(sorted(made, key=lambda each: str(each.ref)))


def flood(size: int) -> Lately:
    """So many services changed within the day, as when a mapping did."""
    made = {}
    for number in range(size):
        ref = Ref("component", "default", f"service-{number}")
        field = FieldChange("spec.lifecycle", "experimental", "production")
        manifest = ChangedManifest(f"shop/{ref.name}", "qm.yaml", "0" * 40)
        made[str(ref)] = (
            EntityChange(
                *(ref, ChangeKind.CHANGED, NOON, ref.name),
                manifests=(manifest,),
                fields=(field,),
                number=number + 1,
            ),
        )
    return Lately(made, size, cut=True)


def sweep(entities: tuple[Any, ...], ended: threading.Event) -> None:
    """Makes a new index again and again, with other entities each time."""
    turn = 0
    while not ended.is_set():
        turn += 1
        body = {**entities[0].body, "spec": {"type": f"turn-{turn}"}}
        Reader().read(Catalog((replace(entities[0], body=body), *entities[1:])))


async def measure(size: int, questions: int) -> list[float]:
    """Seconds of each answer."""
    entities = fleet(size)
    live = Live()
    report = Report(Outcome.COMPLETE, 1.0)
    show(live, PassRecord(report, Catalog(entities)), (), Memory(), NOON)
    live.lately = flood(MOST)
    dice = random.Random(11)
    ended = threading.Event()
    busy = threading.Thread(target=sweep, args=(entities, ended))
    taken = []
    async with TestClient(TestServer(make_app(live, AppParts(clock=lambda: NOON)))) as client:
        busy.start()
        try:
            for number in range(questions):
                name = f"service-{dice.randrange(size)}"
                link = f"https://grafana.example.com/d/{dice.randrange(size)}?orgId=1"
                asked = (name, f"shop/{name}", link)[number % 3]
                begun = perf_counter()
                answer = await client.get("/api/incident", params={"q": asked})
                body = await answer.json()
                taken.append(perf_counter() - begun)
                assert body["total"] == 1, asked
        finally:
            ended.set()
            busy.join()
    return taken


def main() -> int:
    """Measure and print; 1 when it is over the bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entities", type=int, default=20_000)
    parser.add_argument("--questions", type=int, default=600)
    given = parser.parse_args()
    answer_between_turns()  # as `fester serve` does
    taken = sorted(asyncio.run(measure(given.entities, given.questions)))
    p95 = taken[int(len(taken) * 0.95)]
    print(  # noqa: T201 — a benchmark prints
        f"{given.entities} entities, {len(taken)} answers during a sweep: "
        f"median {statistics.median(taken) * 1000:.1f} ms, 95 % {p95 * 1000:.1f} ms, "
        f"longest {taken[-1] * 1000:.1f} ms; "
        f"{'PASS' if p95 < BOUND else 'over the bound'} ({BOUND * 1000:.0f} ms)"
    )
    return 0 if p95 < BOUND else 1


if __name__ == "__main__":
    raise SystemExit(main())
