"""A project that two sources would bring into Backstage is named, before they conflict there."""

from __future__ import annotations

from pathlib import Path

from bridge.passes.pipeline import Pass
from tests.fakes import DictStore
from tests.passes.town import manifest, town

RULE = "catalog-info-beside"


def named(done: Pass) -> list[tuple[str, str]]:
    problems = done.record.report.problems
    return [(each.project, each.file) for each in problems if each.rule == RULE]


async def test_projects_with_both_files_are_named_until_one_of_them_is_gone(tmp_path: Path) -> None:
    async with town(tmp_path, DictStore()) as it:
        theirs = {"catalog-info.yaml": "kind: Component"}
        both = it.world.add_project("a/both", id=500, files={"qm.yaml": manifest(500), **theirs})
        it.world.add_project("a/ours", id=501, files={"qm.yaml": manifest(501)})
        it.world.add_project("a/theirs", id=502, files=dict(theirs))
        expected = [("a/both", "qm.yaml")]
        assert named(await it.sweep()) == expected
        assert named(await it.hinted({501})) == expected, "not looked at, and not forgotten"
        it.world.delete_file(both.id, "catalog-info.yaml")
        assert named(await it.hinted({500})) == []
