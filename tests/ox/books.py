"""A book of facts over a real store, and one of checks as a test wants them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bridge.model.entities import Catalog, CatalogEntity, Json, Ref
from bridge.model.facts import Fact, FactDefinition, FactSchema, FactType, Reading, Standing
from bridge.model.memory import Memory
from bridge.model.scores import Check, CheckResult, CheckState, Evidence
from bridge.ox.facts.collecting import FactService
from bridge.store import FactHistory, open_store
from tests.ox.subjects import NOW, component

SHAPE = FactSchema(
    "shape",
    "1.0.0",
    "Shape",
    "How a service is built",
    (
        FactDefinition("tested", FactType.BOOLEAN, "It has tests"),
        FactDefinition("lines", FactType.INTEGER, "Lines of code", since="1.0.0"),
        FactDefinition("words", FactType.SET, "Words in it", metadata={"unit": "word"}),
    ),
    cadence=86_400.0,
    entity_filter={"kind": "component"},
)
SPEED = FactSchema(
    "speed",
    "2.1.0",
    "Speed",
    "How fast it is",
    (FactDefinition("p99_ms", FactType.FLOAT, "The 99th percentile"),),
    cadence=3_600.0,
)


def ref(name: str) -> Ref:
    return Ref("component", "default", name)


def catalog(*names: str) -> Catalog:
    return Catalog(tuple(CatalogEntity(ref(name), component(name), ()) for name in names))


def reading(name: str, schema: FactSchema = SHAPE, at: object = NOW, **values: Json) -> Reading:
    """A reading; a value `...` is unknown, and so is what is not given."""
    facts = []
    for definition in schema.facts:
        value = values.get(definition.name, ...)
        known = value is not ...
        facts.append(
            Fact(
                definition.name,
                value if known else None,
                at,  # type: ignore[arg-type]
                "a test",
                Standing.KNOWN if known else Standing.UNKNOWN,
                "" if known else "403 from GitLab",
            )
        )
    return Reading(ref(name), schema.id, schema.version, at, tuple(facts))  # type: ignore[arg-type]


@asynccontextmanager
async def book(folder: Path, *names: str, interval: float = 1.0) -> AsyncIterator[FactService]:
    """A book that knows these components and takes pushes by `SHAPE` and `SPEED`."""
    store = await open_store(f"sqlite:///{folder}/facts.db")
    history = store.facts(FactHistory(interval=interval))
    made = FactService("here", (), history, lambda: NOW, pushable=(SHAPE, SPEED))
    await made.after_pass(catalog(*names), Memory(), {})
    try:
        yield made
    finally:
        await store.close()


@dataclass
class Checks:
    """A `CheckBook`: each check passes where its one boolean fact is true."""

    facts: FactService
    defined: Sequence[Check] = field(default_factory=list)

    def checks(self) -> Sequence[Check]:
        return self.defined

    def results(self, entity: Ref) -> Sequence[CheckResult]:
        known = self.facts.board.latest.get(entity, {})
        results = []
        for check in self.defined:
            (name,) = check.facts
            retriever, _, fact = name.partition(".")
            values = known[retriever].values() if retriever in known else {}
            state = CheckState.UNKNOWN
            if fact in values:
                state = CheckState.PASS if values[fact] else CheckState.FAIL
            seen = (Evidence(name, values.get(fact), NOW, "a test"),)
            results.append(CheckResult(entity, check.id, state, 1.0, evidence=seen))
        return results


TESTED = Check(
    "tested",
    "Has tests",
    "quality",
    4.0,
    frozenset({1, 2, 3, 4}),
    "${{ shape.tested }}",
    ("shape.tested",),
    description="Somebody wrote tests",
    how_to_fix="Write a test",
    links=({"title": "How", "url": "https://example.com/how"},),
)
