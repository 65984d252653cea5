"""What `fester doctor` says of the receivers of changes: how each stands, as the store has it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from bridge.answers.wording import age
from bridge.errors import FesterError
from bridge.model.numbers import FIRST
from bridge.model.receivers import ReceiverStanding
from bridge.scrapers.gitlab.inspection import Finding
from bridge.settings import Settings
from bridge.store import open_store, without_making
from bridge.wiring.clock import utc_now
from bridge.wiring.given import scraper
from bridge.wiring.location import located_each
from bridge.wiring.receivers import change_receivers


async def receiver_findings(settings: Settings) -> AsyncIterator[Finding]:
    """A finding a receiver; nothing is sent to any."""
    if not settings.changes.receivers:
        return
    try:
        standings = await _standings(settings)
    except FesterError:
        return  # the source or the store is at fault, of which the findings before speak
    for each in standings:
        yield _finding(each)


async def _standings(settings: Settings) -> list[ReceiverStanding]:
    first = scraper((await located_each(settings))[FIRST])
    await first.close()
    store = await open_store(without_making(settings.store))
    try:
        return await change_receivers(settings, first.name, store).standings()
    finally:
        await store.close()


def _finding(standing: ReceiverStanding) -> Finding:
    what, state, now = f"receiver {standing.name}", standing.state, utc_now()
    if state is None:
        said = f"{standing.host} was never told anything: `serve` and `run` do it after a pass"
        return Finding(what, True, said)
    if state.failing_since is not None:
        said = f"it took nothing since {state.failing_since:%Y-%m-%d %H:%M} UTC: {state.reason}"
        waits = f"{standing.backlog.count} changes wait; mend what listens at {standing.host}"
        return Finding(what, False, said, f"{waits}, and nothing is lost within `history`")
    told = age(state.delivered_at, now) if state.delivered_at else "never, for want of news"
    return Finding(what, True, f"it was last told {told}; {standing.backlog.count} changes wait")
