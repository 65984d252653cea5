"""What `fester doctor` says of Ox's collectors: what they last gave, and whether tools answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Final

from bridge.errors import ConfigurationError, FesterError
from bridge.model.collector_health import CollectorHealth, collectors_health
from bridge.model.entities import Ref
from bridge.model.facts import FactBoard, FactSchema, Reading
from bridge.model.numbers import FIRST
from bridge.ox.facts.json_api import Unanswered
from bridge.scrapers.gitlab.inspection import Finding
from bridge.settings import Settings
from bridge.store import open_store, without_making
from bridge.wiring.clock import utc_now
from bridge.wiring.given import scraper
from bridge.wiring.location import located_each
from bridge.wiring.ox import collectors, jsm_of, opsgenie_of, pagerduty_of, snyk_of

STALE_AFTER: Final = 2  # cadences
MUCH: Final = 0.5  # share of unknown facts from which a person should look
SHOWN: Final = 3  # reasons

Latest = Mapping[Ref, Mapping[str, Reading]]


async def collector_findings(settings: Settings) -> AsyncIterator[Finding]:
    """A finding a collector; whether tools such as Snyk take their tokens first."""
    async for finding in _tools(settings):
        yield finding
    try:
        schemas, latest = await _known(settings)
    except FesterError:
        return  # the source or the store is at fault, of which the findings before speak
    if not latest:
        said = "nothing was collected yet; the first facts follow the first pass"
        yield Finding("facts", True, said)
        return
    for health in collectors_health(FactBoard(schemas, latest)).values():
        yield _finding(health, utc_now())


async def _known(settings: Settings) -> tuple[tuple[FactSchema, ...], Latest]:
    """What the collectors that are set up gave last."""
    each = await located_each(settings)
    readings = {name: scraper(own) for name, own in each.items()}
    try:
        asked = collectors(each, readings)
        schemas = tuple(collector.schema for collector in asked)
        for collector in asked:
            await collector.close()
        store = await open_store(without_making(settings.store))
        try:
            return schemas, await store.facts().latest_facts(readings[FIRST].name)
        finally:
            await store.close()
    finally:
        for reading in readings.values():
            await reading.close()


def _finding(health: CollectorHealth, now: datetime) -> Finding:
    what = f"collector {health.schema.id}"
    if health.newest is None:
        advice = "look in the log for collector_failed; its first round follows the next pass"
        return Finding(what, True, "it has given nothing yet", advice)
    age = (now - health.newest).total_seconds()
    said = f"{health.entities} entities, the newest reading {_hours(age)} old"
    if age > STALE_AFTER * health.schema.cadence:
        advice = "what hangs on it is stale and not scored: see that passes are made, and the log"
        return Finding(what, False, said, advice)
    share = health.share_unknown
    said += f", {share:.0%} of its facts unknown" if share else ", every fact known"
    reasons = [f"{reason} ({count})" for reason, count in health.unknown.most_common(SHOWN)]
    return Finding(what, True, said, f"why: {'; '.join(reasons)}" if share >= MUCH else "")


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.0f} h" if seconds >= 3600 else f"{max(seconds, 0) / 60:.0f} min"


async def _tools(settings: Settings) -> AsyncIterator[Finding]:
    """One small question to each tool whose token is set."""
    asked = {
        "snyk": snyk_of,
        "pagerduty": pagerduty_of,
        "opsgenie": opsgenie_of,
        "jsm": jsm_of,
    }
    for name, made in asked.items():
        try:
            tool = made(settings)
        except ConfigurationError as error:
            yield Finding(name, False, str(error), "the message says what to do")
            continue
        if tool is None:
            continue
        try:
            await tool.greet()
        except Unanswered as error:
            yield Finding(name, False, str(error), "look at its token, its region and its id")
        else:
            yield Finding(name, True, "it answers, and takes the token")
        finally:
            await tool.api.close()
