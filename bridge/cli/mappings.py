"""`fester mappings …`: for people who edit mapping files."""

from __future__ import annotations

import asyncio
from itertools import chain
from pathlib import Path

import click
from watchfiles import watch as changes

from bridge.cli.show import plain
from bridge.cli.watching import Watch, last_crawl, on_disk
from bridge.errors import ConfigurationError
from bridge.language.names import did_you_mean
from bridge.model.problems import Problem, Severity
from bridge.ox.scores.rubric import LoadedRubric
from bridge.ox.scores.rubric_examples import ExampleOutcome, run_rubric_examples
from bridge.ox.scores.waivers import waiver_notes
from bridge.processors.mapping import (
    ExampleResult,
    Mappings,
    load_mappings,
    presets_folder,
    run_examples,
    shipped_folder,
)
from bridge.wiring.clock import utc_now
from bridge.wiring.extensions import collected
from bridge.wiring.mappings import mappings_and_rules
from bridge.wiring.ox import initiatives, rubric


@click.group()
def mappings() -> None:
    """Check and test mapping files and the rubric."""


def _all(folder: Path | None) -> tuple[Mappings, LoadedRubric]:
    """The mappings and the rubric; the problems of both at once. Without a folder all presets."""
    problems: list[Problem] = []
    loaded = collected(problems, lambda: mappings_and_rules(folder, everything=folder is None))
    expected = collected(problems, lambda: rubric(folder))
    if expected is not None:
        checks = [check.id for check in expected.rubric.checks]
        collected(problems, lambda: initiatives(folder, checks))
    if problems or loaded is None or expected is None:
        raise ConfigurationError(problems)
    return loaded[0], expected


_folder = click.argument(
    "folder", required=False, type=click.Path(file_okay=False, exists=True, path_type=Path)
)


@mappings.command("show")
@click.argument("name", required=False)
def show_mappings(name: str | None) -> None:
    """Print the shipped file NAME, to copy and change; without NAME list them all."""
    shipped = shipped_folder()
    names = sorted(
        str(path.relative_to(shipped))
        for path in shipped.rglob("*.*")
        if path != shipped / "README.md"  # which is for those who work on them
    )
    if name is None:
        click.echo("\n".join(names))
    elif name in names:
        click.echo((shipped / name).read_text("utf-8"), nl=False)
    else:
        near = did_you_mean(name, names)
        message = f"`fester mappings show` lists the files: {name!r} is none{near}"
        raise ConfigurationError([Problem(message, "unknown-file")])


@mappings.command("presets")
def show_presets() -> None:
    """List the shipped mappings that are used only if presets.yaml in your folder names them."""
    shipped = presets_folder()
    for mapping in load_mappings(everything=True).all:
        if mapping.path.parent == shipped:
            click.echo(f"{mapping.id:<16} {', '.join(mapping.files):<40} {mapping.title}")


@mappings.command("check")
@_folder
def check_mappings(folder: Path | None) -> None:
    """Load every mapping and the rubric (FOLDER over the shipped ones) and print all that is wrong.

    Exit code 0: all can be used. 2: something to fix.
    """
    loaded, expected = _all(folder)
    notes = [*loaded.notes, *waiver_notes(expected.rubric, utc_now().date())]
    if any(note.severity is Severity.ERROR for note in notes):
        raise ConfigurationError(notes)
    for note in notes:
        click.echo(plain(str(note)), err=True)
    for mapping in loaded.all:
        click.echo(f"{mapping.id:<16} {', '.join(mapping.files):<40} {mapping.title}")
    checks = len(expected.rubric.checks)
    click.echo(f"{'rubric':<16} {f'{checks} checks':<40} {expected.rubric.title}")
    click.echo(f"{len(loaded.all)} mappings and a rubric, all good")


@mappings.command("watch")
@click.argument("folder", type=click.Path(file_okay=False, exists=True, path_type=Path))
@click.option(
    "--manifest",
    "manifests",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A manifest whose entities are compared; repeatable.",
)
@click.option(
    "--store", metavar="URL", help="Compare the manifests of the last crawl kept there, too."
)
@click.option("--once", is_flag=True, help="Look once, and end.")
def watch_mappings(
    folder: Path, manifests: tuple[Path, ...], store: str | None, once: bool
) -> None:
    """Show what each change of the mappings in FOLDER does, as you edit them.

    At every change of a file the examples run, and what each manifest becomes is compared with what
    it became before. Ctrl-C ends it.
    """
    kept = asyncio.run(last_crawl(store)) if store else []
    watch = Watch(folder, [*map(on_disk, manifests), *kept])
    looks = [()] if once else chain([()], changes(folder, *manifests))
    for _ in looks:
        for line in watch.look():
            click.echo(plain(line))


@mappings.command("test")
@_folder
@click.pass_context
def test_mappings(ctx: click.Context, folder: Path | None) -> None:
    """Run the examples that mappings and the rubric carry (FOLDER over the shipped ones).

    Exit code 0: every example gives what it says. 1: a difference, shown. 2: a broken mapping.
    """
    loaded, expected = _all(folder)
    results: list[ExampleResult | ExampleOutcome] = [*run_examples(loaded)]
    results += run_rubric_examples(expected)
    for result in results:
        click.echo(f"{'ok  ' if result.ok else 'FAIL'} {result.place} {result.title}")
        if not result.ok:
            click.echo(result.difference)
    failed = sum(not result.ok for result in results)
    click.echo(f"{len(results) - failed} examples pass, {failed} fail")
    ctx.exit(1 if failed else 0)
