"""What commands print: problems, reports and progress, for a terminal or for a log."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from bridge.errors import ConfigurationError
from bridge.model.problems import Problem, Severity
from bridge.model.runs import Outcome, Report, Step
from bridge.model.scrape import Coverage
from bridge.secret.masks import masked

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_STEPS: Mapping[str, str] = {
    Step.PROJECT: "reading projects",
    Step.PROCESS: "making the catalog",
    Step.PUBLISH: "publishing",
    Step.REMEMBER: "saving what is known",
    Step.COLLECT: "collecting facts",
}
_SHOWN = 40
_COUNTED: Mapping[str, str] = {
    Step.PROJECT: "projects read",
    Step.COLLECT: "readings of facts",
}
_EVERY = 500  # of these between two plain progress lines


def plain(text: str) -> str:
    """Text that cannot move a terminal's cursor or colour it, and shows no secret in force.

    Manifests come from strangers, and errors may quote what a library was given.
    """
    return _CONTROL.sub("�", masked(text))


def complain(problems: Sequence[Problem]) -> None:
    """Every problem of the configuration, on stderr."""
    for problem in problems:
        click.echo(plain(str(problem)), err=True)
    noun = "problem" if len(problems) == 1 else "problems"
    click.echo(f"fester: {len(problems)} {noun} to fix; nothing was done.", err=True)


def show_problems(console: Console, problems: Sequence[Problem], *, shown: int = _SHOWN) -> None:
    """Problems a line each, worst first; the rest is counted."""
    order = {severity: rank for rank, severity in enumerate(Severity)}
    ranked = sorted(problems, key=lambda problem: order[problem.severity])
    for problem in ranked[:shown]:
        line = Text(f"{problem.severity.value:<8}", style=_COLOURS[problem.severity])
        line.append(plain(str(problem)), style="default")
        console.print(line, soft_wrap=True)
    if len(ranked) > shown:
        console.print(f"… and {len(ranked) - shown} more; --report FILE writes them all")


def show_report(console: Console, report: Report) -> None:
    """A pass's account for a person."""
    show_problems(console, report.problems)
    if report.problems:
        console.print()
    if report.outcome is Outcome.FAILED:
        console.print(Text(f"failed: {plain(report.failure)}", style="red"), soft_wrap=True)
        return
    _show_counts(console, report)
    style = "green" if report.outcome is Outcome.COMPLETE else "yellow"
    said = {
        Outcome.COMPLETE: "complete",
        Outcome.INCOMPLETE: "incomplete: what could not be read is kept as it was",
    }[report.outcome]
    took = f" in {report.seconds:.1f} s, {report.gitlab_requests} requests"
    console.print(Text(said, style=style).append(took, style="default"))


def _show_counts(console: Console, report: Report) -> None:
    """How many there are of what was read, made and published."""
    counts = ", ".join(f"{count} {kind}" for kind, count in report.entities.items()) or "nothing"
    projects, manifests = report.projects, report.manifests
    if report.kind is not Coverage.FULL:
        looked = report.this_pass
        console.print(
            f"this pass looked at {looked.get('seen', 0)} projects that may have changed, "
            f"{looked.get('unreadable', 0)} unreadable; of all that is known:",
            soft_wrap=True,
        )
    console.print(
        f"{projects['seen']} projects seen, {projects['with_manifest']} with a manifest, "
        f"{projects['unreadable']} unreadable; {manifests['valid']} manifests valid, "
        f"{manifests['quarantined']} quarantined, {manifests['ignored']} ignored",
        soft_wrap=True,
    )
    console.print(f"catalog: {counts}", soft_wrap=True)
    for receipt in report.published:
        console.print(
            f"{receipt.to}: {receipt.written} files written, {receipt.kept} unchanged, "
            f"{receipt.removed} removed",
            soft_wrap=True,
        )


def write_report(path: Path, report: Report) -> None:
    """The report as a JSON file; `ConfigurationError` when it cannot be written."""
    try:
        path.write_text(json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n", "utf-8")
    except OSError as error:
        problem = Problem(
            f"the report cannot be written: {error.strerror}", "report", file=str(path)
        )
        raise ConfigurationError([problem]) from None


@contextmanager
def progress_of_pass() -> Iterator[Callable[[str, int], None]]:
    """A listener for `PassOptions.progress`: a live line on a terminal, plain lines elsewhere."""
    if not sys.stderr.isatty():
        yield _plain_progress()
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading projects", total=None)

        def listen(step: str, done: int) -> None:
            count = f" {done:,}" if step in _COUNTED else ""
            bar.update(task, description=f"{_STEPS[step]}{count}")

        yield listen


def _plain_progress() -> Callable[[str, int], None]:
    last = 0

    def listen(step: str, done: int) -> None:
        nonlocal last
        if step in _COUNTED and done >= last + _EVERY:
            last = done
            click.echo(f"{done} {_COUNTED[step]}", err=True)

    return listen
