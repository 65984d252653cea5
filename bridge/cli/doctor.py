"""`fester doctor`: everything that a pass needs, looked at before the pass."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from bridge.cli.channels_seen import channel_findings
from bridge.cli.collectors_seen import collector_findings
from bridge.cli.options import config_option, mappings_option, settings_from, store_option
from bridge.cli.queue_seen import queue_findings
from bridge.cli.receivers_seen import receiver_findings
from bridge.cli.show import plain
from bridge.errors import ConfigurationError, FesterError
from bridge.exporters import FolderExporter, destination
from bridge.scrapers.gitlab.address import read_address
from bridge.scrapers.gitlab.client import GitLabClient
from bridge.scrapers.gitlab.inspection import INSPECTION, Finding, inspect
from bridge.scrapers.gitlab.throttle import Throttle
from bridge.settings import Settings
from bridge.store import missing_file_refused, open_store, without_making
from bridge.wiring.clock import utc_now
from bridge.wiring.given import gitlab_options
from bridge.wiring.location import located_each
from bridge.wiring.mappings import mappings_and_rules
from bridge.wiring.neighbours import secret, trust_of


@click.command()
@click.option("--from", "from_", metavar="SOURCE", help="A GitLab URL or a folder of checkouts.")
@click.option("--to", multiple=True, metavar="DEST", help="Folder or gs://bucket/prefix.")
@mappings_option
@store_option
@config_option
@click.pass_context
def doctor(ctx: click.Context, /, config: Path | None, **flags: Any) -> None:
    """Check the source, the token, mappings, destinations and the store; say what to type next.

    Exit code 0: all is well. 1: something is not. 2: the settings are wrong.
    """
    settings = settings_from(flags, config=config, need=("from",))
    console = Console()
    fine = asyncio.run(_examine(settings, console))
    console.print()
    console.print(_next_command(settings, fine), soft_wrap=True)
    ctx.exit(0 if fine else 1)


async def _examine(settings: Settings, console: Console) -> bool:
    fine = True
    async for finding in _findings(settings):
        soon = finding.fine and finding.advice
        word, style = ("warn ", "yellow") if soon else ("ok   ", "green")
        mark = Text(word, style=style) if finding.fine else Text("FAIL ", style="red")
        mark.append(f"{finding.what}: {plain(finding.said)}", style="default")
        if finding.advice:
            mark.append(f"\n     {plain(finding.advice)}", style="yellow")
        console.print(mark, soft_wrap=True)
        fine = fine and finding.fine
    return fine


async def _findings(settings: Settings) -> AsyncIterator[Finding]:
    if settings.source.lower().startswith(("http://", "https://")):
        for name, own in (await located_each(settings)).items():
            async for finding in _gitlab(own):
                yield replace(finding, what=f"{name}: {finding.what}") if name else finding
    else:
        yield _folder(Path(settings.source))
    yield _mappings(settings)
    for text in settings.to:
        yield await _destination(text, settings)
    if not settings.to:
        yield Finding(
            "destination", False, "none is given", "say --to FOLDER or gs://bucket/prefix"
        )
    yield await _store(settings.store)
    async for finding in queue_findings(settings):
        yield finding
    async for finding in collector_findings(settings):
        yield finding
    async for finding in receiver_findings(settings):
        yield finding
    async for finding in channel_findings(settings):
        yield finding


async def _gitlab(settings: Settings) -> AsyncIterator[Finding]:
    address = read_address(settings.source, settings.gitlab.url)
    groups = (*filter(None, (address.group,)), *gitlab_options(settings).groups)
    throttle = Throttle(time.time, asyncio.sleep)
    client = GitLabClient(
        address.base,
        secret(settings, "token"),
        INSPECTION,
        throttle,
        trust=trust_of(settings),
        variable=settings.token_variable,
    )
    try:
        async for finding in inspect(client, groups, utc_now(), people=settings.gitlab.people):
            yield finding
    finally:
        await client.close()


def _folder(folder: Path) -> Finding:
    if folder.is_dir():
        return Finding("source", True, f"the folder {folder} can be read")
    return Finding("source", False, f"{folder} is no folder", "name a folder or a GitLab URL")


def _mappings(settings: Settings) -> Finding:
    try:
        loaded, _ = mappings_and_rules(settings.mappings)
    except ConfigurationError as error:
        shown = "; ".join(str(problem) for problem in error.problems[:5])
        return Finding("mappings", False, shown, "`fester mappings check` lists every problem")
    return Finding("mappings", True, f"{len(loaded.all)} can be used: {', '.join(loaded.files)}")


async def _destination(text: str, settings: Settings) -> Finding:
    """A publish of nothing, without writing: it lists what is there."""
    try:
        exporter = destination(text, trust=trust_of(settings))
    except ConfigurationError as error:
        return Finding("destination", False, str(error), "mend --to")
    if isinstance(exporter, FolderExporter) and (closed := _closed(exporter.folder)):
        advice = "give this user the right to write there, or name another folder"
        return Finding("destination", False, f"{closed} cannot be written", advice)
    try:
        await exporter.publish([], dry_run=True)
    except FesterError as error:
        return Finding("destination", False, str(error), "the message says what to do")
    finally:
        await exporter.close()
    return Finding("destination", True, f"{text} can be used")


def _closed(folder: Path) -> Path | None:
    """What forbids to write into a folder, or to make it: the folder, or the nearest above it."""
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    return None if there.is_dir() and os.access(there, os.W_OK | os.X_OK) else there


async def _store(url: str) -> Finding:
    """What a pass will find; a file that is not there is not made for having been looked at."""
    try:
        looked_at = without_making(url)
        if looked_at != url and (closed := missing_file_refused(url)):
            advice = "make that folder, give this user the right to write there, or mend --store"
            return Finding("store", False, f"its file cannot be made in {closed}", advice)
        store = await open_store(looked_at)
        try:
            sources = await store.sources()
        finally:
            await store.close()
    except FesterError as error:
        return Finding("store", False, str(error), "the message says what to do")
    known = f"knows {len(sources)} source{'s' * (len(sources) != 1)}" if sources else "is new"
    return Finding("store", True, f"it opens, and {known}")


def _next_command(settings: Settings, fine: bool) -> str:
    to = " ".join(f"--to {text}" for text in settings.to) or "--to ./catalog"
    if fine:
        return f"Next: fester run --from {settings.source} {to} --dry-run"
    return "Mend what is marked FAIL, then run fester doctor again."
