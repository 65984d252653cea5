"""`fester changes`: what changed in the catalog, from the store."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

import click

from bridge.answers.changes import Told, as_lines, told
from bridge.answers.knowledge import Knowledge
from bridge.catalog.index import Index
from bridge.cli.options import config_option, settings_from, store_option
from bridge.cli.show import plain
from bridge.errors import BadQuestion
from bridge.model.entity_changes import ChangeKind
from bridge.settings import Settings
from bridge.store import open_store, without_making
from bridge.store.store import SqlStore
from bridge.wiring.answers import one_source, stored_knowledge
from bridge.wiring.clock import utc_now


@click.command()
@click.argument("about", required=False, default="")
@click.option("--since", metavar="WHEN", help="A time with its zone, or how long ago: 30m, 2h, 7d.")
@click.option("--until", metavar="WHEN", help="The same.")
@click.option("--around", is_flag=True, help="Also what ABOUT depends on and is needed by.")
@click.option("--hops", metavar="N", help="How many dependencies away --around looks: 0 to 4 (2).")
@click.option("--owner", metavar="TEAM", help="Of this owner, before or after.")
@click.option(
    "--kind", type=click.Choice([each.value for each in ChangeKind]), help="What happened."
)
@click.option("--below", metavar="NUMBER", help="Go on where an earlier sheet ended.")
@click.option("--from", "from_", metavar="SOURCE", help="Which source, if the store knows several.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@store_option
@config_option
@click.pass_context
def changes(
    ctx: click.Context,
    /,
    *,
    about: str,
    around: bool,
    as_json: bool,
    config: Path | None,
    **given: Any,
) -> None:
    """Say what changed in the catalog, newest first: of ABOUT, or of everything.

    ABOUT is a name, an alias, a GitLab project (path, address, id), or the address of a link.
    Nobody is asked: the answer comes from the store. Exit code 1 when it is not clear what is
    meant.
    """
    settings = settings_from(given, config=config, uses=())
    if around and not about:
        raise click.UsageError("--around needs something to look at: fester changes cart --around")
    names = ("since", "until", "hops", "owner", "kind", "below")
    asked = {name: given[name] for name in names if given[name]}
    if about:
        asked |= {"around": about} if around else {"around": about, "hops": "0"}
    try:
        found = asyncio.run(_told(settings, asked))
    except BadQuestion as refusal:
        raise click.UsageError(str(refusal)) from None
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=2, ensure_ascii=False))
    else:
        _show(found)
    ctx.exit(0 if found.clear else 1)


def _show(found: Told) -> None:
    for line in as_lines(found):
        click.echo(plain(line))
    if found.following is not None:
        click.echo(f"… and earlier ones: --below {found.following}")


async def _told(settings: Settings, asked: dict[str, str]) -> Told:
    """The answer of one source: what several say cannot be one sheet."""
    store = await open_store(without_making(settings.store))
    try:
        source = await one_source(store, settings.source, settings.store)
        return await _told_by(store, source, asked)
    finally:
        await store.close()


async def _told_by(store: SqlStore, source: str, asked: dict[str, str]) -> Told:
    # The catalog is read for who stands around what alone.
    known = await stored_knowledge(store, source, utc_now()) if "around" in asked else None
    find = partial(store.entity_changes.find, source)
    return await told(asked, known or Knowledge(Index()), find, utc_now())
