"""Fester's HTTP side with a given catalog, without a GitLab, from a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from bridge.api.app import make_app
from bridge.api.live import Live
from bridge.api.parts import AppParts
from bridge.exporters.render import render_catalog
from bridge.model.entities import Body, Catalog, CatalogEntity, Ref
from bridge.model.memory import Memory, PassRecord
from bridge.model.runs import Outcome, Report
from bridge.processors.validation import entity_faults
from bridge.wiring.clock import utc_now
from tests.api.shown import show

KINDS = ("API", "Component", "Domain", "Group", "Location", "Resource", "System", "User")


def catalog_of(bodies: list[Body]) -> Catalog:
    """A catalog of these entities."""
    entities = [CatalogEntity(Ref.of(body), body, ()) for body in bodies]
    return Catalog(tuple(sorted(entities, key=lambda entity: entity.ref)))


@contextmanager
def serving(catalog: Catalog) -> Iterator[str]:
    """Serve this catalog as a pass would; yields the base URL."""
    loop = asyncio.new_event_loop()
    ready, end = threading.Event(), asyncio.Event()
    found: list[str] = []

    async def serve() -> None:
        live = Live()
        app = make_app(live, AppParts(clock=utc_now, validate=entity_faults))
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            found.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
            live.public_url = found[0]
            record = PassRecord(Report(Outcome.COMPLETE, 1.0), catalog)
            show(live, record, render_catalog(catalog), Memory(), utc_now())
            ready.set()
            await end.wait()
        finally:
            await runner.cleanup()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        finally:
            ready.set()
            loop.close()

    thread = threading.Thread(target=run, name="fester")
    thread.start()
    ready.wait()
    try:
        yield found[0]
    finally:
        if thread.is_alive():
            loop.call_soon_threadsafe(end.set)
        thread.join()
