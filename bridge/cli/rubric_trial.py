"""`fester score --dry-run-rubric FILE`: what a changed rubric would move, before it is in force."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bridge.cli.show import plain
from bridge.errors import FesterError
from bridge.model.rubric_trials import RubricTrial, ServiceMove, level_of, shown
from bridge.model.scores import Rollup
from bridge.ox.remediation.reconcile_issues import labelled
from bridge.ox.scores.rubric import load_rubric
from bridge.ox.scores.rubric_trial import try_rubric
from bridge.settings import Settings
from bridge.store.store import SqlStore
from bridge.wiring.clock import utc_now
from bridge.wiring.ox import rubric, rubric_schemas

SHOWN = 30  # services and teams; --json has all


async def tried(settings: Settings, store: SqlStore, source: str, file: Path) -> RubricTrial:
    """The rubric in `file` against the one in force, over what the store knows of `source`.

    Raises `ConfigurationError` with the problems of either, `FesterError` where nothing is known.
    """
    other = await asyncio.to_thread(load_rubric, file, rubric_schemas(settings.mappings))
    force = await asyncio.to_thread(rubric, settings.mappings)
    record = await store.latest(source)
    if record is None:
        raise FesterError(f"no pass over {source} has ended yet; `fester run` makes one")
    now = utc_now()
    cases = await store.remediation.cases(source)
    return await asyncio.to_thread(
        try_rubric,
        force,
        other,
        entities=record.catalog.entities,
        readings=await store.facts().latest_facts(source),
        now=now,
        given=labelled(cases.values(), settings.remediation.waive_label, now),
    )


def show_trial(console: Console, trial: RubricTrial) -> None:
    """The trial for a person."""
    counts = trial.counts
    if not trial.services:
        console.print(f"Of {counts['scored']} scores none would move.")
        return
    console.print(
        f"{counts['moved']} of {counts['scored']} scores would move: "
        f"{counts['higher']} up, {counts['lower']} down; {counts['to_target']} to their target, "
        f"{counts['off_target']} off it; {counts['to_insufficient']} to insufficient data, "
        f"{counts['to_known']} from it.",
        soft_wrap=True,
    )
    levels = Table("from level", "to level", "services", box=None, header_style="bold")
    for (was, will), count in sorted(trial.levels.items()):
        levels.add_row(plain(was), plain(will), str(count))
    teams = Table("team", "score", "would be", "below target", "would be", box=None)
    for team in trial.teams[:SHOWN]:
        cells = (_mean(team.before), _mean(team.after), _below(team.before), _below(team.after))
        teams.add_row(plain(team.team), *cells)
    services = Table("service", "score", "would be", "level", "would be", "gates would fail")
    services.box = None
    for move in trial.services[:SHOWN]:
        services.add_row(*_cells(move))
    for table in (levels, teams, services):
        if table.row_count:
            console.print()
            console.print(table)
    if len(trial.services) > SHOWN:
        console.print(f"and {len(trial.services) - SHOWN} more services; --json lists all")


def _cells(move: ServiceMove) -> tuple[str, ...]:
    gates = ", ".join(move.after.gates_failed) if move.after else ""
    return (
        plain(str(move.entity)),
        _number(shown(move.before)),
        _number(shown(move.after)),
        level_of(move.before),
        level_of(move.after),
        gates or "-",
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _mean(rollup: Rollup | None) -> str:
    return _number(rollup.value if rollup else None)


def _below(rollup: Rollup | None) -> str:
    return str(rollup.below_target) if rollup else "-"
