"""`fester explain`: why an entity is as it is, or why it is missing."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import click
from rich.console import Console

from bridge.cli.options import config_option, settings_from, store_option
from bridge.cli.show import plain, show_problems
from bridge.errors import ConfigurationError
from bridge.model.problems import Problem
from bridge.passes.explain import Explanation
from bridge.passes.explain import explain as explain_from
from bridge.settings import Settings
from bridge.store import open_store


@click.command()
@click.argument("ref")
@click.option("--from", "from_", metavar="SOURCE", help="Which source, if the store knows several.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@store_option
@config_option
@click.pass_context
def explain(  # noqa: PLR0917 — click passes the options by name
    ctx: click.Context,
    ref: str,
    from_: str | None,
    as_json: bool,
    store: str | None,
    config: Path | None,
) -> None:
    """Say why the entity REF is as it is, or why it is missing.

    REF is a reference such as component:default/payments-api, a bare name, a GitLab project's
    path, or its id. Exit code 1 when nothing is known of it.
    """
    settings = settings_from({"store": store, "from": from_}, config=config, uses=())
    answers = asyncio.run(_answers(settings, ref))
    for answer in answers:
        if as_json:
            click.echo(json.dumps(answer.as_json(), indent=2, ensure_ascii=False))
        else:
            _show(answer)
    ctx.exit(0 if any(answer.found for answer in answers) else 1)


async def _answers(settings: Settings, ref: str) -> list[Explanation]:
    store = await open_store(settings.store)
    try:
        sources = [settings.source] if settings.source else await store.sources()
        answers = []
        for source in sources:
            record = await store.latest(source)
            if record is not None:
                answers.append(explain_from(ref, await store.load(source), record))
    finally:
        await store.close()
    if not answers:
        message = f"{settings.store} knows of no pass yet; `fester run` makes one"
        raise ConfigurationError([Problem(message, "no-pass")])
    return [a for a in answers if a.found or a.problems] or answers[:1]


def _show(answer: Explanation) -> None:
    for fact in answer.facts:
        click.echo(plain(fact))
    if answer.suggestions:
        click.echo(f"Did you mean {', '.join(answer.suggestions)}?")
    show_problems(Console(), answer.problems)
