"""What the README shows works as it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from bridge.cli.program import COMMANDS, main
from bridge.ox.facts.schema_file import load_schemas
from bridge.settings import TokenSettings, load_settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
GUIDE = [ROOT / "README.md", *sorted((ROOT / "bridge" / "docs").glob("*.md"))]


def block(marker: str, language: str) -> str:
    found = re.search(rf"{re.escape(marker)}\n```{language}\n(.*?)```", README, re.DOTALL)
    assert found, marker
    return found[1]


def fester(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    return result.exit_code, result.output


def test_the_tutorials_mapping_loads_and_its_example_passes(tmp_path: Path) -> None:
    for name, language in (("team-service.schema.json", "json"), ("team-service.yaml", "yaml")):
        (tmp_path / name).write_text(block(f"<!-- tutorial: {name} -->", language), "utf-8")
    code, output = fester("mappings", "check", str(tmp_path))
    assert code == 0, output
    code, output = fester("mappings", "test", str(tmp_path))
    assert code == 0, output
    assert "A service that runs on a database" in output


def test_the_rubric_shown_loads_and_its_example_passes(tmp_path: Path) -> None:
    (tmp_path / "rubric.yaml").write_text(block("<!-- rubric -->", "yaml"), "utf-8")
    code, output = fester("mappings", "test", str(tmp_path))
    assert code == 0, output
    assert "One approval is a warning" in output


def test_the_example_manifest_is_valid_without_a_warning(tmp_path: Path) -> None:
    found = re.search(r"```yaml\n(# yaml-language-server.*?)```", README, re.DOTALL)
    assert found
    (tmp_path / "qm.yaml").write_text(found[1], "utf-8")
    code, output = fester("check", str(tmp_path / "qm.yaml"))
    assert (code, output) == (0, "1 manifest checked, 0 errors, 0 other notes\n")


def test_the_settings_shown_are_all_known(tmp_path: Path) -> None:
    found = re.search(r"```yaml\n(from: https://gitlab.*?)```", README, re.DOTALL)
    assert found
    path = tmp_path / "fester.yaml"
    path.write_text(found[1], "utf-8")
    settings = load_settings({}, config=path, environment={"FESTER_BACKSTAGE_TOKEN": "static"})
    assert settings.every == 600
    assert settings.gitlab.exclude == ("sandbox/**", "**/playground-*")
    assert load_settings({}, environment={}).guard == settings.guard


def test_the_remediation_settings_shown_are_all_known(tmp_path: Path) -> None:
    found = re.search(r"```yaml\n(remediation:\n.*?)```", README, re.DOTALL)
    assert found
    path = tmp_path / "fester.yaml"
    path.write_text(found[1], "utf-8")
    shown = load_settings({}, config=path, environment={}).remediation
    assert shown.groups["shop"].per_run == 5
    usual = load_settings({}, environment={}).remediation
    assert shown.model_copy(update={"groups": {}, "owners": {}}) == usual


def test_the_facts_that_may_be_pushed_are_described_as_shown(tmp_path: Path) -> None:
    (tmp_path / "facts.yaml").write_text(block("<!-- facts.yaml -->", "yaml"), "utf-8")
    (schema,) = load_schemas(tmp_path / "facts.yaml")
    assert (schema.id, schema.cadence) == ("load_tests", 2 * 86_400)


def test_the_settings_of_ox_are_the_defaults_as_shown(tmp_path: Path) -> None:
    found = re.search(r"```yaml\n(ox:\n  collect.*?)```", README, re.DOTALL)
    assert found
    path = tmp_path / "fester.yaml"
    path.write_text(found[1], "utf-8")
    shown = load_settings({}, config=path, environment={})
    assert shown.ox == load_settings({}, environment={}).ox


def test_the_readme_names_every_command() -> None:
    missing = [name for name in COMMANDS if f"fester {name}" not in README]
    assert missing == []


def test_exactly_two_set_up_commands_build_an_environment() -> None:
    assert README.count("python3 -m venv") == 2


@pytest.mark.parametrize("link", re.findall(r"\]\(((?!http)[^)#]+)\)", README))
def test_links_lead_to_files_that_are_there(link: str) -> None:
    assert (ROOT / link).exists()


def test_links_within_the_readme_lead_to_headings() -> None:
    headings = re.findall(r"^#+ (.+)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    wanted = set(re.findall(r"\]\(#([^)]+)\)", README))
    assert wanted
    assert wanted - anchors == set()


def test_no_sample_of_access_loads_as_it_is() -> None:
    """Whoever pastes one and forgets the rest must not open a door to everybody who reads it."""
    samples = [
        line.split("sha256:")[1].split(",")[0].strip().strip('"')
        for page in GUIDE
        for line in page.read_text("utf-8").splitlines()
        if "sha256:" in line and "name:" in line
    ]
    assert samples
    for sample in samples:
        with pytest.raises(ValidationError):
            TokenSettings(name="ci", sha256=sample)
