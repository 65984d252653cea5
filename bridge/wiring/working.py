"""What `fester worker` runs: a hand for others' sweeps, and what watches it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from bridge.api.app import app_runner
from bridge.api.worker_app import worker_app
from bridge.errors import ConfigurationError
from bridge.model.problems import Problem
from bridge.service.schedule import ended
from bridge.settings import Settings
from bridge.wiring import Wired, own_url
from bridge.wiring.serving import started
from bridge.wiring.showing import traffic_of
from bridge.wiring.work import Crew, crew


@asynccontextmanager
async def working(parts: Wired, settings: Settings) -> AsyncIterator[str]:
    """Parts of others' sweeps are read while it is open; yields the address that tells of it.

    Raises `ConfigurationError` where sweeps are not shared, or no other process can use the store.
    """
    async with crew(settings, parts, lambda: parts.stages, needed=True) as made:
        if made is None:
            raise ConfigurationError([_alone(parts, settings)])
        work = asyncio.create_task(made.hand.run())
        runner = app_runner(_app(parts, made, lambda: not work.done()))
        try:
            await runner.setup()
            site = web.TCPSite(runner, settings.host, settings.port)
            port = await started(site, runner, settings)
            yield f"{own_url(settings, port)}/"
        finally:
            try:
                await ended(work)
            finally:
                await runner.cleanup()


def _app(parts: Wired, made: Crew, alive: Callable[[], bool]) -> web.Application:
    traffic = {name: traffic_of(scraper) for name, (_, scraper) in parts.sources.items()}
    return worker_app(made.reader.counts, lambda: made.hand.taking, traffic, alive)


def _alone(parts: Wired, settings: Settings) -> Problem:
    if parts.store.shared and not settings.share_sweeps:
        return Problem(
            "sharing of sweeps is off, so there is nothing for a worker to read; take "
            "`share_sweeps: false` out of the settings of `fester serve` and of its workers, and "
            "FESTER_SHARE_SWEEPS out of their environment",
            "sharing-off",
        )
    if parts.store.shared:
        return Problem(
            "a worker needs the library of jobs; type: pip install 'fester[postgresql]'",
            "no-jobs",
        )
    return Problem(
        f"a worker reads for `fester serve` on other machines, and {parts.store.shown} is of one "
        "process alone; name the postgresql://… store that `fester serve` has",
        "store-not-shared",
    )
