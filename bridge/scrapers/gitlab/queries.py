"""The GraphQL that a crawl speaks, and what GitLab charges for it.

The rules of the charge are GitLab's: a plain field costs 1 + its children, a field that calls
Gitaly 1 more, a connection multiplies by (1 + page / 100), `blobs` adds the number of its paths.
Releases around 18.4.2 charge `blobs` with several paths tenfold: hence one path an alias.
https://docs.gitlab.com/api/graphql/#limits
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from bridge.errors import ConfigurationError
from bridge.model.problems import Problem

LARGEST_PAGE = 100  # GitLab clamps silently above it
COMPLEXITY_LIMIT = 250  # of an authenticated request
ANONYMOUS_COMPLEXITY_LIMIT = 200
TEXT_LIMIT = 10_000  # characters of a query

_FACTS = (
    "id fullPath webUrl archived description visibility topics createdAt updatedAt lastActivityAt"
)
_BLOB_FACTS = "oid size mode lfsOid"
# What rides along for Ox: asked by path alone, which no release charges tenfold.
PLAIN_FACTS = ("openIssuesCount", "openMergeRequestsCount", "onlyAllowMergeIfPipelineSucceeds")
LOOKED_FOR = {
    "readme": ("README.md", "README.rst", "README.adoc", "README"),
    "license": ("LICENSE", "LICENSE.md", "LICENSE.txt"),
    "codeowners": ("CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS"),
    "ci_config": (".gitlab-ci.yml",),
    "dependency_updater": (
        "renovate.json",
        "renovate.json5",
        ".renovaterc",
        ".renovaterc.json",
        ".gitlab/renovate.json",
        ".gitlab/dependabot.yml",
        ".github/dependabot.yml",
    ),
}
_PATHS = tuple(path for paths in LOOKED_FOR.values() for path in paths)
TIP = "tip"  # the alias of a branch's last commit
_TIP_COST = 6  # a resolver, its Gitaly call, the commit and its own, the id
PRESENT = "present"  # the alias under which those files are asked for
_RIDING = (
    f"{' '.join(PLAIN_FACTS)} pipeline {{ status }} languages {{ name share }} "
    "releases(first: 1) { nodes { tagName releasedAt } }"
)
_PRESENT = (
    f"{PRESENT}: blobs(paths: {json.dumps(_PATHS)}, first: {len(_PATHS)}) {{ nodes {{ path }} }}"
)


def alias(index: int) -> str:
    """The alias under which the file number `index` is asked for."""
    return f"f{index}"


def read_projects(
    files: Sequence[str],
    *,
    branch: bool = False,
    text: bool = True,
    forks: bool = False,
    riding: bool = False,
    membership: bool = False,
) -> str:
    """The query that reads `files` of the projects `$ids`, or with `branch` from `$branch`.

    GitLab answers a branch that is not there as it does a branch without the files: so its last
    commit is asked for too, which tells them apart. Without `text` the query asks only for oid,
    size and mode. `forks` asks for `isForked` too (GitLab 16.9 or newer), `riding` for what Ox
    wants to know of a project. `membership` leaves out projects that the user is no member of.
    """
    blob = f"{_BLOB_FACTS} rawTextBlob" if text else _BLOB_FACTS
    at, declared = (", ref: $branch", ", $branch: String") if branch else ("", "")
    blobs = " ".join(
        f"{alias(n)}: blobs(paths: [{json.dumps(name, ensure_ascii=False)}], first: 1{at}) "
        f"{{ nodes {{ {blob} }} }}"
        for n, name in enumerate(files)
    )
    facts = f"{_FACTS} isForked" if forks else _FACTS
    if riding:
        facts, blobs = f"{facts} {_RIDING}", f"{blobs} {_PRESENT}"
    if branch:
        blobs = f"{blobs} {TIP}: tree(ref: $branch) {{ lastCommit {{ sha }} }}"
    mine = ", membership: true" if membership else ""
    return (
        f"query readProjects($ids: [ID!], $first: Int{declared}) "
        f"{{ projects(ids: $ids, first: $first{mine}) "
        f"{{ nodes {{ {facts} repository {{ rootRef empty {blobs} }} }} }} }}"
    )


def complexity(
    files: int, page: int, *, branch: bool = False, forks: bool = False, riding: bool = False
) -> int:
    """What GitLab charges at most for `read_projects` with so many files and projects."""
    blob = 1 + len(_BLOB_FACTS.split()) + 1 + 2  # `nodes`, plain facts, lfsOid's and text's Gitaly
    blobs = int((blob + 1 + 1 + 1) * 1.01)  # the field, its Gitaly call, its one path
    # rootRef and empty call Gitaly; so does the tip of a branch, if one is asked for.
    repository = 1 + 2 + 2 + files * blobs + (_TIP_COST if branch else 0)
    project = 1 + len(_FACTS.split()) + forks + repository
    if riding:
        present = int((4 + len(_PATHS)) * (1 + len(_PATHS) / 100))
        # A pipeline and its status; languages call Gitaly; releases are sorted.
        project += len(PLAIN_FACTS) + 2 + 4 + 5 + present
    return int((project + 1) * (1 + page / 100))


def largest_page(
    files: Sequence[str],
    *,
    limit: int,
    branch: bool = False,
    forks: bool = False,
    riding: bool = False,
) -> int:
    """The most projects that one request may ask for.

    Raises `ConfigurationError` when the mappings want more files than one request can hold.
    """
    query = read_projects(files, branch=branch, forks=forks, riding=riding)
    fits = len(query) <= TEXT_LIMIT
    for page in range(LARGEST_PAGE, 0, -1):
        if (
            fits
            and complexity(len(files), page, branch=branch, forks=forks, riding=riding) <= limit
        ):
            return page
    raise ConfigurationError(
        [
            Problem(
                f"the mappings want {len(files)} file names, more than one GitLab request can "
                "ask for; remove the mappings that you do not need",
                "too-many-files",
            )
        ]
    )


def facts_fit(files: Sequence[str], *, limit: int, page: int, branch: bool = False) -> bool:
    """Whether Ox's facts fit beside the manifests without making a page of `page` smaller."""
    query = read_projects(files, branch=branch, forks=True, riding=True)
    charge = complexity(len(files), page, branch=branch, forks=True, riding=True)
    return len(query) <= TEXT_LIMIT and charge <= limit


def project_gid(project_id: int) -> str:
    """A numeric id as GraphQL writes it."""
    return f"gid://gitlab/Project/{project_id}"


LIST_GROUP = f"""
query listGroup($group: ID!, $first: Int, $after: String) {{
  group(fullPath: $group) {{
    projects(includeSubgroups: true, first: $first, after: $after) {{
      nodes {{ {_FACTS} }}
      pageInfo {{ hasNextPage endCursor }}
    }}
  }}
}}
"""
