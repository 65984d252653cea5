"""`fester mappings check|test`: for people who edit mapping files."""

from __future__ import annotations

from pathlib import Path

import click

from bridge.processors.mapping import run_examples
from bridge.wiring import mappings_and_rules


@click.group()
def mappings() -> None:
    """Check and test mapping files."""


_folder = click.argument(
    "folder", required=False, type=click.Path(file_okay=False, exists=True, path_type=Path)
)


@mappings.command("check")
@_folder
def check_mappings(folder: Path | None) -> None:
    """Load every mapping (FOLDER over the shipped ones) and print all that is wrong.

    Exit code 0: all can be used. 2: something to fix.
    """
    loaded, _ = mappings_and_rules(folder)
    for mapping in loaded.all:
        click.echo(f"{mapping.id:<16} {', '.join(mapping.files):<40} {mapping.title}")
    click.echo(f"{len(loaded.all)} mappings, all good")


@mappings.command("test")
@_folder
@click.pass_context
def test_mappings(ctx: click.Context, folder: Path | None) -> None:
    """Run the examples that mappings carry (FOLDER over the shipped ones).

    Exit code 0: every example gives what it says. 1: a difference, shown. 2: a broken mapping.
    """
    loaded, _ = mappings_and_rules(folder)
    results = run_examples(loaded)
    for result in results:
        click.echo(f"{'ok  ' if result.ok else 'FAIL'} {result.place} {result.title}")
        if not result.ok:
            click.echo(result.difference)
    failed = sum(not result.ok for result in results)
    click.echo(f"{len(results) - failed} examples pass, {failed} fail")
    ctx.exit(1 if failed else 0)
