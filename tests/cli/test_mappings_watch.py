"""`fester schema`, and `fester mappings watch`: what a change does, look by look."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bridge.cli import main
from bridge.cli.watching import Watch, on_disk
from bridge.processors.mapping import shipped_folder

MANIFEST = "version: 1\nservice:\n  name: Cart\n  owner: {team: shop}\n"


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder with a copy of a shipped mapping, and a manifest beside it."""
    folder = tmp_path / "mappings"
    folder.mkdir()
    text = (shipped_folder() / "qm-v1.yaml").read_text("utf-8")
    (folder / "qm-v1.yaml").write_text(text, "utf-8")
    (tmp_path / "qm.yaml").write_text(MANIFEST)
    return folder


def test_a_change_is_shown_by_what_it_does_to_a_manifest_and_to_the_examples(mine: Path) -> None:
    watch = Watch(mine, [on_disk(mine.parent / "qm.yaml")])
    first = list(watch.look())
    assert "+  name: cart" in first
    assert first[-1].endswith("examples pass, 0 fail")
    assert [line for line in watch.look() if line[:1] in "+-"] == []
    mapping = mine / "qm-v1.yaml"
    text = mapping.read_text("utf-8")
    mapping.write_text(text.replace("else 'service')", "else 'thing')"), "utf-8")
    changed = list(watch.look())
    assert {"-  type: service", "+  type: thing"} <= set(changed)
    assert "1 of 1 manifests become something else" in changed
    assert any(line.startswith("FAIL qm-v1.yaml:") for line in changed)
    mapping.write_text(text.replace("it.tags", "it.tgas"), "utf-8")
    assert any("did you mean `tags`" in line for line in watch.look())
    mapping.write_text(text, "utf-8")
    assert {"+  type: service", "-  type: thing"} <= set(watch.look())


def test_the_commands_print_schemas_and_look_once(mine: Path) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, arguments, catch_exceptions=False)
        return result.exit_code, result.output

    names = [
        "defaults",
        "facts",
        "fester",
        "initiatives",
        "mapping",
        "merge",
        "presets",
        "qm",
        "rubric",
    ]
    assert run("schema")[1].split() == names
    assert json.loads(run("schema", "mapping")[1])["title"] == "A mapping file"
    code, said = run("schema", "maping")
    assert (code, "did you mean `mapping`" in said) == (2, True)
    code, said = run(
        "mappings", "watch", str(mine), "--manifest", str(mine.parent / "qm.yaml"), "--once"
    )
    assert (code, "+  name: cart" in said) == (0, True)


@pytest.mark.store
def test_the_manifests_of_the_last_crawl_are_looked_at(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "src" / "cart").mkdir(parents=True)
    (tmp_path / "src" / "cart" / "qm.yaml").write_text(MANIFEST)
    for arguments in (
        ("run", "--from", "src", "--to", "out", "--store", "sqlite:///a.db"),
        ("mappings", "watch", str(mine), "--store", "sqlite:///a.db", "--once"),
    ):
        result = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
    assert "+  name: cart" in result.output
    assert "cart qm.yaml: now" in result.output
