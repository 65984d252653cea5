"""`fester score`: tables for a person, JSON for a machine."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bridge.cli import main
from bridge.model.entities import Catalog
from bridge.model.memory import Memory, PassRecord
from bridge.model.runs import Outcome, Report
from bridge.ox.scores.rubric_in_force import RubricFile
from bridge.ox.scores.rubric_sources import schemas_for_rubrics
from bridge.ox.scores.scorekeeping import Scorekeeper
from bridge.settings import Settings
from bridge.store import open_store
from bridge.wiring.clock import utc_now
from bridge.wiring.given import scraper
from bridge.wiring.ox import rubric_path
from tests.ox.rubrics import NOW, reading, service, shipped
from tests.store.saving import save

pytestmark = pytest.mark.store

EVIL = service("evil", tier=4, spec={"owner": "group:default/red"}, product="\x1b[31mred")
API = service("api", tier=4, spec={"owner": "group:default/blue"})
GOOD = {
    "manifest": {"owner_known": True, "tier_valid": True, "lifecycle_valid": True},
    "gitlab": {"readme": True, "ci_config": True},
    "gitlab_rest": {"default_branch_protected": True, "force_push_allowed": True},
}


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    return ["--from", str(tmp_path), "--store", f"sqlite:///{tmp_path}/store.db"]


@pytest.fixture
def filled(tmp_path: Path, options: list[str]) -> list[str]:
    async def fill() -> None:
        name = scraper(Settings.model_validate({"from": str(tmp_path)})).name
        store = await open_store(options[-1])
        file = RubricFile(rubric_path(None), schemas_for_rubrics(), shipped())
        keeper = Scorekeeper(name, file, store.scores(), lambda: NOW)
        keeper.take_catalog(Catalog((API, EVIL)))
        facts = {key: reading(API, values, retriever=key)[key] for key, values in GOOD.items()}
        await keeper.evaluate({API.ref: facts})
        await store.close()

    asyncio.run(fill())
    return options


def fester(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["score", *arguments], catch_exceptions=False)
    return result.exit_code, result.output


def as_json(*arguments: str) -> Any:
    code, output = fester(*arguments, "--json")
    assert code == 0
    return json.loads(output)


def test_every_service_the_lowest_first(filled: list[str]) -> None:
    code, output = fester(*filled)
    assert code == 0
    lines = output.splitlines()
    assert [line.split()[0] for line in lines] == [
        "service", "component:default/api", "component:default/evil",
    ]  # fmt: skip
    assert "76.2" in lines[1]
    assert "branch-protected" in lines[1]
    assert "insufficient data" in lines[2]
    assert [item["score"] for item in as_json(*filled)["items"]] == [76.2, None]


def test_one_service_with_what_to_fix(filled: list[str]) -> None:
    code, output = fester("api", *filled)
    assert code == 0
    assert "component:default/api: 76.2, starting" in output
    assert "branch-protected (gate)" in output
    assert "+23.8" in output
    assert as_json("component:default/api", *filled)["fixes"][0]["points"] == 23.8


def test_rollups_and_one_of_them(filled: list[str]) -> None:
    code, output = fester("--rollup", "team", *filled)
    assert code == 0
    assert "group:default/blue" in output
    (team,) = as_json("blue", "--rollup", "team", *filled)["items"]
    assert (team["name"], team["score"], team["unknown"]) == ("group:default/blue", 76.2, 0)
    assert "\x1b[31m" not in fester("--rollup", "product", *filled)[1]


def test_what_is_not_there_says_what_to_do(filled: list[str]) -> None:
    code, output = fester("nobody", *filled)
    assert (code, "`fester score` lists" in output) == (1, True)
    code, output = fester("nobody", "--rollup", "team", *filled)
    assert (code, "`fester score --rollup team` lists" in output) == (1, True)
    code, output = fester("a:b:c", *filled)
    assert (code, "is not a reference" in output) == (2, True)


def test_before_the_first_score_it_says_who_scores(options: list[str]) -> None:
    code, output = fester(*options)
    assert (code, "`fester serve` score after each pass" in output) == (1, True)


def test_the_store_alone_is_enough(filled: list[str], tmp_path: Path) -> None:
    """Only a store that knows several sources needs to be told which."""

    async def remember(*names: str) -> None:
        store = await open_store(filled[-1])
        for name in names:
            known = await store.load(name)
            record = PassRecord(Report(Outcome.COMPLETE, 1.0), Catalog())
            after = replace(known, horizon=replace(known.horizon, passes=known.horizon.passes + 1))
            await save(store, name, known, after, record)
        await store.close()

    store = ["--store", filled[-1]]
    asyncio.run(remember(scraper(Settings.model_validate({"from": str(tmp_path)})).name))
    assert fester(*store) == fester(*filled)
    assert as_json("blue", "--rollup", "team", *store)["items"][0]["name"] == "group:default/blue"
    asyncio.run(remember("https://gitlab.example.com"))
    code, output = fester(*store)
    assert code == 2
    assert f"knows {tmp_path}, https://gitlab.example.com: say which one with --from" in output
    assert fester(*filled)[0] == 0
    code, output = fester("--store", f"sqlite:///{tmp_path}/new.db")
    assert (code, "knows of no pass yet" in output) == (2, True)


def test_a_changed_rubric_is_tried_and_is_in_force_nowhere(
    filled: list[str], tmp_path: Path
) -> None:
    """Over the last pass in the store, at the facts that it has."""

    async def passed() -> None:
        store = await open_store(filled[-1])
        name = scraper(Settings.model_validate({"from": str(tmp_path)})).name
        report = Report(Outcome.COMPLETE, seconds=1.0)
        record = PassRecord(report, Catalog((API, EVIL)))
        await save(store, name, Memory(), Memory(), record)
        facts = [
            reading(API, values, retriever=key, at=utc_now())[key] for key, values in GOOD.items()
        ]
        await store.facts().record_facts(name, facts)
        await store.close()

    changed = tmp_path / "changed.yaml"
    text = rubric_path(None).read_text("utf-8")
    assert "4: 50" in text
    changed.write_text(text.replace("4: 50", "4: 99"), "utf-8")
    code, output = fester(*filled, "--dry-run-rubric", str(changed))
    assert (code, "no pass over" in output) == (1, True), output
    asyncio.run(passed())
    tree = as_json(*filled, "--dry-run-rubric", str(changed))
    assert [each["entityRef"] for each in tree["services"]] == [str(API.ref), str(EVIL.ref)]
    assert [tree["services"][0][when]["target"] for when in ("before", "after")] == [50, 99]
    code, output = fester(*filled, "--dry-run-rubric", str(changed))
    assert (code, "2 of 2 scores would move" in output) == (0, True)
    assert "component:default/api" in output
    changed.write_text("rubric: x\nnonsense: 1\n", "utf-8")
    code, output = fester(*filled, "--dry-run-rubric", str(changed))
    assert (code, "changed.yaml:2:1" in output) == (2, True)
