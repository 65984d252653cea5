"""`fester serve`: passes on a schedule, and the HTTP side of what the last one gave."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from bridge.cli.options import pass_options, settings_from
from bridge.cli.show import show_report, write_report
from bridge.errors import ConfigurationError
from bridge.model.problems import Problem
from bridge.passes.stages import Pass, PassOptions
from bridge.settings import Settings, is_loopback
from bridge.wiring import wired
from bridge.wiring.serving import freeze_gc_after_sweep, serving
from bridge.wiring.showing import Account

STOP = 10.0  # seconds after which it ends, whatever still runs
MOST_FILES = 65_536  # open at once, which bounds connections
TURN = 0.001  # seconds that a thread keeps the interpreter while others want it


@click.command()
@pass_options
@click.option("--host", help="Address to listen on (127.0.0.1).")
@click.option("--port", type=int, help="Port to listen on (8080).")
@click.option("--every", metavar="TIME", help="Time between two passes, such as 10m.")
@click.option("--open", "open_", is_flag=True, help="Serve other machines without authentication.")
def serve(
    *,
    config: Path | None,
    report: Path | None,
    dry_run: bool,
    accept_removals: bool,
    take_over: bool,
    open_: bool,
    **flags: Any,
) -> None:
    """Make passes on a schedule and serve what the last one gave."""
    settings = settings_from(flags, config=config, need=("from",))
    refuse_open_address(settings, open_)
    wish = PassOptions(dry_run=dry_run, accept_removals=accept_removals, take_over=take_over)
    allow_connections()
    answer_between_turns()
    with ending_in_time() as told:
        asyncio.run(_serve(settings, wish, report, told))


def refuse_open_address(settings: Settings, opened: bool) -> None:
    """Raise `ConfigurationError` for an address that other machines reach and anybody may ask."""
    message = ""
    if settings.access.configured and opened:
        message = (
            "--open lets everybody in, and `access` in the settings does not: leave one of them out"
        )
    elif not (settings.access.configured or opened or is_loopback(settings.host)):
        message = (
            f"--host {settings.host} lets other machines read the catalog without authentication; "
            "configure `access` (`fester token` makes a token and says how), add --open if "
            "everybody may read, or keep 127.0.0.1 behind a proxy that authenticates"
        )
    if message:
        raise ConfigurationError([Problem(message, "open-address")])


def is_wildcard(host: str) -> bool:
    """Whether a host stands for all of a machine's addresses, so that it is none itself."""
    try:
        return not host or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def allow_connections() -> None:
    """Raise this process's limit of open files, as far as it may.

    A connection is an open file. With the usual 1,024, so many idle clients would leave a pass
    none to reach GitLab with.
    """
    usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if most == resource.RLIM_INFINITY else min(most, MOST_FILES)
    if usual != resource.RLIM_INFINITY and usual < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def answer_between_turns() -> None:
    """Let the thread that answers in sooner while others merge, render or make an index.

    An answer needs the interpreter several times. With Python's own turns of five milliseconds,
    one that met a sweep took twice as long (`tests.benchmarks.incident`).
    """
    sys.setswitchinterval(TURN)


async def _serve(
    settings: Settings, wish: PassOptions, report: Path | None, told: Callable[[], None]
) -> None:
    async with wired(settings) as made:
        parts = replace(made, listeners=(*made.listeners, freeze_gc_after_sweep))
        async with serving(parts, settings, wish, accounted(report)) as url:
            click.echo(f"serving {url} (Ctrl-C ends it)")
            if not settings.public_url and is_wildcard(settings.host):
                click.echo(
                    f"links in annotations begin with {url}, where nobody finds Fester; set "
                    "public_url to how others reach it",
                    err=True,
                )
            await until_told_to_stop()
            told()


async def until_told_to_stop() -> None:
    """Wait for SIGINT or SIGTERM; then the process is to end."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()


@contextmanager
def ending_in_time() -> Iterator[Callable[[], None]]:
    """Gives what to call when told to stop: the block then ends, or the process does without it."""
    last = threading.Timer(STOP, _end_at_once)
    last.daemon = True
    try:
        yield last.start
    finally:
        last.cancel()


def _end_at_once() -> None:
    """End although something still runs: a thread that hangs cannot be ended in any other way.

    Whatever is published or saved is whole at every instant.
    """
    sys.stderr.write("fester: something hangs, so this process ends without it\n")
    sys.stderr.flush()
    os._exit(1)


def accounted(report: Path | None) -> Account:
    """Shows each pass on the terminal, and writes its report to a file if one is named."""
    console = Console(stderr=True)

    def account(done: Pass) -> None:
        show_report(console, done.report)
        if report is not None:
            write_report(report, done.report)

    return account
