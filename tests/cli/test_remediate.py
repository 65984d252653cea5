"""`fester remediate` against a sandbox GitLab that takes issues."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bridge.cli import main
from bridge.model.facts import Reading
from bridge.ox.scores.scoreboard import evaluate
from bridge.passes.runner import Passes
from bridge.passes.stages import PassOptions
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.organization import sample_organization
from bridge.sandbox.world import World
from bridge.settings import load_settings
from bridge.wiring import wired
from bridge.wiring.clock import utc_now
from bridge.wiring.ox import rubric

TOKEN = "sandbox-token"


@contextmanager
def gitlab_in_a_thread() -> Iterator[tuple[str, World]]:
    """The sandbox GitLab in a thread of its own, as the command runs its own loop."""
    started = threading.Event()
    found: list[str] = []
    loop = asyncio.new_event_loop()
    stopped = asyncio.Event()
    world = sample_organization(lambda: datetime(2026, 1, 1, tzinfo=UTC))

    async def serve() -> None:
        async with running(SandboxGitLab(world, token=TOKEN, scopes=("api",))) as url:
            found.append(url)
            started.set()
            await stopped.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert started.wait(10)
    try:
        yield found[0], world
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join()
        loop.close()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


async def score(url: str) -> None:
    """A pass, its facts and its scores, as `serve` makes them; all facts seen just now."""
    settings = load_settings({"from": url}, environment={"GITLAB_TOKEN": TOKEN})
    async with wired(settings) as parts:
        done = await (await Passes(parts.stages).run(PassOptions())).known()
        await parts.facts.load()
        await parts.facts.after_pass(done.catalog, done.memory, {})
        latest = {
            ref: {name: _fresh(reading) for name, reading in readings.items()}
            for ref, readings in parts.facts.board.latest.items()
        }
        loaded = rubric(None)
        board = evaluate(loaded, done.catalog.entities, latest, utc_now())
        source = parts.stages.scraper.name
        await parts.store.scores().record_scores(source, board, loaded.rubric)


def _fresh(reading: Reading) -> Reading:
    now = utc_now()
    return replace(
        reading, seen_at=now, facts=tuple(replace(fact, seen_at=now) for fact in reading.facts)
    )


def remediate(*arguments: str, token: str | None = TOKEN) -> Result:
    environment = {"GITLAB_TOKEN": token, "COLUMNS": "200", "FESTER_REMEDIATION__SETTLE": "0s"}
    return CliRunner().invoke(
        main, ["remediate", *arguments], env=environment, catch_exceptions=False
    )


@pytest.mark.real
def test_plan_then_apply_then_nothing_more() -> None:
    """The first run is the baseline; a plan writes nothing; what is done is not done again."""
    with gitlab_in_a_thread() as (url, world):
        early = remediate("--from", url)
        assert early.exit_code == 1
        assert "let `fester serve` make a pass first" in early.output
        asyncio.run(score(url))
        first = remediate("--from", url)
        assert first.exit_code == 0, first.output
        assert "nothing to do" in first.output
        assert "failures were there when Ox first looked" in first.output
        asyncio.run(score(url))
        planned = remediate("--from", url, "--baseline")
        assert planned.exit_code == 0, planned.output
        assert "kestrel/passenger/app/whale-watch" in planned.output
        assert "branch-protected fails" in planned.output
        assert "nothing was written; --apply carries it out" in planned.output
        assert list(world.issues) == []
        applied = remediate("--from", url, "--baseline", "--apply", "--json")
        assert applied.exit_code == 0, applied.output
        done = [a for a in json.loads(applied.output)["actions"] if a["outcome"] == "done"]
        assert len(done) == len(list(world.issues)) == 20
        assert all(action["url"].startswith(url) for action in done)
        again = json.loads(remediate("--from", url, "--apply", "--json").output)
        assert [a for a in again["actions"] if a["outcome"] != "noted"] == []
        assert world.issues.told == []
        refused = remediate("--from", url, "--apply", token="another")
        assert refused.exit_code == 1
        assert "GitLab refuses the token (401): check GITLAB_TOKEN" in refused.output


@pytest.mark.store
def test_without_a_gitlab_or_a_token_it_says_what_is_missing(tmp_path: Path) -> None:
    """Before anything else: exit code 2 and one sentence."""
    result = remediate("--from", str(tmp_path), token=None)
    assert result.exit_code == 2
    assert "GITLAB_TOKEN" in result.output


def test_broken_templates_and_settings_are_reported_at_once(tmp_path: Path) -> None:
    (tmp_path / "fester.yaml").write_text(
        "remediation:\n  per_rum: 3\n  groups:\n    a: {aply: true}\n  merge_requests: [all]\n"
    )
    result = remediate("--from", "https://gitlab.example.com")
    assert result.exit_code == 2
    assert "fester.yaml:2:3: `remediation.per_rum` is not a setting: did you mean `per_run`?" in (
        result.output
    )
    assert "did you mean `apply`?" in result.output
    assert "'all' is not one of manifest, codeowners, runbook" in result.output
