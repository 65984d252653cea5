"""The GraphQL page that tells how many projects guard their default branches, and more of them.

What a GitLab does not know refuses a whole query, so what it turned out to lack (the community
edition, an older release) is left out: `lacks` names such fields ("BranchRule.approvalRules").
https://docs.gitlab.com/api/graphql/reference/
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from bridge.ox.facts import dependency_updates, project_texts
from bridge.ox.facts.project_page_fields import (
    LONG_OPEN,
    LONG_OPEN_DAYS,
    QUIET,
    QUIET_DAYS,
    RIDERS,
)

PAGE: Final = 50  # projects; with all that rides along and twenty files this costs 222 of 250
RULES: Final = 20  # branch rules of a project on the page; of those with more, the rest is read
MORE_RULES: Final = 100
PATHS: Final = 20  # different files asked for on one page
RULES_OF: Final = "Project.branchRules"
PERMISSIONS: Final = "Project.userPermissions"
LICENCE: Final = "Namespace.availableFeatures"
REPOSITORY: Final = "repository"
_GID: Final = "gid://gitlab/Project/"
_UNDEFINED: Final = re.compile(r"Field '(\w+)' doesn't exist on type '(\w+)'")
_NO_ARGUMENT: Final = re.compile(r"Field '(\w+)' doesn't accept argument")
# What may be left out without the rest losing its meaning.
OPTIONAL: Final = frozenset(
    {
        "BranchProtection.codeOwnerApprovalRequired",
        "BranchRule.approvalRules",
        "BranchRule.id",
        LICENCE,
        PERMISSIONS,
        "Query.metadata",
        "Metadata.enterprise",
        RULES_OF,
        *(name for rider in RIDERS for name in rider.needs),
    }
)


@dataclass(frozen=True, slots=True)
class PageAnswer:
    """What a page told of one project. `node` is GraphQL's.

    `failed` are its fields' errors, by the field's key; of the repository also one step deeper
    ("repository.readme").
    `paths` are the files that were asked for, `texts` whether texts were. `enterprise` says whether
    the code of paid features is there, None if that is not known.
    """

    node: Mapping[str, Any]
    failed: Mapping[str, str] = field(default_factory=dict)
    lacks: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()
    enterprise: bool | None = None
    texts: bool = True

    def with_texts(self, other: PageAnswer) -> PageAnswer:
        """This one with the repository, and so the texts, that `other` told of."""
        failed = {key: said for key, said in self.failed.items() if not _of_repository(key)}
        failed |= {key: said for key, said in other.failed.items() if _of_repository(key)}
        node = {**self.node, REPOSITORY: other.node.get(REPOSITORY)}
        return replace(self, node=node, failed=failed, texts=other.texts)


def page_query(lacks: frozenset[str], *, files: bool, texts: bool = True) -> str:
    """The query for a page of projects; with `files` it looks for files, with `texts` into some."""
    riders = [rider.text for rider in RIDERS if lacks.isdisjoint(rider.needs)]
    riders += [dependency_updates.ASKED] if dependency_updates.NEEDS not in lacks else []
    body = " ".join(riders)
    variables = ["$ids: [ID!]", "$first: Int"]
    variables += [f"${name}: Time" for name in (LONG_OPEN, QUIET) if f"${name}" in body]
    blobs = ""
    if files:
        variables += ["$paths: [String!]!", "$files: Int"]
        blobs = "blobs(paths: $paths, first: $files) { nodes { path size mode } }"
    enterprise = "metadata { enterprise }"
    return f"""
query projects({", ".join(variables)}) {{
  {_unless(lacks, enterprise, "Query.metadata", "Metadata.enterprise")}
  projects(ids: $ids, first: $first) {{ nodes {{
    id repository {{ rootRef {blobs} {project_texts.ASKED if texts else ""} }}
    {_unless(lacks, "userPermissions { adminProject }", PERMISSIONS)}
    {_unless(lacks, "namespace { availableFeatures { hasIssueWeightsFeature } }", LICENCE)}
    {_rules(lacks, f"first: {RULES}")}
    {body}
  }} }}
}}"""


def rules_query(lacks: frozenset[str]) -> str:
    """The query for one project's further branch rules."""
    rules = _rules(lacks, f"first: {MORE_RULES}, after: $after")
    return f"""
query rules($ids: [ID!], $after: String) {{
  projects(ids: $ids, first: 1) {{ nodes {{ {rules} }} }}
}}"""


def page_variables(
    ids: Sequence[int], paths: Sequence[str], query: str, now: datetime
) -> dict[str, Any]:
    """The variables of `page_query`."""
    wanted: dict[str, Any] = {"ids": [f"{_GID}{number}" for number in ids], "first": len(ids)}
    if paths:
        wanted |= {"paths": list(paths), "files": len(paths)}
    for name, days in ((LONG_OPEN, LONG_OPEN_DAYS), (QUIET, QUIET_DAYS)):
        if f"${name}" in query:
            wanted[name] = (now - timedelta(days=days)).isoformat()
    return wanted


def told_of(
    body: Mapping[str, Any], lacks: frozenset[str], paths: Sequence[str], *, texts: bool = True
) -> dict[int, PageAnswer]:
    """What an answer tells, by project. A project that is null or left out is not in it."""
    data = body.get("data") or {}
    enterprise = (data.get("metadata") or {}).get("enterprise")
    failed = _failures(body.get("errors") or ())
    found: dict[int, PageAnswer] = {}
    asked = frozenset(paths)
    for index, node in enumerate((data.get("projects") or {}).get("nodes") or ()):
        number = _number(node)
        if number:
            errors = failed.get(index, {})
            found[number] = PageAnswer(node, errors, lacks, asked, enterprise, texts)
    return found


def _of_repository(key: str) -> bool:
    return key.partition(".")[0] == REPOSITORY


def unknown_fields(errors: Sequence[Any]) -> frozenset[str]:
    """The optional fields that GitLab says it does not know."""
    found: set[str] = set()
    for error in errors:
        message = str(error.get("message") or "") if isinstance(error, Mapping) else ""
        if known := _UNDEFINED.search(message):
            found.add(f"{known[2]}.{known[1]}")
        elif known := _NO_ARGUMENT.search(message):
            found |= {name for name in OPTIONAL if name.endswith(f".{known[1]}")}
    return frozenset(found & OPTIONAL)


def _rules(lacks: frozenset[str], arguments: str) -> str:
    if RULES_OF in lacks:
        return ""
    owners = "BranchProtection.codeOwnerApprovalRequired"
    approvals = "approvalRules { nodes { type approvalsRequired } }"
    return f"""branchRules({arguments}) {{
      nodes {{ {_unless(lacks, "id", "BranchRule.id")} name isProtected
        branchProtection {{ allowForcePush {_unless(lacks, owners.partition(".")[2], owners)} }}
        {_unless(lacks, approvals, "BranchRule.approvalRules")} }}
      pageInfo {{ hasNextPage endCursor }} }}"""


def _unless(lacks: frozenset[str], text: str, *needs: str) -> str:
    return text if lacks.isdisjoint(needs) else ""


def _failures(errors: Sequence[Any]) -> dict[int, dict[str, str]]:
    """Errors with a path, by the project's place on the page and the field; see `PageAnswer`."""
    found: dict[int, dict[str, str]] = {}
    for error in errors:
        path = error.get("path") if isinstance(error, Mapping) else None
        match path:
            case ["projects", "nodes", int(index), str(key), *below]:
                said = str(error.get("message") or "")
                found.setdefault(index, {})[key] = said
                if key == REPOSITORY and below:
                    found[index][f"{key}.{below[0]}"] = said
    return found


def _number(node: Any) -> int:
    gid = str(node.get("id") or "") if isinstance(node, Mapping) else ""
    digits = gid.removeprefix(_GID)
    return int(digits) if digits.isascii() and digits.isdigit() and digits != gid else 0
