"""A relay to a server that can swallow packets: no reset, no answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


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


@asynccontextmanager
async def relay_to(port: int) -> AsyncIterator[Relay]:
    """A relay on a free port of this machine."""
    relay = Relay()
    relay.go_on()
    running: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
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
