"""The page's queries against GitLab's own schemas, and their price by GitLab's own rules."""

from __future__ import annotations

import re

import pytest
from graphql import GraphQLSchema, parse, validate

from bridge.ox.facts.project_page import (
    OPTIONAL,
    PAGE,
    PATHS,
    page_query,
    page_variables,
    rules_query,
    unknown_fields,
)
from bridge.sandbox.complexity import LIMIT_AUTHENTICATED, score
from bridge.sandbox.plan import QueryPlanner
from tests.gitlab_schemas import gitlab_schema
from tests.ox.subjects import NOW

# What every GitLab has and the schemas at hand, which were reduced, have not.
CUT_AWAY = """
extend type Query { metadata: Metadata }
type Metadata { enterprise: Boolean! }
extend type Project {
  userPermissions: ProjectPermissions!
  vulnerabilitySeveritiesCount(state: [VulnerabilityState!]): VulnerabilitySeveritiesCount
}
type ProjectPermissions { adminProject: Boolean! }
enum VulnerabilityState { CONFIRMED DETECTED DISMISSED RESOLVED }
type VulnerabilitySeveritiesCount { critical: Int high: Int }
extend type Tree { blobs(first: Int): BlobConnection! trees(first: Int): TreeEntryConnection! }
type BlobConnection { nodes: [Blob] }
type Blob { name: String! }
type TreeEntryConnection { nodes: [TreeEntry] }
type TreeEntry { name: String! }
"""
CUT_FROM_19_3 = "extend type Commit { authoredDate: Time }"
# In the newer one these types are cut to a name, and arguments that a resolver brings are missing.
STUMPS = re.compile(
    r"Field '\w+' must not have a selection since type '(Dora|IssueConnection|Namespace"
    r"|MergeRequestConnection|ProjectStatistics|PushRules)' has no subfields."
    r"|Unknown argument '(types|state)' on field 'Project.issues'."
    r"|Cannot query field 'metrics' on type 'Dora'."
)
NEWER_THAN_16_3 = frozenset(
    {"BranchRule.id", "Namespace.availableFeatures", "PushRules.preventSecrets"}
)


def schema(version: str) -> GraphQLSchema:
    return gitlab_schema(version, CUT_AWAY + (CUT_FROM_19_3 if version == "19.3" else ""))


def problems(version: str, query: str) -> list[str]:
    said = [error.message for error in validate(schema(version), parse(query))]
    return [message for message in said if not STUMPS.fullmatch(message)]


@pytest.mark.parametrize(("files", "texts"), [(False, True), (True, True), (True, False)])
@pytest.mark.parametrize(
    ("version", "lacks"), [("19.3", frozenset[str]()), ("16.3", NEWER_THAN_16_3)]
)
def test_gitlab_understands_the_page(
    version: str, lacks: frozenset[str], files: bool, texts: bool
) -> None:
    assert problems(version, page_query(lacks, files=files, texts=texts)) == []
    assert problems(version, rules_query(lacks)) == []


def test_what_an_old_gitlab_does_not_know_is_left_out_by_its_own_words() -> None:
    said = problems("16.3", page_query(frozenset(), files=True))
    gitlabs = [
        re.sub(r"Cannot query field '(\w+)' on", r"Field '\1' doesn't exist on", m) for m in said
    ]
    assert unknown_fields([{"message": message} for message in gitlabs]) == NEWER_THAN_16_3


@pytest.mark.parametrize("left_out", sorted(OPTIONAL))
def test_without_any_of_its_parts_it_is_still_a_query(left_out: str) -> None:
    """Nothing is declared that is not used, and nothing is left empty."""
    for lacks in (frozenset({left_out}), OPTIONAL):
        for files in (False, True):
            query = page_query(lacks, files=files)
            assert left_out.partition(".")[2] not in query or left_out in (
                "BranchRule.id",
                "Query.metadata",
            )
            assert cost(query, PAGE, ["a"] * PATHS if files else []) <= LIMIT_AUTHENTICATED


def cost(query: str, projects: int, paths: list[str]) -> int:
    variables = page_variables(range(1, projects + 1), paths, query, NOW)
    return score(QueryPlanner().prepare(query, variables, None))


def test_the_page_is_well_below_what_gitlab_allows() -> None:
    query = page_query(frozenset(), files=True)
    assert cost(query, PAGE, [f"docs/{number}.md" for number in range(PATHS)]) == 222
    assert len(query) < 3_000
    variables = page_variables(
        range(1, PAGE + 1), [f"{number}" for number in range(PATHS)], query, NOW
    )
    prepared = QueryPlanner().prepare(query, variables, None)
    assert score(prepared, text_tenfold=True) == 222, "a text is asked for by one path"
