"""What a README, a CODEOWNERS file and a folder of documents say, and how long updates wait."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.language.codeowners import owners_of_everything
from bridge.model.entities import Body, CatalogEntity, Json, Ref
from bridge.model.facts import Reading
from bridge.ox.facts import codeowners_text, readme_text
from bridge.ox.facts.dependency_updates import LOOKED_AT, UPDATE_FACTS
from bridge.ox.facts.gitlab_rest import GitLabRestCollector
from bridge.ox.facts.page_asking import BUDGET
from bridge.ox.facts.project_page import told_of
from bridge.ox.facts.project_page_fields import RIDER_FACTS
from bridge.ox.facts.project_texts import (
    CODEOWNERS_FACTS,
    DOCS_FACTS,
    README_FACTS,
    TEXT_FACTS,
    read_texts,
)
from bridge.ox.facts.readings import ReadingBuilder
from bridge.ox.facts.schemas import GITLAB_REST
from bridge.ox.facts.subjects import gitlab_names
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.project import OpenMergeRequest, SandboxFile, submodule
from bridge.sandbox.sessions import Edition, Role, Session
from bridge.sandbox.world import World
from tests.laws import examples
from tests.ox.gitlab_bench import TOKEN, bench, one
from tests.ox.subjects import NOW, fact, project_of, subject, told

NA, UNKNOWN = "not_applicable", "unknown"

README = """\
# Checkout

Takes the money, and gives it back when a customer asks. [Design](docs/design.md), [board](https://boards.example/checkout).

## How to run it

```
# Not a heading, see [x](y)
make run   # https://nowhere.example
```

Who owns it
-----------

Ask in https://chat.example/checkout. ![a badge](https://badges.example/x.svg)
"""


def test_a_readme_is_measured() -> None:
    found = readme_text.measured(README)
    assert (found.sections, found.links, found.run, found.owner) == (3, 3, True, True)
    assert found.length == len(README.strip())
    assert found.quality == 1.0
    bare = readme_text.measured("# Checkout\n\nTODO\n")
    assert (bare.sections, bare.links, bare.run, bare.owner) == (1, 0, False, False)
    assert bare.quality == 0


@given(st.text(alphabet="#[]()!`~ \n=-aurn:/htps@*^\\.", max_size=400))
@settings(max_examples=examples(80))
def test_no_text_is_too_odd(text: str) -> None:
    """A README that says more is never measured worse."""
    before, after = readme_text.measured(text), readme_text.measured(f"{README}\n{text}")
    assert 0 <= before.quality <= after.quality == 1
    assert codeowners_text.parsed(text).rules <= text.count("\n") + text.count("\x0b") + 1


ODD_LINES = ["[" * 5_000, "`" * 9_999, "[x](" * 3_000, "@" * 9_000, "*\\ " * 3_000]


@pytest.mark.parametrize("line", ODD_LINES)
def test_a_strangers_text_is_read_within_bounds(line: str) -> None:
    long = f"{line}\n" * 200
    assert readme_text.measured(long).length <= readme_text.MOST
    assert len(codeowners_text.parsed(long).owners) <= 200


OWNED = """\
# Who looks at what
* @shop/platform # the rest
/docs/my\\ file.md @Kim docs@shop.example
!generated.go
/empty

^[Database][2] @shop/data @@maintainer
db/
/schema.sql @shop/dba nonsense
"""


def test_codeowners_are_read_as_gitlab_reads_them() -> None:
    found = codeowners_text.parsed(OWNED)
    assert (found.rules, found.default, found.unowned) == (5, True, 1)
    assert found.owners == (
        *("@@maintainer", "@Kim", "@shop/data", "@shop/dba", "@shop/platform"),
        "docs@shop.example",
    )
    assert found.groups_and_users() == ("kim", "shop/data", "shop/dba", "shop/platform")


@pytest.mark.parametrize(
    ("text", "default"),
    [
        ("", False),
        ("*", False),
        ("* @a", True),
        ("* @a\n*\n", False),
        ("[x] @a\n*", True),
        ("[x]\n*\n[y]\n/** @b", True),
        ("/src/ @a", False),
        ("# * @a", False),
    ],
)
def test_whether_everything_has_an_owner(text: str, default: bool) -> None:
    assert codeowners_text.parsed(text).default is default


@pytest.mark.parametrize(
    "text", ["* # @a nobody yet\n", "* -@a @b", "* @a,@b", "[A] @a # x\n*", "[A] @a\n* x", "* @@x"]
)
def test_facts_and_drafts_read_the_same_owners(text: str) -> None:
    found = codeowners_text.parsed(text)
    assert found.owners == owners_of_everything(text)
    assert (found.default, found.unowned) == (bool(found.owners), int(not found.owners))


def entity(kind: str, name: str, **annotations: str) -> CatalogEntity:
    body: Body = {"kind": kind, "metadata": {"name": name, "annotations": annotations}}
    return CatalogEntity(Ref.of(body), body, ())


def test_by_which_names_gitlab_knows_people() -> None:
    kim = entity("User", "kim", **{"fester.dev/source-name": "Kim.M"})
    team = entity("Group", "shop-data", **{"fester.dev/gitlab-group": "Shop/Data"})
    assert gitlab_names([kim, team, entity("User", "bob"), entity("Group", "red")]) == frozenset(
        {"kim.m", "shop/data", "bob"}
    )
    assert gitlab_names([kim, entity("Group", "red")]) == frozenset(), "nobody reads its groups"


def world(files: dict[str, str | SandboxFile], **facts: Any) -> World:
    made = one(**facts)
    made.projects[0].files.clear()
    for path, text in files.items():
        file = SandboxFile(text.encode()) if isinstance(text, str) else text
        made.projects[0].files[path] = file
    return made


async def read(made: World, names: frozenset[str] = frozenset(), **options: Any) -> Reading:
    sandbox = SandboxGitLab(made, token=TOKEN, **options)
    async with running(sandbox) as url:
        collector = GitLabRestCollector(url, TOKEN, clock=lambda: NOW)
        asked = replace(subject(project=project_of(made.projects[0], url)), gitlab_names=names)
        (reading,) = [each async for each in collector.collect([asked])]
        await collector.close()
    return reading


@pytest.mark.real
async def test_texts_ride_on_the_page() -> None:
    ages = [
        OpenMergeRequest(NOW - timedelta(days=days), NOW, branch)
        for days, branch in ((3, "renovate/x-1"), (40, "dependabot/npm/y"), (90, "mine"))
    ]
    changed = NOW - timedelta(days=100, hours=3)
    files: dict[str, str | SandboxFile] = {
        "README.md": README,
        ".gitlab/CODEOWNERS": "* @nobody",
        "docs/CODEOWNERS": OWNED,
        "docs/index.md": "x",
    }
    made = world(files, merge_requests=ages, touched={"docs": changed})
    reading = await read(made, frozenset({"shop/platform", "kim"}))
    wanted: dict[str, Json] = {
        "readme_sections": 3,
        "readme_quality": 1.0,
        "codeowners_rules": 5,
        "codeowners_default_owner": True,
        "codeowners_without_owner": 1,
        "codeowners_unknown": ["shop/data", "shop/dba"],
        "days_without_docs_change": 100,
        "dependency_updates_open": 2,
        "days_of_oldest_dependency_update": 40,
    }
    assert {name: told(reading, name) for name in wanted} == wanted
    assert told(await read(made), "codeowners_unknown") == NA


@pytest.mark.real
@pytest.mark.parametrize(
    ("files", "facts", "names", "reason"),
    [
        ({}, {}, README_FACTS, "there is no README.md at the root"),
        ({"README.md": submodule("0" * 40)}, {}, README_FACTS, "there is no README.md"),
        ({"README.md": "\0\1"}, {}, README_FACTS, "it is no text"),
        ({}, {}, CODEOWNERS_FACTS, "there is no CODEOWNERS file"),
        ({"a": ""}, {}, DOCS_FACTS, "there is no folder docs/"),
        ({"a": ""}, {"touched": {"docs": NOW}}, DOCS_FACTS, "there is no folder docs/"),
        ({}, {}, UPDATE_FACTS[1:], "no update waits"),
    ],
)
async def test_what_is_not_there_does_not_apply(
    files: dict[str, str | SandboxFile], facts: dict[str, Any], names: tuple[str, ...], reason: str
) -> None:
    reading = await read(world(files, **facts))
    assert {told(reading, name) for name in names} == {NA}
    assert fact(reading, names[0]).reason.startswith(reason)


LATE: list[tuple[tuple[str, ...], tuple[str, ...], str]] = [
    (("readme",), README_FACTS, "GitLab did not give README.md: Timeout on x"),
    (("owners0",), CODEOWNERS_FACTS, "GitLab did not give CODEOWNERS: Timeout on x"),
    (("owners2", "nodes", "0", "rawTextBlob"), (), ""),  # the one before it counts
    (("docs",), DOCS_FACTS, "GitLab did not give docs: Timeout on x"),
    (("docs", "blobs"), (), ""),  # a folder in it was told
    ((), TEXT_FACTS, "GitLab did not give repository: Timeout on x"),
]


@pytest.mark.parametrize(("path", "names", "reason"), LATE)
def test_what_was_too_late_is_not_missing(
    path: tuple[str, ...], names: tuple[str, ...], reason: str
) -> None:
    """GitLab's null with an error says nothing; what was told beside it stays known."""
    file = {"nodes": [{"mode": "100644", "rawTextBlob": "* @a"}]}
    docs = {"lastCommit": {"authoredDate": NOW.isoformat()}, "trees": {"nodes": [{"name": "a"}]}}
    whole = {"readme": file, "owners0": {"nodes": []}, "owners1": file, "docs": docs}
    repository = None if not path else {k: v for k, v in whole.items() if k != path[0] or path[1:]}
    node = {"id": "gid://gitlab/Project/7", "repository": repository}
    error = {"message": "Timeout on x", "path": ["projects", "nodes", 0, "repository", *path]}
    answer = told_of({"data": {"projects": {"nodes": [node]}}, "errors": [error]}, frozenset(), ())
    notes = ReadingBuilder(GITLAB_REST, Ref.parse("component:default/x"), NOW, "x")
    read_texts(notes, subject(), node, answer[7].failed, asked=True)
    reading = notes.reading()
    lost = tuple(name for name in TEXT_FACTS if told(reading, name) == UNKNOWN)
    assert lost == names
    assert {fact(reading, name).reason for name in lost} <= {reason}


@pytest.mark.real
@pytest.mark.parametrize("slow", ["blobs", "tree", "repository"])
async def test_a_file_that_came_too_late_is_unknown(slow: str) -> None:
    """Neither its text is "not there", nor a runbook among the files that were looked for."""
    made = world({"README.md": README, "docs/run.md": "x"}, slow=frozenset({slow}))
    async with bench(made) as it:
        reading = await it.only(f"{it.url}/shop/api/-/blob/main/docs/run.md")
    lost = {name for name in TEXT_FACTS if told(reading, name) == UNKNOWN}
    files = {*README_FACTS, *CODEOWNERS_FACTS}
    assert lost == {"blobs": files, "tree": {*DOCS_FACTS}, "repository": {*TEXT_FACTS}}[slow]
    assert told(reading, "runbook_present") is True
    assert isinstance(told(reading, "commits"), int)


@pytest.mark.real
async def test_of_very_many_merge_requests_the_oldest_are_looked_at() -> None:
    branches = ["mine"] * LOOKED_AT + ["renovate/x"]
    ages = [
        OpenMergeRequest(NOW - timedelta(days=200 - n), NOW, branch)
        for n, branch in enumerate(branches)
    ]
    reading = await read(world({}, merge_requests=ages))
    assert [told(reading, name) for name in UPDATE_FACTS] == [NA, NA]
    reading = await read(world({}, merge_requests=ages[1:]))
    assert [told(reading, name) for name in UPDATE_FACTS] == [1, 150]


@pytest.mark.real
@pytest.mark.parametrize(
    "session",
    [Session(role=Role.REPORTER), Session(edition=Edition.FREE), Session(role=Role.GUEST)],
    ids=["Reporter", "Free", "Guest"],
)
async def test_no_role_or_licence_makes_texts_unsure(session: Session) -> None:
    reading = await read(world({"README.md": README}), session=session)
    assert UNKNOWN not in {told(reading, name) for name in (*TEXT_FACTS, *UPDATE_FACTS)}
    assert told(reading, "readme_sections") == 3


@pytest.mark.real
async def test_a_project_whose_texts_are_too_much_is_asked_without_them() -> None:
    """More than an answer may hold: what else the page asks is known all the same."""
    made = world({"README.md": "x" * 9_000_000, "CODEOWNERS": "y" * 9_000_000})
    made.add_project("shop/other").files["README.md"] = SandboxFile(README.encode())
    async with bench(made) as it:
        readings = await it.read()
    big = readings["shop/api"]
    assert {told(big, name) for name in TEXT_FACTS} == {UNKNOWN}
    assert "could not give the project's texts" in fact(big, "readme_length").reason
    assert isinstance(told(big, "commits"), int)
    assert told(readings["shop/other"], "readme_sections") == 3


@pytest.mark.real
@pytest.mark.parametrize(("heavy", "most"), [((7, 33), 8), ((1, 20, 33, 49), 26)])
async def test_heavy_texts_cost_nobody_what_else_the_page_asks(
    heavy: tuple[int, ...], most: int
) -> None:
    """However many are too much: of all fifty the rest is known, by few requests."""
    made = World(lambda: NOW)
    file = SandboxFile(b"x" * 9_000_000)
    for number in range(50):
        project = made.add_project(f"shop/p{number}")
        files = {"README.md": file, "CODEOWNERS": file} if number in heavy else {}
        project.files |= files or {"README.md": SandboxFile(README.encode())}
    async with bench(made) as it:
        readings = await it.read()
        requests = [each for each in it.sandbox.requests if each.kind == "graphql"]
    assert len(requests) <= BUDGET
    names = (*RIDER_FACTS, *UPDATE_FACTS[:1])
    assert not [p for p, r in readings.items() for name in names if told(r, name) == UNKNOWN]
    sections = {path: told(reading, "readme_sections") for path, reading in readings.items()}
    assert {sections[f"shop/p{number}"] for number in heavy} == {UNKNOWN}
    assert set(sections.values()) <= {UNKNOWN, 3}
    assert Counter(sections.values())[UNKNOWN] <= most
