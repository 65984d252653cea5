"""`fester jobs`: how far what several processes do of a pass is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from bridge.cli.options import config_option, settings_from, store_option
from bridge.cli.show import plain
from bridge.model.moments import iso
from bridge.model.numbers import FIRST_CALLED
from bridge.model.work import SweepProgress
from bridge.scrapers import source
from bridge.scrapers.gitlab.address import read_address
from bridge.settings import Settings
from bridge.store import open_store, without_making


@click.command()
@config_option
@store_option
@click.option("--from", "from_", metavar="SOURCE", help="A GitLab URL, as `fester serve` has it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def jobs(*, config: Path | None, as_json: bool, **flags: Any) -> None:
    """Show how far passes are that several processes share: parts done, left and failed.

    A part is some hundred projects that are read, or entities that are merged or checked, or some
    shards that are rendered. Of each GitLab the latest of each task is shown; what a process does
    alone has no parts.
    """
    settings = settings_from(flags, config=config, need=("from",), uses=())
    found = asyncio.run(_progress(settings))
    if as_json:
        click.echo(json.dumps([as_tree(each) for each in found], indent=2))
    elif not found:
        click.echo("no sweep was shared: `fester worker` on another machine makes one so")
    else:
        _show(found)


async def _progress(settings: Settings) -> list[SweepProgress]:
    store = await open_store(without_making(settings.store))
    try:
        return await store.parts.progress(_name(settings))
    finally:
        await store.close()


def _name(settings: Settings) -> str:
    """The name that the store has for the source; a folder has one, too, though nobody shares it.

    Raises `ConfigurationError` for what is neither.
    """
    if settings.source.lower().startswith(("http://", "https://")):
        return read_address(settings.source, settings.gitlab.url).name
    return source(settings.source).name


def as_tree(each: SweepProgress) -> dict[str, Any]:
    """A sweep as JSON has it."""
    return {
        "source": each.reading or "first",
        "work": each.task.value,
        "began": iso(each.began),
        "listed": each.listed,
        "parts": {
            "done": each.done,
            "under_way": each.under_way,
            "waiting": each.waiting,
            "failed": each.failed,
        },
        each.task.items: {"listed": each.projects, "done": each.projects_done},
        "failures": list(each.failures),
    }


def _show(found: Sequence[SweepProgress]) -> None:
    console = Console()
    table = Table("source", "task", "since", "parts", "left", "failed", "done", box=None)
    now = datetime.now(UTC)
    for each in found:
        listed = "" if each.listed else " so far"
        minutes = (now - each.began).total_seconds() / 60
        table.add_row(
            each.reading or "first",
            each.task.value,
            f"{minutes:.0f} min",
            str(each.done),
            str(each.left),
            str(each.failed),
            f"{each.projects_done} of {each.projects} {each.task.items}{listed}",
        )
    console.print(table)
    for each in found:
        for reason in each.failures:
            console.print(plain(f"{each.reading or FIRST_CALLED}: {reason}"), markup=False)
