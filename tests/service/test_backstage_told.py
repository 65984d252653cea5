"""A `fester serve` of its own tells a Backstage what it has to read, also after it was killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.exporters.test_backstage_refresh import Backstage, location, running
from tests.service.process import serve
from tests.service.site import a_gitlab, a_world, published, until

pytestmark = pytest.mark.real


async def test_after_a_restart_backstage_is_told_of_all_that_is_there(tmp_path: Path) -> None:
    """Who was killed may have published and not told; and may have been the first to see that a
    conflict of two sources has ended, of which nothing that is published speaks."""
    backstage, world = Backstage({location("all")}), a_world()
    world.commit_file(1, "catalog-info.yaml", "kind: Component")
    store, token = f"sqlite:///{tmp_path}/s.db", {"FESTER_BACKSTAGE_TOKEN": "secret-token"}
    async with running(backstage) as telling, a_gitlab(world) as (_, gitlab):
        tmp_path.joinpath("fester.yaml").write_text(
            f"backstage: {{url: '{telling.url}', refresh: true}}\n", "utf-8"
        )
        backstage.statuses = [503] * 100  # it is away until the first one is dead
        async with serve(gitlab, tmp_path, store, **token) as first:
            await until(first.leads)
            await until(lambda: backstage.asked > 0)
            first.process.kill()
            await first.process.wait()
        assert published(tmp_path) == {f"s{n}" for n in range(1, 6)}
        assert backstage.refreshed == []
        backstage.statuses = []
        world.delete_file(1, "catalog-info.yaml")
        async with serve(gitlab, tmp_path, store, FESTER_LEASE="1s", **token) as second:
            await until(second.leads)
            await until(lambda: bool(backstage.refreshed))
        assert set(backstage.refreshed) == {location("all")}


async def test_a_conflict_that_ends_is_told_although_nothing_was_published(tmp_path: Path) -> None:
    backstage, world = Backstage({location("all")}), a_world()
    world.commit_file(1, "catalog-info.yaml", "kind: Component")
    store = f"sqlite:///{tmp_path}/s.db"
    more = {"FESTER_BACKSTAGE_TOKEN": "secret-token", "FESTER_EVERY": "1s"}
    async with running(backstage) as telling, a_gitlab(world) as (_, gitlab):
        tmp_path.joinpath("fester.yaml").write_text(
            f"backstage: {{url: '{telling.url}', refresh: true}}\n", "utf-8"
        )
        async with serve(gitlab, tmp_path, store, FESTER_FULL_EVERY="1s", **more):
            await until(lambda: bool(backstage.refreshed))
            told, files = len(backstage.refreshed), texts(tmp_path / "out")
            world.delete_file(1, "catalog-info.yaml")
            await until(lambda: len(backstage.refreshed) > told)
            assert texts(tmp_path / "out") == files


def texts(folder: Path) -> dict[str, str]:
    """The files that Backstage reads."""
    return {str(path): path.read_text() for path in folder.rglob("*.yaml")}
