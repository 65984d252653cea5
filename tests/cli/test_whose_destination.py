"""Two Festers and one destination, on the command line: exit codes, words and files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bridge.cli import main

pytestmark = pytest.mark.store

TOWN = [f"s{number}" for number in range(1, 8)]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a source of seven services, one of another, and an empty one."""
    monkeypatch.chdir(tmp_path)
    for name in ("GITLAB_TOKEN", "FESTER_FROM", "FESTER_TO", "FESTER_STORE"):
        monkeypatch.delenv(name, raising=False)
    for source, services in {"town": TOWN, "village": ["mill"], "empty": []}.items():
        (tmp_path / source).mkdir()
        for service in services:
            (tmp_path / source / service).mkdir()
            text = f"version: 1\nservice:\n  name: {service}\n  owner: {{team: tide}}\n"
            (tmp_path / source / service / "qm.yaml").write_text(text)
    return tmp_path


def run(source: str, store: str, *more: str) -> Result:
    arguments = ["run", "--from", source, "--to", "out", "--store", f"sqlite:///{store}.db", *more]
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def published(home: Path) -> Mapping[str, bytes]:
    return {
        str(file.relative_to(home)): file.read_bytes()
        for file in (home / "out").rglob("*")
        if file.is_file() and not file.name.startswith(".fester-")
    }


def test_another_source_is_refused_with_exit_code_2(home: Path) -> None:
    assert run("town", "a").exit_code == 0
    before = published(home)
    for source, store in (("village", "b"), ("village", "a"), ("empty", "c"), ("empty", "a")):
        refused = run(source, store)
        assert refused.exit_code == 2
        assert "out belongs to" in refused.output
        assert "--take-over" in refused.output
        assert "nothing was done" in refused.output
        assert published(home) == before
    assert run("town", "a").exit_code == 0
    assert run("village", "b", "--take-over").exit_code == 0
    assert b"mill" in published(home)["out/services.csv"]


def test_a_lost_store_goes_on_with_what_is_published(home: Path) -> None:
    assert run("town", "a").exit_code == 0
    before = published(home)
    again = run("town", "b")  # a new store
    assert again.exit_code == 0
    assert "were published at out; they are known now" in again.output
    assert published(home) == before  # the ages of claims, too
    returned = run("town", "a")
    assert returned.exit_code == 2
    assert "another store" in returned.output


def test_a_source_that_is_empty_is_never_complete(home: Path) -> None:
    for service in TOWN[1:]:
        (home / "town" / service / "qm.yaml").unlink()
    assert run("town", "a").exit_code == 0
    (home / "town" / TOWN[0] / "qm.yaml").unlink()
    held = run("town", "a")
    assert held.exit_code == 3
    assert "--accept-removals" in held.output
    assert b"s1" in published(home)["out/services.csv"]
    assert run("empty", "b", "--take-over").exit_code == 3
    assert b"s1" in published(home)["out/services.csv"]
