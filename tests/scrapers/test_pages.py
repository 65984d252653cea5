"""What a JSON answer does and does not say about a project."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.model.scrape import Gap, ProjectRead
from bridge.scrapers.gitlab.pages import group_page, listed, read_page
from bridge.scrapers.gitlab.trouble import Cause, Trouble
from tests.laws import examples

FILES = ("qm.yaml", "opslevel.yml")
LFS = "version https://git-lfs.github.com/spec"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
USUAL = ("CODEOWNERS", "docs", "mkdocs.yml")


def blob(**changes: Any) -> dict[str, Any]:
    whole = {"oid": "a1", "size": 10, "mode": "100644", "rawTextBlob": "version: 1"}
    return {"nodes": [{**whole, **changes}]}


def node(number: int = 1, **repository: Any) -> dict[str, Any]:
    code = {"rootRef": "main", "empty": False, "f0": blob(), "f1": {"nodes": []}} | repository
    return {
        "id": f"gid://gitlab/Project/{number}",
        "fullPath": f"shop/p{number}",
        "archived": False,
        "topics": ["java"],
        "description": None,
        "repository": code,
    }


def answer(*nodes: Any, **more: Any) -> dict[str, Any]:
    return {"data": {"projects": {"nodes": list(nodes)}}, **more}


def only_record(body: Any) -> ProjectRead | Gap:
    page = read_page(body, [1], FILES)
    assert not page.missing
    assert not page.unsure
    return page.seen[0].record


def test_a_file_comes_with_its_text_and_an_absent_one_not_at_all() -> None:
    record = only_record(answer(node()))
    assert isinstance(record, ProjectRead)
    assert [(f.path, f.oid, f.text) for f in record.files] == [("qm.yaml", "a1", "version: 1")]
    assert (record.project.default_branch, record.project.topics) == ("main", ("java",))


@pytest.mark.parametrize("odd", ["yesterday", "2026-01-01T00:00:00", "", None, 5])
def test_a_date_that_is_none_is_not_told(odd: object) -> None:
    told = {**node(), "createdAt": "2026-01-01T00:00:00Z", "lastActivityAt": odd}
    record = only_record(answer(told))
    assert isinstance(record, ProjectRead)
    assert record.project.created_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert record.project.last_activity_at is None


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"rawTextBlob": None}, "binary"),
        ({"rawTextBlob": "a\0b"}, "binary"),
        ({"rawTextBlob": f"{LFS}/v1\noid sha256:ab\nsize 9\n"}, "an LFS pointer"),
        ({"rawTextBlob": f"#{LFS}"}, "not UTF-8, of which GitLab gives only a guess"),
        ({"mode": "120000"}, "a symbolic link"),
        ({"size": "4300000"}, "4.1 MB; the limit is 256 kB"),
        ({"rawTextBlob": "x" * 262_145}, "257 kB; the limit is 256 kB"),
    ],
)
def test_a_file_unfit_for_reading_is_there_and_says_why(
    changes: dict[str, Any], refused: str
) -> None:
    record = only_record(answer(node(f0=blob(**changes))))
    assert isinstance(record, ProjectRead)
    assert (record.files[0].text, record.files[0].refused) == (None, refused)


def looked(*nodes: Any, **more: Any) -> dict[str, tuple[str, str]]:
    """What a page told of the usual paths; `nodes` are those that GitLab's list holds."""
    body = answer(node(present={"nodes": list(nodes)}), **more)
    (seen,) = read_page(body, [1], FILES, NOW, usual=USUAL).seen
    assert isinstance(seen.record, ProjectRead)
    return {each.path: (each.kind.value, each.oid) for each in seen.record.looked}


def test_a_page_tells_what_is_at_the_usual_paths() -> None:
    docs = {"path": "docs", "mode": "040000", "oid": "d0"}
    owners = {"path": "CODEOWNERS", "mode": "100644", "oid": "c0"}
    other = {"path": "renovate.json", "mode": "100644", "oid": "r0"}
    assert looked(docs, owners, other) == {
        "CODEOWNERS": ("file", "c0"),
        "docs": ("folder", "d0"),
        "mkdocs.yml": ("absent", ""),
    }


@pytest.mark.parametrize("odd", [None, {}, {"path": "docs", "mode": "040000", "oid": None}])
def test_a_page_that_is_not_whole_tells_nothing_of_the_usual_paths(odd: Any) -> None:
    assert looked(odd) == {}


def test_an_error_at_the_usual_paths_says_not_that_they_are_absent() -> None:
    path = ["projects", "nodes", 0, "repository", "present"]
    assert looked(errors=[{"message": "Timeout", "path": path}]) == {}


def test_an_empty_repository_is_read_and_holds_nothing() -> None:
    record = only_record(answer(node(empty=True, rootRef=None)))
    assert isinstance(record, ProjectRead)
    assert record.files == ()


def test_a_null_repository_is_a_gap_not_an_absence() -> None:
    record = only_record(answer(node() | {"repository": None}))
    assert isinstance(record, Gap)
    assert record.project_id == 1
    assert "no permission" in record.reason


def test_a_project_left_out_of_the_answer_is_missing_and_nothing_more() -> None:
    page = read_page(answer(None, node(2)), [1, 2], FILES)
    assert page.missing == (1,)
    assert [seen.project.id for seen in page.seen] == [2]


def test_an_error_that_names_a_node_makes_only_that_one_unsure() -> None:
    error = {"message": "Timeout on Repository.blobs", "path": ["projects", "nodes", 0, "f0"]}
    page = read_page(answer(node(1, f0=None), node(2), errors=[error]), [1, 2], FILES)
    assert set(page.unsure) == {1}
    assert [seen.project.id for seen in page.seen] == [2]


def test_an_error_that_names_no_node_makes_all_unsure() -> None:
    page = read_page(answer(node(1), errors=[{"message": "Timeout"}]), [1, 2], FILES)
    assert set(page.unsure) == {1, 2}
    assert page.missing == ()


@pytest.mark.parametrize("lost", ["rootRef", "empty", "f0", "f1"])
def test_a_silent_null_is_never_read_as_no_manifest(lost: str) -> None:
    page = read_page(
        answer(node() | {"repository": node()["repository"] | {lost: None}}), [1], FILES
    )
    assert not any(isinstance(seen.record, ProjectRead) for seen in page.seen)


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("Query has complexity of 300, which exceeds max complexity of 250", Cause.TOO_LARGE),
        ("Timeout on Query.projects", Cause.SLOW),
        ("Field 'x' doesn't exist on type 'Project'", Cause.NOT_UNDERSTOOD),
        ("Internal server error", Cause.BROKEN),
    ],
)
def test_errors_without_data_say_what_to_do_next(message: str, cause: Cause) -> None:
    with pytest.raises(Trouble) as caught:
        read_page({"errors": [{"message": message}]}, [1], FILES)
    assert caught.value.cause is cause
    assert message in caught.value.reason


def test_a_groups_page_tells_no_group_from_a_partial_answer() -> None:
    assert group_page({"data": {"group": None}}) is None
    with pytest.raises(Trouble):
        group_page({"data": {"group": None}, "errors": [{"message": "Timeout"}]})
    with pytest.raises(Trouble):
        group_page({"data": {"group": {"projects": None}}})
    info = {"hasNextPage": False, "endCursor": None}
    with pytest.raises(Trouble):
        group_page({"data": {"group": {"projects": {"nodes": [None], "pageInfo": info}}}})


def test_a_list_of_something_else_is_trouble() -> None:
    with pytest.raises(Trouble):
        listed({"message": "hello"})


json_tree = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "data",
                    "projects",
                    "nodes",
                    "errors",
                    "id",
                    "repository",
                    "f0",
                    "path",
                    "size",
                    "oid",
                    "message",
                ]
            ),
            below,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=examples(60), deadline=None)
@given(json_tree, json_tree)
def test_whatever_is_answered_every_project_asked_for_is_accounted_for(
    anything: Any, inside: Any
) -> None:
    """A law: read, gap, missing, unsure or trouble; nothing falls through, nothing crashes."""
    bodies = (
        anything,
        answer(inside),
        answer(node(), errors=inside),
        answer(node(), errors=[inside]),
        answer(node() | {"repository": inside}),
        answer(node(f0=inside)),
        answer(node(f0={"nodes": [inside]})),
        {"data": {"projects": inside}},
    )
    for body in bodies:
        try:
            page = read_page(body, [1, 2], FILES)
        except Trouble:
            continue
        finally:
            with suppress(Trouble):
                group_page(body)
        told = [seen.project.id for seen in page.seen]
        assert sorted([*told, *page.missing, *page.unsure]) == [1, 2]
