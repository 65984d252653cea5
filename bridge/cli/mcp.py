"""`fester mcp`: the read-only MCP server on stdin and stdout, answering from the store."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from bridge.answers.library import Library
from bridge.api.mcp_server import mcp_server
from bridge.cli.options import config_option, settings_from, store_option
from bridge.settings import Settings
from bridge.store import open_store
from bridge.wiring.answers import StoredLibrary
from bridge.wiring.clock import utc_now


@click.command()
@click.option("--from", "from_", metavar="SOURCE", help="Which source, if the store knows several.")
@store_option
@config_option
def mcp(from_: str | None, store: str | None, config: Path | None) -> None:
    """Answer an assistant's questions over MCP on stdin and stdout, from the store; read-only.

    Needs `pip install 'fester[mcp]'`. An assistant is told to run it with `fester mcp` as the
    command.
    """
    settings = settings_from({"store": store, "from": from_}, config=config, uses=())
    asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    opened = await open_store(settings.store)
    try:
        stored = await StoredLibrary.of(opened, settings.source, settings.store)
        await mcp_server(Library(stored.open, utc_now)).run_stdio_async()
    finally:
        await opened.close()
