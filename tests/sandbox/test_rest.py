"""REST pages, headers and refusals as GitLab gives them."""

from __future__ import annotations

from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from bridge.sandbox.project import ProjectFacts, ProtectedBranch
from tests.sandbox.conftest import TOKEN, HandClock, Lab

pytestmark = pytest.mark.real


async def test_keyset_pages_end_with_an_empty_one(lab: Lab) -> None:
    """Each page links to the next; the last is empty and links nowhere."""
    for number in range(1, 6):
        lab.world.add_project(f"a/p{number}", hidden=number == 2)
    path: str | None = "/projects?pagination=keyset&order_by=id&sort=asc&per_page=2&id_before=5"
    pages = []
    while path is not None:
        response = await lab.get(path)
        pages.append([row["id"] for row in await response.json()])
        link = response.links.get("next")
        path = None if link is None else str(link["url"]).removeprefix(f"{lab.url}/api/v4")
        assert "X-Total" not in response.headers
    assert pages == [[1, 3], [4], []]


async def test_keyset_by_anything_but_id_is_refused(lab: Lab) -> None:
    """As GitLab, with 405."""
    response = await lab.get("/projects?pagination=keyset&order_by=updated_at")
    assert response.status == 405


async def test_bounds_that_are_no_numbers_are_refused(lab: Lab) -> None:
    """A bad request, told in JSON."""
    response = await lab.get("/projects?pagination=keyset&order_by=id&id_after=x")
    assert (response.status, response.content_type) == (400, "application/json")


async def test_offset_pages_count_and_stop_at_fifty_thousand(lab: Lab) -> None:
    """Totals are there for small lists; beyond the limit comes 405."""
    for number in range(3):
        lab.world.add_project(f"a/p{number}")
    response = await lab.get("/projects?per_page=2&order_by=id&sort=asc")
    assert [row["id"] for row in await response.json()] == [1, 2]
    assert (response.headers["X-Total"], response.headers["X-Next-Page"]) == ("3", "2")
    assert {"next", "first", "last"} == set(response.links)
    assert (await lab.get("/projects?per_page=100&page=500")).status == 200
    assert (await lab.get("/projects?per_page=100&page=501")).status == 405


async def test_filters(lab: Lab, clock: HandClock) -> None:
    """Archived, topic and the two watermarks; `updated_after` only with its own order."""
    lab.world.add_project("a/old", archived=True)
    lab.world.add_project("a/tagged", topics=["x", "y"])
    clock.advance(hours=2)
    lab.world.add_project("a/new")

    async def paths(query: str) -> set[str]:
        return {row["path"] for row in await (await lab.get(f"/projects?{query}")).json()}

    since = "2026-03-01T13:00:00Z"
    assert await paths("archived=true") == {"old"}
    assert await paths("topic=x") == {"tagged"}
    assert await paths(f"last_activity_after={since}") == {"new"}
    assert await paths(f"updated_after={since}&order_by=updated_at") == {"new"}
    assert (await lab.get(f"/projects?updated_after={since}")).status == 400


async def test_files_by_path(lab: Lab) -> None:
    """Raw bytes with their oid; missing, empty and forbidden are three answers."""
    lab.world.add_project("a/b", files={"docs/x.md": "hello"})
    lab.world.add_project("a/empty", repository="empty")
    lab.world.add_project("a/forbidden", repository="forbidden")
    where = quote("docs/x.md", safe="")
    response = await lab.get(f"/projects/1/repository/files/{where}/raw")
    assert await response.text() == "hello"
    by_path = f"{lab.url}/api/v4/projects/{quote('a/b', safe='')}/repository/files/{where}"
    async with lab.session.head(URL(by_path, encoded=True)) as head:
        assert (head.status, head.headers["X-Gitlab-Size"]) == (200, "5")
    assert response.headers["X-Gitlab-Blob-Id"] == "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0"
    statuses = [
        (await lab.get(f"/projects/{number}/repository/files/{where}/raw")).status
        for number in (1, 2, 3, 4)
    ]
    assert statuses == [200, 404, 403, 404]


async def test_one_project_and_its_lists(lab: Lab) -> None:
    """By id; what is hidden or gone is 404."""
    branch = ProtectedBranch("release/*", allow_force_push=True)
    facts = ProjectFacts(open_issues=2, protected_branches=(branch,))
    lab.world.add_project("a/b", facts=facts)
    lab.world.add_project("a/c", hidden=True)
    assert (await (await lab.get("/projects/1")).json())["path_with_namespace"] == "a/b"
    assert (await lab.get("/projects/2")).status == 404
    protected = await (await lab.get("/projects/1/protected_branches")).json()
    assert [(row["name"], row["allow_force_push"]) for row in protected] == [("release/*", True)]
    assert len(await (await lab.get("/projects/1/issues")).json()) == 2
    assert await (await lab.get("/projects/1/merge_requests")).json() == []


async def test_groups(lab: Lab) -> None:
    """By id or path, with subgroups only if asked."""
    lab.world.add_project("a/b/one")
    lab.world.add_project("a/two")
    group = await (await lab.get("/groups/a")).json()
    assert group["full_path"] == "a"
    rows = await (await lab.get(f"/groups/{group['id']}/projects?include_subgroups=true")).json()
    assert {row["path"] for row in rows} == {"one", "two"}
    rows = await (await lab.get("/groups/a/projects")).json()
    assert {row["path"] for row in rows} == {"two"}
    rows = await (await lab.get("/groups/a/subgroups")).json()
    assert [row["full_path"] for row in rows] == ["a/b"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"PRIVATE-TOKEN": TOKEN}, 200),
        ({"Authorization": f"Bearer {TOKEN}"}, 200),
        ({"PRIVATE-TOKEN": "wrong"}, 401),
        ({}, 401),
    ],
)
async def test_tokens(lab: Lab, headers: dict[str, str], status: int) -> None:
    """Both headers work; a wrong token or none does not; limits are told in every case."""
    async with aiohttp.ClientSession(headers=headers) as session:
        for path in ("personal_access_tokens/self", "user", "version"):
            async with session.get(f"{lab.url}/api/v4/{path}") as response:
                assert response.status == status
                assert response.headers["RateLimit-Limit"] == "2000"


async def test_the_server_listens_on_this_machine_only(lab: Lab) -> None:
    """And what nobody routes is a JSON 404."""
    assert lab.url.startswith("http://127.0.0.1:")
    response = await lab.get("/nonsense")
    assert (response.status, response.content_type) == (404, "application/json")
