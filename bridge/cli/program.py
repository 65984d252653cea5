"""The group of commands, and how errors become messages and exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from pkgutil import resolve_name
from typing import Any, NoReturn

import click

from bridge import __version__
from bridge.errors import ConfigurationError, FesterError
from bridge.secret.masks import masked

_SHOWN = 500

# Where each command is defined, and what it is for: the first sentence of its own help.
COMMANDS = {
    "changes": (
        "bridge.cli.changes:changes",
        "Say what changed in the catalog, newest first: of ABOUT, or of everything.",
    ),
    "check": (
        "bridge.cli.check:check",
        "Check the manifests at PATHS (files, or folders to search).",
    ),
    "convert": (
        "bridge.cli.convert:convert",
        "Print the file of another tool, FILE, as a qm.yaml.",
    ),
    "demo": (
        "bridge.cli.demo:demo",
        "Crawl a sample organization in a sandbox GitLab on this machine.",
    ),
    "deploy": (
        "bridge.cli.deploy:deploy",
        "Print a file to start from: kubernetes, systemd, compose, alerts, backstage and more.",
    ),
    "doctor": (
        "bridge.cli.doctor:doctor",
        "Check the source, the token, mappings, destinations and the store; say what to type next.",
    ),
    "explain": (
        "bridge.cli.explain:explain",
        "Say why the entity REF is as it is, or why it is missing.",
    ),
    "help": (
        "bridge.cli.help:help_command",
        "Show the guide's page on TOPIC, or a command's help; without TOPIC list all topics.",
    ),
    "incident": (
        "bridge.cli.incident:incident",
        "Say who owns ANYTHING, who is on call, what to read first and who is hit.",
    ),
    "init": (
        "bridge.cli.init:init",
        "Write a first qm.yaml for the repository of FOLDER, from what its files tell.",
    ),
    "jobs": (
        "bridge.cli.jobs:jobs",
        "Show how far passes are that several processes share: parts done, left and failed.",
    ),
    "map": ("bridge.cli.map:map_command", "Print the entities that the manifest FILE becomes."),
    "mappings": ("bridge.cli.mappings:mappings", "Check and test mapping files and the rubric."),
    "mcp": (
        "bridge.cli.mcp:mcp",
        "Answer an assistant's questions over MCP on stdin and stdout, from the store; read-only.",
    ),
    "remediate": (
        "bridge.cli.remediate:remediate",
        "Plan issues and merge requests from the latest scores, service by service, with reasons.",
    ),
    "run": ("bridge.cli.run:run", "Make one pass: scrape, translate, merge, validate, publish."),
    "schema": (
        "bridge.cli.schema:schema",
        "Print the JSON Schema NAME, for an editor; without NAME list them all.",
    ),
    "score": (
        "bridge.cli.score:score",
        "Show the latest scores: of REF, of roll-ups, or of every service.",
    ),
    "serve": (
        "bridge.cli.serve:serve",
        "Make passes on a schedule and serve what the last one gave.",
    ),
    "token": (
        "bridge.cli.token:token",
        "Make a token for programs that ask `fester serve`, called NAME in the log (ci).",
    ),
    "worker": (
        "bridge.cli.worker:worker",
        "Read parts of the sweeps that `fester serve` makes on the same PostgreSQL, until stopped.",
    ),
}


class Program(click.Group):
    """Turns Fester's errors into messages; no traceback reaches a user.

    Only the command that is asked for is imported: together they take more than a second.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now; None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = resolve_name(COMMANDS[cmd_name][0])
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """A line a command, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, said) for name, (_, said) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; exit with 2 for configuration to fix, 1 for other failures."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            from bridge.cli.show import complain  # noqa: PLC0415 — rich, for commands only

            complain(error.problems)
            ctx.exit(2)
        except FesterError as error:
            click.echo(f"fester: {masked(str(error))}", err=True)
            ctx.exit(1)
        except BrokenPipeError:
            _leave_quietly()
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            _confess(error, verbose=bool(ctx.params.get("verbose")))
            ctx.exit(1)


def _confess(error: Exception, *, verbose: bool) -> None:
    """What nobody foresaw, in one line; with `--verbose` where it happened. No secret in either."""
    said = " ".join(masked(str(error)).split())[:_SHOWN]
    advice = "the lines above say where" if verbose else "`fester --verbose …` says where"
    if verbose:
        click.echo(masked("".join(traceback.format_exception(error))), err=True, nl=False)
    name = type(error).__name__
    click.echo(f"fester: this is a defect of Fester's: {name}: {said}; {advice}", err=True)


def _leave_quietly() -> NoReturn:
    """The reader of our output went away (`| head`): that is no failure of ours."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 — lives until the process ends
    sys.exit(0)


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fester")
@click.option("-v", "--verbose", is_flag=True, help="Log every step, not only what goes wrong.")
def main(verbose: bool) -> None:
    """Turn small manifests in GitLab into a catalog that Backstage reads as it is."""
    from bridge.cli.logs import configure_logs  # noqa: PLC0415 — brings rich: not for `--help`

    configure_logs(verbose)
