"""The options that several commands share, and how they become settings."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

import click

from bridge.settings import Settings, load_settings

Command = TypeVar("Command", bound=Callable[..., Any])

_FLAGS = ("from", "to", "mappings", "store", "host", "port", "every")


def config_option(command: Command) -> Command:
    """`--config FILE`."""
    return click.option(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Settings file (fester.yaml in this folder, if there is one).",
    )(command)


def store_option(command: Command) -> Command:
    """`--store URL`."""
    return click.option(
        "--store", metavar="URL", help="sqlite:///FILE or postgresql://… (sqlite:///fester.db)."
    )(command)


def mappings_option(command: Command) -> Command:
    """`--mappings DIR`."""
    return click.option(
        "--mappings",
        type=click.Path(file_okay=False, exists=True, path_type=Path),
        metavar="DIR",
        help="Folder whose mapping files override the shipped ones.",
    )(command)


def defaults_option(command: Command) -> Command:
    """`--defaults FILE`."""
    return click.option(
        "--defaults",
        type=click.Path(dir_okay=False, exists=True, path_type=Path),
        metavar="FILE",
        help="A qm.defaults.yaml: what manifests inherit from the GitLab groups above them.",
    )(command)


def pass_options(command: Command) -> Command:
    """Everything that says what a pass reads and where it publishes."""
    for option in (
        config_option,
        click.option(
            "--report",
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE",
            help="Write the account of the pass as JSON.",
        ),
        click.option("--dry-run", is_flag=True, help="Do everything but write; needs no --to."),
        click.option(
            "--accept-removals",
            is_flag=True,
            help="Let a pass remove more of the catalog than the guard allows.",
        ),
        click.option(
            "--take-over",
            is_flag=True,
            help="Publish over another source's or another store's catalog from now on.",
        ),
        store_option,
        mappings_option,
        click.option(
            "--to",
            multiple=True,
            metavar="DEST",
            help="Folder or gs://bucket/prefix; repeatable.",
        ),
        click.option(
            "--from", "from_", metavar="SOURCE", help="A GitLab URL or a folder of checkouts."
        ),
    ):
        command = option(command)
    return command


def settings_from(
    flags: dict[str, Any],
    *,
    config: Path | None,
    need: tuple[str, ...] = (),
    uses: Collection[str] | None = None,
) -> Settings:
    """Settings from a command's parameters; `need` and `uses` as in `load_settings`."""
    given = {key.rstrip("_"): value for key, value in flags.items()}
    return load_settings(
        {key: given[key] for key in _FLAGS if key in given}, config=config, need=need, uses=uses
    )
