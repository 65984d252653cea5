"""`fester serve`: passes on a schedule, and the HTTP side of what the last one gave."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import click
from aiohttp import web
from rich.console import Console

from bridge.api.app import make_app
from bridge.api.live import Live
from bridge.cli.options import pass_options, settings_from
from bridge.cli.show import show_report, write_report
from bridge.errors import ConfigurationError
from bridge.model.problems import Problem
from bridge.model.runs import Outcome
from bridge.pipeline import Wish, recall, run_pass
from bridge.schedule import Audience, Schedule, ended
from bridge.settings import Settings
from bridge.wiring import Wired, utc_now, wired


@click.command()
@pass_options
@click.option("--host", help="Address to listen on (127.0.0.1).")
@click.option("--port", type=int, help="Port to listen on (8080).")
@click.option("--every", metavar="TIME", help="Time between two passes, such as 10m.")
@click.option("--open", "open_", is_flag=True, help="Serve other machines without authentication.")
def serve(
    config: Path | None,
    report: Path | None,
    dry_run: bool,
    accept_removals: bool,
    open_: bool,
    **flags: Any,
) -> None:
    """Make passes on a schedule and serve what the last one gave."""
    settings = settings_from(flags, config=config, need=("from",))
    refuse_open_address(settings.host, open_)
    wish = Wish(dry_run=dry_run, accept_removals=accept_removals)
    asyncio.run(_serve(settings, wish, report))


def refuse_open_address(host: str, opened: bool) -> None:
    """Raise `ConfigurationError` for an address that other machines reach, unless `--open`."""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback and not opened:
        message = (
            f"--host {host} lets other machines read the catalog without authentication; "
            "add --open if that is meant, or keep 127.0.0.1 behind a proxy that authenticates"
        )
        raise ConfigurationError([Problem(message, "open-address")])


async def _serve(settings: Settings, wish: Wish, report: Path | None) -> None:
    async with wired(settings) as parts, serving(parts, settings, wish, report) as url:
        click.echo(f"serving {url} (Ctrl-C ends it)")
        await until_told_to_stop()


async def until_told_to_stop() -> None:
    """Wait for SIGINT or SIGTERM."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()


@asynccontextmanager
async def serving(
    parts: Wired, settings: Settings, wish: Wish, report: Path | None = None
) -> AsyncIterator[str]:
    """The HTTP server and the schedule, running; yields the base URL."""
    live = Live(
        schemas={m.schema_path.name: m.schema_path.read_bytes() for m in parts.mappings.all}
    )
    last = await recall(parts.stages)
    if last is not None:  # serve it until the first new pass ends
        live.show(last.record, last.artifacts, last.memory, utc_now())
    console = Console(stderr=True)
    audience = Audience(parts.listeners)

    async def make_pass() -> None:
        done = await run_pass(parts.stages, wish)
        live.show(done.record, done.artifacts, done.memory, utc_now())
        account = done.record.report
        show_report(console, account)
        if report is not None:
            write_report(report, account)
        if account.outcome is not Outcome.FAILED and not wish.dry_run:
            audience.hear(done)

    runner = web.AppRunner(make_app(live, clock=utc_now), handle_signals=False)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port)
        port = await _start(site, runner, settings)
        hearing = asyncio.create_task(audience.run())
        schedule = asyncio.create_task(Schedule(make_pass, settings.every).run())
        try:
            yield f"http://{settings.host}:{port}/"
        finally:
            await ended(schedule)
            await ended(hearing)
    finally:
        await runner.cleanup()


async def _start(site: web.TCPSite, runner: web.AppRunner, settings: Settings) -> int:
    try:
        await site.start()
    except OSError as error:
        message = (
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; "
            "choose another --port, or stop what listens there"
        )
        raise ConfigurationError([Problem(message, "cannot-listen")]) from None
    return int(runner.addresses[0][1])
