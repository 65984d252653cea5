"""`fester demo`: the sandbox GitLab with a sample organization, crawled and served."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import click
from pydantic import SecretStr
from rich.console import Console

from bridge import sandbox
from bridge.cli.after_pass import facts_and_scores, scored
from bridge.cli.demo_past import NOTICE, with_past
from bridge.cli.serve import accounted, ending_in_time, until_told_to_stop
from bridge.cli.show import progress_of_pass, show_report
from bridge.model.runs import Report
from bridge.passes.runner import Passes
from bridge.passes.stages import PassOptions
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.company import KEEPER
from bridge.sandbox.organization import sample_organization
from bridge.settings import Settings
from bridge.wiring import Wired, wired
from bridge.wiring.clock import utc_now
from bridge.wiring.serving import serving

# The same address each time, so that a second demo finds its catalog unchanged.
SANDBOX_PORT = 8929

# The sandbox's own token: it opens nothing but the sandbox.
SANDBOX_TOKEN = "sandbox-token"  # noqa: S105 — not a secret


@click.command()
@click.option("--once", is_flag=True, help="Make one pass, print what it gave, and end.")
@click.option("--port", type=int, default=8080, show_default=True, help="Port to serve on.")
@click.option(
    "--sandbox-port",
    type=int,
    default=SANDBOX_PORT,
    show_default=True,
    help="Port of the sandbox GitLab. Where it is taken, any other is used.",
)
@click.option(
    "--to",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("fester-demo"),
    show_default=True,
    help="Folder for the published catalog.",
)
@click.pass_context
def demo(ctx: click.Context, once: bool, port: int, sandbox_port: int, to: Path) -> None:
    """Crawl a sample organization in a sandbox GitLab on this machine.

    Nothing leaves the machine. With --once the exit code is 0 although the sample holds a project
    that cannot be read: that is part of the show. A second demo in the same folder wants the same
    port of the sandbox: its address is the source's name, and a folder belongs to one source.
    """
    if not once:
        with ending_in_time() as told:
            asyncio.run(_serve(port, sandbox_port, to, told))
        return
    report, said, source = asyncio.run(_once(sandbox_port, to))
    show_report(Console(), report)
    click.echo(said)
    click.echo(f"\nThe catalog lies in {to}/")
    click.echo(f"  {to}/index.yaml      the address that goes into Backstage")
    click.echo(f"  {to}/entities/       the entities, in shards")
    click.echo(f"  {to}/catalog.json    names the files with every entity and its provenance")
    click.echo(f"  {to}/services.csv    one line a service")
    click.echo(
        "\nNext: `fester demo` serves it on http://127.0.0.1:8080/ ; or ask why a service is "
        "missing, or how all of them score:\n"
        f"  fester explain --store {_store(to)} SERVICE\n"
        f"  fester score --store {_store(to)} --from {source}"
    )
    ctx.exit(1 if report.outcome.exit_code == 1 else 0)


def _store(to: Path) -> str:
    return f"sqlite:///{to}/.fester.db"


def _settings(url: str, port: int, to: Path) -> Settings:
    to.mkdir(parents=True, exist_ok=True)
    return Settings.model_validate(
        {
            "from": url,
            "to": [str(to)],
            "store": _store(to),
            "port": port,
            "every": 30,
            # What is counted after a full pass is the end of the past that is made up: there is
            # one also where `--once` was here before.
            "full_every": 1,
            "gitlab": {"people": True, "defaults": {"project": KEEPER}},
            "remediation": {"digest": True},
            "mappings": Path(sandbox.__file__).parent / "mappings",
            "token": SecretStr(SANDBOX_TOKEN),
        }
    )


@asynccontextmanager
async def _sandbox(port: int) -> AsyncIterator[str]:
    """The sandbox GitLab with the sample organization, on `port` if it is free; yields its URL."""
    gitlab = SandboxGitLab(sample_organization(utc_now), token=SANDBOX_TOKEN)
    with socket.socket() as probe:
        taken = probe.connect_ex(("127.0.0.1", port)) == 0
    async with running(gitlab, port=0 if taken else port) as url:
        yield url


async def _once(sandbox_port: int, to: Path) -> tuple[Report, str, str]:
    """The pass's account, how many services were scored after it, and the source's name."""
    async with _sandbox(sandbox_port) as url, wired(_settings(url, 0, to)) as parts:
        with progress_of_pass() as progress:
            passes = Passes(parts.stages)
            done = await passes.with_problems(await passes.run(PassOptions(progress=progress)))
            await facts_and_scores(parts, done, progress)
        return done.report, scored(parts), parts.stages.scraper.name


@asynccontextmanager
async def _served(made: Wired, settings: Settings) -> AsyncIterator[str]:
    """`serve` with a past that is made up, which every page says."""
    after_pass = with_past(made.after_pass, made.store, made.source)
    parts = replace(made, after_pass=after_pass)
    async with serving(parts, settings, PassOptions(), accounted(None), NOTICE) as address:
        yield address


async def _serve(port: int, sandbox_port: int, to: Path, told: Callable[[], None]) -> None:
    async with _sandbox(sandbox_port) as url:
        settings = _settings(url, port, to)
        async with (
            wired(settings) as made,
            _served(made, settings) as address,
        ):
            click.echo(NOTICE)
            click.echo(f"the sandbox GitLab answers at {url}")
            click.echo(f"serving {address} (Ctrl-C ends it)")
            await until_told_to_stop()
            told()
