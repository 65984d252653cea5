"""`fester doctor` on Ox: what collectors last gave, and whether tools answer."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bridge.cli import main
from bridge.model.entities import Ref
from bridge.model.facts import Fact, Reading, Standing
from bridge.ox.facts.manifest import ManifestCollector
from bridge.sandbox.tools import CLOUD, ORG, USER, SandboxTools, tools_running
from bridge.settings import Settings
from bridge.store import open_store
from bridge.wiring.clock import utc_now
from bridge.wiring.given import scraper

pytestmark = pytest.mark.store

SCHEMA = ManifestCollector(utc_now).schema


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


async def doctor(**environment: str) -> Result:
    arguments = ["doctor", "--from", ".", "--to", "out", "--store", "sqlite:///store.db"]
    return await asyncio.to_thread(
        CliRunner(env=environment).invoke, main, arguments, catch_exceptions=False
    )


async def kept(at: datetime, standing: Standing, reason: str = "") -> None:
    """One entity's reading of the manifest, as a pass would leave it in the store."""
    store = await open_store("sqlite:///store.db")
    value = True if standing is Standing.KNOWN else None
    fact = Fact(SCHEMA.facts[0].name, value, at, "a test", standing, reason)
    reading = Reading(Ref("component", "default", "a"), SCHEMA.id, SCHEMA.version, at, (fact,))
    name = scraper(Settings.model_validate({"from": "."})).name
    await store.facts().record_facts(name, [reading])
    await store.close()


async def test_before_the_first_round_nothing_is_wrong() -> None:
    result = await doctor()
    assert result.exit_code == 0, result.output
    assert "ok   facts: nothing was collected yet" in result.output


@pytest.mark.parametrize(
    ("hours", "standing", "said", "code"),
    [
        (2, Standing.KNOWN, "ok   collector manifest: 1 entities, the newest reading 2 h old", 0),
        (2, Standing.UNKNOWN, "[31mis too low (1)", 0),
        (24 * 30, Standing.KNOWN, "FAIL collector manifest: 1 entities", 1),
    ],
)
async def test_what_a_collector_last_gave(
    hours: int, standing: Standing, said: str, code: int
) -> None:
    reason = "the role \x1b[31mis too low" if standing is Standing.UNKNOWN else ""
    await kept(utc_now() - timedelta(hours=hours), standing, reason)
    result = await doctor()
    assert said in result.output
    assert "\x1b" not in result.output
    assert result.exit_code == code, result.output


@pytest.mark.real
@pytest.mark.parametrize("token", ["sandbox-token", "a-wrong-one"])
async def test_whether_tools_take_their_token(token: str) -> None:
    async with tools_running(SandboxTools()) as url:
        settings = f"snyk: {{org: {ORG}, url: '{url}'}}\npagerduty: {{url: '{url}'}}\n"
        settings += f"opsgenie: {{url: '{url}'}}\n"
        settings += f"jsm: {{url: '{url}', cloud: {CLOUD}, user: {USER}}}\n"
        await asyncio.to_thread(Path("fester.yaml").write_text, settings, "utf-8")
        tools = ("SNYK", "PAGERDUTY", "OPSGENIE", "JSM")
        result = await doctor(**{f"{tool}_TOKEN": token for tool in tools})
    taken = token == "sandbox-token"
    for name in ("snyk", "pagerduty", "opsgenie", "jsm"):
        said = "it answers, and takes the token" if taken else "refuses the token (401)"
        (line,) = [each for each in result.output.splitlines() if f" {name}: " in each]
        assert said in line
        assert line.startswith("ok" if taken else "FAIL")
    assert token not in result.output
    assert result.exit_code == (0 if taken else 1)
