"""`fester doctor` on the ways to teams: looked at, and nobody is written to."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from aiohttp import web
from click.testing import CliRunner, Result

from bridge.cli import main

pytestmark = pytest.mark.real

TOKEN = "a-static-token"
# As httpAuth of backend-defaults says it to a service where only people are let in.
FOR_PEOPLE = "This endpoint does not allow 'service' credentials"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@asynccontextmanager
async def listening(
    seen: list[str], plugin: bool = True, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """A receiver and a Backstage in one, which note what is asked of them."""

    async def answer(request: web.Request) -> web.Response:
        seen.append(f"{request.method} {request.path}")
        if not request.path.startswith("/api/"):
            return web.Response(status=404)
        if not plugin:  # the app's page takes every path that nobody else has
            return web.Response(text="<html>", content_type="text/html")
        given = request.headers.get("Authorization")
        name, status, said = ("NotAllowedError", 403, FOR_PEOPLE)
        if given == "Bearer for-another-plugin":
            said = "This token's access is restricted to plugin(s) 'catalog'"
        elif given != f"Bearer {TOKEN}":
            name, status, said = "AuthenticationError", 401, "Illegal token"
        return web.json_response({"error": {"name": name, "message": said}}, status=status)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        yield f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def doctor(settings: str, **environment: str) -> Result:
    await asyncio.to_thread(Path("fester.yaml").write_text, settings, "utf-8")
    arguments = ["doctor", "--from", ".", "--to", "out", "--store", "sqlite:///store.db"]
    return await asyncio.to_thread(
        CliRunner(env=environment).invoke, main, arguments, catch_exceptions=False
    )


async def test_a_webhooks_host_is_asked_and_the_webhook_is_not() -> None:
    seen: list[str] = []
    settings = "remediation: {digest: true, webhooks: {crew: FESTER_DIGEST_WEBHOOK_CREW}}\n"
    async with listening(seen) as url:
        result = await doctor(
            settings,
            FESTER_DIGEST_WEBHOOK=f"{url}/services/secret-path",
            FESTER_DIGEST_WEBHOOK_CREW="http://127.0.0.1:9/services/secret-path",
        )
    assert seen == ["HEAD /"]
    assert "ok   webhook of all other teams: its host answers" in result.output
    assert "FAIL webhook of group:default/crew: the connection failed" in result.output
    assert "secret-path" not in result.output
    assert result.exit_code == 1


async def test_a_certificate_that_is_not_trusted_is_told() -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    seen: list[str] = []
    async with listening(seen, tls=tls) as url:
        result = await doctor("remediation: {digest: true}\n", FESTER_DIGEST_WEBHOOK=f"{url}/s")
    assert "its certificate is not trusted here" in result.output
    assert (seen, result.exit_code) == ([], 1)


async def test_what_is_switched_off_is_not_looked_at() -> None:
    seen: list[str] = []
    async with listening(seen) as url:
        result = await doctor("", FESTER_DIGEST_WEBHOOK=f"{url}/services/x")
    assert (seen, result.exit_code) == ([], 0), result.output


@pytest.mark.parametrize(
    ("token", "plugin", "said"),
    [
        (TOKEN, True, "ok   notifications in Backstage: the plugin is there, and takes the token"),
        ("wrong", True, "FAIL notifications in Backstage: it refuses the token (401)"),
        ("for-another-plugin", True, "allowed for the plugin notifications"),
        (TOKEN, False, "add @backstage/plugin-notifications-backend"),
    ],
)
async def test_backstages_notifications_are_asked_and_none_is_sent(
    token: str, plugin: bool, said: str
) -> None:
    seen: list[str] = []
    async with listening(seen, plugin) as url:
        settings = f"backstage: {{url: '{url}'}}\nnotices: {{send: true, backstage: true}}\n"
        result = await doctor(settings, FESTER_BACKSTAGE_TOKEN=token)
    assert said in result.output
    assert set(seen) == {"GET /api/notifications/notifications"}
    assert result.exit_code == (0 if said.startswith("ok") else 1)
    assert token not in result.output.replace(url, "")


async def test_notices_that_lead_to_nobody_are_told() -> None:
    result = await doctor("notices: {send: true}\n")
    assert "FAIL notices: `notices.send` is on, and nothing leads to a team" in result.output
    assert result.exit_code == 1
