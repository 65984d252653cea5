"""A project that two sources would bring into Backstage is named, before they conflict there."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.passes.stages import Pass
from tests.fakes import fresh
from tests.passes.town import Town, manifest, town
from tests.store.test_store import opened

RULE = "catalog-info-beside"


async def named(it: Town, done: Pass, rule: str = RULE) -> list[tuple[str, str]]:
    problems = (await it.passes.with_problems(done)).report.problems
    return [(each.project, each.file) for each in problems if each.rule == rule]


@pytest.mark.real
async def test_projects_with_both_files_are_named_until_one_of_them_is_gone(tmp_path: Path) -> None:
    async with opened(fresh(tmp_path)) as store, town(tmp_path / "out", store) as it:
        theirs = {"catalog-info.yaml": "kind: Component"}
        both = it.world.add_project("a/both", id=500, files={"qm.yaml": manifest(500), **theirs})
        it.world.add_project("a/ours", id=501, files={"qm.yaml": manifest(501)})
        it.world.add_project("a/theirs", id=502, files=dict(theirs))
        expected = [("a/both", "qm.yaml")]
        swept = await it.sweep()
        assert await named(it, swept) == expected
        alone = [("a/theirs", "catalog-info.yaml")]
        assert await named(it, swept, "catalog-info-alone") == alone
        assert await named(it, await it.hinted({501})) == expected, (
            "not looked at, and not forgotten"
        )
        it.world.delete_file(both.id, "catalog-info.yaml")
        assert await named(it, await it.hinted({500})) == []


@pytest.mark.real
async def test_what_is_told_of_a_file_names_it_as_it_is_called(tmp_path: Path) -> None:
    async with opened(fresh(tmp_path)) as store, town(tmp_path / "out", store) as it:
        for number, name in ((500, "catalog-info.yaml"), (501, "catalog-info.yml")):
            theirs = {name: "kind: Component"}
            it.world.add_project(f"a/alone{number}", id=number, files=dict(theirs))
            files = {"qm.yaml": manifest(number + 10), **theirs}
            it.world.add_project(f"a/both{number}", id=number + 10, files=files)
        problems = (await it.passes.with_problems(await it.sweep())).report.problems
        told = {each.project: each for each in problems if each.rule.startswith("catalog-info-")}
        assert told["a/alone500"].file == "catalog-info.yaml"
        assert "catalog: name the preset" in told["a/alone500"].message
        assert "`fester convert catalog-info.yaml` makes" in told["a/alone500"].message
        assert told["a/alone501"].file == "catalog-info.yml"
        assert (
            "catalog: call it catalog-info.yaml and name the preset" in told["a/alone501"].message
        )
        converted = "`fester convert catalog-info.yml --as catalog-info.yaml` makes"
        assert converted in told["a/alone501"].message
        assert "there is a catalog-info.yaml beside" in told["a/both500"].message
        assert "there is a catalog-info.yml beside" in told["a/both501"].message


@pytest.mark.real
async def test_when_a_conflict_ends_its_files_are_to_be_read_again(tmp_path: Path) -> None:
    """Nothing in them changed: only Backstage, which showed the other source's, does not know."""
    async with opened(fresh(tmp_path)) as store, town(tmp_path / "out", store, 300) as it:
        theirs = {"catalog-info.yaml": "kind: Component"}
        both = it.world.add_project("a/both", id=500, files={"qm.yaml": manifest(500), **theirs})
        gone = it.world.add_project("a/gone", id=501, files={"qm.yaml": manifest(501), **theirs})
        assert (await it.sweep()).changes.freed == frozenset()
        assert (await it.hinted({500})).changes.freed == frozenset(), "both are there"
        it.restart()
        it.world.delete_file(both.id, "catalog-info.yaml")
        done = await it.hinted({500})
        shards = texts(tmp_path / "out")
        its = {p for p, text in shards.items() if "\n  name: s500\n" in text or "Group" in text}
        assert its == done.changes.freed & shards.keys() < shards.keys()
        assert (await it.hinted({500})).changes.freed == frozenset(), "told once"
        it.world.archive(gone.id)
        done = await it.hinted({501})
        assert await named(it, done) == [], "what is left out stands in nobody's way"


def texts(folder: Path) -> dict[str, str]:
    """The shards that Backstage reads."""
    found = (folder / "entities").glob("*.yaml")
    return {str(path.relative_to(folder)): path.read_text() for path in found}
