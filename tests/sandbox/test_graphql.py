"""GraphQL answers as GitLab's does, where a crawler would notice the difference."""

from __future__ import annotations

import aiohttp
import pytest

from bridge.sandbox.plan import QueryPlanner
from bridge.sandbox.project import lfs_file, symlink
from bridge.sandbox.world import World
from tests.sandbox.conftest import Lab

MANIFESTS = """
query($ids:[ID!], $paths:[String!]!) { projects(ids:$ids, first:100) {
  nodes { id fullPath repository { rootRef empty
    qm: blobs(paths:$paths, first:10) { nodes { oid path size mode lfsOid rawTextBlob } } } }
  pageInfo { hasNextPage endCursor } } }
"""
ALL_FACTS = """
query($ids:[ID!]) { projects(ids:$ids, first:100) { nodes {
  id fullPath webUrl archived visibility topics createdAt updatedAt lastActivityAt openIssuesCount
  openMergeRequestsCount onlyAllowMergeIfPipelineSucceeds forksCount pipeline { status }
  languages { name share } releases(first:1) { nodes { tagName releasedAt } }
  repository { rootRef empty
    files: blobs(paths:["a","b","c","d","e","f","g","h"], first:8) { nodes { path } }
    qm: blobs(paths:["qm.yaml"], first:1) { nodes { oid size mode rawTextBlob } } } } } }
"""


def gid(number: int) -> str:
    return f"gid://gitlab/Project/{number}"


@pytest.mark.real
async def test_files_of_every_unpleasant_kind(lab: Lab) -> None:
    """Binaries have no text, LFS gives its pointer, a link its target; what is missing no node."""
    project = lab.world.add_project(
        "a/b",
        files={
            "qm.yaml": "version: 1\n",
            "image": b"\x89PNG\x00\x01",
            "big.bin": lfs_file(b"x" * 100),
            "link": symlink("qm.yaml"),
        },
    )
    paths = ["qm.yaml", "image", "big.bin", "link", "missing"]
    body = await lab.ask(MANIFESTS, ids=[gid(project.id)], paths=paths)
    nodes = body["data"]["projects"]["nodes"][0]["repository"]["qm"]["nodes"]
    plain, image, large, link = nodes
    # `printf 'version: 1\n' | git hash-object --stdin`
    assert plain["oid"] == "b82551848c644f63b8517a7bdf8be9a992e6f4da"
    assert plain["size"] == "11"
    assert image["rawTextBlob"] is None
    assert large["lfsOid"]
    assert large["rawTextBlob"].startswith("version https://git-lfs")
    assert (link["mode"], link["rawTextBlob"]) == ("120000", "qm.yaml")


@pytest.mark.real
async def test_repository_states_differ(lab: Lab) -> None:
    """Forbidden is null; empty is there but without nodes or root."""
    lab.world.add_project("a/forbidden", repository="forbidden")
    lab.world.add_project("a/empty", repository="empty")
    body = await lab.ask(MANIFESTS, ids=[gid(1), gid(2), gid(99)], paths=["qm.yaml"])
    empty, forbidden = body["data"]["projects"]["nodes"]
    assert forbidden["repository"] is None
    assert empty["repository"] == {"rootRef": None, "empty": True, "qm": {"nodes": []}}


@pytest.mark.real
async def test_hidden_rows_vanish_after_the_limit(lab: Lab) -> None:
    """A page may be short, even empty, and still have a next one."""
    for number in range(1, 7):
        lab.world.add_project(f"a/p{number}", hidden=number in (3, 4, 6))
    query = (
        'query($after: String) { projects(first: 2, after: $after, sort: "id_asc") '
        "{ nodes { fullPath } pageInfo { hasNextPage endCursor } } }"
    )
    sizes, found, after = [], [], None
    while True:
        page = (await lab.ask(query, after=after))["data"]["projects"]
        sizes.append(len(page["nodes"]))
        found += [node["fullPath"] for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert sizes == [2, 0, 1]
    assert found == ["a/p1", "a/p2", "a/p5"]


@pytest.mark.real
async def test_page_size_is_clamped_in_silence(lab: Lab) -> None:
    """Five hundred asked, a hundred given, no complaint."""
    for number in range(101):
        lab.world.add_project(f"a/p{number}")
    body = await lab.ask("{ projects(first: 500) { nodes { id } pageInfo { hasNextPage } } }")
    assert len(body["data"]["projects"]["nodes"]) == 100
    assert body["data"]["projects"]["pageInfo"]["hasNextPage"]
    assert "errors" not in body


@pytest.mark.real
async def test_one_poisoned_project_fails_the_page(lab: Lab) -> None:
    """Pages without it are fine, so a crawler can find it by halving."""
    lab.world.add_project("a/good")
    lab.world.add_project("a/bad", poisoned=True)
    status, _ = await lab.post(MANIFESTS, ids=[gid(1), gid(2)], paths=["qm.yaml"])
    assert status == 500
    assert "errors" not in await lab.ask(MANIFESTS, ids=[gid(1)], paths=["qm.yaml"])


@pytest.mark.real
@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{ projects { nodes { fulPath } } }", "Field 'fulPath' doesn't exist on type 'Project'"),
        ("{ projects(idz: 1) { count } }", "Field 'projects' doesn't accept argument 'idz'"),
    ],
)
async def test_misspelt_names_are_refused(lab: Lab, query: str, message: str) -> None:
    """In GitLab's own words, with 200 and without data."""
    body = await lab.ask(query)
    assert body["errors"][0]["message"] == message
    assert "data" not in body


@pytest.mark.real
async def test_complexity_is_what_the_reference_says(lab: Lab) -> None:
    """Manifest and all facts at a hundred a page come to about 106; asking the price costs 3."""
    query = ALL_FACTS.rstrip().removesuffix("}") + " queryComplexity { score limit } }"
    body = await lab.ask(query, ids=[])
    assert body["data"]["queryComplexity"]["limit"] == 250
    assert 103 <= body["data"]["queryComplexity"]["score"] - 3 <= 109


@pytest.mark.real
async def test_too_complex_a_query_gives_no_data(lab: Lab) -> None:
    """The answer is 200 with errors only."""
    paths = ",".join(f'"{n}"' for n in range(99))
    query = f"{{projects{{nodes{{repository{{blobs(paths:[{paths}]){{nodes{{oid}}}}}}}}}}}}"
    body = await lab.ask(query)
    assert "data" not in body
    assert body["errors"][0]["message"].endswith("which exceeds max complexity of 250")


@pytest.mark.real
async def test_query_text_and_depth_are_limited(lab: Lab) -> None:
    """Ten thousand characters, twenty levels."""
    status, body = await lab.post("{ currentUser { id } }" + " " * 10_000)
    assert (status, body["errors"][0]["message"]) == (422, "Query too large")
    deep = "id"
    for _ in range(7):
        deep = f"group {{ projects(first: 0) {{ nodes {{ {deep} }} }} }}"
    body = await lab.ask(f'{{ project(fullPath: "a/b") {{ {deep} }} }}')
    message = body["errors"][0]["message"]
    assert message == "Query has depth of 23, which exceeds max depth of 20"


@pytest.mark.real
async def test_full_paths_are_limited_to_fifty(lab: Lab) -> None:
    """More are an error on the field."""
    paths = [f"a/p{n}" for n in range(51)]
    body = await lab.ask("query($p:[String!]) { projects(fullPaths:$p) { count } }", p=paths)
    assert body["data"]["projects"] is None
    assert "more than 50" in body["errors"][0]["message"]


@pytest.mark.real
async def test_groups_leave_out_subgroups_unless_asked(lab: Lab) -> None:
    """The default of `includeSubgroups` is false, of `includeArchived` true."""
    lab.world.add_project("a/one")
    lab.world.add_project("a/b/two")
    lab.world.add_project("a/old", archived=True)

    async def paths(arguments: str) -> set[str]:
        query = f'{{ group(fullPath: "a") {{ projects{arguments} {{ nodes {{ path }} }} }} }}'
        body = await lab.ask(query)
        return {node["path"] for node in body["data"]["group"]["projects"]["nodes"]}

    assert await paths("") == {"one", "old"}
    assert await paths("(includeSubgroups:true)") == {"one", "two", "old"}
    assert await paths("(includeSubgroups:true,includeArchived:false)") == {"one", "two"}


@pytest.mark.real
async def test_strangers_see_public_projects_only(lab: Lab) -> None:
    """Without a token the limit is lower and private projects are not there."""
    lab.world.add_project("a/private")
    lab.world.add_project("a/public", visibility="public")
    payload = {"query": "{ projects { nodes { path } } queryComplexity { limit } }"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{lab.url}/api/graphql", json=payload) as response,
    ):
        body = await response.json()
    assert body["data"]["projects"]["nodes"] == [{"path": "public"}]
    assert body["data"]["queryComplexity"]["limit"] == 200


@pytest.mark.real
async def test_aliases_fragments_and_directives(lab: Lab) -> None:
    """The planner follows fragments, merges fields, and obeys @include."""
    lab.world.add_project("a/b")
    query = """
    query($more: Boolean!) { project(fullPath: "a/b") { ...F x: path name @include(if: $more) } }
    fragment F on Project { __typename repository { empty } repository { rootRef } }
    """
    expected = {"__typename": "Project", "repository": {"empty": False, "rootRef": "main"}}
    body = await lab.ask(query, more=False)
    assert body["data"]["project"] == {**expected, "x": "b"}
    body = await lab.ask(query, more=True)
    assert body["data"]["project"] == {**expected, "x": "b", "name": "B"}


@pytest.mark.real
async def test_introspection_works(lab: Lab) -> None:
    """Tools that look at the schema find GitLab's type names."""
    body = await lab.ask('{ __type(name: "Project") { name } }')
    assert body["data"]["__type"]["name"] == "Project"


def test_a_repeated_query_is_parsed_once() -> None:
    """The plan is the same object the second time."""
    planner = QueryPlanner()
    variables = {"ids": [gid(1)], "paths": ["x"]}
    first = planner.prepare(MANIFESTS, variables, None)
    assert planner.prepare(MANIFESTS, variables, None).fields is first.fields


@pytest.mark.real
async def test_moves_during_a_crawl_keep_the_id(lab: Lab, world: World) -> None:
    """Renamed and transferred, a project answers under its id with the new path; deleted, not."""
    project = world.add_project("a/b", files={"qm.yaml": "x"})
    world.rename(project.id, "c")
    world.transfer(project.id, "z/y")
    body = await lab.ask(MANIFESTS, ids=[gid(project.id)], paths=["qm.yaml"])
    assert body["data"]["projects"]["nodes"][0]["fullPath"] == "z/y/c"
    world.delete(project.id)
    body = await lab.ask(MANIFESTS, ids=[gid(project.id)], paths=["qm.yaml"])
    assert body["data"]["projects"]["nodes"] == []
