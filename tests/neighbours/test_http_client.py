"""The one HTTP client against a server on loopback that does what servers should not."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from bridge.neighbours.http_client import Failure, HttpClient, NoAnswer, NotJson
from bridge.secret.live import Secret


@dataclass
class Neighbour:
    """Answers by path; remembers the heads of what it was asked. `token` is what it takes."""

    url: str = ""
    token: str = ""
    asked: list[web.BaseRequest] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(  # noqa: PLR0911 — a line a path
        self, request: web.BaseRequest
    ) -> web.StreamResponse:
        self.asked.append(request)
        match request.path:
            case "/large":
                return web.Response(body=b"x" * 1001)
            case "/away":
                raise web.HTTPFound("/json")
            case "/hang":
                await self.over.wait()
                return web.Response()
            case "/dripping":
                response = web.StreamResponse()
                await response.prepare(request)
                await response.write(b"x")
                await self.over.wait()
                return response
            case "/cut":
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            case "/text":
                return web.Response(text="<html>sign in</html>")
            case "/deep":
                return web.Response(text="[" * 900)
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.Response(status=401)
        return web.json_response({"body": await request.text()})


@pytest.fixture
async def neighbour() -> AsyncIterator[Neighbour]:
    made = Neighbour()
    runner = web.ServerRunner(web.Server(made.answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    made.over.set()
    await runner.cleanup()


@pytest.fixture
async def client(neighbour: Neighbour) -> AsyncIterator[HttpClient]:
    made = HttpClient(neighbour.url, secret=Secret("the-token"), timeout=5, limit=1000)
    yield made
    await made.close()
    await made.close()


@pytest.mark.real
async def test_a_request_carries_the_token_and_the_answer_comes_whole(
    neighbour: Neighbour, client: HttpClient
) -> None:
    answer = await client.send("POST", "/x%2Fy?z=1", body={"a": 1})
    assert (answer.status, answer.json()) == (200, {"body": '{"a": 1}'})
    (seen,) = neighbour.asked
    assert seen.headers["Authorization"] == "Bearer the-token"
    assert seen.rel_url.raw_path_qs == "/x%2Fy?z=1"
    assert answer.headers["content-TYPE"].startswith("application/json")
    assert "the-token" not in repr(client)


@pytest.mark.real
async def test_redirects_are_shown_and_not_followed_and_other_hosts_never_asked(
    neighbour: Neighbour, client: HttpClient
) -> None:
    assert (await client.send("GET", "/away")).status == 302
    assert len(neighbour.asked) == 1
    for elsewhere in ("http://localhost:1/", "//evil.example/x", "https://127.0.0.1/"):
        with pytest.raises(ValueError, match="another host"):
            await client.send("GET", elsewhere)


@pytest.mark.real
@pytest.mark.parametrize(
    ("path", "failure"),
    [
        ("/large", Failure.TOO_LARGE),
        ("/cut", Failure.UNREACHABLE),
        ("/hang", Failure.SLOW),
        ("/dripping", Failure.SLOW),
    ],
)
async def test_what_never_ends_or_is_too_long_has_a_bound(
    neighbour: Neighbour, path: str, failure: Failure
) -> None:
    client = HttpClient(neighbour.url, timeout=0.2, limit=1000)
    with pytest.raises(NoAnswer) as caught:
        await client.send("GET", path)
    assert caught.value.failure is failure
    await client.close()


@pytest.mark.real
async def test_what_is_no_json_says_so(client: HttpClient) -> None:
    for path in ("/text", "/deep"):
        with pytest.raises(NotJson):
            (await client.send("GET", path)).json()


@pytest.mark.real
async def test_a_refused_token_is_looked_for_anew_once(
    neighbour: Neighbour, tmp_path: Path
) -> None:
    """A token that was rotated meanwhile is in its file by now; if not, it is asked no more."""
    file = tmp_path / "token"
    file.write_text("old-token")
    client = HttpClient(neighbour.url, secret=Secret("old-token", file))
    neighbour.token = "new-token"
    assert (await client.send("GET", "/x")).status == 401
    assert len(neighbour.asked) == 1
    file.write_text("new-token\n")
    assert (await client.send("GET", "/x")).status == 200
    assert (await client.send("GET", "/x")).status == 200
    assert len(neighbour.asked) == 4
    await client.close()


async def test_nobody_there_is_said_in_words() -> None:
    client = HttpClient("http://127.0.0.1:9")
    with pytest.raises(NoAnswer, match="the connection failed") as caught:
        await client.send("GET", "/")
    assert caught.value.failure is Failure.UNREACHABLE
    await client.close()


@pytest.mark.real
async def test_the_proxy_of_the_environment_is_used_and_its_login_sent(
    neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", neighbour.url.replace("//", "//user:pass@"))
    for asked, proxies in ((True, True), (False, False)):
        client = HttpClient("http://gitlab.invalid", timeout=2, proxies=proxies)
        try:
            answer = await client.send("GET", "/x")
            assert answer.status == 200
        except NoAnswer:
            assert not asked
        await client.close()
    (seen,) = neighbour.asked
    assert seen.host == "gitlab.invalid"
    assert seen.headers["Proxy-Authorization"].startswith("Basic ")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    direct = HttpClient(neighbour.url)
    await direct.send("GET", "/y")
    assert neighbour.asked[-1].rel_url.raw_path == "/y"
    assert "Proxy-Authorization" not in neighbour.asked[-1].headers
    await direct.close()


@pytest.mark.real
async def test_a_netrc_puts_nothing_beside_our_token(
    neighbour: Neighbour, client: HttpClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    os.chmod(netrc, 0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    await client.send("GET", "/x")
    assert neighbour.asked[0].headers["Authorization"] == "Bearer the-token"
