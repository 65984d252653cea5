"""The group of commands, and how errors become messages and exit codes."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any, NoReturn

import click
import structlog

from bridge import __version__
from bridge.cli.check import check
from bridge.cli.demo import demo
from bridge.cli.doctor import doctor
from bridge.cli.explain import explain
from bridge.cli.map import map_command
from bridge.cli.mappings import mappings
from bridge.cli.remediate import remediate
from bridge.cli.run import run
from bridge.cli.score import score
from bridge.cli.serve import serve
from bridge.cli.show import complain
from bridge.cli.token import token
from bridge.errors import ConfigurationError, FesterError


class Program(click.Group):
    """Turns Fester's errors into messages; no traceback reaches a user."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; exit with 2 for configuration to fix, 1 for other failures."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            complain(error.problems)
            ctx.exit(2)
        except FesterError as error:
            click.echo(f"fester: {error}", err=True)
            ctx.exit(1)
        except BrokenPipeError:
            _leave_quietly()


def _leave_quietly() -> NoReturn:
    """The reader of our output went away (`| head`): that is no failure of ours."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 — lives until the process ends
    sys.exit(0)


def _configure_logs(verbose: bool) -> None:
    """Plain lines on stderr for a person at a terminal, JSON lines elsewhere."""
    renderer: Any = (
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer(sort_keys=True)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.INFO if verbose else logging.WARNING
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fester")
@click.option("-v", "--verbose", is_flag=True, help="Log every step, not only what goes wrong.")
def main(verbose: bool) -> None:
    """Turn small manifests in GitLab into a catalog that Backstage reads as it is."""
    _configure_logs(verbose)


for command in (
    *(run, serve, demo, check, map_command, mappings, explain, doctor, score, token, remediate),
):
    main.add_command(command)
