"""A read-only MCP server: what assistants may ask, by stdio or under `/mcp` of `serve`.

https://modelcontextprotocol.io; the protocol is the official SDK's, the answers are ours. The SDK
comes with `pip install 'fester[mcp]'`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from bridge import __version__
from bridge.answers.library import Library
from bridge.api.access import needs
from bridge.api.answers import error_response
from bridge.errors import ConfigurationError
from bridge.model.access import Scope
from bridge.model.problems import Problem

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

PATH: Final = "/mcp"
MOST_BODY: Final = 100_000  # bytes of a request: a question is a few hundred
_ABOUT: Final = (
    "The software catalog of this company: services, systems, teams, APIs, who owns what, what "
    "depends on what, scores and problems. Everything is read-only. Ask `incident` first when "
    "something is broken, `search` when you do not know a name."
)


class Tools:
    """What assistants may ask. What is said of each is what they are told of it."""

    def __init__(self, library: Library) -> None:
        self._library = library

    async def search(self, text: str) -> dict[str, Any]:
        """Find entities, documents and problems that hold all words of a text."""
        return await self._library.search(text)

    async def entity(self, name: str) -> dict[str, Any]:
        """An entity as the catalog has it: by reference, name, alias, GitLab project or address."""
        return await self._library.entity(name)

    async def incident(self, about: str) -> dict[str, Any]:
        """Who owns it, who is on call, runbooks, what it needs and who is hit, with ages.

        `about` is a name, alias, GitLab project (path, address, id), id of PagerDuty's or
        Opsgenie's, or the address or host of a dashboard. Several matches are listed in
        `matches`; ask again with one.
        """
        return await self._library.incident(about)

    async def explain(self, about: str) -> dict[str, Any]:
        """Why an entity is as it is, where it comes from, what changed, or why it is missing."""
        return await self._library.explain(about)

    async def score(self, name: str) -> dict[str, Any]:
        """How a service scores, which gates failed, and what to fix next."""
        return await self._library.score(name)

    async def problems(self, about: str = "") -> dict[str, Any]:
        """What is wrong with manifests and projects now; `about` narrows it to those words."""
        return await self._library.problems(about)

    async def changes(self, about: str = "", since: str = "2h", hops: int = 2) -> dict[str, Any]:
        """What changed in the catalog, newest first: the first question when something broke.

        `about` is whatever names a service, system, team or project: it and what lies up to
        `hops` (0 to 4) dependencies away, either way, is looked at; "" stands for everything.
        `since` is how long ago (30m, 2h, 7d) or a time with its zone.
        """
        asked = {"around": about, "since": since, "hops": str(hops)}
        return await self._library.changes(asked)


def mcp_server(library: Library) -> MCPServer:
    """The server and its tools. Raises `ConfigurationError` where the SDK is not installed."""
    try:
        from mcp.server.mcpserver import MCPServer  # noqa: PLC0415 — an extra, and slow to import
        from mcp.types import ToolAnnotations  # noqa: PLC0415
    except ImportError:
        message = "the MCP server needs an extra: pip install 'fester[mcp]'"
        raise ConfigurationError([Problem(message, "extra-missing")]) from None
    server = MCPServer("fester", version=__version__, instructions=_ABOUT)
    reads = ToolAnnotations(
        readOnlyHint=True, destructiveHint=False, idempotentHint=True, openWorldHint=False
    )
    its = Tools(library)
    for tool in (
        its.search,
        its.entity,
        its.incident,
        its.explain,
        its.score,
        its.problems,
        its.changes,
    ):
        server.add_tool(tool, annotations=reads)
    return server


class McpOverHttp:
    """The server as a handler of aiohttp's: streamable HTTP, a request at a time, no sessions.

    Who may ask is what `access` says of every other route that reads.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._keeper: asyncio.Task[None] | None = None
        self._manager: asyncio.Future[Any] | None = None

    async def lifetime(self, app: web.Application) -> AsyncIterator[None]:
        """For `cleanup_ctx`: ends what the first question began."""
        yield
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper

    @needs(Scope.READ)  # POST, yet it changes nothing
    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request of the protocol."""
        try:
            manager = await self._begun()
        except ConfigurationError as error:
            return error_response(request, 404, "NotFoundError", str(error.problems[0].message))
        body = await request.read()
        if len(body) > MOST_BODY:
            return error_response(request, 413, "InputError", f"more than {MOST_BODY} bytes")
        answer = _AsgiAnswer()
        await manager.handle_request(_scope(request), _receiver(body), answer.take)
        return answer.response()

    async def _begun(self) -> Any:
        """The SDK's session manager, begun by the first question: it takes long to import.

        Its task group lives in one task of its own from beginning to end, as anyio wants it.
        """
        if self._manager is None:
            server = await asyncio.to_thread(mcp_server, self._library)
            self._manager = self._manager or asyncio.get_running_loop().create_future()
            if self._keeper is None:
                self._keeper = asyncio.create_task(_keep(server, self._manager))
        return await asyncio.shield(self._manager)


async def _keep(server: MCPServer, begun: asyncio.Future[Any]) -> None:
    from mcp.server.transport_security import TransportSecuritySettings  # noqa: PLC0415

    # Names and origins are judged by our own middlewares before a request comes here.
    judged = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    server.streamable_http_app(
        json_response=True,
        stateless_http=True,
        max_request_body_size=MOST_BODY,
        transport_security=judged,
    )
    async with server.session_manager.run():
        begun.set_result(server.session_manager)
        await asyncio.Event().wait()  # until it is cancelled


def _scope(request: web.Request) -> dict[str, Any]:
    """A request as ASGI has it: https://asgi.readthedocs.io/en/latest/specs/www.html"""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.scheme,
        "path": PATH,
        "raw_path": PATH.encode(),
        "root_path": "",
        "query_string": request.query_string.encode(),
        "headers": [(name.lower(), value) for name, value in request.raw_headers],
        "client": None,
        "server": None,
        "state": {},
    }


def _receiver(body: bytes) -> Any:
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> dict[str, Any]:
        for message in messages:
            return message
        await asyncio.Event().wait()  # it is asked again only to hear that the client has left
        raise AssertionError("waits until it is cancelled")

    return receive


class _AsgiAnswer:
    """What ASGI sends, gathered: answers are JSON of bounded size, never a stream."""

    def __init__(self) -> None:
        self._status = 500
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = bytearray()

    async def take(self, message: MutableMapping[str, Any]) -> None:
        """Take one of ASGI's messages."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = list(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            self._body += message.get("body", b"")

    def response(self) -> web.Response:
        """The whole answer."""
        kept = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in self._headers
            if name.lower() not in (b"content-length", b"transfer-encoding")
        }
        named = any(name.lower() == "content-type" for name in kept)
        if self._body and not named:
            kept["Content-Type"] = "text/plain; charset=utf-8"  # the SDK says nothing of its texts
        return web.Response(body=bytes(self._body), status=self._status, headers=kept)
