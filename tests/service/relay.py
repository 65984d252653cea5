"""Relays to a server: one that can swallow packets, and one that hands on no options."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

_VERSION = (3 << 16).to_bytes(4)  # of PostgreSQL's protocol


@dataclass
class Relay:
    """Forwards from `port` to another one. What it swallows it forwards when it is to go on."""

    port: int = 0
    flows: asyncio.Event = field(default_factory=asyncio.Event)

    def swallow(self) -> None:
        self.flows.clear()

    def go_on(self) -> None:
        self.flows.set()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError):
                while data := await reader.read(65536):
                    await self.flows.wait()
                    writer.write(data)
                    await writer.drain()
        finally:
            writer.close()


Begins = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]


async def _as_it_comes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    return b""


async def _without_options(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """A client's first message to PostgreSQL, as PgBouncer hands it on that ignores `options`.

    https://www.postgresql.org/docs/current/protocol-message-formats.html (StartupMessage)
    """
    while True:
        body = await reader.readexactly(int.from_bytes(await reader.readexactly(4)) - 4)
        if body[:4] == _VERSION:
            break
        writer.write(b"N")  # neither SSL nor GSSAPI
    told = body[4:].split(b"\0")
    pairs = [pair for pair in zip(told[::2], told[1::2], strict=False) if pair[0] != b"options"]
    kept = b"".join(name + b"\0" + value + b"\0" for name, value in pairs if name) + b"\0"
    return (len(kept) + 8).to_bytes(4) + _VERSION + kept


@asynccontextmanager
async def pooler_before(port: int) -> AsyncIterator[int]:
    """The port of what hands everything on to PostgreSQL but its clients' options."""
    async with relay_to(port, _without_options) as relay:
        yield relay.port


@asynccontextmanager
async def relay_to(port: int, begins: Begins = _as_it_comes) -> AsyncIterator[Relay]:
    """A relay on a free port of this machine; `begins` tells what it sends first."""
    relay = Relay()
    relay.go_on()
    running: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        back.write(await begins(reader, writer))
        for pump in (relay._pump(reader, back), relay._pump(there, writer)):
            task = asyncio.create_task(pump)
            running.add(task)
            task.add_done_callback(running.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        relay.go_on()
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
