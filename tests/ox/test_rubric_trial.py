"""A changed rubric tried on what is known: its figures are those of the day it is in force."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path

import pytest

from bridge.errors import ConfigurationError
from bridge.model.entities import Catalog, Ref
from bridge.model.facts import Reading
from bridge.model.rubric_trials import RubricTrial, trial_of
from bridge.ox.scores.rubric_in_force import RubricFile
from bridge.ox.scores.scorekeeping import Scorekeeper
from bridge.store import open_store
from tests.ox.rubrics import NOW, SCHEMA, SMALL, reading, service, small

pytestmark = pytest.mark.store

# Heavier READMEs, another level, a gate for all tiers, a target that nobody reaches, a new check.
CHANGED = (
    SMALL.replace("weight: 2", "weight: 8")
    .replace("silver: 60", "silver: 75, bronze: 40")
    .replace("gate: [1, 2]", "gate: [1, 2, 3, 4]")
    .replace("4: 50", "4: 99")
    + "  licence:\n    title: Licence\n    category: docs\n    weight: 6\n    tiers: [1, 2]\n"
    "    pass: ${{ repo.licence == 'MIT' }}\n"
)


def fleet(count: int, seed: int) -> tuple[Catalog, dict[Ref, dict[str, Reading]]]:
    """Services of every tier and three teams; of some facts nothing is known."""
    rng = random.Random(seed)
    entities = [
        service(
            f"s{n}",
            tier=rng.choice([1, 2, 3, 4, None]),
            spec={"owner": f"group:default/{rng.choice('abc')}"},
        )
        for n in range(count)
    ]
    latest = {}
    for each in entities:
        facts = {
            "readme": rng.random() < 0.5,
            "protected": rng.random() < 0.7,
            "approvals": rng.randrange(4),
            "licence": rng.choice(["MIT", "GPL"]),
        }
        kept = {name: value for name, value in facts.items() if rng.random() < 0.85}
        latest[each.ref] = reading(each, kept)
    return Catalog(tuple(entities)), latest


@pytest.mark.parametrize("seed", range(5))
async def test_its_figures_are_those_of_the_day_it_is_in_force(tmp_path: Path, seed: int) -> None:
    catalog, latest = fleet(60, seed)
    file = RubricFile(tmp_path / "rubric.yaml", [SCHEMA], small(tmp_path))
    store = await open_store("sqlite://")
    keeper = Scorekeeper("here", file, store.scores(), lambda: NOW + timedelta(minutes=5))
    keeper.take_catalog(catalog)
    await keeper.evaluate(latest)
    before = keeper.board
    (tmp_path / "rubric.next.yaml").write_text(CHANGED, "utf-8")
    tried = await keeper.proposed(catalog.entities, latest)
    assert keeper.board is before  # looking changes nothing

    (tmp_path / "rubric.next.yaml").rename(tmp_path / "rubric.yaml")
    await keeper.evaluate(latest)
    await store.close()
    assert before is not None
    assert keeper.board is not None
    assert tried is not None
    happened = trial_of(tried.source, before, keeper.board)
    assert happened.as_json() == tried.as_json()
    assert tried.after.scores == keeper.board.scores
    assert tried.after.rollups == keeper.board.rollups
    counts = tried.counts
    assert counts["scored"] == 60
    assert min(counts[key] for key in ("moved", "higher", "lower", "off_target")) > 0
    assert tried.levels
    assert {each.team for each in tried.teams} == {f"group:default/{name}" for name in "abc"}


async def proposed(folder: Path, text: str | None) -> RubricTrial | None:
    catalog, latest = fleet(9, 1)
    store = await open_store("sqlite://")
    file = RubricFile(folder / "rubric.yaml", [SCHEMA], small(folder))
    keeper = Scorekeeper("here", file, store.scores(), lambda: NOW)
    if text is not None:
        (folder / "rubric.next.yaml").write_text(text, "utf-8")
    try:
        return await keeper.proposed(catalog.entities, latest)
    finally:
        await store.close()


async def test_the_same_rubric_moves_nothing(tmp_path: Path) -> None:
    found = await proposed(tmp_path, f"# a comment more\n{SMALL}")
    assert found is not None
    assert (found.services, found.teams, dict(found.levels)) == ((), (), {})
    assert found.before.rubric != found.after.rubric


async def test_where_none_is_proposed_there_is_none_and_a_broken_one_says_why(
    tmp_path: Path,
) -> None:
    assert await proposed(tmp_path, None) is None
    with pytest.raises(ConfigurationError, match=r"rubric\.next\.yaml:\d+:\d+: .*nonsense"):
        await proposed(tmp_path, SMALL.replace("repo.readme", "repo.nonsense"))
