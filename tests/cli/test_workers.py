"""`fester worker` and `fester jobs` where there is nothing to share."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from click.testing import CliRunner

from bridge.cli import jobs
from bridge.cli.program import main
from bridge.errors import ConfigurationError
from bridge.model.work import SweepProgress, Task
from bridge.settings import Settings
from bridge.wiring import Wired
from bridge.wiring.working import working

GITLAB = "https://gitlab.example.com"
SWEEP = SweepProgress(
    "", datetime(2026, 1, 1, tzinfo=UTC), True, 1, 2, 3, 4, 2000, 600, ("why \x1b[2J",)
)


@pytest.mark.store
def test_a_worker_needs_a_store_that_others_reach(tmp_path: Path) -> None:
    """Of a SQLite file there is nothing to share; it says which store is meant."""
    command = ["worker", "--from", GITLAB, "--store", f"sqlite:///{tmp_path}/s.db", "--port", "0"]
    result = CliRunner(env={"GITLAB_TOKEN": "t"}).invoke(main, command)
    assert result.exit_code == 2
    assert "postgresql://" in result.output
    assert f"sqlite:///{tmp_path}/s.db is of one" in " ".join(result.output.split())
    assert "SqlStore" not in result.output


def test_a_worker_says_that_sharing_is_off() -> None:
    """And where to turn it on; no job queue is opened."""
    parts = SimpleNamespace(store=SimpleNamespace(shared=True))
    with pytest.raises(ConfigurationError, match="share_sweeps: false"):
        asyncio.run(_opened(cast(Wired, parts), Settings(source=GITLAB, share_sweeps=False)))


async def _opened(parts: Wired, settings: Settings) -> None:
    async with working(parts, settings):
        pass


@pytest.mark.store
def test_no_shared_sweep_is_said_to_be_none(tmp_path: Path) -> None:
    command = ["jobs", "--from", GITLAB, "--store", f"sqlite:///{tmp_path}/s.db"]
    result = CliRunner().invoke(main, command)
    assert (result.exit_code, "fester worker" in result.output) == (0, True)
    assert json.loads(CliRunner().invoke(main, [*command, "--json"]).output) == []
    assert not (tmp_path / "s.db").exists()


@pytest.mark.store
def test_a_folder_is_a_source_that_nobody_shares(tmp_path: Path) -> None:
    command = ["jobs", "--store", f"sqlite:///{tmp_path}/s.db", "--from"]
    result = CliRunner().invoke(main, [*command, str(tmp_path)])
    assert (result.exit_code, "no sweep was shared" in result.output) == (0, True)
    result = CliRunner().invoke(main, [*command, str(tmp_path / "nowhere")])
    assert (result.exit_code, "a folder" in result.output) == (2, True)


def test_how_far_a_sweep_is_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    async def found(settings: Settings) -> list[SweepProgress]:
        return [SWEEP]

    monkeypatch.setattr(jobs, "_progress", found)
    shown = CliRunner().invoke(main, ["jobs", "--from", GITLAB]).output
    assert "600 of 2000" in shown
    assert "first: why" in shown
    assert "\x1b[2J" not in shown
    told = json.loads(CliRunner().invoke(main, ["jobs", "--json", "--from", GITLAB]).output)
    assert told[0]["parts"] == {"done": 3, "under_way": 2, "waiting": 1, "failed": 4}
    assert (told[0]["work"], told[0]["projects"]["done"]) == ("read", 600)


def test_how_far_merging_is_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    async def found(settings: Settings) -> list[SweepProgress]:
        return [replace(SWEEP, task=Task.MERGE, listed=False)]

    monkeypatch.setattr(jobs, "_progress", found)
    said = CliRunner().invoke(main, ["jobs", "--from", GITLAB]).output
    assert "600 of 2000 entities so far" in said
    told = json.loads(CliRunner().invoke(main, ["jobs", "--json", "--from", GITLAB]).output)
    assert (told[0]["work"], told[0]["entities"]["done"]) == ("merge", 600)
