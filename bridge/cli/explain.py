"""`fester explain`: why an entity is as it is, or why it is missing."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from bridge.answers.changes import history_lines, with_history
from bridge.cli.options import config_option, settings_from, store_option
from bridge.cli.show import plain, show_problems
from bridge.errors import ConfigurationError
from bridge.model.problems import Problem
from bridge.passes.explain import Explanation
from bridge.settings import Settings
from bridge.store import open_store, without_making
from bridge.wiring.clock import utc_now
from bridge.wiring.stored_explanation import stored_explanation


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

    REF is a reference such as component:default/payments-api, a name, a title, an alias, or a
    GitLab project's path, id or URL. Exit code 1 when no entity of that name is in the catalog.
    """
    settings = settings_from({"store": store, "from": from_}, config=config, uses=())
    answers = asyncio.run(_answers(settings, ref))
    if as_json:
        trees = [answer.as_json() for answer in answers]
        # One document, whatever the number of sources that know of it.
        tree = trees if len(trees) > 1 else trees[0]
        click.echo(json.dumps(tree, indent=2, ensure_ascii=False))
    else:
        for answer in answers:
            if len(answers) > 1:
                click.echo(f"{plain(answer.source)}:")
            _show(answer)
    ctx.exit(0 if any(answer.found for answer in answers) else 1)


async def _answers(settings: Settings, ref: str) -> list[Explanation]:
    store = await open_store(without_making(settings.store))
    try:
        sources = [settings.source] if settings.source else await store.sources()
        answers = []
        for source in sources:
            answer = await stored_explanation(store, source, ref)
            if answer is not None:
                find = partial(store.entity_changes.find, source)
                answers.append(await with_history(answer, find))
    finally:
        await store.close()
    if not answers:
        message = f"{settings.store} knows of no pass yet; `fester run` makes one"
        raise ConfigurationError([Problem(message, "no-pass")])
    return [answer for answer in answers if answer.known] or [_of_all(answers)]


def _of_all(answers: list[Explanation]) -> Explanation:
    """One answer to what no source knows anything of."""
    sources = ", ".join(answer.source for answer in answers)
    suggestions = dict.fromkeys(each for answer in answers for each in answer.suggestions)
    facts = dict.fromkeys(fact for answer in answers for fact in answer.facts)
    return replace(
        answers[0], source=sources, facts=tuple(facts), suggestions=tuple(suggestions)[:5]
    )


def _show(answer: Explanation) -> None:
    for fact in answer.facts:
        click.echo(plain(fact))
    if answer.suggestions:
        click.echo(f"Did you mean {', '.join(answer.suggestions)}?")
    for line in history_lines(answer, utc_now()):
        click.echo(plain(line))
    show_problems(Console(), answer.problems)
