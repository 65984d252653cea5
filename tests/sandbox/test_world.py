"""The world moves as GitLab's does; the sample and the generator give what they promise."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.model.manifests import Verdict
from bridge.model.scrape import ManifestFile, Project
from bridge.processors.mapping import load_mappings
from bridge.processors.mapping.defaults import Defaults
from bridge.processors.mapping.defaults_file import read_defaults
from bridge.sandbox.company import KEEPER
from bridge.sandbox.hooks import Hooks
from bridge.sandbox.organization import generate, sample_organization
from bridge.sandbox.world import UnknownProject, World
from tests.sandbox.conftest import HandClock


def test_timestamps_move_lazily(world: World, clock: HandClock) -> None:
    """Activity at most hourly, updates at most every five minutes."""
    project = world.add_project("a/b")
    born = clock.now
    clock.advance(minutes=4)
    world.commit_file(project.id, "x", "1")
    assert (project.updated_at, project.last_activity_at) == (born, born)
    clock.advance(minutes=2)
    world.commit_file(project.id, "x", "2")
    assert (project.updated_at, project.last_activity_at) == (clock.now, born)
    clock.advance(hours=1)
    world.delete_file(project.id, "x")
    assert project.last_activity_at == clock.now


def test_a_commit_fills_an_empty_repository(world: World) -> None:
    """The oid is git's own."""
    project = world.add_project("a/b", repository="empty")
    oid = world.commit_file(project.id, "x", "hello\n")
    assert (project.repository, oid) == ("ok", "ce013625030ba8dba906f756967f9e9ca394464a")


def test_ids_and_paths(world: World) -> None:
    """Ids are never given twice; a path is free again once its project has gone or moved."""
    first = world.add_project("a/b")
    with pytest.raises(ValueError, match="exists already"):
        world.add_project("A/B")
    world.delete(first.id)
    second = world.add_project("a/b")
    assert second.id > first.id
    world.transfer(second.id, "c")
    assert world.find("a/b") is None
    with pytest.raises(UnknownProject):
        world.archive(first.id)


def test_the_sample_has_every_trouble(clock: HandClock) -> None:
    """About fifty projects, most with qm.yaml, and each sort of trouble."""
    world = sample_organization(clock)
    assert 45 <= len(world) <= 55
    files = [set(project.files) for project in world]
    assert sum("qm.yaml" in names for names in files) > 30
    assert sum("service.datadog.yaml" in names for names in files) == 2
    assert sum("opslevel.yml" in names for names in files) == 2
    assert {project.repository for project in world} == {"ok", "empty", "forbidden", "disabled"}
    assert any(project.archived for project in world)
    assert any(world.is_archived(project) and not project.archived for project in world)
    assert any(world.is_marked_for_deletion(project) for project in world)
    assert any(project.tags for project in world)
    assert any(not file.is_file for project in world for file in project.files.values())
    claims = [f for p in world for f in p.files.values() if b"name: booking-api\n" in f.content]
    assert len(claims) == 3  # one is of a project that is scheduled for deletion


def test_generated_worlds_repeat(clock: HandClock) -> None:
    """The same seed gives the same files, another seed others."""

    def files(seed: int) -> list[Any]:
        return [project.files for project in generate(50, seed, clock)]

    assert files(1) == files(1) != files(2)


@pytest.mark.real
async def test_hooks_repeat_and_sign(world: World) -> None:
    """Each event arrives twice with one `Idempotency-Key`, signed over id, time and body."""
    received: list[tuple[dict[str, str], bytes]] = []

    async def take(request: web.Request) -> web.Response:
        received.append((dict(request.headers), await request.read()))
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/hook", take)
    async with TestServer(app) as server:
        url = str(server.make_url("/hook"))
        hooks = Hooks(world, url, token="s", signing_key=b"k", repeats=1.0, reorder=True, seed=3)
        project = world.add_project("a/b")
        world.commit_file(project.id, "qm.yaml", "x")
        world.rename(project.id, "c")
        assert await hooks.deliver() == [204] * 6
        hooks.close()
        world.delete(project.id)
        assert await hooks.deliver() == []
    assert len({headers["Idempotency-Key"] for headers, _ in received}) == 3
    bodies = {json.loads(body)["event_name"]: json.loads(body) for _, body in received}
    assert set(bodies) == {"project_create", "push", "project_rename"}
    assert bodies["push"]["ref"] == "refs/heads/main"
    assert bodies["push"]["before"] == "0" * 40
    assert bodies["project_rename"]["old_path_with_namespace"] == "a/b"
    headers, body = received[0]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = base64.b64encode(hmac.new(b"k", signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{digest}"
    assert headers["X-Gitlab-Token"] == "s"


async def test_hooks_survive_a_dead_receiver(world: World) -> None:
    """Nothing is raised; the delivery counts as failed."""
    hooks = Hooks(world, "http://127.0.0.1:1/hook")
    world.add_project("a/b")
    assert await hooks.deliver() == [0]


def test_a_moved_project_is_listed_once(world: World) -> None:
    project = world.add_project("shop/api")
    world.rename(project.id, "api-two")
    world.transfer(project.id, "billing")
    assert [found.id for found in world].count(project.id) == 1
    world.delete(project.id)
    assert project.id not in {found.id for found in world}


@pytest.mark.parametrize(
    ("path", "keys", "owner"),
    [
        ("kestrel/crew/golden-paths", {"owner", "product"}, "shipwrights"),
        ("kestrel/platform/foundation/audit-log", {"product"}, "shipwrights"),
        ("kestrel/platform/foundation/identity", set(), "shipwrights"),  # it says all itself
        ("kestrel/booking/fares/fare-engine", set(), "tide-tables"),  # below no group with defaults
    ],
)
def test_some_of_the_sample_inherit_from_the_groups_above_them(
    clock: HandClock, path: str, keys: set[str], owner: str
) -> None:
    world = sample_organization(clock)
    kept, found = world.find(KEEPER), world.find(path)
    assert kept is not None
    assert found is not None
    shipped = load_mappings()
    text = kept.files["qm.defaults.yaml"].content.decode()
    known = shipped.with_defaults(Defaults(read_defaults(text, KEEPER, shipped.all), {}))
    file = ManifestFile("qm.yaml", "oid", 1, found.files["qm.yaml"].content.decode())
    told = known.translate(Project(found.id, path, "", "main"), file)
    assert told.verdict is Verdict.VALID
    assert {each.key for each in told.inherited} == keys
    (component,) = (each.body for each in told.drafts if each.body["kind"] == "Component")
    assert component["spec"]["owner"] == f"group:default/{owner}"
    assert component["metadata"]["annotations"]["fester.dev/product"]
