"""No secret is seen anywhere, whatever its value and whatever a neighbour makes of it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from bridge.cli import main
from bridge.passes.stages import PassOptions
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.world import World
from bridge.secret.masks import IN_FORCE
from bridge.settings import load_settings
from bridge.wiring import wired
from bridge.wiring.clock import utc_now
from bridge.wiring.serving import serving

# It would be another text in a URL, in HTML, in JSON and in a pattern.
TOKEN = "glpat-x/y+z=1&2<3>'\"%41"
MANIFEST = "version: 1\nservice: {name: quay, owner: {team: crew}}\n"
SECRETS = {
    "GITLAB_TOKEN": TOKEN,
    "FESTER_BACKSTAGE_TOKEN": "backstage-Secret/1",
    "SNYK_TOKEN": "snyk-Secret/1",
    "PAGERDUTY_TOKEN": "pagerduty-Secret/1",
    "OPSGENIE_TOKEN": "opsgenie-Secret/1",
    "JSM_TOKEN": "jsm-Secret/1",
    "FESTER_WEBHOOK_TOKEN": "webhook-Secret/1 of two words",
    "FESTER_WEBHOOK_SIGNING_KEY": "whsec_" + base64.b64encode(b"signing-Secret/1").decode(),
    "FESTER_DIGEST_WEBHOOK": "http://127.0.0.1:9/services/digest-Secret/1",
    "FESTER_DIGEST_WEBHOOK_CREW": "http://127.0.0.1:9/services/crew-Secret/1",
    "FESTER_RECEIVER_SECRET_AUDIT": "whsec_" + base64.b64encode(b"receiver-Secret/1" * 2).decode(),
}

PAGES = (
    "",
    "scores/entity/component:default/quay",
    "api/ox/scores/component:default/quay",
    "api/ox/remediations",
    "api/ox/digests",
    "api/report",
    "metrics",
    "explain?ref=quay",
    "changes/receivers",
    "api/changes/receivers",
)


def echoes(text: str) -> str:
    """A text in the forms in which servers and libraries give it back."""
    login = base64.b64encode(f"oauth2:{text}".encode()).decode()
    return f"{text} {quote(text, safe='')} {text!r} {json.dumps(text)} Basic {login} {text}@h"


@asynccontextmanager
async def echoing(gitlab: str) -> AsyncIterator[str]:
    """A GitLab that quotes the request's token in what it says of failures, as proxies do."""

    async def answer(request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if any(part in request.path for part in ("protected_branches", "/issues")):
            return web.json_response({"message": echoes(token)}, status=400)
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method,
                f"{gitlab}{request.rel_url.raw_path_qs}",
                data=await request.read(),
                headers={
                    "Authorization": f"Bearer {token}",
                    "Content-Type": request.content_type,
                },
            ) as found,
        ):
            kept = {k: v for k, v in found.headers.items() if k in ("Content-Type", "Link")}
            return web.Response(status=found.status, body=await found.read(), headers=kept)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def config(folder: Path) -> None:
    (folder / "fester.yaml").write_text(
        "snyk: {org: x, url: 'http://127.0.0.1:9'}\n"
        "pagerduty: {url: 'http://127.0.0.1:9'}\n"
        "opsgenie: {url: 'http://127.0.0.1:9'}\n"
        "jsm: {url: 'http://127.0.0.1:9', cloud: x, user: kim@x}\n"
        "backstage: {url: 'http://127.0.0.1:9', refresh: true}\n"
        "remediation:\n"
        "  apply: true\n  baseline: true\n  digest: true\n"
        "  webhooks: {crew: FESTER_DIGEST_WEBHOOK_CREW}\n"
        "changes: {receivers: [{name: audit, url: 'http://127.0.0.1:9/in'}]}\n"
    )


async def fester(*arguments: str) -> Result:
    return await asyncio.to_thread(
        CliRunner().invoke, main, ["--verbose", *arguments], catch_exceptions=False
    )


def written(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def assert_nothing_shows(where: str, text: str) -> None:
    for name, value in SECRETS.items():
        for form in (value, quote(value, safe=""), quote(value), json.dumps(value)[1:-1]):
            assert form not in text, f"{name} in {where}"
    for part in ("glpat-", "-Secret", base64.b64encode(TOKEN.encode()).decode()[4:-4]):
        assert part not in text, f"a part of a secret in {where}"


@pytest.mark.real
async def test_whatever_is_written_and_answered_shows_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """`run`, `doctor`, `remediate` and `serve`, with a GitLab that quotes the token everywhere."""
    monkeypatch.chdir(tmp_path)
    config(tmp_path)
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, f" {value}\n")
    world = World(utc_now)
    world.add_project("shop/quay", files={"qm.yaml": MANIFEST})
    sandbox = SandboxGitLab(world, token=TOKEN, scopes=("api",))
    async with running(sandbox) as behind, echoing(behind) as gitlab:
        source = ("--from", gitlab)
        seen = {"run": await fester("run", *source, "--to", "out", "--report", "report.json")}
        assert seen["run"].exit_code == 0, seen["run"].output
        seen["doctor"] = await fester("doctor", *source, "--to", "out")
        assert seen["doctor"].exit_code == 1, seen["doctor"].output  # Snyk and the others are away
        seen["remediate"] = await fester("remediate", *source, "--apply")
        assert "***" in seen["remediate"].output
        seen["json"] = await fester("remediate", *source, "--json")
        seen["score"] = await fester("score", *source, "quay")
        for name, result in seen.items():
            assert_nothing_shows(name, result.output)
        settings = load_settings({"from": gitlab, "port": 0})
        pages = {}
        async with (
            wired(settings) as parts,
            serving(parts, settings, PassOptions()) as url,
            aiohttp.ClientSession() as session,
        ):
            for page in PAGES:
                async with session.get(f"{url}{page}") as answer:
                    assert answer.status == 200, page
                    pages[page] = await answer.text()
    for name, text in pages.items():
        assert_nothing_shows(name, text)
    assert "***" in pages["api/ox/remediations"]
    files = written(tmp_path)
    assert {"fester.db", "report.json", "catalog.json"} <= {file.name for file in files}
    for file in files:
        assert_nothing_shows(file.name, file.read_bytes().decode("latin-1"))
    out, err = capfd.readouterr()
    assert_nothing_shows("the log", out + err)


@pytest.mark.parametrize("command", ["run", "serve", "doctor", "remediate"])
def test_a_secret_that_cannot_be_one_ends_every_command_that_uses_it_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Before anything is done, with exit code 2; each problem once, and no value."""
    monkeypatch.chdir(tmp_path)
    config(tmp_path)
    tools = ("SNYK_TOKEN", "PAGERDUTY_TOKEN", "OPSGENIE_TOKEN", "JSM_TOKEN")
    used = {
        "run": {"GITLAB_TOKEN", "FESTER_BACKSTAGE_TOKEN", "FESTER_RECEIVER_SECRET_AUDIT", *tools},
        "remediate": {"GITLAB_TOKEN", *tools},
    }.get(command, set(SECRETS))
    for name in SECRETS:
        monkeypatch.setenv(name, "bad-Secret\nX-Evil: 1")
    arguments = [command, "--from", "http://127.0.0.1:9"]
    arguments += [] if command == "remediate" else ["--to", "out"]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 2
    lines = result.output.splitlines()
    assert len(lines) == len(used) + 1
    assert {name for name in used if any(f"variable {name}:" in line for line in lines)} == used
    assert "-Secret" not in result.output
    assert list(tmp_path.iterdir()) == [tmp_path / "fester.yaml"]


@pytest.mark.store
@pytest.mark.parametrize(
    "command", [["explain", "quay"], ["score", "--from", "."], ["incident", "quay"], ["changes"]]
)
def test_who_only_looks_into_the_store_needs_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    """With settings that serve a whole installation, and none of its secrets, or broken ones."""
    monkeypatch.chdir(tmp_path)
    config(tmp_path)
    monkeypatch.setenv("GITLAB_TOKEN", "bad-Secret\nX-Evil: 1")
    result = CliRunner().invoke(main, command, catch_exceptions=False)
    assert "secret" not in result.output
    assert "FESTER_BACKSTAGE_TOKEN" not in result.output
    assert "-Secret" not in result.output


@pytest.mark.real  # the library of jobs asks another program what this one is
def test_a_password_in_the_stores_url_shows_in_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = "postgresql://fester:p%40ss-Secret@127.0.0.1:9/x"
    for command in ("explain x", "doctor --from .", "run --from . --to o"):
        result = CliRunner().invoke(
            main, [*command.split(), "--store", url], catch_exceptions=False
        )
        assert result.exit_code in (1, 2)
        assert "-Secret" not in result.output


@pytest.mark.parametrize("verbose", [True, False])
def test_what_nobody_foresaw_is_a_line_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, verbose: bool
) -> None:
    """With --verbose the traceback is shown, too; a secret in neither."""
    from bridge.cli import check

    def broken(**_: object) -> None:
        IN_FORCE.add(TOKEN)
        raise RuntimeError(f'header "{TOKEN}" is bad')

    monkeypatch.setattr(check.check, "callback", broken)
    arguments = [*(["--verbose"] if verbose else []), "check", "."]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert ("Traceback" in result.output) is verbose
    said = 'fester: this is a defect of Fester\'s: RuntimeError: header "***" is bad'
    assert said in result.output
    assert_nothing_shows("the output", result.output)


@pytest.mark.real
def test_a_process_of_its_own_shows_nothing_either(tmp_path: Path) -> None:
    """The whole program, with the token that began it all."""
    program = Path(sys.executable).parent / "fester"
    ran = subprocess.run(
        [str(program), "doctor", "--from", "http://127.0.0.1:9", "--to", "o"],
        env={**os.environ, "GITLAB_TOKEN": "glpat-Secret-1\n"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 1
    assert "FAIL GitLab: http://127.0.0.1:9: the connection failed" in ran.stdout
    assert "Traceback" not in ran.stderr
    assert "-Secret" not in ran.stdout + ran.stderr
