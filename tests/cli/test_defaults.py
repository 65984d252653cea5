"""Defaults for GitLab groups, as they meet who writes a manifest."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bridge.cli import main

DEFAULTS = "version: 1\ndefaults:\n  shop/**: {owner: {team: shop-team}, tier: tier_1}\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "qm.yaml").write_text("version: 1\nservice: {name: cart}\n", "utf-8")
    (tmp_path / "d.yaml").write_text(DEFAULTS, "utf-8")
    return tmp_path


def fester(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def test_check_says_what_it_cannot_see_and_sees_it_when_it_is_shown(home: Path) -> None:
    alone = fester("check", "qm.yaml")
    assert alone.exit_code == 1
    assert "`owner` may come from the defaults" in alone.output.replace("\n", " ")
    assert "`tier`" not in alone.output  # nobody misses it
    shown = fester("check", "qm.yaml", "--defaults", "d.yaml", "--project", "shop/cart")
    assert (shown.exit_code, shown.output) == (0, "1 manifest checked, 0 errors, 0 other notes\n")
    assert fester("check", "qm.yaml", "--defaults", "d.yaml").exit_code == 1


def test_a_checkout_knows_its_group_by_its_remote(home: Path) -> None:
    (home / ".git").mkdir()
    config = '[remote "origin"]\n\turl = https://x:secret@gitlab.example.com/shop/web/cart.git\n'
    (home / ".git" / "config").write_text(config, "utf-8")
    assert fester("check", "qm.yaml", "--defaults", "d.yaml").exit_code == 0


def test_map_explains_the_file_the_line_and_the_group(home: Path) -> None:
    found = fester("map", "qm.yaml", "--defaults", "d.yaml", "--project", "shop/cart", "--explain")
    assert found.exit_code == 0
    assert "inherited from d.yaml:3:27 (shop/**)" in found.output
    assert "from qm.yaml:2:17" in found.output


def test_mistakes_of_the_file_are_told_at_once(home: Path) -> None:
    (home / "d.yaml").write_text(DEFAULTS.replace("owner", "ownr"), "utf-8")
    found = fester("check", "qm.yaml", "--defaults", "d.yaml")
    assert found.exit_code == 2
    assert "d.yaml:3:13: unknown key `ownr`: did you mean `owner`?" in found.output


def test_the_check_of_a_mappings_folder_reads_its_defaults(home: Path) -> None:
    folder = home / "mappings"
    folder.mkdir()
    (folder / "qm.defaults.yaml").write_text(DEFAULTS, "utf-8")
    assert fester("mappings", "check", "mappings").exit_code == 0
    assert (
        fester("check", "qm.yaml", "--mappings", "mappings", "--project", "shop/x").exit_code == 0
    )
    (folder / "qm.defaults.yaml").write_text(DEFAULTS.replace("tier_1", "tier_7"), "utf-8")
    found = fester("mappings", "check", "mappings")
    assert found.exit_code == 2
    assert "qm.defaults.yaml:3:45: tier must be one of" in found.output
