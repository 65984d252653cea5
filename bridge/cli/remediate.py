"""`fester remediate`: what Ox would do about deficiencies, and doing it."""

from __future__ import annotations

import asyncio
import json
from itertools import groupby
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.cli.options import config_option, mappings_option, settings_from, store_option
from bridge.cli.show import plain
from bridge.errors import StoreError
from bridge.model.remediation import ActionOutcome, ActionRecord, KeyKind, RemediationRun
from bridge.ox.remediation.assignment import Grounds
from bridge.ox.scores.initiatives import promised
from bridge.settings import Settings
from bridge.wiring import wired
from bridge.wiring.ox import initiatives_of
from bridge.wiring.remediation import assignment, needed

# Digests, webhooks and Backstage are nothing of its.
_USES = ("token", "snyk_token", "pagerduty_token", "opsgenie_token", "jsm_token")
_COLOURS = {
    ActionOutcome.PLANNED: "cyan",
    ActionOutcome.DONE: "green",
    ActionOutcome.FAILED: "red",
    ActionOutcome.SKIPPED: "yellow",
    ActionOutcome.NOTED: "dim",
}


@click.command()
@click.option("--from", "from_", metavar="SOURCE", help="A GitLab URL.")
@click.option("--apply", "apply_", is_flag=True, help="Do it; without this it is only planned.")
@click.option(
    "--baseline", is_flag=True, help="Open issues for what failed when Ox first looked, too."
)
@click.option(
    "--accept",
    multiple=True,
    metavar="CHECK",
    help="Believe a check that is paused because many services flipped; repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the account as JSON.")
@mappings_option
@store_option
@config_option
@click.pass_context
def remediate(ctx: click.Context, /, config: Path | None, **flags: Any) -> None:
    """Plan issues and merge requests from the latest scores, service by service, with reasons.

    Exit code 0: planned or done. 1: something could not be done. 2: the settings are wrong.
    """
    settings = settings_from(flags, config=config, need=("from",), uses=_USES)
    run = asyncio.run(_run(settings, flags))
    if flags["as_json"]:
        click.echo(json.dumps(run.as_json(), indent=2))
    else:
        _show(Console(), run, baseline=flags["baseline"] or settings.remediation.baseline)
    failed = any(record.outcome is ActionOutcome.FAILED for record in run.records)
    ctx.exit(1 if failed or run.stopped or run.listing_failure else 0)


async def _run(settings: Settings, flags: dict[str, Any]) -> RemediationRun:
    """One run over everything: all of the catalog is loaded, since what is asked for is compared
    with all scores, all projects and all issues of ours.
    """
    async with wired(settings) as parts:
        source = parts.stages.scraper.name
        made = needed(assignment(parts))
        try:
            board = await parts.store.scores().latest_scores(source)
            latest = await parts.store.latest(source)
            if board is None or latest is None:
                raise StoreError(
                    f"no scores of {source} are known in the store; "
                    "let `fester serve` make a pass first, with the same --from and --store"
                )
            memory = await parts.store.load(source)
            await parts.scores.load()
            goals = await initiatives_of(settings, parts.scores).progress()
            run = await made.run(
                Grounds(board, parts.scores.rubric, latest.catalog, memory, promised(goals)),
                apply=flags["apply_"],
                baseline=flags["baseline"],
                accepted=flags["accept"],
            )
        finally:
            await made.close()
    if run is None:
        raise StoreError(
            "another process is at the remediation of this source; try again when it is done"
        )
    return run


def _show(console: Console, run: RemediationRun, *, baseline: bool) -> None:
    """A table a service, then what holds for all of them."""
    ordered = sorted(run.records, key=lambda r: (r.action.project, str(r.action.key)))
    for project, records in groupby(ordered, key=lambda record: record.action.project):
        console.print(_table(plain(project), list(records)))
    for pause in run.pauses:
        console.print(
            Text(f"{pause}; believe it with --accept {plain(pause.check)}", style="yellow"),
            soft_wrap=True,
        )
    if run.listing_failure:
        console.print(Text(plain(run.listing_failure), style="yellow"), soft_wrap=True)
    if run.stopped:
        console.print(Text(f"stopped: {plain(run.stopped)}", style="red"), soft_wrap=True)
    console.print(_summary(run, baseline=baseline), soft_wrap=True)


def _table(title: str, records: list[ActionRecord]) -> Table:
    table = Table(title=Text(title, style="bold"), title_justify="left", expand=True)
    for name in ("what", "for", "why", "outcome"):
        table.add_column(name, overflow="fold")
    for record in records:
        action = record.action
        said = record.outcome.value + (f": {record.detail}" if record.detail else "")
        outcome = Text(plain(said), style=_COLOURS[record.outcome])
        if record.url:
            outcome.append(f"\n{plain(record.url)}", style="default")
        table.add_row(
            action.kind.value,
            Text(plain(f"{action.key.entity}\n{_about(record)}")),
            Text(plain(action.reason)),
            outcome,
        )
    return table


def _about(record: ActionRecord) -> str:
    key = record.action.key
    return f"merge request: {key.what}" if key.kind is KeyKind.MERGE_REQUEST else key.what


def _summary(run: RemediationRun, *, baseline: bool) -> str:
    counts = {
        outcome: sum(record.outcome is outcome for record in run.records)
        for outcome in ActionOutcome
    }
    said = ", ".join(f"{count} {outcome.value}" for outcome, count in counts.items() if count)
    lines = [said or "nothing to do"]
    if run.baseline and not baseline:
        lines.append(
            f"{run.baseline} failures were there when Ox first looked; they are left alone "
            "(--baseline opens issues for them, too)"
        )
    if counts[ActionOutcome.PLANNED]:
        lines.append("nothing was written; --apply carries it out")
    return "\n".join(lines)
