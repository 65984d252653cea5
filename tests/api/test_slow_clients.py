"""Clients that dawdle, on real sockets: each is let go, and nobody else waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    suppress,
)

import pytest
from aiohttp import ClientSession, web

from bridge.api.access import MAX_QUERY, Patience
from bridge.api.app import MAX_HEADERS, MAX_LINE, app_runner, make_app
from bridge.api.live import Live
from bridge.api.parts import AppParts

pytestmark = pytest.mark.real("they wait for time-outs")

SHORT = 0.3
LONG = 3600.0  # a bound that the test would wait for in vain
BIG = b"x" * 50_000_000


async def _take(request: web.Request) -> web.Response:
    return web.json_response({"got": len(await request.read())})


async def _give(request: web.Request) -> web.Response:
    return web.Response(body=BIG)


def _app(body: float = LONG, answer: float = LONG) -> web.Application:
    app = make_app(Live(), AppParts(patience=Patience(body=body, answer=answer)))
    app.router.add_post("/take", _take)
    app.router.add_get("/give", _give)
    return app


@asynccontextmanager
async def running(runner: web.AppRunner) -> AsyncIterator[int]:
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def serving(idle: float = LONG, body: float = LONG) -> AbstractAsyncContextManager[int]:
    return running(app_runner(_app(body=body), idle=idle))


async def healthy(port: int) -> bool:
    async with (
        ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/healthz") as answer,
    ):
        return answer.status == 200


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"G"])
async def test_a_head_that_never_ends_is_hung_up_on(sent: bytes) -> None:
    """Two hundred such connections at once, and others are served meanwhile."""
    async with serving(idle=SHORT) as port, AsyncExitStack() as stack:
        slow = [await stack.enter_async_context(connected(port)) for _ in range(200)]
        for _, writer in slow:
            writer.write(sent)
        assert await healthy(port)
        for reader, _ in slow:
            assert await reader.read() == b""  # ends only when the server hangs up


async def test_a_head_that_drips_has_no_longer() -> None:
    """Each byte does not buy the next one time."""
    async with serving(idle=SHORT) as port, connected(port) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")

        async def drip() -> None:
            while True:
                writer.write(b"X-Drip: 1\r\n")
                await asyncio.sleep(SHORT / 20)

        dripping = asyncio.create_task(drip())
        assert await reader.read() == b""
        dripping.cancel()


async def test_a_body_that_never_ends_is_answered_408() -> None:
    async with serving(body=SHORT) as port, connected(port) as (reader, writer):
        writer.write(b"POST /take HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        assert await healthy(port)
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"RequestTimeoutError" in answer


async def test_an_answer_that_nobody_takes_is_dropped() -> None:
    runner = app_runner(_app(answer=SHORT), idle=LONG)
    async with running(runner) as port, connected(port) as (reader, writer):
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"GET /give HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await healthy(port)
        while runner.server is not None and runner.server.connections:  # noqa: ASYNC110 — no event
            await asyncio.sleep(0.01)
        reader._transport.resume_reading()  # type: ignore[attr-defined]
        with suppress(ConnectionResetError):
            assert len(await reader.read()) < len(BIG)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /?" + b"q" * MAX_LINE + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"h" * (MAX_LINE + 1) + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-A: 1\r\n" * (MAX_HEADERS + 1) + b"\r\n",
        b"\x16\x03\x01 not HTTP at all\r\n\r\n",
    ],
    ids=["line", "header", "headers", "no HTTP"],
)
async def test_a_head_that_is_too_large_or_none_is_refused(head: bytes) -> None:
    async with serving() as port, connected(port) as (reader, writer):
        writer.write(head)
        answer = await reader.read()
        assert answer.startswith((b"HTTP/1.0 400 ", b"HTTP/1.1 400 "))
        assert await healthy(port)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"404"),
        (b"CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"404"),
        (
            b"POST /take HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n"
            b"Content-Length: 7\r\nConnection: close\r\n\r\nno gzip",
            b"400",
        ),
    ],
    ids=["no path", "no proxy", "no gzip"],
)
async def test_what_is_odd_is_the_clients_error_and_none_of_ours(
    sent: bytes, status: bytes, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving() as port, connected(port) as (reader, writer):
        writer.write(sent)
        answer = await reader.read()
        assert answer.split(b" ", 2)[1] == status
        assert b"\r\nserver:" not in answer.lower()
        assert await healthy(port)
    assert (caplog.text, capsys.readouterr().out) == ("", "")


async def test_a_client_that_leaves_is_no_error(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before its answer, in the midst of it, and before its own body is sent."""
    app, asked, left = _app(), asyncio.Event(), asyncio.Event()

    async def late(request: web.Request) -> web.StreamResponse:
        asked.set()
        await left.wait()
        return web.json_response({})

    async def piecewise(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        asked.set()
        await left.wait()
        for _ in range(100):
            await response.write(b"x" * 100_000)
        return response

    app.router.add_get("/late", late)
    app.router.add_get("/piecewise", piecewise)
    runner = app_runner(app)
    async with running(runner) as port:
        for head in (b"GET /late", b"GET /piecewise", b"POST /take"):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            length = b"Content-Length: 9\r\n" if head.startswith(b"POST") else b""
            writer.write(head + b" HTTP/1.1\r\nHost: x\r\n" + length + b"\r\n")
            if not length:
                await asked.wait()
            writer.transport.abort()
            while runner.server and any(c.transport for c in runner.server.connections):  # noqa: ASYNC110 — no event
                await asyncio.sleep(0.001)
            left.set()
            while runner.server and runner.server.connections:  # noqa: ASYNC110 — no event
                await asyncio.sleep(0.001)
            asked.clear()
            left.clear()
    assert (caplog.text, capsys.readouterr().out) == ("", "")


async def test_a_query_that_is_longer_than_any_good_one_is_refused() -> None:
    async with serving() as port, ClientSession() as session:
        url = f"http://127.0.0.1:{port}/api/explain?ref={'x' * MAX_QUERY}"
        async with session.get(url) as answer:
            assert answer.status == 414
