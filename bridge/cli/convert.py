"""`fester convert`: another tool's file as a qm.yaml."""

from __future__ import annotations

import re
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from bridge.cli.offline import (
    in_its_repository,
    project_of,
    read_manifest,
    refused_by_backstage,
    repository_of,
    tell_problems,
    wanted_name,
)
from bridge.cli.options import mappings_option
from bridge.cli.show import plain, show_problems
from bridge.exporters import yaml_text
from bridge.language.text import read_each
from bridge.language.text_faults import clean
from bridge.model.entities import Json
from bridge.model.scrape import in_repositories
from bridge.processors.converting import Converted, Lost, converted
from bridge.processors.mapping import load_mappings, shipped_folder

_SHORT_FORM: Final = re.compile(r"\$\{\{ it\.integrations\.(\w+)\.(\w+) (?:\| url )?\}\}")
_MOST_LOST: Final = 100


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--as", "name", metavar="NAME", help="Read FILE as if it were called NAME.")
@mappings_option
@click.pass_context
def convert(ctx: click.Context, file: Path, name: str | None, mappings: Path | None) -> None:
    """Print the file of another tool, FILE, as a qm.yaml.

    What has no place there is listed with its line, and as comments at the end. Exit code 0: a
    qm.yaml. 1: FILE is broken, or describes no service; the reason is printed.
    """
    loaded = load_mappings(mappings, everything=True)
    name = wanted_name(file, name, in_repositories(loaded.files))
    manifest = read_manifest(file, name)
    project, root = project_of(file), repository_of(file)
    if root is not None:
        manifest = in_its_repository(loaded, project, root, file.with_name(name), manifest)
    explanation = loaded.explain(project, manifest)
    errors = Console(stderr=True)
    if not tell_problems(errors, explanation.translation, file):
        ctx.exit(1)
    drafts = explanation.translation.drafts
    wrong = refused_by_backstage(drafts, file, so=", so it is left out")
    show_problems(errors, wrong)
    found = converted(explanation, read_each(manifest.text or ""), short_forms())
    if found.tree is None:
        click.echo(
            "this describes no service, and a qm.yaml is about services: systems, products and "
            "teams are made from what the services say of them",
            err=True,
        )
        ctx.exit(1)
    click.echo(_text(found, file.name), nl=False)
    for each in found.lost[:_MOST_LOST]:
        click.echo(plain(f"{file}:{each.at.line}:{each.at.column}: {_said(each)}"), err=True)


@cache
def short_forms() -> dict[str, tuple[str, str]]:
    """The annotations that qm.yaml has a short form for, as the shipped mapping says it."""
    text = (shipped_folder() / "qm-v1.yaml").read_text("utf-8")
    annotations = YAML(typ="safe").load(text)["entities"][0]["metadata"]["annotations"]
    found = ((key, _SHORT_FORM.fullmatch(str(value))) for key, value in annotations.items())
    return {key: (match[1], match[2]) for key, match in found if match is not None}


def manifest_text(tree: dict[str, Json]) -> str:
    """A qm.yaml's tree as YAML, in its own order."""
    yaml = YAML()
    yaml.width = 10_000  # a folded text would end in spaces
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = StringIO()
    yaml.dump(_quoted(tree), stream)
    return stream.getvalue()


def _quoted(tree: Json) -> Json:
    """The tree with quotes where any reader of YAML might take a text for something else."""
    if isinstance(tree, dict):
        return {key: _quoted(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_quoted(value) for value in tree]
    ambiguous = isinstance(tree, str) and yaml_text.text(tree).startswith('"')
    return DoubleQuotedScalarString(tree) if ambiguous else tree


def _text(found: Converted, name: str) -> str:
    lines = [manifest_text(found.tree or {})]
    if found.nobody:
        lines.append(f"\n# {name} names no team: put yours in the place of `unknown`.\n")
    if found.lost:
        lines.append(f"\n# What {clean(name, 100)} says and qm.yaml has no place for:\n")
        lines += [
            f"#   line {each.at.line}: {clean(each.key, 200)}\n" for each in found.lost[:_MOST_LOST]
        ]
    if len(found.lost) > _MOST_LOST:
        lines.append(f"#   and {len(found.lost) - _MOST_LOST} more\n")
    return "".join(lines)


def _said(lost: Lost) -> str:
    return f"`{clean(lost.key, 200)}` has no place in qm.yaml"
