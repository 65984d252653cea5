"""`fester help`: the guide, on the terminal."""

from __future__ import annotations

import click
from rich.console import Console
from rich.markdown import Markdown

from bridge.docs import TOPICS, guide_page
from bridge.errors import ConfigurationError
from bridge.language.names import did_you_mean
from bridge.model.problems import Problem

_WIDEST = 100  # longer lines are hard to read


@click.command("help")
@click.argument("topic", required=False)
@click.pass_context
def help_command(ctx: click.Context, topic: str | None) -> None:
    """Show the guide's page on TOPIC, or a command's help; without TOPIC list all topics."""
    if topic is None:
        _list()
    elif topic in TOPICS:
        _show(guide_page(topic).text)
    elif command := _command(ctx, topic):
        click.echo(command)
    else:
        known = [*TOPICS, *_commands(ctx)]
        message = f"`fester help` lists every topic: {topic!r} is none{did_you_mean(topic, known)}"
        raise ConfigurationError([Problem(message, "unknown-topic")])


def _list() -> None:
    click.echo("The guide. `fester help TOPIC` shows a page:\n")
    width = max(map(len, TOPICS))
    for topic, about in TOPICS.items():
        click.echo(f"  {topic:{width}}  {about.replace('`', '')}")
    click.echo("\n`fester help COMMAND` says the same as `fester COMMAND --help`.")


def _show(text: str) -> None:
    """Rendered for a person at a terminal; as it is written for a file, a pipe or a pager."""
    console = Console()
    if console.is_terminal:
        console.width = min(console.width, _WIDEST)
        console.print(Markdown(text))
    else:
        click.echo(text, nl=False)


def _program(ctx: click.Context) -> tuple[click.Group, click.Context] | None:
    above = ctx.parent
    return (above.command, above) if above and isinstance(above.command, click.Group) else None


def _commands(ctx: click.Context) -> list[str]:
    program = _program(ctx)
    return program[0].list_commands(program[1]) if program else []


def _command(ctx: click.Context, name: str) -> str:
    """A command's own help, "" when there is none of that name."""
    program = _program(ctx)
    command = program[0].get_command(program[1], name) if program else None
    return click.Context(command, info_name=name, parent=ctx.parent).get_help() if command else ""
