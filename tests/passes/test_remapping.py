"""Mapping files that change while Fester serves."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.model.problems import Problem
from bridge.passes.stages import Stages
from bridge.processors.mapping import shipped_folder
from bridge.settings import Settings
from bridge.wiring import wired
from bridge.wiring.mappings import remapped

pytestmark = pytest.mark.store

MAPPING = "qm-v1.yaml"


async def stages_of(settings: Settings) -> Stages:
    async with wired(settings) as parts:
        return parts.stages


def a_folder(folder: Path) -> Settings:
    """Mappings of one's own: the shipped one, to be changed."""
    own = folder / "mappings"
    own.mkdir()
    for name in (MAPPING, "qm-v1.schema.json"):
        (own / name).write_bytes((shipped_folder() / name).read_bytes())
    return Settings.model_validate(
        {
            "from": str(folder),
            "to": [str(folder / "out")],
            "store": f"sqlite:///{folder}/s.db",
            "mappings": str(own),
        }
    )


def change(folder: Path, text: str) -> None:
    file = folder / "mappings" / MAPPING
    file.write_text(file.read_text() + text)


async def test_nothing_changed_keeps_what_is_remembered(tmp_path: Path) -> None:
    settings = a_folder(tmp_path)
    before = await stages_of(settings)
    after = remapped(settings, before)
    assert after.translator is before.translator
    assert after.maker is before.maker
    assert after.scope == before.scope


async def test_a_changed_mapping_is_taken_and_asks_for_a_sweep(tmp_path: Path) -> None:
    settings = a_folder(tmp_path)
    before = await stages_of(settings)
    change(tmp_path, "\n# another text\n")
    after = remapped(settings, before)
    assert after.translator is not before.translator
    assert after.scope != before.scope
    assert after.problems == ()


async def test_changed_rules_for_merging_are_taken_without_a_sweep(tmp_path: Path) -> None:
    settings = a_folder(tmp_path)
    before = await stages_of(settings)
    (tmp_path / "mappings" / "merge.yaml").write_text("default: {identity: shared}\n")
    after = remapped(settings, before)
    assert after.maker != before.maker
    assert after.scope == before.scope


async def test_a_broken_mapping_never_replaces_a_good_one(tmp_path: Path) -> None:
    settings = a_folder(tmp_path)
    before = await stages_of(settings)
    change(tmp_path, "\nentitees: []\n")
    broken = remapped(settings, before)
    assert broken.translator is before.translator
    assert broken.scope == before.scope
    kept, *why = broken.problems
    assert kept.rule == "mappings-kept"
    assert any(isinstance(each, Problem) and MAPPING in each.file for each in why)
    file = tmp_path / "mappings" / MAPPING
    file.write_text(file.read_text().replace("\nentitees: []\n", ""))
    assert remapped(settings, broken).problems == ()


async def test_changed_defaults_of_the_folder_are_taken_without_a_sweep(tmp_path: Path) -> None:
    """Their groups alone are read again: `test_inheritance`."""
    settings = a_folder(tmp_path)
    file = tmp_path / "mappings" / "qm.defaults.yaml"
    file.write_text("version: 1\ndefaults: {shop: {product: Before}}\n", "utf-8")
    before = await stages_of(settings)
    assert remapped(settings, before).translator is before.translator
    file.write_text("version: 1\ndefaults: {shop: {product: After}}\n", "utf-8")
    after = remapped(settings, before)
    assert after.translator is not before.translator
    assert after.scope == before.scope
    file.write_text("version: 1\ndefaults: {shop: {prodct: After}}\n", "utf-8")
    broken = remapped(settings, after)
    assert broken.translator is after.translator
    assert [each.rule for each in broken.problems] == ["mappings-kept", "defaults-invalid"]
