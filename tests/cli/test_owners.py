"""Owners as a user meets them: the warning of a pass, and the check that fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bridge.cli import main

OWNERS = {"good": "payments", "typo": "paymnets", "titled": "Payments Team"}
SETTINGS = "from: src\nto: [out]\nstore: sqlite:///s.db\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, team in OWNERS.items():
        folder = tmp_path / "src" / name
        folder.mkdir(parents=True)
        text = f"version: 1\nservice:\n  name: {name}\n  owner:\n    team: {team}\n"
        (folder / "qm.yaml").write_text(text, "utf-8")
    return tmp_path


def fester(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def run(home: Path, owners: str) -> dict[str, object]:
    (home / "fester.yaml").write_text(SETTINGS + owners, "utf-8")
    result = fester("run", "--config", "fester.yaml", "--report", "report.json")
    assert result.exit_code == 0, result.output
    report: dict[str, object] = json.loads((home / "report.json").read_text())
    return report


def failing() -> list[str]:
    """The services whose owner is no known team."""
    answers = {
        name: json.loads(fester("score", name, "--config", "fester.yaml", "--json").output)
        for name in OWNERS
    }
    return sorted(
        name
        for name, answer in answers.items()
        if {each["check"]: each["state"] for each in answer["checks"]}["owner-known"] == "fail"
    )


@pytest.mark.store
def test_a_typo_is_a_warning_that_names_the_team_and_fails_the_check(home: Path) -> None:
    (home / "teams.yaml").write_text("- payments\n- lighthouse\n", "utf-8")
    report = run(home, "owners: {known_file: teams.yaml}\n")
    assert report["entities"] == {"Component": 3}
    problems = report["problems"]
    assert isinstance(problems, list)
    told = {each["project"]: each for each in problems if each["rule"] == "owner-unknown"}
    assert sorted(told) == ["titled", "typo"]
    for each in told.values():
        assert "did you mean group:default/payments?" in each["message"]
        assert (each["severity"], each["line"]) == ("warning", 5)
    assert failing() == ["titled", "typo"]


@pytest.mark.store
def test_without_known_teams_three_names_make_three_groups(home: Path) -> None:
    assert run(home, "")["entities"] == {"Component": 3, "Group": 3}
    assert failing() == []


@pytest.mark.store
def test_what_backstage_answers_is_a_file_of_known_teams(home: Path) -> None:
    team = {"kind": "Group", "metadata": {"name": "pay"}, "spec": {"profile": {}}}
    titled = {**team, "metadata": {"name": "pay", "title": "Payments Team"}}
    other = {"kind": "Component", "metadata": {"name": "x"}}
    (home / "teams.json").write_text(json.dumps([titled, other]), "utf-8")
    run(home, "owners: {known_file: teams.json, table: {paymnets: 'group:pay'}}\n")
    assert failing() == ["good"]


BROKEN = "- payments\n- 7\n- component:x\n- {kind: 8}\n"


@pytest.mark.parametrize(
    ("text", "places"),
    [
        (BROKEN, ("teams.yaml:2:3", "teams.yaml:3:3", "teams.yaml:4:3")),
        ("", ("teams.yaml: names no team",)),
        ("a: [\n", ("teams.yaml:2:1",)),
        (None, ("teams.yaml: cannot be read",)),
    ],
)
def test_every_mistake_in_known_teams_and_the_table_is_told_with_its_place(
    home: Path, text: str | None, places: tuple[str, ...]
) -> None:
    if text is not None:
        (home / "teams.yaml").write_text(text, "utf-8")
    table = "{'!': payments, x: 'component:y'}"
    settings = f"{SETTINGS}owners: {{known_file: teams.yaml, table: {table}}}\n"
    (home / "fester.yaml").write_text(settings, "utf-8")
    result = fester("run", "--config", "fester.yaml")
    output = " ".join(result.output.split())
    assert result.exit_code == 2
    for part in (*places, "'!'", "'component:y'"):
        assert part in output, part
