"""`fester run`: one pass."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from bridge.cli.after_pass import facts_and_scores, receivers_told, scored
from bridge.cli.options import pass_options, settings_from
from bridge.cli.show import progress_of_pass, show_report, write_report
from bridge.exporters.backstage_refresh import Refresher
from bridge.model.runs import Outcome, Report, changed_in
from bridge.passes.runner import Passes
from bridge.passes.stages import Pass, PassOptions
from bridge.settings import Settings
from bridge.store import without_making
from bridge.wiring import wired

# Digests and notices are things of `serve`; a dry run tells no receiver of changes anything.
_USES = ("token", "backstage_token", "snyk_token", "pagerduty_token", "opsgenie_token", "jsm_token")
_TELLS = (*_USES, "receiver_secrets")


@click.command()
@pass_options
@click.option(
    "--incremental",
    is_flag=True,
    help="Ask only for what changed since the last pass; everything when that is due.",
)
@click.pass_context
def run(
    ctx: click.Context,
    /,
    *,
    config: Path | None,
    report: Path | None,
    dry_run: bool,
    accept_removals: bool,
    take_over: bool,
    incremental: bool,
    **flags: Any,
) -> None:
    """Make one pass: scrape, translate, merge, validate, publish. Then tell, collect and score.

    Receivers of changes (`changes.receivers`) are told what changed, facts collected, services
    scored.

    A dry run tells what a pass would give; it needs no --to, and makes no store where none is.

    Exit code 0: complete. 1: failed, nothing published. 2: configuration to fix. 3: published,
    but something could not be read (what was known of it is kept). Facts and scores change none
    of these.
    """
    need = ("from",) if dry_run else ("from", "to")
    settings = settings_from(flags, config=config, need=need, uses=_USES if dry_run else _TELLS)
    if dry_run:
        settings = settings.model_copy(update={"store": without_making(settings.store)})

    def told(account: Report) -> None:
        if report is not None:
            write_report(report, account)
        show_report(Console(), account)

    wish = PassOptions(dry_run=dry_run, accept_removals=accept_removals, take_over=take_over)
    account = asyncio.run(_one_pass(settings, wish, incremental, told))
    if dry_run:
        click.echo("dry run: nothing was written")
    ctx.exit(account.outcome.exit_code)


async def _one_pass(
    settings: Settings, wish: PassOptions, incremental: bool, told: Callable[[Report], None]
) -> Report:
    """The pass's account, which `told` hears before facts are collected."""
    async with wired(settings) as parts:
        passes = Passes(parts.stages, settings.full_every)
        wishes = [replace(wish, source=name) for name in parts.stages.sources]
        if incremental:
            wishes = [await passes.next_pass(each) for each in wishes]
        with progress_of_pass() as progress:
            done = await passes.run_all([replace(each, progress=progress) for each in wishes])
        done = await passes.with_problems(done)
        account = await _told(parts.refresher, done, wish.dry_run)
        told(account)
        if not wish.dry_run and account.outcome is not Outcome.FAILED:
            await receivers_told(settings, parts)
            with progress_of_pass() as progress:
                await facts_and_scores(parts, done, progress)
            if said := scored(parts):
                click.echo(f"{said}: `fester score` shows them")
        return account


async def _told(refresher: Refresher | None, done: Pass, dry_run: bool) -> Report:
    """The pass's account, after Backstage was told; a dry run only says what it would be told."""
    report = done.report
    if refresher is None or report.outcome is Outcome.FAILED:
        return report
    changed, files = changed_in(report), done.digests
    if dry_run:
        due = refresher.locations(refresher.due(files, changed, done.changes.freed))
        click.echo(f"Backstage would refresh: {', '.join(due) or 'nothing'}")
        return report
    problem = await refresher.tell(files, changed, done.changes.freed)
    return report if problem is None else replace(report, problems=(*report.problems, problem))
