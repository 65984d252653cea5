"""What GitLab's hooks say: a hint or a reason to ignore them, whatever they hold."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.api.hooks import HookFilter, understand
from bridge.model.hints import Hint

WANTED = HookFilter(frozenset({"qm.yaml"}))


def push(**changed: Any) -> dict[str, Any]:
    commit = {"added": [], "modified": ["src/main.py"], "removed": []}
    return {
        "event_name": "push",
        "ref": "refs/heads/main",
        "before": "a" * 40,
        "after": "b" * 40,
        "project_id": 7,
        "project": {"path_with_namespace": "shop/cart", "default_branch": "main"},
        "commits": [commit],
        "total_commits_count": 1,
    } | changed


def touching(key: str) -> dict[str, Any]:
    return {"added": [], "modified": [], "removed": [], key: ["docs/a.md", "qm.yaml"]}


@pytest.mark.parametrize("key", ["added", "modified", "removed"])
def test_a_push_that_touches_a_manifest_is_read(key: str) -> None:
    assert understand(push(commits=[touching(key)]), WANTED).hints == (Hint(7),)


def test_a_push_whose_lists_prove_that_no_manifest_was_touched_is_spared() -> None:
    assert "no manifest" in understand(push(), WANTED).ignored


@pytest.mark.parametrize(
    "changed",
    [
        {"total_commits_count": 21},
        {"commits": []},
        {"commits": [], "total_commits_count": 0},
        {"before": "0" * 40},
        {"after": "0" * 40},
        {"before": None},
        {"commits": [{"added": []}]},
        {"commits": ["odd"]},
        {"commits": [touching("modified") | {"added": ["catalog/qm.yaml"], "modified": []}]},
    ],
)
def test_lists_that_are_no_proof_spare_nothing(changed: dict[str, Any]) -> None:
    """Twenty commits are listed at most, and none in a system hook."""
    assert understand(push(**changed), WANTED).hints == (Hint(7),)


def test_only_the_branch_that_is_read_counts() -> None:
    release = HookFilter(WANTED.files, lambda path: "release" if path == "shop/cart" else "")
    other = push(ref="refs/heads/release", commits=[touching("added")])
    assert "another branch" in understand(other, WANTED).ignored
    assert understand(other, release).hints == (Hint(7),)
    assert "another branch" in understand(push(), release).ignored
    unknown = push(project={}, commits=[touching("added")])
    assert understand(unknown, WANTED).hints == (Hint(7),)


@pytest.mark.parametrize(
    "event",
    ["project_create", "project_destroy", "project_rename", "project_transfer", "project_update"],
)
def test_what_happens_to_a_project_makes_it_be_read(event: str) -> None:
    assert understand({"event_name": event, "project_id": 3}, WANTED).hints == (Hint(3),)


def test_a_renamed_group_is_found_by_its_old_path_and_its_new_one() -> None:
    body = {"event_name": "group_rename", "old_full_path": "a/old", "full_path": "a/new"}
    assert set(understand(body, WANTED).hints) == {Hint(group="a/old"), Hint(group="a/new")}


def test_a_group_that_was_archived_has_its_projects_read() -> None:
    body = {"event_name": "group_update", "full_path": "a/old", "path": "old"}
    assert understand(body, WANTED).hints == (Hint(group="a/old"),)


def test_an_update_of_the_repository_counts_on_the_default_branch() -> None:
    body = {"event_name": "repository_update", "project_id": 3, "refs": ["refs/heads/topic"]}
    project = {"default_branch": "main"}
    assert understand(body, WANTED).hints == (Hint(3),)
    assert understand({**body, "project": project}, WANTED).ignored
    with_main = {**body, "project": project, "refs": ["refs/heads/x", "refs/heads/main"]}
    assert understand(with_main, WANTED).hints == (Hint(3),)


@pytest.mark.parametrize(
    "body",
    [
        {"object_kind": "merge_request"},
        {"event_name": "tag_push", "project_id": 3},
        {"event_name": "project_rename"},
        {"event_name": "project_rename", "project_id": True},
        {"event_name": "project_rename", "project_id": -1},
        {"event_name": "project_rename", "project_id": 2**70},
        {"event_name": "group_rename"},
        {"event_name": "group_rename", "full_path": "x" * 5000},
        [],
        None,
        "push",
    ],
)
def test_everything_else_is_ignored_with_a_reason(body: Any) -> None:
    found = understand(body, WANTED)
    assert found.hints == ()
    assert found.ignored


json_trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
odd_pushes = st.builds(
    lambda base, keys, value: {**base, **dict.fromkeys(keys, value)},
    st.sampled_from([push(), {"event_name": "repository_update", "project_id": 1}]),
    st.lists(st.sampled_from(list(push())), max_size=3),
    json_trees,
)


@given(json_trees | odd_pushes)
def test_nothing_that_a_hook_holds_raises(body: Any) -> None:
    found = understand(body, WANTED)
    assert bool(found.hints) != bool(found.ignored)
