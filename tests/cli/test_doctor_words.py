"""`fester doctor` says what `run` would say, and what will be wrong soon."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from bridge.cli import main
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.sessions import Session
from bridge.sandbox.world import World
from bridge.wiring.clock import utc_now

pytestmark = pytest.mark.real
TOKEN = "glpat-only-for-tests"
ANSWERS: dict[str, tuple[Callable[[], web.Response], str]] = {
    "scope": (
        lambda: web.json_response({"error": "insufficient_scope"}, status=403),
        "answered 403: the token is not valid, expired or too weak; check GITLAB_TOKEN",
    ),
    "redirect": (
        lambda: web.Response(status=301, headers={"Location": "https://new.example/x?token=1"}),
        "it redirects to https://new.example/x; give the address it redirects to",
    ),
    "sign-in": (
        lambda: web.Response(text="<html>Sign in</html>", content_type="text/html"),
        "the answer is not JSON; is this the address of a GitLab?",
    ),
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


async def fester(command: str, url: str) -> Result:
    arguments = [command, "--from", url, "--to", "out"]
    runner = CliRunner(env={"GITLAB_TOKEN": TOKEN})
    return await asyncio.to_thread(runner.invoke, main, arguments, catch_exceptions=False)


@pytest.mark.parametrize("case", ANSWERS)
async def test_it_speaks_the_words_of_a_pass(case: str) -> None:
    answer, words = ANSWERS[case]

    async def handle(_: web.BaseRequest) -> web.Response:
        return answer()

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        found = await fester("doctor", f"http://127.0.0.1:{runner.addresses[0][1]}")
    finally:
        await runner.cleanup()
    assert found.exit_code == 1
    assert words in found.output
    assert "token=1" not in found.output


@pytest.mark.parametrize(
    ("days", "mark", "said"),
    [
        (60, "ok  ", "the token expires on"),
        (20, "warn", "the GitLab token expires in 19 days"),
        (5, "warn", "the GitLab token expires already in 4 days"),
        (1, "warn", "the GitLab token expires within a day"),
        (-6, "FAIL", "the GitLab token expired on"),
        (None, "ok  ", "the token does not expire"),
    ],
)
async def test_a_tokens_end_is_told_before_it_comes(days: int | None, mark: str, said: str) -> None:
    world = World(utc_now)
    world.add_project("shop/quay")
    end = utc_now().date() + timedelta(days=days) if days is not None else None
    sandbox = SandboxGitLab(world, token=TOKEN, session=Session(token_expires=end))
    async with running(sandbox) as url:
        found = await fester("doctor", url)
    assert f"{mark} expiry: {said}" in found.output
    assert found.exit_code == (1 if mark == "FAIL" else 0), found.output


@pytest.mark.parametrize("scopes", [("granular",), ("read_user",)])
async def test_a_fine_grained_token_is_fine_and_one_without_read_api_is_not(
    scopes: tuple[str, ...],
) -> None:
    world = World(utc_now)
    world.add_project("shop/quay")
    async with running(SandboxGitLab(world, token=TOKEN, scopes=scopes)) as url:
        found = await fester("doctor", url)
    fine = scopes == ("granular",)
    assert ("a fine-grained token" in found.output) is fine
    assert ("the token needs read_api" in found.output) is not fine
    assert found.exit_code == (0 if fine else 1)
