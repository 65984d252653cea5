"""A project that is scheduled for deletion is dead at once, although GitLab keeps it for days."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.model.runs import Outcome
from bridge.store import SqlStore
from tests.passes.town import Published, manifest, town

pytestmark = pytest.mark.real


@pytest.mark.parametrize("by_group", [False, True])
async def test_its_successor_is_published_and_it_is_left_out_with_the_reason(
    tmp_path: Path, store: SqlStore, by_group: bool
) -> None:
    """The claim on the name is released: the older one would win it for ever otherwise."""
    async with town(tmp_path / "out", store) as it:
        it.world.add_project("old/cart", id=500, files={"qm.yaml": manifest(500)})
        await it.sweep()
        successor = it.world.add_project("zz/cart", id=501, files={"qm.yaml": manifest(500, 1)})
        await it.sweep()
        assert it.published()[500].project == "old/cart"
        if by_group:
            it.world.schedule_group_deletion("old")
            done = await it.sweep()
        else:
            it.world.schedule_deletion(500)
            done = await it.due()
        assert it.published()[500] == Published(successor.path, "revision 1")
        report = done.report
        assert report.outcome is Outcome.COMPLETE
        said = [problem for problem in report.problems if problem.project == "old/cart"]
        assert [problem.message for problem in said] == [
            "left out: scheduled for deletion in GitLab; what its manifests described is removed"
        ]


async def test_a_group_that_was_archived_is_seen_when_its_hook_makes_its_projects_be_read(
    tmp_path: Path, store: SqlStore
) -> None:
    """No date of a project moves with it: what changed since does not show them."""
    async with town(tmp_path / "out", store) as it:
        it.world.add_project("old/cart", id=500, files={"qm.yaml": manifest(500)})
        it.time.now += 4200.0  # else it is among what is looked at twice
        await it.sweep()
        it.world.archive_group("old")
        await it.due()
        assert 500 in it.published()
        await it.hinted({500})
        assert 500 not in it.published()
