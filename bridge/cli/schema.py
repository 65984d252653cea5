"""`fester schema`: the JSON Schemas of manifests and of our own files, for editors."""

from __future__ import annotations

from pathlib import Path

import click

from bridge.cli.options import mappings_option
from bridge.errors import ConfigurationError
from bridge.language.names import did_you_mean
from bridge.model.problems import Problem
from bridge.processors.mapping import load_mappings
from bridge.wiring.schemas import schema_names, schema_of


@click.command()
@click.argument("name", required=False)
@mappings_option
def schema(name: str | None, mappings: Path | None) -> None:
    """Print the JSON Schema NAME, for an editor; without NAME list them all.

    That of `defaults` knows the keys of the shipped mappings, and of those in --mappings.

    With the YAML language server: fester schema mapping > mapping.schema.json, and as a file's
    first line `# yaml-language-server: $schema=mapping.schema.json`.
    """
    names = schema_names()
    if name is None:
        click.echo("\n".join(names))
    elif name in names:
        loaded = load_mappings(mappings).all if name == "defaults" else ()
        click.echo(schema_of(name, loaded), nl=False)
    else:
        near = did_you_mean(name, names) or f"; there are {', '.join(names)}"
        message = f"there is no schema {name!r}{near}"
        raise ConfigurationError([Problem(message, "unknown-schema")])
