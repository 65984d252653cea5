"""Every code block of the README and the guide is run, loaded or accounted for with a reason."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
import tomllib
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from bridge.cli import main
from bridge.language.expressions import compile_expression
from bridge.language.filters import FILTERS
from bridge.language.own_schemas import schema_text
from bridge.model.scrape import ManifestFile, Project
from bridge.processors.mapping import load_mappings, presets_folder, scope
from bridge.settings import load_settings
from bridge.wiring.owners import known_owners
from tests.cli.test_doctor import gitlab_in_a_thread
from tests.guide import GUIDE, ROOT, Block, block, blocks, commands

# Commands that no test here runs, by how they begin, and why.
NOT_RUN = {
    "python3 -m venv .venv && .venv/bin/pip install -q -e": "`.ci/run` runs it, word for word",
    "export GITLAB_TOKEN=": "the token of the sandbox is set instead",
    "pip install -e . && pytest": "tests/test_extending.py does it with the package's own files",
    ".venv/bin/python -m tests.benchmarks.": "takes minutes; its options are looked at below",
    "FESTER_BACKSTAGE=newest ": "installs the npm packages of the day, and takes minutes",
    "fester worker ": "tests/service/test_workers.py does it, beside a PostgreSQL",
    "pg_dump ": "PostgreSQL's own program on a database that is not there",
}
# Code that another test looks at, by the page and how it begins, and which.
ELSEWHERE = {
    ("backstage", "# app-config.yaml"): "tests/backstage/test_tech_insights.py",
    ("backstage", "# fester.yaml"): "test_the_rest_of_the_settings_shown_load",
    ("backstage", "// A module for tech-insights"): "tests/backstage/test_tech_insights.py",
    ("catalog-api", "new CatalogClient("): "tests/backstage/test_catalog_client.py",
    ("README", "error   kestrel/"): "test_the_demo_ends_as_the_readme_says",
    ("facts", "ox:"): "tests/test_docs.py",
    ("facts", "load_tests:"): "tests/test_docs.py",
    ("facts", "snyk:"): "test_the_rest_of_the_settings_shown_load",
    ("operate", "from: https://"): "tests/test_docs.py",
    ("operate", "# fester.yaml"): "test_the_rest_of_the_settings_shown_load",
    ("operate", "owners:"): "test_the_groups_from_elsewhere_shown_load",
    ("operate", "access:"): "tests/test_docs.py, which sees to it that it does not load",
    ("manifest", "# qm.defaults.yaml"): "tests/processors/test_defaults.py",
    ("remediation", "remediation:"): "tests/test_docs.py",
    ("remediation", "notices:"): "tests/test_docs.py",
    ("scores", "rubric:"): "tests/test_docs.py",
    ("scores", "owners-known:"): "tests/test_docs.py",
    ("scores", "api-defined:"): "tests/ox/test_catalog_facts.py",
    ("manifest", "# yaml-language-server"): "tests/test_docs.py",
    ("manifest", "version: 1"): "test_the_manifests_shown_become_entities",
    ("manifest", "  "): "test_the_manifests_shown_become_entities",
    ("mapping", "# mappings/presets.yaml"): "test_the_presets_shown_load",
    ("mapping", "entities:\n  - copy:"): "tests/processors/test_presets.py, on catalog-info.yaml",
    ("mapping", "split:"): "tests/processors/test_splitting.py, on the same keys",
    ("mapping", "reads:"): "tests/processors/test_reads.py",
    ("manifest", "check-manifest:"): "test_the_job_for_service_owners_runs_as_it_is_pasted",
    ("manifest", "repos:"): "test_the_hook_for_service_owners_is_one",
    ("mapping", "# team-service.yaml"): "test_every_command_runs",
    ("mapping", "{"): "tests/test_docs.py",
    ("mapping", "mapping: team-service"): "tests/test_docs.py",
    ("incident", "{"): "another program's settings; a message of tests/exporters",
    ("incident", "changes:"): "test_the_rest_of_the_settings_shown_load",
    ("extend", ""): "tests/test_extending.py",
}


def test_every_block_is_accounted_for() -> None:
    """A new block is a console block that runs, or one that a test above looks at."""
    unknown = [
        each.place
        for each in blocks()
        if each.language != "console"
        and not any(
            each.page.stem == page and each.text.startswith(start) for page, start in ELSEWHERE
        )
    ]
    assert unknown == []
    for page, start in ELSEWHERE:
        assert any(b.page.stem == page and b.text.startswith(start) for b in blocks()), (
            page,
            start,
        )


@pytest.mark.parametrize("each", blocks(), ids=lambda each: each.place)
def test_every_block_can_be_read_as_what_it_is(each: Block) -> None:
    readers: dict[str, Any] = {
        "yaml": YAML(typ="safe", pure=True).load,
        "json": json.loads,
        "toml": tomllib.loads,
        "python": lambda text: compile(text, each.place, "exec"),
        "console": lambda text: [shlex.split(line) for line in commands(text)],
    }
    if each.language in readers:
        assert readers[each.language](each.text)
    else:
        assert each.language in {"js", "text"}


COMMANDS = [
    pytest.param(command, id=f"{each.place} {command[:40]}")
    for each in blocks()
    if each.language == "console"
    for command in commands(each.text)
    if not command.startswith(tuple(NOT_RUN))
]


def test_reasons_are_given_for_commands_that_there_are() -> None:
    all_of_them = [c for b in blocks() if b.language == "console" for c in commands(b.text)]
    for start in NOT_RUN:
        assert any(command.startswith(start) for command in all_of_them), start


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of somebody who follows the guide from its beginning."""
    folder = tmp_path_factory.mktemp("reader")
    ours = folder / "mappings"
    ours.mkdir()
    for name, language in (("team-service.schema.json", "json"), ("team-service.yaml", "yaml")):
        (ours / name).write_text(block("mapping", language, f"tutorial: {name}"), "utf-8")
    (folder / "team-service.yaml").write_text(block("mapping", "yaml", "# team-service.yaml in"))
    return folder


@pytest.fixture(scope="module")
def gitlab() -> Iterator[str]:
    with gitlab_in_a_thread() as url:
        yield url


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`fester serve` on the guide's manifest, with the guide's description of facts; its URL."""
    folder = tmp_path_factory.mktemp("serving")
    (folder / "src/backstage").mkdir(parents=True)
    manifest = block("manifest", "yaml", "# yaml-language-server")
    (folder / "src/backstage/qm.yaml").write_text(manifest, "utf-8")
    (folder / "mappings").mkdir()
    (folder / "mappings/facts.yaml").write_text(block("facts", "yaml", "facts.yaml"), "utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    arguments = ["--from", "src", "--mappings", "mappings", "--port", url.rpartition(":")[2]]
    program = [sys.executable, "-c", "from bridge.cli import main; main()", "serve", *arguments]
    with subprocess.Popen(program, cwd=folder, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(f"{url}/readyz")
            _wait_for(f"{url}/api/ox/scores")  # until then nobody knows whose facts may be pushed
            yield url
        finally:
            process.terminate()


def _wait_for(url: str) -> None:
    for _ in range(300):
        try:
            with urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{url} is not ready")


@pytest.mark.real
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_runs(
    command: str, home: Path, gitlab: str, request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """As it is printed, but for the names of things that a reader has and this machine has not."""
    if "127.0.0.1:8080" in command:
        command = command.replace("http://127.0.0.1:8080", request.getfixturevalue("serving"))
        command = command.replace("curl ", "curl --silent --show-error --fail-with-body ")
    for theirs, here in (
        ("python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/", ""),
        ("https://gitlab.example.com/my-group", f"{gitlab}/kestrel"),
        ("https://gitlab.example.com", gitlab),
        ("gs://my-bucket/backstage", "./bucket"),
        ("payments-api", "booking-api"),
    ):
        command = command.replace(theirs, here)
    monkeypatch.chdir(home)
    monkeypatch.setenv("GITLAB_TOKEN", "sandbox-token")
    if command.startswith("fester score"):  # whose source a reader's fester.yaml names
        monkeypatch.setenv("FESTER_FROM", gitlab)
    monkeypatch.setenv("HOME", str(home))
    words = shlex.split(command, comments=True)
    if words[0] == "fester" and not {">", "|", "&&"} & set(words):
        result = CliRunner().invoke(main, words[1:], catch_exceptions=False)
        code, output = result.exit_code, result.output
    else:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            env=os.environ | {"PATH": path},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        code, output = ran.returncode, ran.stdout + ran.stderr
    published_with_a_gap = 3  # the sandbox has projects that cannot be read
    assert code in ({0, published_with_a_gap} if "run" in words else {0}), output


def test_benchmarks_take_the_options_that_are_shown() -> None:
    shown = [c for b in blocks() for c in commands(b.text) if "tests.benchmarks." in c]
    assert shown
    for command in shown:
        words = shlex.split(command)
        module = ROOT / (words[2].replace(".", "/") + ".py")
        for option in [word for word in words if word.startswith("--")]:
            assert f'"{option}"' in module.read_text("utf-8"), command


@pytest.mark.real
def test_the_demo_ends_as_the_readme_says(tmp_path: Path) -> None:
    (shown,) = [b.text for b in blocks() if b.page == Path("README.md") and b.language == "text"]
    to = str(tmp_path / "fester-demo")
    output = CliRunner().invoke(main, ["demo", "--once", "--to", to], catch_exceptions=False).output
    seen = " ".join(
        re.sub(r"\d+\.\d s, \d+ requests", "", output.replace(to, "fester-demo")).split()
    )
    for line in shown.replace("…\n", "").splitlines():
        wanted = " ".join(re.sub(r"\d+\.\d s, \d+ requests", "", line).split())
        assert wanted in seen, line


def test_the_rest_of_the_settings_shown_load(tmp_path: Path) -> None:
    (tmp_path / "fester.yaml").write_text(block("facts", "yaml", "snyk:"), "utf-8")
    shown = load_settings({}, config=tmp_path / "fester.yaml", environment={"SNYK_TOKEN": "x"})
    usual = load_settings({}, environment={})
    assert (shown.pagerduty, shown.opsgenie) == (usual.pagerduty, usual.opsgenie)
    (tmp_path / "fester.yaml").write_text(block("backstage", "yaml", "# fester.yaml"), "utf-8")
    shown = load_settings({}, config=tmp_path / "fester.yaml", environment={})
    assert shown.access.configured
    assert shown.access.origins == (shown.backstage.url,)
    (tmp_path / "fester.yaml").write_text(block("operate", "yaml", "# fester.yaml"), "utf-8")
    shown = load_settings(
        {}, config=tmp_path / "fester.yaml", environment={"GITLAB_TOKEN_LAB": "lab-token"}
    )
    assert [each.name for each in shown.further] == ["lab"]
    assert shown.source_secrets["lab"]["token"].get_secret_value() == "lab-token"
    (tmp_path / "fester.yaml").write_text(block("incident", "yaml", "changes:"), "utf-8")
    secret = "whsec_" + b64encode(bytes(32)).decode()
    names = ("AUDIT", "PLATFORM")
    environment = {f"FESTER_RECEIVER_SECRET_{name}": secret for name in names}
    shown = load_settings({}, config=tmp_path / "fester.yaml", environment=environment)
    assert [each.suffix for each in shown.changes.receivers] == list(names)


@pytest.mark.real
def test_the_manifests_shown_become_entities() -> None:
    """Whole ones as they are, and what is indented as keys of a service."""
    shown = [b for b in blocks() if b.page.stem == "manifest" and b.language == "yaml"]
    mappings = load_mappings()
    seen = 0
    for each in shown:
        text = each.text
        if text.startswith("  "):
            text = f"version: 1\nservice:\n  name: orders\n  owner: {{team: orders-team}}\n{text}"
        if "version: 1\n" in text and not text.startswith("# qm.defaults.yaml"):
            file = ManifestFile("qm.yaml", "o", len(text), text)
            translation = mappings.translate(Project(1, "shop/orders"), file)
            assert (translation.problems, bool(translation.drafts)) == ((), True), each.place
            seen += 1
    assert seen >= 7


@pytest.mark.real
@pytest.mark.parametrize("manifest", ["good", "bad", "hidden"])
def test_the_job_for_service_owners_runs_as_it_is_pasted(manifest: str, tmp_path: Path) -> None:
    """Its script, line by line, as GitLab's runner does; pip installs this very checkout."""
    job = YAML(typ="safe").load(block("manifest", "yaml", "check-manifest:"))["check-manifest"]
    text = "version: 1\nservice: {name: X, owner: {team: x}}\n"
    project = tmp_path / "project"
    (project / "docs").mkdir(parents=True)
    (project / ".git").mkdir()
    place = project / ("docs/qm.yaml" if manifest == "hidden" else "qm.yaml")
    place.write_text("version: 1\n" if manifest == "bad" else text, "utf-8")
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "FESTER": str(ROOT),
        # The runner's own environment is left as it is; what was built is looked at, no more.
        **{"PIP_TARGET": str(tmp_path / "site"), "PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1"},
        **{"PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    }
    script = job["script"] if manifest == "good" else job["script"][1:]
    ran = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", "\n".join(script)],
        cwd=project, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == (0 if manifest == "good" else 1), ran.stdout + ran.stderr
    report = json.loads((project / job["artifacts"]["reports"]["codequality"]).read_text("utf-8"))
    assert bool(report) == (manifest != "good")
    assert "1 manifest checked" in ran.stdout  # the log says what the report says
    if manifest == "good":
        assert (tmp_path / "site/bridge/shipped_mappings/qm-v1.yaml").is_file()


def test_the_hook_for_service_owners_is_one() -> None:
    (hook,) = YAML(typ="safe").load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    shown = YAML(typ="safe").load(block("manifest", "yaml", "repos:"))
    assert shown["repos"][0]["hooks"] == [{"id": hook["id"]}]
    wanted = re.compile(hook["files"])
    assert all(wanted.search(name) for name in ("qm.yaml", "opslevel.yml", "service.datadog.yaml"))
    assert not wanted.search("docs/qm.yaml")
    assert hook["entry"].split()[0] == "fester"
    assert hook["entry"].split()[1] in main.list_commands(None)  # type: ignore[arg-type]


def rows(heading: str) -> dict[str, list[str]]:
    """A table of the mapping language's reference: its rows by what their first cell names."""
    (table,) = re.findall(
        rf"^\| {re.escape(heading)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", GUIDE["mapping"], re.MULTILINE
    )
    cells = [re.split(r"(?<!\\) ?\| ?", line.strip("|\n ")) for line in table.splitlines()]
    return {re.sub("`", "", each[0]): [c.replace("\\|", "|") for c in each[1:]] for each in cells}


def test_the_reference_names_every_key_and_every_name() -> None:
    keys = json.loads(schema_text("mapping"))["properties"]
    assert set(rows("key of a mapping")) == set(keys)
    names = rows("name")
    assert {*scope.ROOTS} <= names.keys()
    assert set(re.findall(r"`(\w+)`", names["project"][0])) == set(scope.PROJECT_KEYS)
    assert set(re.findall(r"`(\w+)`", names["file"][0])) == set(scope.FILE_KEYS)
    assert set(re.findall(r"`(\w+)`", rows("key of a mapping")["examples"][0])) - {"fester"} <= {
        *keys["examples"]["items"]["properties"]
    }


def test_the_presets_shown_load(tmp_path: Path) -> None:
    (shown,) = [b.text for b in blocks() if b.text.startswith("# mappings/presets.yaml")]
    (tmp_path / "presets.yaml").write_text(shown, "utf-8")
    assert {"catalog-info.yaml", "compass.yml"} <= set(load_mappings(tmp_path).files)
    listed = {path.stem for path in presets_folder().glob("*.yaml")}
    assert set(rows("preset")) == listed


@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_is_in_the_reference_and_gives_what_it_says(name: str) -> None:
    example, gives = (cell.strip("`") for cell in rows("filter")[name])
    assert f"| {name}" in example
    expression, faults = compile_expression(example, scope.MappingNames(None))
    assert faults == []
    manifest = {"tools": [{"name": "Grafana"}, {"name": "Loki"}]}
    assert expression.run({"manifest": manifest}) == json.loads(gives)


def test_the_reference_names_no_filter_that_there_is_not() -> None:
    assert set(rows("filter")) == set(FILTERS)


def test_the_groups_from_elsewhere_shown_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fester.yaml").write_text(block("operate", "yaml", "owners:"), "utf-8")
    (tmp_path / "groups.txt").write_text("shop\n")
    known = {str(ref) for ref in known_owners(load_settings({}, environment={}))}
    assert known == {"group:default/payments", "user:default/jane", "group:default/shop"}
