"""What `fester deploy` prints can be used as it is printed."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from prometheus_client import CollectorRegistry, generate_latest
from ruamel.yaml import YAML

from bridge import __version__
from bridge.api.changes.metrics import receiver_metrics
from bridge.api.live import Live, SourceHealth
from bridge.api.metrics import LiveCollector
from bridge.cli.deploy import TEMPLATES, template
from bridge.cli.program import main
from bridge.cli.serve import refuse_open_address
from bridge.errors import ConfigurationError
from bridge.model.problems import Problem
from bridge.model.receivers import ReceiverStanding
from bridge.model.runs import Outcome, Receipt, Report
from bridge.model.scrape import Coverage, Traffic
from bridge.settings import load_settings
from bridge.wiring.ox import rubric
from tests.api.measured import ox_measured
from tests.fakes import NOON
from tests.ox.rubrics import SMALL

ROOT = Path(__file__).parents[2]
PLACEHOLDER = "PASTE WHAT fester token PRINTED"


def documents(what: str) -> list[dict[str, Any]]:
    return list(YAML(typ="safe").load_all(template(what)))


def secret_file(name: str, tmp_path: Path) -> str:
    path = tmp_path / name
    path.write_text("postgresql://fester:x@database/fester" if name == "store" else "a-secret")
    return str(path)


@pytest.mark.parametrize("what", TEMPLATES)
def test_each_is_printed(what: str) -> None:
    result = CliRunner().invoke(main, ["deploy", what], catch_exceptions=False)
    assert (result.exit_code, result.output) == (0, template(what))
    assert "{version}" not in result.output


def test_they_are_listed() -> None:
    result = CliRunner().invoke(main, ["deploy"], catch_exceptions=False)
    assert [what for what in TEMPLATES if f"fester deploy {what} " not in result.output] == []


def test_the_rubrics_checks_are_printed_for_a_backstage_that_pulls(tmp_path: Path) -> None:
    """Each asks for its one fact; no text of a rubric is a variable of Backstage's settings."""
    own, _, _ = SMALL.partition("  protected:")
    own = own.replace("There is a README", "A ${README} is there").replace("repo.", "gitlab.")
    (tmp_path / "rubric.yaml").write_text(own, encoding="utf-8")
    for folder, expected in (
        ([], {check.id for check in rubric(None).rubric.checks}),
        (["--mappings", str(tmp_path)], {"readme"}),
    ):
        command = ["deploy", "backstage-checks", *folder]
        result = CliRunner().invoke(main, command, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        tree = YAML(typ="safe").load(result.output)["techInsights"]
        checks = tree["factChecker"]["checks"]
        assert set(checks) == expected
        assert list(tree["factRetrievers"]) == ["fester_checks"]
        for name, check in checks.items():
            assert check["factIds"] == ["fester_checks"]
            (condition,) = check["rule"]["conditions"]["all"]
            assert (condition["fact"], condition["value"]) == (name, True)
    assert checks["readme"]["name"] == "A $${README} is there"


def kinds() -> dict[str, dict[str, Any]]:
    found = {document["kind"]: document for document in documents("kubernetes")}
    assert len(found) == len(documents("kubernetes"))
    return found


def test_the_kubernetes_deployment_is_bounded_watched_and_without_rights() -> None:
    objects = kinds()
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    assert "memory" in container["resources"]["limits"]
    paths = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("liveness", "startup")}
    assert paths == {"liveness": "/healthz", "startup": "/healthz"}
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["image"].endswith(f":{__version__}")
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert objects["Service"]["spec"]["selector"] == labels
    assert objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    (port,) = objects["Service"]["spec"]["ports"]
    assert port["targetPort"] in {each["name"] for each in container["ports"]}
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_workers_on_kubernetes_have_what_the_others_have() -> None:
    """The same settings and secrets, and no more rights: else they would take no part."""
    (workers,) = documents("kubernetes-workers")
    ours = kinds()["Deployment"]["spec"]["template"]["spec"]
    theirs = workers["spec"]["template"]["spec"]
    for same in ("securityContext", "volumes", "serviceAccountName"):
        assert theirs[same] == ours[same]
    (container,), (server,) = theirs["containers"], ours["containers"]
    assert all(each in server["env"] for each in container["env"])
    for same in ("image", "volumeMounts", "securityContext", "livenessProbe", "readinessProbe"):
        assert container[same] == server[same]
    assert container["args"] == ["worker", *server["args"][1:]]
    labels = workers["spec"]["template"]["metadata"]["labels"]
    assert labels != kinds()["Service"]["spec"]["selector"]
    assert workers["spec"]["selector"]["matchLabels"] == labels


def test_kubernetes_gets_its_secrets_by_reference_alone() -> None:
    assert "Secret" not in kinds()
    (container,) = kinds()["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert all(each["name"].endswith("_FILE") for each in container["env"])
    told = re.findall(r"--from-file=([\w-]+)", template("kubernetes"))
    assert {Path(each["value"]).name for each in container["env"]} == set(told)


def test_kubernetes_settings_start_once_the_token_is_pasted(tmp_path: Path) -> None:
    text = kinds()["ConfigMap"]["data"]["fester.yaml"]
    path = tmp_path / "fester.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="sha256"):
        load_settings({}, config=path, environment={})
    path.write_text(text.replace(PLACEHOLDER, "0" * 64))
    (container,) = kinds()["Deployment"]["spec"]["template"]["spec"]["containers"]
    given = {e["name"]: secret_file(Path(e["value"]).name, tmp_path) for e in container["env"]}
    settings = load_settings({"host": "0.0.0.0"}, config=path, environment=given)
    refuse_open_address(settings, False)
    assert settings.store.startswith("postgresql://")
    assert settings.token is not None
    assert container["args"] == [
        *("serve", "--config", "/etc/fester/fester.yaml", "--host", "0.0.0.0", "--port", "8080")
    ]


def test_compose_names_only_secrets_and_volumes_that_it_has(tmp_path: Path) -> None:
    (whole,) = documents("compose")
    fester, database = whole["services"]["fester"], whole["services"]["database"]
    assert {*fester["secrets"], *database["secrets"]} == set(whole["secrets"])
    for name in whole["secrets"]:
        assert f"secrets/{name}" in template("compose").partition("services:")[0]
    given = {
        name: secret_file(Path(path).name, tmp_path)
        for name, path in fester["environment"].items()
        if path.removeprefix("/run/secrets/") in fester["secrets"]
    }
    assert fester["environment"].keys() == given.keys()
    settings = load_settings({"from": "https://gitlab.example.com"}, environment=given)
    assert settings.store.startswith("postgresql://")
    worker = whole["services"]["worker"]
    assert worker["profiles"] == ["workers"]
    for same in ("environment", "secrets", "volumes", "user", "cap_drop", "read_only", "image"):
        assert worker[same] == fester[same]
    assert worker["command"] == ["worker", *fester["command"][1:]]
    assert fester["read_only"] is True
    assert fester["cap_drop"] == ["ALL"]
    assert all(port.startswith("127.0.0.1:") for port in fester["ports"])
    compile(fester["healthcheck"]["test"][3], "healthcheck", "exec")


@pytest.mark.real
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_the_systemd_unit_is_one(tmp_path: Path) -> None:
    unit = tmp_path / "fester.service"
    shipped = template("systemd")
    unit.write_text(shipped.replace("/opt/fester/bin/fester", shutil.which("true") or "/bin/true"))
    ran = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    about_us = [line for line in ran.stderr.splitlines() if "fester" in line]
    assert (ran.returncode, about_us) == (0, [])


def test_the_systemd_unit_keeps_the_token_out_of_the_environment() -> None:
    text = template("systemd")
    assert "LoadCredential=gitlab-token:" in text
    assert "GITLAB_TOKEN=" not in text


async def one_receiver() -> list[ReceiverStanding]:
    return [ReceiverStanding("audit", "https://audit.example.com")]


async def everything_measured(folder: Path) -> str:
    """`/metrics` of a service that has seen all that rules look at."""
    problem = Problem("too much would go", "removals-withheld")
    report = Report(
        Outcome.COMPLETE,
        entities={"Component": 1},
        projects={"seen": 1},
        manifests={"valid": 1},
        published=(Receipt("here", 1, 0, 0),),
        problems=(problem,),
        seconds=1.0,
    )
    live = Live(report=report, last_complete=NOON, known_until=NOON)
    live.sources = {
        name: SourceHealth("here", lambda: Traffic(outcomes={"200": 1})) for name in ("", "lab")
    }
    live.passes[Coverage.FULL, Outcome.COMPLETE] += 1
    live.receivers = one_receiver
    others = [*await ox_measured(folder), *await receiver_metrics(live, NOON)]
    registry = CollectorRegistry()
    registry.register(LiveCollector(live, NOON.timestamp(), Counter(), others))
    return generate_latest(registry).decode()


@pytest.mark.store
async def test_alerts_speak_of_metrics_that_there_are(tmp_path: Path) -> None:
    (whole,) = documents("alerts")
    rules = [rule for group in whole["groups"] for rule in group["rules"]]
    named = {n for rule in rules for n in re.findall(r"\bfester_\w+", rule["expr"])}
    there = set(re.findall(r"^(fester_\w+)", await everything_measured(tmp_path), re.MULTILINE))
    assert named
    assert named - there == set()
    assert all(rule["annotations"].keys() == {"summary", "description"} for rule in rules)


def test_alerts_speak_of_rules_that_the_program_has() -> None:
    program = "".join(path.read_text("utf-8") for path in (ROOT / "bridge").rglob("*.py"))
    for rule in re.findall(r'rule="([\w-]+)"', template("alerts")):
        assert f'"{rule}"' in program


@pytest.mark.real
@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool (package prometheus) is missing")
def test_alerts_fire_when_they_should_and_only_then(tmp_path: Path) -> None:
    (tmp_path / "alerts.yaml").write_text(template("alerts"))
    shutil.copy(Path(__file__).with_name("alerts_test.yaml"), tmp_path)
    for command in (("check", "rules", "alerts.yaml"), ("test", "rules", "alerts_test.yaml")):
        ran = subprocess.run(
            ["promtool", *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
