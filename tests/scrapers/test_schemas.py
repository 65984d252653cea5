"""All queries against GitLab's own schemas: of the oldest one that is supported, and a new one."""

from __future__ import annotations

import pytest
from graphql import GraphQLObjectType, GraphQLSchema, extend_schema, parse, validate

from bridge.sandbox.schema import SCHEMA, UNKNOWN_TO_16_3
from bridge.scrapers.gitlab import one_file, people, queries
from bridge.scrapers.gitlab.dialect import OPTIONAL, Dialect, not_told
from bridge.scrapers.gitlab.further_queries import Asked, Question, read_further
from tests.gitlab_schemas import gitlab_schema

# Every GitLab since 12.0 lists a tree's blobs and trees; the schemas at hand were reduced by this.
BLOBS = """
extend type Tree {
  blobs(after: String, before: String, first: Int, last: Int): BlobConnection!
  trees(after: String, before: String, first: Int, last: Int): TreeEntryConnection!
}
type TreeEntryConnection { nodes: [TreeEntry] pageInfo: PageInfo! }
type TreeEntry { flatPath: String! id: ID! name: String! path: String! }
type BlobConnection { nodes: [Blob] pageInfo: PageInfo! }
type Blob { flatPath: String! id: ID! lfsOid: String mode: String name: String! path: String! }
"""


# By the same part the schema of 16.3 lacks members (app/graphql/types/group_member_type.rb).
MEMBERS = """
enum GroupMemberRelation { DESCENDANTS DIRECT INHERITED SHARED_FROM_GROUPS }
type GroupMember { accessLevel: AccessLevel group: Group id: ID! user: UserCore }
type GroupMemberConnection { nodes: [GroupMember] pageInfo: PageInfo! }
extend type Group {
  groupMembers(
    after: String, first: Int, relations: [GroupMemberRelation!]
  ): GroupMemberConnection
}
"""

FURTHER = [
    Question(
        asked, ("docs/a.md", "b")[: 1 if asked is not Asked.BLOBS else 2], (1, 2), branch, after
    )
    for asked in Asked
    for branch in ("", "release")
    for after in ("", "x")
    if asked in (Asked.FOLDERS, Asked.FILES) or not after
]


def schema(version: str) -> GraphQLSchema:
    return gitlab_schema(version, BLOBS)


def every_query(lacks: frozenset[str] = frozenset()) -> list[str]:
    flags = (False, True)
    return [
        queries.FILES_THERE,
        queries.list_group(lacks),
        read_further(FURTHER)[0],
        one_file.read_file(branch=False),
        one_file.read_file(branch=True),
        queries.read_projects(
            ("qm.yaml",), tip=True, with_facts=True, usual=("docs", '\u2028é"'), lacks=lacks
        ),
        *(
            queries.read_projects(
                ("qm.yaml", "opslevel.yml"),
                branch=branch,
                text=text,
                forks=forks,
                with_facts=with_facts,
                membership=branch,
                lacks=lacks,
            )
            for branch in flags
            for text in flags
            for forks in flags
            for with_facts in flags
        ),
    ]


@pytest.mark.parametrize(
    ("version", "lacks"), [("19.3", frozenset[str]()), ("16.3", UNKNOWN_TO_16_3)]
)
def test_gitlab_understands_every_query(version: str, lacks: frozenset[str]) -> None:
    known = schema(version)
    for query in every_query(lacks):
        assert validate(known, parse(query)) == [], query


@pytest.mark.parametrize("query", [people.ALL_GROUPS, people.SUBGROUPS, people.ONE_GROUP])
def test_the_oldest_gitlab_understands_what_is_asked_of_people(query: str) -> None:
    known = extend_schema(schema("16.3"), parse(MEMBERS), assume_valid=True)
    assert validate(known, parse(query)) == []


def test_what_the_oldest_one_does_not_know_can_be_left_out() -> None:
    known = schema("16.3")
    unknown = set()
    for query in every_query():
        for error in validate(known, parse(query)):
            _, field, _, parent, *_ = error.message.split("'")
            unknown.add(f"{parent}.{field}")
    assert unknown == set(UNKNOWN_TO_16_3) - {"Group.archived"}
    assert unknown <= OPTIONAL


@pytest.mark.parametrize("version", ["19.3", "16.3"])
def test_the_look_alike_knows_no_field_that_gitlab_does_not(version: str) -> None:
    """Of the types that a crawl reads. Beside them the schemas at hand were reduced, too."""
    known = schema(version)
    lacks = UNKNOWN_TO_16_3 if version == "16.3" else frozenset()
    for name in ("Repository", "RepositoryBlob", "Release", "Tree"):
        assert fields(SCHEMA, name) <= fields(known, name)
    asked = {name for query in every_query() for name in fields(SCHEMA, "Project") if name in query}
    assert asked <= fields(known, "Project") | {name.removeprefix("Project.") for name in lacks}


def fields(of: GraphQLSchema, name: str) -> set[str]:
    found = of.type_map[name]
    assert isinstance(found, GraphQLObjectType)
    return set(found.fields)


@pytest.mark.parametrize(
    ("version", "enough", "missing"),
    [
        ("19.3.0-ee", True, 0),
        ("18.0.1", True, 1),
        ("16.11.10", True, 2),
        ("16.3.9-ee", True, 3),
        ("15.11.0", False, 3),
        ("unknown", True, 0),
    ],
)
def test_doctor_says_what_an_older_gitlab_does_not_tell(
    version: str, enough: bool, missing: int
) -> None:
    new_enough, what = not_told(version)
    assert (new_enough, len(what)) == (enough, missing)


def test_only_what_can_be_left_out_is_learned() -> None:
    def refusal(*fields: str) -> dict[str, list[dict[str, str]]]:
        said = "Field '{}' doesn't exist on type 'Project'"
        return {"errors": [{"message": said.format(field)} for field in fields]}

    dialect = Dialect()
    assert dialect.learned(refusal("updatedAt", "isForked"))
    assert dialect.lacks == {"Project.updatedAt", "Project.isForked"}
    assert not dialect.learned(refusal("fullPath"))
    assert not dialect.learned(refusal("fullPath", "topics"))
    assert not dialect.learned({"errors": [{"message": "Timeout"}]})
    assert not dialect.learned({"data": {}, **refusal("languages")})
    assert "Project.languages" not in dialect.lacks


async def test_a_gitlab_that_refuses_for_ever_is_not_asked_for_ever() -> None:
    asked = 0

    async def refuse(lacks: frozenset[str]) -> object:
        nonlocal asked
        asked += 1
        return {"errors": [{"message": "Field 'topics' doesn't exist on type 'Project'"}]}

    await Dialect().spoken(refuse)
    assert asked <= len(OPTIONAL) + 1
