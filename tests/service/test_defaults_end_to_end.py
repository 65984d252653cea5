"""From a push to the project that keeps defaults to what is published of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.wiring.sources import each_source
from tests.service.site import a_gitlab, a_replica, a_world, hooks_to, settings

DEFAULTS = "version: 1\ndefaults: {shop: {product: Before}}\n"


def products(folder: Path) -> set[str]:
    """The products of the published services."""
    found = set()
    for path in (folder / "out" / "entities").glob("*.yaml"):
        for each in yaml.safe_load_all(path.read_text()):
            if each["kind"] == "Component":
                found.add(each["metadata"]["annotations"].get("fester.dev/product", ""))
    return found


@pytest.mark.real
async def test_a_push_to_the_defaults_is_published_of_whom_it_concerns(tmp_path: Path) -> None:
    world = a_world()
    kept = world.add_project("platform/defaults", files={"qm.defaults.yaml": DEFAULTS})
    world.add_project("other/one", files={"qm.yaml": "version: 1\nservice: {name: x}\n"})
    named: dict[str, Any] = {"gitlab": {"defaults": {"project": "platform/defaults"}}}
    async with (
        a_gitlab(world) as (gitlab, url),
        a_replica(settings(url, tmp_path, **named)) as replica,
    ):
        await replica.until(lambda: len(replica.reports) == 1)
        assert products(tmp_path) == {"Before"}
        gitlab.forget_requests()
        hooks = hooks_to(world, replica)
        world.commit_file(kept.id, "qm.defaults.yaml", DEFAULTS.replace("Before", "After"))
        assert await hooks.deliver() == [202]
        await replica.until(lambda: products(tmp_path) == {"After"})
        asked = [set(r.project_ids) for r in gitlab.requests if r.kind == "graphql"]
        assert set().union(*asked) == {1, 2, 3, 4, 5, kept.id}


def test_the_first_gitlabs_defaults_are_no_other_ones(tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "gitlab": {"defaults": {"project": "platform/defaults"}},
        "further": ({"name": "lab", "url": "https://gitlab.lab.example.com"},),
    }
    found = each_source(settings("https://gitlab.example.com", tmp_path, **given))
    assert [each.gitlab.defaults is None for each in found.values()] == [False, True]
