"""Facts, scores and a run of remediation as `/metrics` counts them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from prometheus_client.core import Metric

from bridge.api.ox_metrics import OxMetrics
from bridge.model.memory import Memory
from bridge.ox.facts.collecting import FactService
from bridge.store import open_store
from tests.api.scored import TODAY, scored
from tests.api.test_remediation import book
from tests.ox.test_collecting import Clock, Collector, catalog


@asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[OxMetrics]:
    """A collector that fails at the second of three entities; and the board of `scored`."""
    store = await open_store("sqlite://")
    clock = Clock(TODAY)
    collector = Collector(clock, say=lambda s: OSError("403") if s.ref.name == "b" else 1)
    facts = FactService("here", [collector], store.facts(), clock)
    await facts.after_pass(catalog("a", "b", "c"), Memory(), {})
    try:
        async with scored(folder) as keeper:
            yield OxMetrics(facts, keeper, book(), clock)
    finally:
        await store.close()


async def ox_measured(folder: Path) -> list[Metric]:
    """All of them, once."""
    async with watched(folder) as metrics:
        return await metrics.families()
