"""The order of what follows a pass, and that a step which fails takes none with it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import structlog

from bridge.errors import StoreError
from bridge.model.entities import Catalog, Ref
from bridge.model.facts import FactBoard, Reading, Subject
from bridge.model.memory import Memory
from bridge.model.scores import Waiver
from bridge.ox.after_pass import AfterPass
from bridge.ox.facts.collecting import FactService
from bridge.ox.remediation.posting import Digesting
from bridge.ox.scores.rubric_in_force import RubricFile
from bridge.ox.scores.scorekeeping import Scorekeeper
from bridge.store import open_store
from bridge.store.store import SqlStore
from tests.ox.rubrics import NOW, SCHEMA, reading, service, small

pytestmark = pytest.mark.store

SOURCE = "https://gitlab.example.com"
API = service("api", tier=4, spec={"owner": "group:default/red"})


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    made = await open_store(f"sqlite:///{tmp_path}/store.db")
    yield made
    await made.close()


@dataclass
class Collector:
    """Says of each what `says` holds, and notes that it was asked."""

    steps: list[str]
    says: dict[str, bool] = field(default_factory=lambda: {"readme": True, "protected": True})
    schema = SCHEMA

    async def collect(self, subjects: Sequence[Subject]) -> AsyncIterator[Reading]:
        self.steps.append("facts")
        for subject in subjects:
            yield replace(reading(API, self.says)[SCHEMA.id], entity=subject.ref)

    async def close(self) -> None:
        """Nothing is held."""


def after_pass(
    store: SqlStore, folder: Path, steps: list[str], *, broken: bool = False
) -> AfterPass:
    async def waivers() -> dict[Ref, Sequence[Waiver]]:
        steps.append("scores")
        if broken:
            raise StoreError("the store is away")
        return {}

    file = RubricFile(folder / "rubric.yaml", [SCHEMA], small(folder))
    scores = Scorekeeper(SOURCE, file, store.scores(), lambda: NOW, waivers)

    async def score(board: FactBoard) -> None:
        await scores.evaluate(board.latest)

    facts = FactService(SOURCE, [Collector(steps)], store.facts(), lambda: NOW, on_change=score)
    digests = Digesting(SOURCE, store.scores(), store.digests, None, lambda: NOW)
    return AfterPass(facts, scores, digests=digests)


async def test_facts_then_scores_then_notices(store: SqlStore, tmp_path: Path) -> None:
    steps: list[str] = []
    after = after_pass(store, tmp_path, steps)
    await after.run(Catalog((API,)), Memory(), {})
    assert steps == ["facts", "scores"]
    assert after.scores.board is not None
    assert after.scores.board.scores[API.ref].value == 100  # the facts were there before
    (digest,) = await store.digests.latest(SOURCE)
    assert json.loads(json.dumps(digest))["services"] == 1


async def test_without_collectors_the_facts_that_are_known_are_scored(
    store: SqlStore, tmp_path: Path
) -> None:
    steps: list[str] = []
    await replace(after_pass(store, tmp_path, steps), collects=False).run(
        Catalog((API,)), Memory(), {}
    )
    assert steps == ["scores"]


async def test_a_step_that_fails_is_logged_and_the_next_goes_on_with_what_is_there(
    store: SqlStore, tmp_path: Path
) -> None:
    await after_pass(store, tmp_path, []).facts_and_scores(Catalog((API,)), Memory(), {})
    after = after_pass(store, tmp_path, [], broken=True)
    await after.scores.load()  # the board of before
    with structlog.testing.capture_logs() as logs:
        await after.run(Catalog((API,)), Memory(), {})
    assert [line["action"] for line in logs if line["log_level"] == "error"] == [
        "after_pass_failed"
    ]
    assert all("exc_info" not in line for line in logs)  # ours says what to do
    assert [digest["team"] for digest in await store.digests.latest(SOURCE)] == [
        "group:default/red"
    ]
