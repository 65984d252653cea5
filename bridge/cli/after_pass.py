"""What follows a pass that is made once: receivers are told, facts collected, services scored."""

from __future__ import annotations

from collections.abc import Callable

import click
import structlog

from bridge.cli.show import plain
from bridge.errors import FesterError, StoreError
from bridge.model.runs import Step
from bridge.passes.stages import Pass
from bridge.settings import Settings
from bridge.wiring import Wired
from bridge.wiring.receivers import change_receivers

log = structlog.get_logger()


async def receivers_told(settings: Settings, parts: Wired) -> None:
    """Tell the receivers of changes what they do not know; says on stderr which did not take it."""
    told = change_receivers(settings, parts.stages.scraper.name, parts.store)
    await told.once()
    try:
        standings = await told.standings()
    except StoreError as error:
        click.echo(plain(f"receivers of changes wait for the next run: {error}"), err=True)
        return
    for each in standings:
        if each.state is not None and each.state.failing_since is not None:
            message = f"receiver {each.name} did not take what changed: {each.state.reason}; "
            click.echo(plain(f"{message}nothing is lost, the next run tries again"), err=True)


async def facts_and_scores(parts: Wired, done: Pass, progress: Callable[[str, int], None]) -> None:
    """Collect and score after `done` was published; says on stderr when that fails.

    A catalog that was published stands whatever happens here: nothing is raised.
    """
    count = 0

    def recorded(readings: int) -> None:
        nonlocal count
        count += readings
        progress(Step.COLLECT, count)

    progress(Step.COLLECT, 0)
    try:
        await parts.facts.load()
        known = await done.known()
        await parts.after_pass.facts_and_scores(
            known.catalog, known.memory, done.observations, all_batches=True, on_record=recorded
        )
    except Exception as error:
        if not isinstance(error, FesterError):
            log.exception("A step after the pass failed", action="after_pass_failed")
        message = f"the pass stands, but its facts and scores are not whole: {error}"
        click.echo(plain(message), err=True)


def scored(parts: Wired) -> str:
    """How many services have a score now, and how to see them; "" when nothing was scored."""
    board = parts.scores.board
    services = board.services if board is not None else {}
    if not services:
        return ""
    known = sum(score.sufficient for score in services.values())
    noun = "service" if len(services) == 1 else "services"
    unknown = len(services) - known
    return f"{len(services)} {noun} scored, {unknown} without enough data"
