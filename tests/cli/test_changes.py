"""`fester changes`: what the command line says of the history."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bridge.cli import main

pytestmark = pytest.mark.store


def manifest(folder: Path, name: str, lifecycle: str, needs: str = "") -> None:
    text = f"version: 1\nservice:\n  name: {name}\n  owner: {{team: crew}}\n"
    text += f"  lifecycle: {lifecycle}\n"
    text += f"  dependencies: [{{name: {needs}}}]\n" if needs else ""
    path = folder / name / "qm.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def store(tmp_path: Path) -> str:
    """Two passes over checkouts: between them the one that the other needs changed."""
    shop, url = tmp_path / "shop", f"sqlite:///{tmp_path}/s.db"
    passing = ["run", "--from", str(shop), "--to", str(tmp_path / "out"), "--store", url]
    manifest(shop, "stock", "experimental")
    manifest(shop, "cart", "production", needs="stock")
    assert CliRunner().invoke(main, passing).exit_code == 0
    manifest(shop, "stock", "production")
    assert CliRunner().invoke(main, passing).exit_code == 0
    return url


def asked(store: str, *more: str) -> Result:
    return CliRunner().invoke(main, ["changes", "--store", store, *more])


def test_everything_one_service_and_its_neighbours(store: str) -> None:
    everything = asked(store)
    assert everything.exit_code == 0
    assert "stock changed: spec.lifecycle" in everything.output
    assert "    spec.lifecycle: experimental → production" in everything.output
    alone = asked(store, "cart")
    assert (alone.exit_code, "stock" in alone.output) == (0, False)
    near = asked(store, "cart", "--around", "--since", "2h")
    assert "stock changed: spec.lifecycle (dependency)  just now, in stock qm.yaml" in near.output


def test_what_cannot_be_meant_is_a_usage_error(store: str) -> None:
    for wrong in (["--around"], ["--since", "soon"], ["cart", "--around", "--hops", "9"]):
        said = asked(store, *wrong)
        assert said.exit_code == 2
        assert "Error:" in said.output
    unclear = asked(store, "https://nowhere.example.com/x")
    assert (unclear.exit_code, unclear.output) == (1, "Nothing known is called so.\n")


@pytest.mark.parametrize("command", ["changes", "explain", "incident"])
def test_a_store_without_a_pass_says_what_to_do_and_is_not_made(
    tmp_path: Path, command: str
) -> None:
    file = tmp_path / "new.db"
    said = CliRunner().invoke(main, [command, "--store", f"sqlite:///{file}", "cart"])
    assert said.exit_code == 2
    assert "`fester run` makes one" in said.output
    assert "new.db" in said.output
    assert not file.exists()


def test_of_several_sources_one_is_to_be_chosen(store: str, tmp_path: Path) -> None:
    """What only one of them says would be taken for what all of them say."""
    lab = tmp_path / "lab"
    manifest(lab, "probe", "production")
    passing = ["run", "--from", str(lab), "--to", str(tmp_path / "of-lab"), "--store", store]
    assert CliRunner().invoke(main, passing).exit_code == 0
    said = asked(store)
    assert said.exit_code == 2
    assert "choose one with --from" in said.output
    assert "stock changed" in asked(store, "--from", str(tmp_path / "shop")).output
