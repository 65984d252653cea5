"""What rides on a crawl's page: facts, none of which may cost a manifest."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.scrape import Observation, ProjectRead
from bridge.scrapers.gitlab.observing import ALL, FIELDS, observe
from bridge.scrapers.gitlab.pages import Page, read_page
from bridge.scrapers.gitlab.queries import PRESENT

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
WHOLE: dict[str, Any] = {
    "openIssuesCount": 3,
    "openMergeRequestsCount": 0,
    "onlyAllowMergeIfPipelineSucceeds": True,
    "pipeline": {"status": "SUCCESS"},
    "languages": [{"name": "Go", "share": 20.5}, {"name": "C", "share": 79.5}],
    "releases": {"nodes": [{"tagName": "v2", "releasedAt": "2026-05-01T00:00:00Z"}]},
}


def node(number: int = 1, present: Any = None, **changes: Any) -> dict[str, Any]:
    files = {"nodes": [{"path": "README.md"}, {"path": ".gitlab/CODEOWNERS"}]}
    return {
        "id": f"gid://gitlab/Project/{number}",
        "fullPath": f"shop/p{number}",
        "archived": False,
        "repository": {"rootRef": "main", "empty": False, PRESENT: present or files},
        **WHOLE,
        **changes,
    }


def page(*nodes: Any, errors: Any = None) -> Page:
    body: dict[str, Any] = {"data": {"projects": {"nodes": list(nodes)}}}
    asked = list(range(1, len(nodes) + 1))
    return read_page(body if errors is None else {**body, "errors": errors}, asked, (), NOW)


def observation(found: Page, index: int = 0) -> Observation:
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
    below = ["repository", PRESENT] if field == PRESENT else [field]
    error = {"message": "Timeout on it", "path": ["projects", "nodes", 0, *below]}
    lost = node() | ({} if field == PRESENT else {field: None})
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
            st.sampled_from(["nodes", "status", "name", "share", "path", "releasedAt", "tagName"]),
            below,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(st.sampled_from(sorted(FIELDS)), json_tree)
def test_whatever_a_field_holds_each_fact_is_known_or_unknown(field: str, odd: Any) -> None:
    """A law: never both, never neither, never an exception."""
    changed = node(present=odd) if field == PRESENT else node(**{field: odd})
    told = observe(1, changed, NOW, {})
    assert {*told.values, *told.unknown} == {*ALL, "empty"}
    assert not set(told.values) & set(told.unknown)
