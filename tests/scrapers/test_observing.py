"""What rides on a crawl's page: facts, none of which may cost a manifest."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.scrape import Observation, ProjectRead
from bridge.scrapers.gitlab.observing import ALL, FIELDS, looked_up, observe
from bridge.scrapers.gitlab.pages import ProjectsPage, read_page
from bridge.scrapers.gitlab.queries import LOOKED_FOR, PRESENT, ROOT

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
WHOLE: dict[str, Any] = {
    "openIssuesCount": 3,
    "openMergeRequestsCount": 0,
    "onlyAllowMergeIfPipelineSucceeds": True,
    "pipeline": {"status": "SUCCESS"},
    "languages": [{"name": "Go", "share": 20.5}, {"name": "C", "share": 79.5}],
    "releases": {"nodes": [{"tagName": "v2", "releasedAt": "2026-05-01T00:00:00Z"}]},
}


def blobs(*paths: str, mode: str = "100644") -> dict[str, Any]:
    return {"nodes": [{"path": path, "mode": mode} for path in paths]}


def root(*names: str, more: bool = False) -> dict[str, Any]:
    nodes = [{"name": name} for name in names]
    return {"blobs": {"nodes": nodes, "pageInfo": {"hasNextPage": more}}}


def node(number: int = 1, present: Any = None, names: Any = None, **changes: Any) -> dict[str, Any]:
    files = {PRESENT: present or blobs(".gitlab/CODEOWNERS"), ROOT: names or root("README.md")}
    return {
        "id": f"gid://gitlab/Project/{number}",
        "fullPath": f"shop/p{number}",
        "archived": False,
        "repository": {"rootRef": "main", "empty": False, **files},
        **WHOLE,
        **changes,
    }


def page(*nodes: Any, errors: Any = None) -> ProjectsPage:
    body: dict[str, Any] = {"data": {"projects": {"nodes": list(nodes)}}}
    asked = list(range(1, len(nodes) + 1))
    return read_page(body if errors is None else {**body, "errors": errors}, asked, (), NOW)


def observation(found: ProjectsPage, index: int = 0) -> Observation:
    record = found.seen[index].record
    assert isinstance(record, ProjectRead)
    assert record.observation is not None
    return record.observation


def test_everything_that_rides_along_is_told_by_our_names() -> None:
    told = observation(page(node()))
    assert told.unknown == {}
    assert told.values == {
        "readme": True,
        "license": False,
        "codeowners": True,
        "ci_config": False,
        "dependency_updater": False,
        "catalog_info": False,
        "open_issues": 3,
        "open_merge_requests": 0,
        "merge_needs_pipeline": True,
        "pipeline_status": "success",
        "languages": ["C", "Go"],
        "main_language": "C",
        "last_release": "v2",
        "last_release_at": "2026-05-01T00:00:00+00:00",
        "empty": False,
    }


def test_a_null_pipeline_and_no_releases_are_told_as_none() -> None:
    told = observation(page(node(pipeline=None, releases={"nodes": []}, openIssuesCount=None)))
    assert [told.values[k] for k in ("pipeline_status", "last_release", "open_issues")] == [
        None
    ] * 3
    assert told.unknown == {}


@pytest.mark.parametrize("field", FIELDS)
def test_an_error_at_a_fact_makes_that_fact_unknown_and_keeps_the_manifest(field: str) -> None:
    of_code = field in (PRESENT, ROOT)
    below = ["repository", field] if of_code else [field]
    error = {"message": "Timeout on it", "path": ["projects", "nodes", 0, *below]}
    lost = node(present=blobs(), names=root()) | ({} if of_code else {field: None})
    found = page(lost, node(2), errors=[error])
    assert not found.unsure
    told = observation(found)
    assert set(told.unknown) == set(FIELDS[field])
    assert all("Timeout on it" in reason for reason in told.unknown.values())
    assert observation(found, 1).unknown == {}


def test_an_error_that_cost_the_whole_project_is_still_one_of_the_project() -> None:
    error = {"message": "Timeout", "path": ["projects", "nodes", 0, "languages"]}
    assert set(page(None, errors=[error]).unsure) == {1}
    gone = {"message": "Timeout", "path": ["projects", "nodes", 0, "repository", PRESENT]}
    assert set(page(node() | {"repository": None}, errors=[gone]).unsure) == {1}


json_tree = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "nodes",
                    "status",
                    "name",
                    "share",
                    "path",
                    "mode",
                    "blobs",
                    "releasedAt",
                    "tagName",
                ]
            ),
            below,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(st.sampled_from(sorted(FIELDS)), json_tree)
def test_whatever_a_field_holds_each_fact_is_known_or_unknown(field: str, odd: Any) -> None:
    """A law: never both, never neither, never an exception."""
    changed = node(**{{PRESENT: "present", ROOT: "names"}.get(field, field): odd})
    told = observe(1, changed, NOW, {})
    assert {*told.values, *told.unknown} == {*ALL, "empty"}
    assert not set(told.values) & set(told.unknown)


@pytest.mark.parametrize(
    ("name", "fact"),
    [
        ("readme.md", "readme"),
        ("ReadMe.rst", "readme"),
        ("README", "readme"),
        ("readme.markdown", "readme"),
        ("licence", "license"),
        ("LICENSE-MIT", "license"),
        ("Copying.txt", "license"),
        ("UNLICENSE", "license"),
        (".renovaterc.json5", "dependency_updater"),
        ("CODEOWNERS", "codeowners"),
        (".gitlab-ci.yml", "ci_config"),
        ("catalog-info.yml", "catalog_info"),
    ],
)
def test_a_file_is_there_however_it_is_spelt(name: str, fact: str) -> None:
    told = observation(page(node(present=blobs(), names=root("main.go", name))))
    assert [fact for fact in LOOKED_FOR if told.values[fact]] == [fact]


@pytest.mark.parametrize("name", ["catalog-info.yaml", "catalog-info.yml"])
def test_what_backstages_discovery_reads_is_known_by_its_name(name: str) -> None:
    assert observation(page(node(present=blobs(), names=root(name)))).catalog_info == name
    found = page(node(present=blobs(), names=root("README.md", more=True)))
    told, wanted = observation(found), found.seen[0].look_for
    assert told.catalog_info == ""
    assert looked_up(told, wanted, {name}).catalog_info == name
    assert looked_up(told, wanted, {"LICENSE"}).catalog_info == ""


@pytest.mark.parametrize("name", ["readme.go", "README.md.orig", "codeowners", "renovate.yml"])
def test_a_file_of_a_like_name_is_another(name: str) -> None:
    told = observation(page(node(present=blobs(), names=root(name))))
    assert not any(told.values[fact] for fact in LOOKED_FOR)


@pytest.mark.parametrize(
    "path", [".gitlab/renovate.json5", ".github/renovate.json", ".github/dependabot.yaml"]
)
def test_the_tools_own_lists_of_places_are_looked_through(path: str) -> None:
    assert observation(page(node(present=blobs(path)))).values["dependency_updater"] is True


@pytest.mark.parametrize("mode", ["40000", "160000"])
def test_a_directory_or_a_submodule_is_no_file(mode: str) -> None:
    told = observation(page(node(present=blobs("docs/CODEOWNERS", mode=mode))))
    assert told.values["codeowners"] is False


def test_what_a_long_root_may_still_hold_is_unknown_and_looked_for() -> None:
    found = page(node(present=blobs(), names=root("README.md", more=True)))
    told, wanted = observation(found), found.seen[0].look_for
    assert told.values["readme"] is True
    assert told.unknown["license"].startswith("the root has more than 100 files")
    assert set(wanted) == set(LOOKED_FOR) - {"readme"}
    later = looked_up(told, wanted, {"renovate.json"})
    assert (later.values["dependency_updater"], later.values["codeowners"]) == (True, False)
    assert set(later.unknown) == {"license"}  # it may have a name that nobody asked for


def test_a_ci_file_is_where_the_project_says() -> None:
    def told(path: str, *names: str) -> tuple[Any, Any]:
        found = page(node(names=root(*names), ciConfigPathOrDefault=path))
        values, wanted = observation(found).values, found.seen[0].look_for
        return values.get("ci_config"), wanted.get("ci_config")

    assert told(".gitlab-ci.yml", ".gitlab-ci.yml") == (True, None)
    assert told("ci/pipeline.yml", ".gitlab-ci.yml") == (None, ("ci/pipeline.yml",))
    assert told("service.yml@platform/pipelines") == (True, None)
    assert told("https://ci.example.com/service.yml") == (True, None)


def test_a_release_still_to_come_is_none_yet() -> None:
    def release(tag: str, upcoming: bool) -> dict[str, Any]:
        moment = "2026-05-01T00:00:00Z"
        return {"tagName": tag, "releasedAt": moment, "upcomingRelease": upcoming}

    three = {"nodes": [release("v3", True), release("v2", True), release("v1", False)]}
    assert observation(page(node(releases=three))).values["last_release"] == "v1"
    assert (
        observation(page(node(releases={"nodes": [release("v1", True)]}))).values["last_release"]
        is None
    )
    all_to_come = {"nodes": [release(f"v{n}", True) for n in range(5)]}
    assert "still to come" in observation(page(node(releases=all_to_come))).unknown["last_release"]


def test_a_field_that_a_gitlab_does_not_know_is_said_to_be_too_new_for_it() -> None:
    body = {"data": {"projects": {"nodes": [node()]}}}
    del body["data"]["projects"]["nodes"][0]["openMergeRequestsCount"]
    lacks = {"Project.openMergeRequestsCount"}
    told = observation(read_page(body, [1], (), NOW, lacks=lacks))
    assert "too old to tell it" in told.unknown["open_merge_requests"]
