"""Our collectors are what we ask of others, and each broken promise is found."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from bridge.model.facts import FactSchema, Reading, Standing, Subject
from bridge.model.scrape import Observation, Project
from bridge.ox.facts.gitlab import GitLabCollector
from bridge.ox.facts.manifest import ManifestCollector
from bridge.testing import Nonconformance, collector_conforms
from tests.ox.books import SHAPE, reading
from tests.ox.subjects import NOW, component, subject

SEEN = Observation(7, NOW, {"readme": True, "pipeline_status": None}, {"languages": "Timeout"})
SUBJECTS = [
    subject(component("api"), project=Project(7, "shop/api"), observation=SEEN),
    subject(component("shop")),
]


async def test_ours_conform() -> None:
    await collector_conforms(ManifestCollector(lambda: NOW), SUBJECTS)
    await collector_conforms(GitLabCollector(), SUBJECTS)


@dataclass
class Odd:
    """A collector that breaks one promise."""

    schema: FactSchema = SHAPE
    change: Callable[[Reading], Any] = lambda whole: whole
    twice: bool = False

    async def collect(self, subjects: Sequence[Subject]) -> AsyncIterator[Reading]:
        for each in subjects:
            for _ in range(1 + self.twice):
                yield self.change(reading(each.ref.name, tested=True, lines=1))

    async def close(self) -> None:
        """Nothing is held."""


def with_fact(**changes: Any) -> Callable[[Reading], Reading]:
    def change(whole: Reading) -> Reading:
        first, *others = whole.facts
        return replace(whole, facts=(replace(first, **changes), *others))

    return change


@pytest.mark.parametrize(
    ("odd", "promise"),
    [
        (Odd(replace(SHAPE, id="my-shape")), "identifiers"),
        (Odd(replace(SHAPE, version="one")), "semantic"),
        (Odd(replace(SHAPE, cadence=0)), "cadence"),
        (Odd(replace(SHAPE, facts=SHAPE.facts * 2)), "described once"),
        (Odd(twice=True), "told of once"),
        (Odd(change=lambda r: replace(r, retriever="x")), "own id"),
        (Odd(change=lambda r: replace(r, entity=replace(r.entity, name="x"))), "asked about"),
        (Odd(change=lambda r: replace(r, seen_at=NOW.replace(tzinfo=None))), "time zone"),
        (Odd(change=lambda r: replace(r, facts=r.facts[1:])), "every fact"),
        (Odd(change=with_fact(value="yes")), "expected true or false"),
        (Odd(change=with_fact(standing=Standing.UNKNOWN, value=None)), "says why"),
        (Odd(change=with_fact(standing=Standing.UNKNOWN, reason="x")), "has no value"),
        (Odd(change=with_fact(source="")), "where it was seen"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
async def test_a_broken_promise_is_named(odd: Odd, promise: str) -> None:
    await collector_conforms(Odd(), SUBJECTS)
    with pytest.raises(Nonconformance, match=promise):
        await collector_conforms(odd, SUBJECTS)
