"""`fester incident`: who owns it, who is on call, what to read, who is hit; from the store."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import click

from bridge.answers.faces import as_json, as_text
from bridge.answers.incident import IncidentAnswer
from bridge.answers.wording import in_words
from bridge.cli.options import config_option, settings_from, store_option
from bridge.settings import Settings
from bridge.store import open_store, without_making
from bridge.wiring.answers import no_pass, stored_incident
from bridge.wiring.clock import utc_now


@click.command()
@click.argument("anything")
@click.option("--from", "from_", metavar="SOURCE", help="Which source, if the store knows several.")
@click.option("--json", "as_json_", is_flag=True, help="Print the answer as JSON.")
@store_option
@config_option
@click.pass_context
def incident(  # noqa: PLR0917 — click passes the options by name
    ctx: click.Context,
    anything: str,
    from_: str | None,
    as_json_: bool,
    store: str | None,
    config: Path | None,
) -> None:
    """Say who owns ANYTHING, who is on call, what to read first and who is hit.

    ANYTHING is a name, an alias, a GitLab project (path, address, id), an id of PagerDuty's or
    Opsgenie's, or the address or host of a link. Nobody is asked: the answer comes from the store.
    Exit code 1 when nothing, or more than one thing, is meant.
    """
    settings = settings_from({"store": store, "from": from_}, config=config, uses=())
    found = asyncio.run(_answer(settings, anything))
    if as_json_:
        click.echo(json.dumps(as_json(found), indent=2, ensure_ascii=False))
    else:
        click.echo(as_text(in_words(found)), nl=False)
    ctx.exit(0 if found.incident is not None else 1)


async def _answer(settings: Settings, anything: str) -> IncidentAnswer:
    """The first source's answer that has a match; the sources are asked in their order."""
    store = await open_store(without_making(settings.store))
    try:
        sources = [settings.source] if settings.source else await store.sources()
        found: list[IncidentAnswer] = []
        for source in sources:
            answer = await stored_incident(store, source, anything, utc_now())
            if answer is not None:
                found.append(answer)
    finally:
        await store.close()
    if not found:
        raise no_pass(settings.store)
    return max(found, key=lambda each: (each.incident is not None, each.found.total > 0))
