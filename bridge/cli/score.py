"""`fester score`: the latest scores, for a person or for a machine."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.api.scores.trees import board_json, rollup_json, score_json, summary_json
from bridge.cli.options import config_option, mappings_option, settings_from, store_option
from bridge.cli.rubric_trial import show_trial, tried
from bridge.cli.show import plain
from bridge.errors import ConfigurationError, FesterError
from bridge.model.entities import Ref
from bridge.model.problems import Problem
from bridge.model.rubric_trials import RubricTrial
from bridge.model.scores import SERVICE, CheckState, RollupKind, Rubric, Score, Scoreboard
from bridge.settings import Settings
from bridge.store import SqlStore, open_store
from bridge.wiring.given import scraper
from bridge.wiring.ox import rubric

_WIDE = 160
_COLOURS = {
    CheckState.PASS: "green",
    CheckState.WARN: "yellow",
    CheckState.FAIL: "red",
    CheckState.STALE: "yellow",
}


@click.command()
@click.argument("ref", required=False)
@click.option(
    "--rollup",
    type=click.Choice([each.value for each in RollupKind]),
    help="Show roll-ups of this kind.",
)
@click.option("--kind", metavar="KIND", help="List entities of this kind, such as api.")
@click.option(
    "--dry-run-rubric",
    "trial",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Show what the rubric in FILE would move if it were in force.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--from", "from_", metavar="SOURCE", help="Which source, if the store knows several.")
@store_option
@mappings_option
@config_option
def score(
    ref: str | None,
    *,
    rollup: str | None,
    kind: str | None,
    trial: Path | None,
    as_json: bool,
    config: Path | None,
    **flags: Any,
) -> None:
    """Show the latest scores: of REF, of roll-ups, or of every service.

    REF is a component's name or a reference such as component:default/name; with --rollup, the
    name of a roll-up.
    """
    settings = settings_from(flags, config=config, uses=())
    if trial is not None:
        _trial(asyncio.run(_tried(settings, trial)), as_json=as_json)
        return
    board, expected = asyncio.run(_read(settings))
    if rollup is not None:
        _rollups(board, RollupKind(rollup), ref, as_json=as_json)
    elif ref is not None:
        _one(_found(board, ref), expected, as_json=as_json)
    else:
        _all(board, (kind or SERVICE).lower(), as_json=as_json)


async def _read(settings: Settings) -> tuple[Scoreboard, Rubric]:
    """The latest board in the store, and the rubric in force."""
    store = await open_store(settings.store)
    try:
        source = await _source(settings, store)
        expected = (await asyncio.to_thread(rubric, settings.mappings)).rubric
        board = await store.scores().latest_scores(source)
    finally:
        await store.close()
    if board is None:
        raise FesterError(
            f"nothing of {source} was scored yet; `fester run` and `fester serve` score "
            "after each pass"
        )
    return board, expected


async def _tried(settings: Settings, file: Path) -> RubricTrial:
    store = await open_store(settings.store)
    try:
        return await tried(settings, store, await _source(settings, store), file)
    finally:
        await store.close()


def _trial(trial: RubricTrial, *, as_json: bool) -> None:
    if as_json:
        _print(trial.as_json())
    else:
        show_trial(_console(), trial)


async def _source(settings: Settings, store: SqlStore) -> str:
    """The source that was asked for, else the only one that the store knows."""
    if settings.source:
        reading = scraper(settings)
        await reading.close()
        return reading.name
    known = await store.sources()
    if len(known) == 1:
        return known[0]
    if known:
        message = f"{settings.store} knows {', '.join(known)}: say which one with --from"
        raise ConfigurationError([Problem(message, "source-ambiguous")])
    raise ConfigurationError(
        [Problem(f"{settings.store} knows of no pass yet; `fester run` makes one", "no-pass")]
    )


def _found(board: Scoreboard, text: str) -> Score:
    try:
        ref = Ref.parse(text, kind="component")
    except ValueError as error:
        raise ConfigurationError([Problem(str(error), "reference-invalid")]) from None
    if ref not in board.scores:
        raise FesterError(f"{plain(str(ref))} has no score; `fester score` lists those that have")
    return board.scores[ref]


def _console() -> Console:
    """As wide as the terminal; into a file or a pipe wide enough that names stay whole."""
    console = Console()
    return console if console.is_terminal else Console(width=_WIDE)


def _print(tree: object) -> None:
    click.echo(json.dumps(tree, indent=2, ensure_ascii=False))


def _value(score: Score) -> str:
    known = score.sufficient and score.value is not None
    return f"{score.value:.1f}" if known else "insufficient data"


def _table(*columns: str, title: str = "") -> Table:
    table = Table(title=title or None, title_justify="left", box=None, header_style="bold")
    for column in columns:
        right = column in {"score", "target", "coverage", "weight", "points", "services", "unknown"}
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    return table


def _all(board: Scoreboard, kind: str, *, as_json: bool) -> None:
    listed = [score for ref, score in board.scores.items() if ref.kind == kind]
    if as_json:
        _print({**board_json(board), "items": [summary_json(each) for each in listed]})
        return
    noun = "service" if kind == SERVICE else kind
    table = _table(noun, "score", "level", "target", "coverage", "failed gates")
    ranked = sorted(listed, key=lambda each: (not each.sufficient, each.value or 0, each.entity))
    for each in ranked:
        table.add_row(
            plain(str(each.entity)),
            _value(each),
            each.level or "-",
            f"{each.target:.0f}",
            f"{each.coverage:.0%}",
            ", ".join(each.gates_failed) or "-",
        )
    _console().print(table)


def _one(score: Score, rubric: Rubric, *, as_json: bool) -> None:
    if as_json:
        _print(score_json(score, rubric))
        return
    console = _console()
    level = f", {score.level}" if score.level else ""
    console.print(
        Text(f"{score.entity}: {_value(score)}{level}", style="bold"),
        f"(target {score.target:.0f}, coverage {score.coverage:.0%})",
    )
    table = _table("check", "state", "weight", "why")
    for result in score.results:
        state = Text(result.state.value, style=_COLOURS.get(result.state, "cyan"))
        gate = " (gate)" if result.gate else ""
        table.add_row(result.check + gate, state, f"{result.weight:g}", Text(plain(result.reason)))
    console.print(table)
    fixes = _table("fix next", "points", "how")
    for fix in score.fixes():
        gate = " (gate)" if fix.result.gate else ""
        points = f"{fix.points:+.1f}"
        fixes.add_row(fix.result.check + gate, points, Text(plain(fix.result.reason)))
    if score.fixes():
        console.print()
        console.print(fixes)


def _rollups(board: Scoreboard, kind: RollupKind, name: str | None, *, as_json: bool) -> None:
    found = [each for each in board.rollups if each.kind is kind]
    if name is not None:
        one = board.rollup(kind, name)
        found = [one] if one is not None else []
        if not found:
            message = f"there is no {kind} {plain(name)}; `fester score --rollup {kind}` lists them"
            raise FesterError(message)
    if as_json:
        _print({**board_json(board), "items": [rollup_json(each) for each in found]})
        return
    table = _table(kind, "score", "services", "unknown", "below target", "coverage")
    for each in sorted(found, key=lambda each: (each.value is None, each.value or 0, each.name)):
        table.add_row(
            plain(each.name),
            "insufficient data" if each.value is None else f"{each.value:.1f}",
            str(each.services),
            str(each.unknown),
            str(each.below_target),
            f"{each.coverage:.0%}",
        )
    _console().print(table)
