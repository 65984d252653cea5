"""`fester check`: manifests checked offline, for a service owner's own pipeline."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from bridge.cli.offline import (
    find_manifests,
    in_its_repository,
    project_at,
    project_of,
    read_manifest,
    refused_by_backstage,
    repository_of,
)
from bridge.cli.options import defaults_option, mappings_option
from bridge.cli.show import show_problems
from bridge.errors import ConfigurationError
from bridge.language.paths import fits
from bridge.model.manifests import Verdict
from bridge.model.problems import Problem, Severity
from bridge.model.runs import problem_json
from bridge.model.scrape import in_repositories
from bridge.processors.mapping import Mappings, load_mappings

# Severities of GitLab's code-quality report: info, minor, major, critical, blocker.
_GITLAB = {Severity.ERROR: "major", Severity.WARNING: "minor", Severity.INFO: "info"}


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json", "gitlab"]),
    default="text",
    show_default=True,
    help="gitlab: a code-quality report, shown in the merge request.",
)
@click.option("--project", metavar="PATH", help="The GitLab project's path, for its defaults.")
@defaults_option
@mappings_option
@click.pass_context
def check(  # noqa: PLR0917 — click passes the options by name
    ctx: click.Context,
    paths: Sequence[Path],
    format_: str,
    project: str | None,
    defaults: Path | None,
    mappings: Path | None,
) -> None:
    """Check the manifests at PATHS (files, or folders to search).

    Exit code 0: all fine (warnings allowed). 1: something to fix. 2: a path or mapping is wrong.
    """
    loaded = load_mappings(mappings, defaults=defaults)
    files, presets = in_repositories(loaded.files), _presets(mappings)
    checked = 0
    problems: list[Problem] = []
    for path, name in find_manifests(paths, [*files, *(presets.keys() - set(files))]):
        if name not in files:
            problems.append(_left_to(presets[name], path))
            continue
        checked += 1
        problems.extend(_not_read(loaded, path, files))
        problems.extend(_check_one(loaded, path, name, project))
    if not checked:
        message = f"no manifest found; looked for {', '.join(files)}"
        where = ", ".join(map(str, paths))
        raise ConfigurationError([Problem(message, "nothing-to-check", file=where), *problems])
    {"text": _as_text, "json": _as_json, "gitlab": _as_gitlab}[format_](problems, checked)
    ctx.exit(1 if any(p.severity is Severity.ERROR for p in problems) else 0)


def _presets(mappings: Path | None) -> dict[str, str]:
    """The mapping of each file name, also where it is a preset that is not in use."""
    everything = load_mappings(mappings, everything=True).all
    return {name: each.id for each in everything for name in in_repositories(each.files)}


def _left_to(preset: str, path: Path) -> Problem:
    message = (
        f"is not read: the preset `{preset}` alone wants a file of this name; where `presets.yaml` "
        "in the mappings folder names it, `fester check --mappings DIR` checks it, too"
    )
    return Problem(message, "preset-unused", Severity.INFO, file=str(path))


def _check_one(mappings: Mappings, path: Path, name: str, given: str | None) -> list[Problem]:
    """A file's problems, placed at its path on this machine."""
    project, root = project_at(path, given), repository_of(path)
    file = read_manifest(path, name)
    if root is not None:
        file = in_its_repository(mappings, project, root, path, file)
    translation = mappings.translate(project, file)
    problems = [problem.at(project="", file=str(path)) for problem in translation.problems]
    if translation.verdict is Verdict.IGNORED:
        message = f"ignored: {translation.reason}"
        problems.append(Problem(message, "manifest-ignored", Severity.INFO, file=str(path)))
    if translation.verdict is Verdict.QUARANTINED:
        problems += _unseen(mappings.lacking(project, file), problems, path)
    return problems + refused_by_backstage(translation.drafts, path)


def _unseen(lacking: Sequence[str], problems: Sequence[Problem], path: Path) -> list[Problem]:
    """What is said of keys that are missing here, and that a crawl may find in defaults."""
    keys = [key for key in lacking if any(f"{key} is missing" in p.message for p in problems)]
    if not keys:
        return []
    message = (
        f"{', '.join(f'`{key}`' for key in keys)} may come from the defaults for the project's "
        "GitLab groups, which are not seen here: --defaults FILE checks with a qm.defaults.yaml"
    )
    return [Problem(message, "defaults-unseen", Severity.INFO, file=str(path))]


def _not_read(mappings: Mappings, path: Path, names: Sequence[str]) -> list[Problem]:
    """What is said of a manifest that no crawl reads: neither at its repository's root, nor named
    by a manifest there.
    """
    root = repository_of(path)
    if root is None or root == path.absolute().parent:
        return []
    place = path.absolute().relative_to(root).as_posix()
    there = [name for name in names if (root / name).is_file()]
    project = project_of(root / "x")
    included = [
        pattern
        for name in there
        for pattern in mappings.wanted(project, read_manifest(root / name, name)).manifests
    ]
    if any(fits(place, pattern) for pattern in included):
        return []
    if there:
        advice = f"{there[0]} at the root is, and does not include it: add it to its `include`"
    else:
        advice = "move it there, or name it in the `include` of a manifest that is there"
    message = (
        "is not read: Fester looks at the root of a repository, and at what a manifest there "
        f"includes or `gitlab.nested` in its settings names; {advice}"
    )
    severity = Severity.WARNING if there else Severity.ERROR
    return [Problem(message, "not-at-the-root", severity, file=str(path), line=1, column=1)]


def _as_text(problems: Sequence[Problem], checked: int) -> None:
    show_problems(Console(), problems, shown=1000)
    errors = sum(problem.severity is Severity.ERROR for problem in problems)
    noun = "manifest" if checked == 1 else "manifests"
    click.echo(f"{checked} {noun} checked, {errors} errors, {len(problems) - errors} other notes")


def _as_json(problems: Sequence[Problem], checked: int) -> None:
    tree = {"checked": checked, "problems": [problem_json(problem) for problem in problems]}
    click.echo(json.dumps(tree, indent=2, ensure_ascii=False))


def _as_gitlab(problems: Sequence[Problem], checked: int) -> None:
    """GitLab's code-quality format: docs.gitlab.com/ci/testing/code_quality."""
    seen: dict[str, int] = {}
    issues = []
    for problem in problems:
        # A fingerprint outlives moved lines, so that GitLab knows an old finding again.
        key = f"{problem.file}\0{problem.rule}\0{problem.message}"
        seen[key] = seen.get(key, 0) + 1
        digest = hashlib.sha256(f"{key}\0{seen[key]}".encode()).hexdigest()
        issues.append(
            {
                "description": problem.message,
                "check_name": problem.rule,
                "fingerprint": digest,
                "severity": _GITLAB[problem.severity],
                "location": {"path": problem.file, "lines": {"begin": max(problem.line, 1)}},
            }
        )
    click.echo(json.dumps(issues, indent=2, ensure_ascii=False))
