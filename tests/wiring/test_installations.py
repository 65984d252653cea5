"""Installations as they are: a private CA, GitLab under a path, tokens that change meanwhile.

Everything is real: the sandbox GitLab, a Cloud Storage look-alike and servers of ours, each behind
TLS that a CA of the company vouches for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from bridge.cli import main
from bridge.errors import KeysUnavailable
from bridge.exporters.backstage_refresh import Refresher
from bridge.exporters.gcs import GcsExporter
from bridge.model.facts import Standing
from bridge.model.runs import Outcome
from bridge.neighbours.tls import VARIABLES
from bridge.passes.runner import Passes
from bridge.passes.stages import Pass, PassOptions
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.project import ProtectedBranch
from bridge.sandbox.tools import CLOUD, ORG, SandboxTools, tools_running
from bridge.sandbox.world import World
from bridge.settings import Settings, load_settings
from bridge.wiring import Wired, wired
from bridge.wiring.clock import utc_now
from bridge.wiring.remediation import assignment, digesting, needed
from tests.access.backstage_keys import USER, new_key, signed, user_claims
from tests.exporters.gcs_server import Bucket
from tests.exporters.gcs_server import serving as cloud_storage
from tests.neighbours.relay import PrivateCA

TOKEN = "glpat-first-of-two"
MANIFEST = "version: 1\nservice: {name: quay, owner: {team: crew}}\n"


def a_world() -> World:
    world = World(utc_now)
    world.add_project("shop/quay", files={"qm.yaml": MANIFEST, "README.md": "quay"})
    world.add_project("other/thing", files={"qm.yaml": MANIFEST.replace("quay", "thing")})
    return world


@dataclass
class Company:
    """Backstage and a chat: they take everything, and remember what they were asked."""

    asked: list[str] = field(default_factory=list)

    async def answer(self, request: web.BaseRequest) -> web.Response:
        self.asked.append(f"{request.method} {request.path}")
        return web.json_response({"keys": []})


@asynccontextmanager
async def company(ca: PrivateCA) -> AsyncIterator[tuple[Company, str]]:
    made = Company()
    runner = web.ServerRunner(web.Server(made.answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ca.server_context())
    await site.start()
    yield made, f"https://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def unread(parts: Wired) -> dict[str, str]:
    """Why facts are not known, by their collector."""
    return {
        reading.retriever: fact.reason
        for by_retriever in parts.facts.board.latest.values()
        for reading in by_retriever.values()
        for fact in reading.facts
        if fact.standing is Standing.UNKNOWN
    }


async def a_pass(parts: Wired) -> Pass:
    done = await Passes(parts.stages).run(PassOptions())
    known = await done.known()
    await parts.after_pass.facts_and_scores(
        known.catalog, known.memory, done.observations, all_batches=True
    )
    return done


async def fester(*arguments: str, **variables: str) -> Result:
    runner = CliRunner(env=variables)
    return await asyncio.to_thread(runner.invoke, main, arguments, catch_exceptions=False)


@dataclass
class Everybody:
    """All neighbours of one installation, over TLS."""

    ca: PrivateCA
    company: Company
    settings: dict[str, Any]
    token_file: Path


@pytest.fixture
async def everybody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Everybody]:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    ca = PrivateCA(tmp_path)
    async with AsyncExitStack() as stack:
        sandbox = SandboxGitLab(a_world(), token=TOKEN, scopes=("api",))
        gitlab = await stack.enter_async_context(running(sandbox))
        tools = await stack.enter_async_context(tools_running(SandboxTools()))
        bucket = stack.enter_context(cloud_storage(Bucket()))
        made, elsewhere = await stack.enter_async_context(company(ca))
        monkeypatch.setenv(
            "STORAGE_EMULATOR_HOST", await stack.enter_async_context(ca.in_front_of(bucket.host))
        )
        behind = await stack.enter_async_context(ca.in_front_of(tools))
        yield Everybody(
            ca,
            made,
            {
                "from": f"{await stack.enter_async_context(ca.in_front_of(gitlab))}/shop",
                "to": ["gs://shop/catalog"],
                "store": f"sqlite:///{tmp_path}/store.db",
                "token": TOKEN,
                "snyk_token": "sandbox-token",
                "snyk": {"org": ORG, "url": behind},
                "pagerduty_token": "sandbox-token",
                "pagerduty": {"url": behind},
                "opsgenie_token": "sandbox-token",
                "opsgenie": {"url": behind},
                "jsm_token": "sandbox-token",
                "jsm": {"url": behind, "cloud": CLOUD},
                "backstage_token": "a-static-token",
                "backstage": {"url": elsewhere, "refresh": True},
                "access": {"backstage_users": True},
                "digest_webhook": f"{elsewhere}/services/T00",
                "remediation": {"digest": True},
            },
            tmp_path / "token",
        )


async def spoken_to(parts: Wired, settings: Settings) -> dict[str, str]:
    """What each neighbour that is not asked in a pass says; "" when all is well."""
    key = new_key("k1")
    assert parts.gatekeeper is not None
    try:
        await parts.gatekeeper.recognize(signed(key, user_claims(), USER))
        keys = ""
    except KeysUnavailable as error:
        keys = str(error)
    except Exception as error:
        keys = "" if "does not list" in str(error) else str(error)
    issues = needed(assignment(parts))
    try:
        listing = await issues.issues.listing([])
    finally:
        await issues.close()
    digests = digesting(settings, "x", parts.store)
    assert digests is not None
    assert digests.webhook is not None
    assert isinstance(parts.refresher, Refresher)
    done = await Passes(parts.stages).run(PassOptions())
    problem = await parts.refresher.tell(done.digests or {"index.yaml": "a digest"})
    (taken,) = await digests.webhook.post([{"text": "x"}])
    return {
        "keys": keys,
        "issues": listing.failure,
        "digest": "" if taken else "not taken",
        "refresh": str(problem or ""),
    }


@pytest.mark.real
@pytest.mark.parametrize("way", ["ca_file", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
async def test_one_setting_or_variable_names_the_ca_for_everything(
    everybody: Everybody, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = dict(everybody.settings)
    if way == "ca_file":
        given[way] = everybody.ca.file
    else:
        monkeypatch.setenv(way, str(everybody.ca.file))
    settings = Settings.model_validate(given)
    async with wired(settings) as parts:
        done = await a_pass(parts)
        assert done.report.outcome is Outcome.COMPLETE, done.report
        assert [receipt.written > 0 for receipt in done.report.published] == [True]
        reasons = unread(parts)
        everything = {"gitlab", "gitlab_rest", "snyk", "pagerduty", "opsgenie", "jsm"}
        assert not everything & reasons.keys(), reasons
        assert set((await spoken_to(parts, settings)).values()) == {""}
    assert "POST /services/T00" in everybody.company.asked
    assert "POST /api/catalog/refresh" in everybody.company.asked


@pytest.mark.real
async def test_without_it_each_says_that_the_certificate_is_not_trusted(
    everybody: Everybody,
) -> None:
    settings = Settings.model_validate(everybody.settings)
    async with wired(settings) as parts:
        done = await Passes(parts.stages).run(PassOptions())
        assert done.report.outcome is Outcome.FAILED
        assert "name its CA's file in `ca_file`" in done.report.failure
        said = await spoken_to(parts, settings)
        assert all("ca_file" in said[each] for each in ("issues", "refresh")), said
        assert said["keys"]
        assert said["digest"] == "not taken"
    assert everybody.company.asked == []


@pytest.mark.real
async def test_doctor_says_of_the_certificate_what_a_pass_would(everybody: Everybody) -> None:
    """It looks at GitLab and at the bucket with the same trust."""
    arguments = ("doctor", "--from", everybody.settings["from"], "--to", "gs://shop/catalog")
    blind = await fester(*arguments, GITLAB_TOKEN=TOKEN)
    assert blind.exit_code == 1
    assert "FAIL GitLab" in blind.output
    assert "FAIL destination" in blind.output
    assert blind.output.count("name its CA's file in `ca_file`") == 2
    for name in ("FESTER_CA_FILE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        fine = await fester(*arguments, GITLAB_TOKEN=TOKEN, **{name: str(everybody.ca.file)})
        assert fine.exit_code == 0, fine.output
        assert "ok   destination: gs://shop/catalog can be used" in fine.output


@pytest.mark.real
async def test_a_bucket_over_tls_is_refused_without_the_ca(everybody: Everybody) -> None:
    exporter = GcsExporter("gs://shop/catalog", patience=0.5)
    with pytest.raises(Exception, match="not trusted here"):
        await exporter.publish([], dry_run=True)
    await exporter.close()


@asynccontextmanager
async def under_a_path() -> AsyncIterator[tuple[SandboxGitLab, str]]:
    sandbox = SandboxGitLab(a_world(), token=TOKEN, path="/intra/gitlab", scopes=("api",))
    async with running(sandbox) as url:
        yield sandbox, url


@pytest.mark.real
@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("group", ["/shop", ""])
async def test_a_gitlab_under_a_path_is_crawled_asked_for_facts_and_given_issues(
    tmp_path: Path, told: bool, group: str
) -> None:
    """The base is told from the group by a setting, or by asking."""
    async with under_a_path() as (sandbox, url):
        project = sandbox.world.find("shop/quay")
        assert project is not None
        project.facts.protected_branches = (ProtectedBranch("main"),)
        settings = Settings.model_validate(
            {
                "from": f"{url}{group}",
                "store": f"sqlite:///{tmp_path}/store.db",
                "token": TOKEN,
                "gitlab": {"url": f"{url}/"} if told else {},
            }
        )
        async with wired(settings) as parts:
            assert parts.stages.scraper.name == f"{url}{group}"
            done = await a_pass(parts)
            entities = (await done.known()).catalog.entities
            names = {entity.ref.name for entity in entities}
            assert names == ({"quay", "crew"} if group else {"quay", "thing", "crew"})
            quay = next(e for e in entities if e.ref.name == "quay")
            assert f"{url}/shop/quay" in str(quay.body)
            assert not {"gitlab", "gitlab_rest"} & unread(parts).keys()
            issues = needed(assignment(parts))
            listing = await issues.issues.listing([])
            await issues.close()
            assert listing.failure == ""
        kinds = {request.path.partition("?")[0] for request in sandbox.requests}
        assert all(path.startswith("/intra/gitlab/api/") for path in kinds), kinds


@pytest.mark.real
async def test_doctor_finds_a_gitlab_under_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with under_a_path() as (_, url):
        found = await fester(
            *("doctor", "--from", f"{url}/shop", "--to", "out"), GITLAB_TOKEN=TOKEN
        )
        assert found.exit_code == 0, found.output
        assert f"ok   GitLab: {url} answers" in found.output
        assert "ok   projects: there are projects to be seen in shop" in found.output
        missing = await fester(
            *("doctor", "--from", f"{url}/nobody", "--to", "out"), GITLAB_TOKEN=TOKEN
        )
        assert "the group nobody is not there" in missing.output
        host = url.removesuffix("/intra/gitlab")
        other = await fester(
            *("doctor", "--from", f"{host}/elsewhere", "--to", "out"), GITLAB_TOKEN=TOKEN
        )
        assert "FAIL GitLab" in other.output


def test_a_source_that_does_not_lie_under_gitlabs_address_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "fester.yaml"
    config.write_text("from: https://h.example/shop\ngitlab: {url: 'https://h.example/gitlab'}\n")
    from bridge.errors import ConfigurationError

    with pytest.raises(ConfigurationError, match="does not lie under it"):
        load_settings({}, config=config, environment={})


@pytest.mark.real
async def test_a_token_that_is_rotated_while_it_runs_is_used_at_once(tmp_path: Path) -> None:
    """For the crawl, for facts and for issues; none of them is made anew."""
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    sandbox = SandboxGitLab(a_world(), token=TOKEN, scopes=("api",))
    async with running(sandbox) as url:
        settings = load_settings(
            {"from": url, "store": f"sqlite:///{tmp_path}/store.db"},
            environment={"GITLAB_TOKEN_FILE": str(file)},
        )
        async with wired(settings) as parts:
            issues = needed(assignment(parts))
            for token in (TOKEN, "glpat-second-of-two"):
                sandbox.token = token
                file.write_text(f"{token}\n")
                done = await a_pass(parts)
                assert done.report.outcome is Outcome.COMPLETE, done.report.failure
                assert not {"gitlab", "gitlab_rest"} & unread(parts).keys()
                assert (await issues.issues.listing([])).failure == ""
            await issues.close()
