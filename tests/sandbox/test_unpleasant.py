"""Where GitLab is unpleasant, the look-alike is, too."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.faults import Fault, FaultPlan, FaultRule
from bridge.sandbox.hooks import Hooks
from bridge.sandbox.limits import DEFAULTS, LimitCounter
from bridge.sandbox.project import SandboxFile, submodule
from bridge.sandbox.schema import UNKNOWN_TO_16_3
from bridge.sandbox.world import World
from tests.sandbox.conftest import TOKEN, Lab

CODE = """query($paths: [String!]!, $ref: String, $type: RefType) { projects { nodes { repository {
  blobs(paths: $paths, ref: $ref, refType: $type) { nodes { path mode rawTextBlob } }
  tree(ref: $ref, refType: $type) { lastCommit { sha } blobs(first: 2) {
    nodes { name } pageInfo { hasNextPage } } } } } } }"""


@pytest.mark.real
async def test_a_project_scheduled_for_deletion_stays_under_another_name(lab: Lab) -> None:
    world = lab.world
    cart = world.add_project("shop/cart")
    inner = world.add_project("shop/old/api")
    world.schedule_deletion(cart.id)
    assert (cart.path, cart.name) == ("shop/cart-deletion_scheduled-1", "Cart-deletion_scheduled-1")
    assert world.schedule_group_deletion("shop/old") == inner.namespace
    asked = "{ projects { nodes { id archived markedForDeletion markedForDeletionOn } } }"
    nodes = (await lab.ask(asked))["data"]["projects"]["nodes"]
    told = [(n["archived"], n["markedForDeletion"], bool(n["markedForDeletionOn"])) for n in nodes]
    assert told == [(False, True, False), (False, True, True)]
    row = await (await lab.get(f"/projects/{cart.id}")).json()
    assert row["marked_for_deletion_on"] == "2026-03-01"
    (short,) = await (await lab.get("/projects?simple=true&id_before=2")).json()
    assert "marked_for_deletion_on" not in short
    assert await (await lab.get("/projects?active=true")).json() == []
    world.restore(cart.id)
    assert (cart.path, cart.name) == ("shop/cart", "Cart")


@pytest.mark.real
async def test_an_archived_group_archives_what_is_below_it_and_moves_no_date(lab: Lab) -> None:
    project = lab.world.add_project("shop/old/api")
    before = (project.updated_at, project.last_activity_at)
    hooks = Hooks(lab.world, "http://127.0.0.1:1/hook")
    lab.world.archive_group("shop")
    (sent,) = hooks.pending
    assert json.loads(sent.body)["event_name"] == "group_update"
    assert json.loads(sent.body)["full_path"] == "shop"
    assert (project.updated_at, project.last_activity_at) == before
    row = await (await lab.get(f"/projects/{project.id}")).json()
    assert row["archived"] is True
    assert await (await lab.get("/projects?archived=false")).json() == []


def test_a_group_that_is_moved_is_told_to_nobody(world: World) -> None:
    project = world.add_project("shop/old/api")
    hooks = Hooks(world, "http://127.0.0.1:1/hook")
    world.transfer_group("shop/old", "attic")
    assert project.path == "attic/old/api"
    assert hooks.pending == []


def test_a_renamed_file_is_listed_by_its_new_path_alone(world: World) -> None:
    project = world.add_project("shop/api", files={"qm.yaml": "version: 1"})
    hooks = Hooks(world, "http://127.0.0.1:1/hook")
    world.rename_file(project.id, "qm.yaml", "old/qm.yaml")
    (commit,) = json.loads(hooks.pending[0].body)["commits"]
    assert (commit["added"], commit["modified"], commit["removed"]) == (["old/qm.yaml"], [], [])


@pytest.mark.real
async def test_directories_and_submodules_are_nodes_and_no_files(lab: Lab) -> None:
    files: dict[str, str | SandboxFile] = {
        "docs/a.md": "x",
        "ropes": submodule("a" * 40),
        "a": "x",
        "b": "x",
        "c": "x",
    }
    lab.world.add_project("shop/api", files=files)
    body = await lab.ask(CODE, paths=["docs", "ropes", "a", "gone"])
    repository = body["data"]["projects"]["nodes"][0]["repository"]
    modes = [(node["mode"], node["rawTextBlob"]) for node in repository["blobs"]["nodes"]]
    assert modes == [("40000", None), ("160000", None), ("100644", "x")]
    blobs = repository["tree"]["blobs"]
    assert [node["name"] for node in blobs["nodes"]] == ["a", "b"]
    assert blobs["pageInfo"]["hasNextPage"]


@pytest.mark.real
@pytest.mark.parametrize(
    ("ref", "kind", "text"),
    [
        (None, None, "1"),
        ("main", None, "1"),
        ("main", "TAGS", "1"),
        ("main", "HEADS", "2"),
        (None, "HEADS", "2"),
        ("HEAD", None, "2"),
        ("gone", "HEADS", None),
    ],
)
async def test_a_tag_hides_the_branch_of_its_name(
    lab: Lab, ref: str | None, kind: str | None, text: str | None
) -> None:
    project = lab.world.add_project("shop/api", files={"qm.yaml": "1"})
    lab.world.tag(project.id, "main")
    lab.world.commit_file(project.id, "qm.yaml", "2")
    body = await lab.ask(CODE, paths=["qm.yaml"], ref=ref, type=kind)
    repository = body["data"]["projects"]["nodes"][0]["repository"]
    texts = [node["rawTextBlob"] for node in repository["blobs"]["nodes"]]
    assert texts == ([] if text is None else [text])
    if (ref, kind) == (None, "HEADS"):  # the tree of a branch named "head", which is not there
        assert repository["tree"]["lastCommit"] is None


@pytest.mark.real
async def test_the_last_commit_costs_ten(lab: Lab) -> None:
    """tree(ref) {lastCommit {sha}} costs 13: with the project and its repository 15, at one."""
    query = """{ project(fullPath: "a/b") { repository {
      tree(ref: "x") { lastCommit { sha } } } } queryComplexity { score } }"""
    score = (await lab.ask(query))["data"]["queryComplexity"]["score"] - 2
    without = query.replace('tree(ref: "x") { lastCommit { sha } }', "exists")
    plain = (await lab.ask(without))["data"]["queryComplexity"]["score"] - 2
    assert score - (plain - 1) == 13


@pytest.mark.real
async def test_a_query_too_heavy_is_a_503_with_gitlabs_own_words(lab: Lab) -> None:
    lab.sandbox.use_faults(FaultPlan((FaultRule(Fault.TOO_HEAVY),)))
    status, body = await lab.post("{ currentUser { id } }")
    assert status == 503
    assert body["errors"][0]["message"].startswith("Request timed out")


@pytest.mark.real
async def test_an_application_limit_tells_only_when_to_come_again(world: World) -> None:
    limits = [replace(limit, requests=1) for limit in DEFAULTS]
    sandbox = SandboxGitLab(world, token=TOKEN, limits=limits)
    async with running(sandbox) as url, Lab.speaking(world, sandbox, url) as lab:
        assert (await lab.get("/projects")).status == 200
        refused = await lab.get("/projects?page=2")
        assert (await lab.get("/user")).status == 200
    assert refused.status == 429
    assert refused.headers["Retry-After"] == "600"
    assert not [name for name in refused.headers if name.startswith("RateLimit")]
    assert "too many times" in (await refused.json())["message"]["error"]


def test_a_limits_window_ends() -> None:
    counter = LimitCounter([replace(DEFAULTS[1], requests=1)])
    asked = [counter.exceeded("GET", "/api/v4/projects/7", at) for at in (0.0, 10.0, 60.0)]
    assert asked == [0, 50, 0]
    assert counter.exceeded("GET", "/api/v4/projects", 60.0) == 0


@pytest.mark.real
async def test_a_gitlab_16_3_names_a_few_of_the_fields_that_it_does_not_know(world: World) -> None:
    sandbox = SandboxGitLab(world, token=TOKEN, lacks=UNKNOWN_TO_16_3)
    query = "{ projects { nodes { id isForked updatedAt openMergeRequestsCount } } }"
    async with running(sandbox) as url, Lab.speaking(world, sandbox, url) as lab:
        body = await lab.ask(query)
    assert "data" not in body
    assert [error["extensions"]["fieldName"] for error in body["errors"]] == [
        "isForked",
        "updatedAt",
        "openMergeRequestsCount",
    ]
