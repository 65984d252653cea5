"""TLS with a CA of its own, in front of any server on loopback."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import trustme
from yarl import URL


class PrivateCA:
    """A CA that nobody knows, and its certificate as a file."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.file = folder / "company-ca.pem"
        self._ca.cert_pem.write_to_path(self.file)

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert("127.0.0.1").configure_cert(context)
        return context

    @asynccontextmanager
    async def in_front_of(self, url: str) -> AsyncIterator[str]:
        """The same server over TLS; gives its address."""
        behind = URL(url)

        at_work: set[asyncio.Task[None]] = set()

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            at_work.add(task)
            to_reader, to_writer = await asyncio.open_connection(behind.host, behind.port)
            try:
                await asyncio.gather(_pump(reader, to_writer), _pump(to_reader, writer))
            finally:
                at_work.discard(task)
                for each in (writer, to_writer):
                    each.transport.abort()
                    with suppress(OSError):
                        await each.wait_closed()

        server = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=self.server_context())
        async with server:
            port = server.sockets[0].getsockname()[1]
            yield str(behind.with_scheme("https").with_port(port)).rstrip("/")
            server.close()
            for task in tuple(at_work):
                task.cancel()
            await asyncio.gather(*at_work, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(65_536):
            writer.write(chunk)
            await writer.drain()
    with suppress(OSError):
        if writer.can_write_eof():
            writer.write_eof()
        else:  # TLS knows no half of a connection
            writer.close()
