"""`fester schema`: the JSON Schemas of manifests and of our own files, for editors."""

from __future__ import annotations

import click

from bridge.errors import ConfigurationError
from bridge.language.names import did_you_mean
from bridge.model.problems import Problem
from bridge.wiring.schemas import schema_names, schema_of


@click.command()
@click.argument("name", required=False)
def schema(name: str | None) -> None:
    """Print the JSON Schema NAME, for an editor; without NAME list them all.

    With the YAML language server: fester schema mapping > mapping.schema.json, and as a file's
    first line `# yaml-language-server: $schema=mapping.schema.json`.
    """
    names = schema_names()
    if name is None:
        click.echo("\n".join(names))
    elif name in names:
        click.echo(schema_of(name), nl=False)
    else:
        near = did_you_mean(name, names) or f"; there are {', '.join(names)}"
        message = f"there is no schema {name!r}{near}"
        raise ConfigurationError([Problem(message, "unknown-schema")])
