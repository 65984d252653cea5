"""`fester deploy`: files to start from, for the places where Fester runs."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Final

import click

from bridge import __version__

TEMPLATES: Final = MappingProxyType(
    {
        "kubernetes": ("kubernetes.yaml", "two replicas: Deployment, Service, ConfigMap and more"),
        "systemd": ("fester.service", "a unit for one machine"),
        "compose": ("compose.yaml", "Fester and a PostgreSQL on one machine"),
        "alerts": ("alerts.yaml", "Prometheus rules that say what to do"),
        "backstage": (
            "backstage.yaml",
            "what to paste into Backstage: one Location and a few lines",
        ),
    }
)


@click.command()
@click.argument("what", required=False, type=click.Choice(list(TEMPLATES)))
def deploy(what: str | None) -> None:
    """Print a file to start from: kubernetes, systemd, compose, alerts or backstage.

    Each says at its top what to change. Without WHAT the files are listed.
    """
    if what is not None:
        click.echo(template(what), nl=False)
        return
    for name, (file, about) in TEMPLATES.items():
        click.echo(f"fester deploy {name:11} > {file:16} # {about}")


def template(what: str) -> str:
    """The text of one of `TEMPLATES`, with this version's number in it."""
    path = Path(__file__).parent / "templates" / TEMPLATES[what][0]
    return path.read_text("utf-8").replace("{version}", __version__)
