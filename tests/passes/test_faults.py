"""Every failure that GitLab knows, at listing and at reading, rare and constant, while it changes.

Whole passes with a store and a folder: no entity is removed that should stand (`Town.make`), every
one that should go is gone after the next good pass (`Town.converge`), and no pass hangs.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random

import pytest

from bridge.sandbox.faults import ONLY_ON, Fault, FaultPlan, FaultRule, Target
from bridge.store import open_store
from tests.passes.town import NESTED, Town, Weather, town

pytestmark = pytest.mark.real

PLACES: dict[str, tuple[Target, ...]] = {
    "listing": ("rest-enumeration",),
    "reading": ("graphql", "rest"),
    "further": ("graphql",),
}
# Of further reads there are few requests: they fail all, or none does.
RATES = {"listing": (0.01, 0.1, 1.0), "reading": (0.01, 0.1, 1.0), "further": (1.0,)}
# In a sweep one request for the people, and four pages of projects, come before further reads.
BEFORE = {"further": 5}


def cases() -> Iterator[tuple[Fault, str, float]]:
    for fault in sorted(Fault):
        for place, targets in PLACES.items():
            if set(targets) & set(ONLY_ON.get(fault, targets)):
                yield from ((fault, place, rate) for rate in RATES[place])


def striking(rate: float) -> int:
    """A seed by which even a rare failure strikes one of the first four requests."""
    seeds = (seed for seed in count() if min(throws(seed)) < rate)
    return next(seeds)


def throws(seed: int) -> list[float]:
    dice = Random(seed)
    return [dice.random() for _ in range(4)]


def change(it: Town, first: int) -> None:
    """One change of each kind, on the eleven projects from number `first` * 7 on."""
    numbers = [7 * (first + n) for n in range(11)]
    rename, transfer, archive, delete, commit, break_it, remove, hide, forbid = numbers[:9]
    define, less = numbers[9:]
    it.add(1000 + first)
    it.world.rename(rename, f"renamed-{first}")
    it.world.transfer(transfer, "elsewhere/deep")
    it.world.archive(archive)
    it.world.delete(delete)
    it.commit(commit)
    it.break_it(break_it)
    it.remove_file(remove)
    it.define(define)
    it.remove_file(less, NESTED)
    it.known(hide).hidden = True
    it.known(forbid).repository = "forbidden"
    it.world.members.add("shop", f"new-{first}")
    it.world.members.remove("bank/core", "ann" if first == 1 else "dee")


@pytest.mark.parametrize(("fault", "place", "rate"), list(cases()))
async def test_nothing_is_lost_and_nothing_lingers(
    tmp_path: Path, fault: Fault, place: str, rate: float
) -> None:
    plan = FaultPlan(
        tuple(
            FaultRule(fault, target, rate, skip=BEFORE.get(place, 0)) for target in PLACES[place]
        ),
        seed=striking(rate),
        retry_after_as="date" if rate == 0.1 else "seconds",
    )
    bad = Weather(plan, 0.05 if fault is Fault.HANG else 2.0)
    store = await open_store(f"sqlite:///{tmp_path}/s.db")
    async with town(tmp_path / "out", store, people=True, further=True) as it:
        await it.converge()
        change(it, 1)
        it.time.now += 600.0

        def meanwhile(seen: int) -> None:
            if seen == 3:  # the first lists are read, the first pages are not
                change(it, 12)

        await it.sweep(bad, meanwhile)
        assert any(request.fault is fault for request in it.sandbox.requests)
        it.time.now += 600.0
        await it.due(bad)
        await it.hinted([*range(7, 150, 7), 1001], bad)
        it.time.now += 600.0
        await it.converge()
    await store.close()
