"""`fester map`: the entities that one manifest becomes, and where every field came from."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console

from bridge.cli.offline import (
    in_its_repository,
    project_at,
    read_manifest,
    refused_by_backstage,
    repository_of,
    tell_problems,
    wanted_name,
)
from bridge.cli.options import defaults_option, mappings_option
from bridge.cli.show import plain, show_problems
from bridge.exporters.yaml_text import document
from bridge.model.problems import Severity
from bridge.model.scrape import Project, in_repositories
from bridge.processors.mapping import MappingExplanation, load_mappings
from bridge.processors.placeholders import neutralise


@click.command("map")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--as", "name", metavar="NAME", help="Read FILE as if it were called NAME.")
@click.option("--project", metavar="PATH", help="The GitLab project's path to assume.")
@click.option("--web-url", metavar="URL", default="", help="The GitLab project's URL to assume.")
@click.option("--explain", is_flag=True, help="For every field: the mapping's and manifest's line.")
@defaults_option
@mappings_option
@click.pass_context
def map_command(  # noqa: PLR0917 — click passes the options by name
    ctx: click.Context,
    file: Path,
    name: str | None,
    project: str | None,
    web_url: str,
    explain: bool,
    defaults: Path | None,
    mappings: Path | None,
) -> None:
    """Print the entities that the manifest FILE becomes.

    What it names besides, as definitions of APIs, is read from the checkout that it lies in.
    Exit code 0: entities. 1: the manifest is broken (in part, perhaps), not ours, or gives what
    Backstage refuses; the reason is printed.
    """
    loaded = load_mappings(mappings, defaults=defaults)
    name = wanted_name(file, name, in_repositories(loaded.files))
    assumed = _assumed(file, project, web_url)
    manifest = read_manifest(file, name)
    root = repository_of(file)
    if root is not None:
        manifest = in_its_repository(loaded, assumed, root, file.with_name(name), manifest)
    translation = loaded.translate(assumed, manifest)
    errors = Console(stderr=True)
    if not tell_problems(errors, translation, file):
        ctx.exit(1)
    found = refused_by_backstage(translation.drafts, file)
    show_problems(errors, found)
    if explain:
        _explain(loaded.explain(assumed, manifest), str(file))
    else:
        click.echo("---\n".join(document(neutralise(d.body)) for d in translation.drafts), nl=False)
    broken = any(problem.severity is Severity.ERROR for problem in translation.problems)
    ctx.exit(1 if found or broken else 0)


def _assumed(file: Path, path: str | None, web_url: str) -> Project:
    """The project that a file is read as one of: what is given of it, else what lies around it."""
    found = project_at(file, path)
    if not (path or web_url):
        return found
    return Project(0, found.path, web_url, default_branch="main")


def _explain(explanation: MappingExplanation, file: str) -> None:
    """A line a field: its value, the mapping's place, and the manifest's places."""
    for entity in explanation.entities:
        click.echo(plain(str(entity.ref)))
        for field in entity.fields:
            value = json.dumps(field.value, ensure_ascii=False)
            own = [f"{file}:{at.line}:{at.column}" for at in field.sources]
            places = ", ".join([*own, *field.defaults])
            click.echo(plain(f"  {field.path} = {value}"))
            how = "inherited from" if field.inherited or field.defaults else "from"
            click.echo(plain(f"      {field.mapping}  {how} {places or 'the mapping alone'}"))
