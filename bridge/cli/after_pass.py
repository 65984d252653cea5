"""What follows a pass that is made once: facts are collected, and services scored."""

from __future__ import annotations

from collections.abc import Callable

import click
import structlog

from bridge.cli.show import plain
from bridge.errors import FesterError
from bridge.passes.pipeline import Pass
from bridge.wiring import Wired

log = structlog.get_logger()


async def facts_and_scores(parts: Wired, done: Pass, progress: Callable[[str, int], None]) -> None:
    """Collect and score after `done` was published; says on stderr when that fails.

    A catalog that was published stands whatever happens here: nothing is raised.
    """
    count = 0

    def recorded(readings: int) -> None:
        nonlocal count
        count += readings
        progress("collect", count)

    progress("collect", 0)
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
