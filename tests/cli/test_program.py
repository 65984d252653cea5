"""The group of commands: what it imports, and what it says without importing."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from bridge.cli import main
from bridge.cli.program import COMMANDS

# Each takes a tenth of a second or ten megabytes, and most processes need none of them.
HEAVY = {
    "aiohttp",
    "alembic",
    "gitlab",
    "google.cloud.storage",
    "graphql",
    "joserfc",
    "jsonschema",
    "pydantic",
    "requests",
    "rich",
    "sqlalchemy",
    "bridge.sandbox",
}


def imported(program: str) -> set[str]:
    """Which of the heavy modules a process has after `program`."""
    code = f"import sys\n{program}\nprint(*sorted(set(sys.modules) & {HEAVY!r}))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(ran.stdout.splitlines()[-1].split())


@pytest.mark.real
@pytest.mark.parametrize("option", ["--version", "--help"])
def test_asking_for_the_version_or_for_help_imports_nothing_heavy(option: str) -> None:
    """Who looks up a command's name does not wait for a database's library."""
    program = f"from bridge.cli import main\nmain([{option!r}], standalone_mode=False)"
    assert imported(program) == set()


@pytest.mark.real
def test_a_pass_imports_only_what_it_uses() -> None:
    """A replica holds its imports as long as it runs."""
    unused = {
        *("alembic", "gitlab", "google.cloud.storage", "graphql", "joserfc", "requests"),
        "bridge.sandbox",
    }
    assert not imported("import bridge.cli.run, bridge.cli.serve") & unused


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_of_each_what_its_own_help_begins_with(name: str) -> None:
    context = click.Context(main)
    command = main.get_command(context, name)
    assert command is not None
    assert command.name == name
    assert command.get_short_help_str(limit=1000) == COMMANDS[name][1]


def test_all_commands_are_listed_by_name() -> None:
    assert main.list_commands(click.Context(main)) == sorted(COMMANDS)


def test_a_command_that_is_not_there_is_a_usage_error() -> None:
    """Exit code 2, and the word is repeated."""
    result = CliRunner().invoke(main, ["crawl"])
    assert result.exit_code == 2
    assert "No such command 'crawl'" in result.output
