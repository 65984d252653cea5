"""What the README and the guide show works as they say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from bridge.cli.program import COMMANDS, main
from bridge.docs import TOPICS
from bridge.ox.facts.schema_file import load_schemas
from bridge.settings import TokenSettings, load_settings
from tests.guide import GUIDE, PAGES, README, ROOT, block


def fester(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    return result.exit_code, result.output


def test_the_tutorials_mapping_loads_and_its_example_passes(tmp_path: Path) -> None:
    for name, language in (("team-service.schema.json", "json"), ("team-service.yaml", "yaml")):
        (tmp_path / name).write_text(block("mapping", language, f"tutorial: {name}"), "utf-8")
    code, output = fester("mappings", "check", str(tmp_path))
    assert code == 0, output
    code, output = fester("mappings", "test", str(tmp_path))
    assert code == 0, output
    assert "A service that runs on a database" in output


def test_the_rubric_shown_loads_and_its_example_passes(tmp_path: Path) -> None:
    (tmp_path / "rubric.yaml").write_text(block("scores", "yaml", "rubric"), "utf-8")
    code, output = fester("mappings", "test", str(tmp_path))
    assert code == 0, output
    assert "One approval is a warning" in output


def test_the_example_manifest_is_valid_without_a_warning(tmp_path: Path) -> None:
    (tmp_path / "qm.yaml").write_text(block("manifest", "yaml", "# yaml-language-server"), "utf-8")
    code, output = fester("check", str(tmp_path / "qm.yaml"))
    assert (code, output) == (0, "1 manifest checked, 0 errors, 0 other notes\n")


def test_the_editor_line_of_the_readme_names_the_schema_of_manifests() -> None:
    (name,) = re.findall(r"`fester schema (\w+) > \w+\.schema\.json`", README)
    assert f"`# yaml-language-server: $schema={name}.schema.json`" in README
    code, output = fester("schema", name)
    assert (code, json.loads(output)["title"]) == (0, "qm.yaml, version 1")


def test_the_settings_shown_are_all_known(tmp_path: Path) -> None:
    path = tmp_path / "fester.yaml"
    path.write_text(block("operate", "yaml", "from: https://gitlab"), "utf-8")
    settings = load_settings({}, config=path, environment={"FESTER_BACKSTAGE_TOKEN": "static"})
    assert settings.every == 600
    assert settings.gitlab.exclude == ("sandbox/**", "**/playground-*")
    assert load_settings({}, environment={}).guard == settings.guard


def test_the_remediation_settings_shown_are_all_known(tmp_path: Path) -> None:
    path = tmp_path / "fester.yaml"
    path.write_text(block("remediation", "yaml", "remediation:"), "utf-8")
    shown = load_settings({}, config=path, environment={}).remediation
    assert shown.groups["shop"].per_run == 5
    usual = load_settings({}, environment={}).remediation
    assert shown.model_copy(update={"groups": {}, "owners": {}}) == usual


def test_the_notices_settings_shown_are_all_known(tmp_path: Path) -> None:
    path = tmp_path / "fester.yaml"
    path.write_text(block("remediation", "yaml", "notices:"), "utf-8")
    shown = load_settings({}, config=path, environment={}).notices
    assert shown.model_fields_set == set(type(shown).model_fields)
    assert (shown.quiet, shown.apart) == ("20:00-07:00", 3_600)


def test_the_facts_that_may_be_pushed_are_described_as_shown(tmp_path: Path) -> None:
    (tmp_path / "facts.yaml").write_text(block("facts", "yaml", "facts.yaml"), "utf-8")
    (schema,) = load_schemas(tmp_path / "facts.yaml")
    assert (schema.id, schema.cadence) == ("load_tests", 2 * 86_400)


def test_the_settings_of_ox_are_the_defaults_as_shown(tmp_path: Path) -> None:
    path = tmp_path / "fester.yaml"
    path.write_text(block("facts", "yaml", "ox:"), "utf-8")
    shown = load_settings({}, config=path, environment={})
    assert shown.ox == load_settings({}, environment={}).ox


def test_the_pages_name_every_command() -> None:
    everything = "".join(PAGES.values())
    assert [name for name in COMMANDS if f"fester {name}" not in everything] == []


def test_exactly_two_set_up_commands_build_an_environment() -> None:
    assert README.count("python3 -m venv") == 2


def test_the_readme_is_a_front_page_and_maps_the_guide() -> None:
    assert len(README.encode()) <= 7_000
    shown = {
        topic: f"| [{topic}](bridge/docs/{topic}.md) | {about} |" for topic, about in TOPICS.items()
    }
    assert [topic for topic in GUIDE if shown[topic] not in README] == []


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", PAGES[page], re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


LINKS = [
    (page, link)
    for page, text in PAGES.items()
    for link in re.findall(r"\]\(((?!http)[^)]+)\)", text)
]


@pytest.mark.parametrize(("page", "link"), LINKS, ids=[f"{page}:{link}" for page, link in LINKS])
def test_links_lead_to_files_and_headings_that_are_there(page: Path, link: str) -> None:
    path, _, anchor = link.partition("#")
    target = (ROOT / page.parent / path).resolve() if path else ROOT / page
    assert target.exists()
    if anchor:
        assert anchor in anchors(target.relative_to(ROOT))


def test_no_sample_of_access_loads_as_it_is() -> None:
    """Whoever pastes one and forgets the rest must not open a door to everybody who reads it."""
    samples = [
        line.split("sha256:")[1].split(",")[0].strip().strip('"')
        for page in PAGES.values()
        for line in page.splitlines()
        if "sha256:" in line and "name:" in line
    ]
    assert samples
    for sample in samples:
        with pytest.raises(ValidationError):
            TokenSettings(name="ci", sha256=sample)


def test_the_initiative_shown_loads_with_the_shipped_rubric(tmp_path: Path) -> None:
    path = tmp_path / "initiatives.yaml"
    path.write_text(block("scores", "yaml", "initiatives.yaml"), "utf-8")
    code, output = fester("mappings", "check", str(tmp_path))
    assert code == 0, output
    path.write_text(path.read_text("utf-8").replace("[owner-known]", "[nonsense]"), "utf-8")
    code, output = fester("mappings", "check", str(tmp_path))
    assert (code, "initiatives.yaml:5:12: `nonsense` is not a check" in output) == (2, True)
