"""`fester deploy`: files to start from, for the places where Fester runs."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Final

import click

from bridge import __version__
from bridge.cli.options import config_option, mappings_option, settings_from

TEMPLATES: Final = MappingProxyType(
    {
        "kubernetes": ("kubernetes.yaml", "two replicas: Deployment, Service, ConfigMap and more"),
        "kubernetes-workers": ("kubernetes-workers.yaml", "more machines that read a sweep"),
        "systemd": ("fester.service", "a unit for one machine"),
        "compose": ("compose.yaml", "Fester and a PostgreSQL on one machine"),
        "alerts": ("alerts.yaml", "Prometheus rules that say what to do"),
        "backstage": (
            "backstage.yaml",
            "what to paste into Backstage: one Location and a few lines",
        ),
    }
)
CHECKS: Final = "backstage-checks"
_MADE: Final = ("app-config.checks.yaml", "the rubric's checks, where Backstage pulls facts")


@click.command()
@click.argument("what", required=False, type=click.Choice([*TEMPLATES, CHECKS]))
@mappings_option
@config_option
def deploy(what: str | None, mappings: Path | None, config: Path | None) -> None:
    """Print a file to start from: kubernetes, systemd, compose, alerts, backstage and more.

    Each says at its top what to change; backstage-checks is made of the rubric in force. Without
    WHAT the files are listed.
    """
    if what == CHECKS:
        settings = settings_from({"mappings": mappings}, config=config, uses=())
        click.echo(_checks(settings.mappings), nl=False)
        return
    if what is not None:
        click.echo(template(what), nl=False)
        return
    for name, (file, about) in {**TEMPLATES, CHECKS: _MADE}.items():
        click.echo(f"fester deploy {name:18} > {file:23} # {about}")


def _checks(folder: Path | None) -> str:
    # Only this one needs the rubric, and with it half of the product.
    from bridge.cli.backstage_checks import backstage_checks  # noqa: PLC0415
    from bridge.wiring.ox import rubric  # noqa: PLC0415

    return backstage_checks(rubric(folder).rubric)


def template(what: str) -> str:
    """The text of one of `TEMPLATES`, with this version's number in it."""
    path = Path(__file__).parent / "templates" / TEMPLATES[what][0]
    return path.read_text("utf-8").replace("{version}", __version__)
