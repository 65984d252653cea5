"""Who reads a sweep together, by what each of them would be shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.secret import live
from bridge.settings import Settings, load_settings
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


def settings(folder: Path, token: Path) -> Settings:
    flags = {
        "source": "http://127.0.0.1:9",
        "to": [str(folder / "out")],
        "store": f"sqlite:///{folder / 'fester.db'}",
    }
    return load_settings(flags, environment={"GITLAB_TOKEN_FILE": str(token)})
