"""Who reads a sweep together, by what each of them would be shown."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.errors import OtherRules
from bridge.model.work import Claim, OnCatalog, Part, Task
from bridge.scrapers.gitlab.address import read_address
from bridge.secret import live
from bridge.settings import Settings, load_settings
from bridge.store import open_store
from bridge.wiring import wired
from bridge.wiring.work import Eyes, tokens_of


@pytest.mark.store
async def test_a_token_that_was_renewed_is_that_of_whoever_starts_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a worker that starts later would read nothing until the leader starts anew."""
    monkeypatch.setattr(live, "LOOK_EVERY", 0.0)
    token = tmp_path / "token"
    token.write_text("glpat-the-first-one")
    async with wired(settings(tmp_path, token)) as parts:
        eyes = Eyes(settings(tmp_path, token), parts, parts.stages, tokens_of(parts))
        before = await eyes.queues()
        token.write_text("glpat-the-next-one")
        after = await eyes.queues()
    assert after != before
    async with wired(settings(tmp_path, token)) as parts:
        started = Eyes(settings(tmp_path, token), parts, parts.stages, tokens_of(parts))
        assert await started.queues() == after


@pytest.mark.store
async def test_teams_of_backstage_that_the_leader_was_told_of_since_are_known(
    tmp_path: Path,
) -> None:
    """Whoever checks for it would refuse for ever: it asks Backstage only when it starts."""
    given = with_backstage(tmp_path)
    source = read_address(given.source, given.gitlab.url).name

    async def told(*teams: str) -> None:
        store = await open_store(given.store)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        rows = [[team, [], "team"] for team in teams]
        await store.teams_elsewhere.save(source, json.dumps({"at": at, "teams": rows}))
        await store.close()

    await told("group:default/tide")
    async with wired(given) as parts:
        before = parts.stages.maker.checks_by
        await told("group:default/tide", "group:default/reef")
        async with wired(given) as leads:
            rules = leads.stages.maker.checks_by
        assert rules != before
        eyes = Eyes(given, parts, parts.stages, tokens_of(parts))
        what = OnCatalog(Task.CHECK, (), rules, 1)
        # Of a part that is no more nothing counts; but it was not refused.
        assert not await eyes.write(Claim(Part(source, "", 1, 0, on_catalog=what), 1))
        other = replace(what, rules="of another Backstage")
        with pytest.raises(OtherRules, match="Backstage"):
            await eyes.write(Claim(Part(source, "", 1, 0, on_catalog=other), 1))


def with_backstage(folder: Path) -> Settings:
    token = folder / "token"
    token.write_text("glpat-a-token")
    asked = {"owners": {"backstage": True}, "backstage": {"url": "http://127.0.0.1:9"}}
    return Settings.model_validate(settings(folder, token).model_dump(by_alias=True) | asked)


def settings(folder: Path, token: Path) -> Settings:
    flags = {
        "source": "http://127.0.0.1:9",
        "to": [str(folder / "out")],
        "store": f"sqlite:///{folder / 'fester.db'}",
    }
    return load_settings(flags, environment={"GITLAB_TOKEN_FILE": str(token)})
