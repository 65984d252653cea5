"""`fester worker`: a hand for the sweeps of `fester serve` on other machines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bridge.cli.options import config_option, mappings_option, settings_from, store_option
from bridge.cli.serve import allow_connections, ending_in_time, until_told_to_stop
from bridge.settings import Settings
from bridge.wiring import wired
from bridge.wiring.working import working

_CONNECTIONS = 4  # so that a PostgreSQL of the common hundred has room for some workers


@click.command()
@config_option
@store_option
@mappings_option
@click.option("--from", "from_", metavar="SOURCE", help="A GitLab URL, as `fester serve` has it.")
@click.option("--host", help="Address to listen on for /healthz and /metrics (127.0.0.1).")
@click.option("--port", type=int, help="Port to listen on (8080); 0 takes any.")
def worker(*, config: Path | None, **flags: Any) -> None:
    """Read parts of the sweeps that `fester serve` makes on the same PostgreSQL, until stopped.

    It needs the settings, the mapping files and the token that `fester serve` has: of another one's
    sweeps it takes no part. It publishes nothing and scores nothing. What it is at when it is
    stopped it ends within some seconds, or leaves to others.
    """
    settings = settings_from(flags, config=config, need=("from",), uses=("token",))
    allow_connections()
    with ending_in_time() as told:
        asyncio.run(_work(settings, told))


async def _work(settings: Settings, told: Callable[[], None]) -> None:
    async with wired(settings, _CONNECTIONS) as parts, working(parts, settings) as url:
        click.echo(f"working for {parts.source}; {url}metrics says what it does (Ctrl-C ends it)")
        await until_told_to_stop()
        told()
