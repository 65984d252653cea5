"""The GraphQL that a crawl speaks, and what GitLab charges for it.

The rules of the charge are GitLab's: a plain field costs 1 + its children, a field that calls
Gitaly 1 more, a connection multiplies by (1 + page / 100), `blobs` adds the number of its paths.
Releases around 18.4.2 charge `blobs` with several paths tenfold: hence one path an alias.
https://docs.gitlab.com/api/graphql/#limits
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from functools import partial

from bridge.errors import ConfigurationError
from bridge.language.codeowners import PLACES
from bridge.model.problems import Problem

LARGEST_PAGE = 100  # GitLab clamps silently above it
COMPLEXITY_LIMIT = 250  # of an authenticated request
ANONYMOUS_COMPLEXITY_LIMIT = 200
TEXT_LIMIT = 10_000  # characters of a query

_FACTS = (
    "id",
    "fullPath",
    "webUrl",
    "archived",
    "markedForDeletion",
    "markedForDeletionOn",
    "description",
    "visibility",
    "topics",
    "createdAt",
    "updatedAt",
    "lastActivityAt",
)
_BLOB_FACTS = "oid size mode"
# What rides along for Ox: files by path and mode, which no release charges tenfold.
PLAIN_FACTS = (
    "openIssuesCount",
    "openMergeRequestsCount",
    "onlyAllowMergeIfPipelineSucceeds",
    "ciConfigPathOrDefault",
)
CI_CONFIG = ".gitlab-ci.yml"
# Names that a tool spells in one way only; a readme and a license have many more.
LOOKED_FOR = {
    "readme": ("README.md",),
    "license": ("LICENSE",),
    "codeowners": PLACES,
    "ci_config": (CI_CONFIG,),
    # https://docs.renovatebot.com/configuration-options/ and dependabot-gitlab's own
    "dependency_updater": (
        "renovate.json",
        "renovate.json5",
        ".renovaterc",
        ".renovaterc.json",
        ".renovaterc.json5",
        ".gitlab/renovate.json",
        ".gitlab/renovate.json5",
        ".github/renovate.json",
        ".github/renovate.json5",
        ".gitlab/dependabot.yml",
        ".github/dependabot.yml",
        ".github/dependabot.yaml",
    ),
    # What Backstage's own discovery reads.
    "catalog_info": ("catalog-info.yaml", "catalog-info.yml"),
}
# The root's list tells the others; to ask for these costs less than to list three folders.
_PATHS = tuple(path for paths in LOOKED_FOR.values() for path in paths if "/" in path)
TIP = "tip"  # the alias of a branch's last commit
_TIP_COST = 13  # a resolver and its Gitaly call, ten for the last commit, its id
PRESENT = "present"  # the alias under which those files are asked for
ROOT = "root"  # the alias of the list of the root's files
_ROOT_COST = 8  # a resolver and its Gitaly call, the list and its own, its nodes and page
ROOT_FILES = 100
SHOWN_RELEASES = 5  # the newest may still lie in the future
# A tag hides a branch of its name from whoever does not say that a branch is meant.
_HEADS = "refType: HEADS"
# No type of ref here: GitLab would then look for a branch named "head".
_ROOT = (
    f"{ROOT}: tree {{ blobs(first: {ROOT_FILES}) {{ nodes {{ name }} pageInfo {{ hasNextPage }} "
    "} }"
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
    with_facts: bool = False,
    tip: bool = False,
    usual: Sequence[str] = (),
    membership: bool = False,
    lacks: Collection[str] = (),
) -> str:
    """The query that reads `files` of the projects `$ids`, or with `branch` from `$branch`.

    GitLab answers a branch that is not there as it does a branch without the files: so its last
    commit is asked for too, which tells them apart; with `tip` it is in any case. Without `text`
    the query asks only for what tells of a file without it. `forks` asks for `isForked` too,
    `with_facts` for what Ox wants to know of a project, and with it for what is at the `usual`
    paths. `membership` leaves out projects that the user is no member of. `lacks` are fields that
    this GitLab does not know, "Type.field".
    """
    # A text tells itself whether it is a pointer of LFS.
    blob = f"{_BLOB_FACTS} {'rawTextBlob' if text else 'lfsOid'}"
    at, declared = (f"ref: $branch, {_HEADS}", ", $branch: String") if branch else (_HEADS, "")
    inside = [
        f"{alias(n)}: blobs(paths: [{json.dumps(name, ensure_ascii=False)}], first: 1, {at}) "
        f"{{ nodes {{ {blob} }} }}"
        for n, name in enumerate(files)
    ]
    facts = _known([*_FACTS, *(["isForked"] if forks else [])], lacks)
    if with_facts:
        facts += _facts_of_ox(lacks)
        inside += [_present(usual), _ROOT]
    if branch:
        inside.append(f"{TIP}: tree({at}) {{ lastCommit {{ sha }} }}")
    elif tip:  # no type of ref here, see _ROOT
        inside.append(f"{TIP}: tree {{ lastCommit {{ sha }} }}")
    mine = ", membership: true" if membership else ""
    return (
        f"query readProjects($ids: [ID!], $first: Int{declared}) "
        f"{{ projects(ids: $ids, first: $first{mine}) "
        f"{{ nodes {{ {' '.join(facts)} repository {{ rootRef empty {' '.join(inside)} }} }} }} }}"
    )


def _present(usual: Sequence[str]) -> str:
    """What is asked of files at paths. The same question serves two: it is one call of Gitaly."""
    paths = [*dict.fromkeys((*_PATHS, *usual))]
    facts = "path mode oid" if usual else "path mode"
    return (
        f"{PRESENT}: blobs(paths: {json.dumps(paths, ensure_ascii=False)}, first: {len(paths)}, "
        f"{_HEADS}) {{ nodes {{ {facts} }} }}"
    )


def _known(names: Iterable[str], lacks: Collection[str]) -> list[str]:
    return [name for name in names if f"Project.{name}" not in lacks]


def _facts_of_ox(lacks: Collection[str]) -> list[str]:
    upcoming = "" if "Release.upcomingRelease" in lacks else " upcomingRelease"
    nested = {
        "pipeline": "{ status }",
        "languages": "{ name share }",
        "releases": f"(first: {SHOWN_RELEASES}) {{ nodes {{ tagName releasedAt{upcoming} }} }}",
    }
    return [f"{name} {nested.get(name, '')}" for name in _known([*PLAIN_FACTS, *nested], lacks)]


def complexity(
    files: int,
    page: int,
    *,
    branch: bool = False,
    forks: bool = False,
    with_facts: bool = False,
    tip: bool = False,
    usual: Sequence[str] = (),
) -> int:
    """What GitLab charges at most for `read_projects` with so many files and projects."""
    blob = 1 + len(_BLOB_FACTS.split()) + 2  # `nodes`, plain facts, the text and its Gitaly call
    blobs = int((blob + 1 + 1 + 1) * 1.01)  # the field, its Gitaly call, its one path
    # rootRef and empty call Gitaly; so does the tip of a branch, if one is asked for.
    repository = 1 + 2 + 2 + files * blobs + (_TIP_COST if branch or tip else 0)
    project = 1 + len(_FACTS) + forks + repository
    if with_facts:
        paths = len({*_PATHS, *usual})
        # Its resolver, its Gitaly call, nodes, path and mode, and oid.
        present = int((5 + bool(usual) + paths) * (1 + paths / 100))
        # A pipeline and its status; languages call Gitaly; releases are sorted.
        project += len(PLAIN_FACTS) + 2 + 4 + 6 + _ROOT_COST + present
    return int((project + 1) * (1 + page / 100))


def largest_page(
    files: Sequence[str],
    *,
    limit: int,
    branch: bool = False,
    forks: bool = False,
    with_facts: bool = False,
) -> int:
    """The most projects that one request may ask for.

    Raises `ConfigurationError` when the mappings want more files than one request can hold.
    """
    ask = partial(read_projects, branch=branch, forks=forks, with_facts=with_facts)
    price = partial(complexity, branch=branch, forks=forks, with_facts=with_facts)
    fits = len(ask(files)) <= TEXT_LIMIT
    for page in range(LARGEST_PAGE, 0, -1):
        if fits and price(len(files), page) <= limit:
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


def facts_fit(
    files: Sequence[str],
    *,
    limit: int,
    page: int,
    branch: bool = False,
    tip: bool = False,
    usual: Sequence[str] = (),
) -> bool:
    """Whether Ox's facts fit beside the manifests in a page of `page` projects.

    With `tip` and `usual`, whether the last commit and what is at usual paths fit beside both.
    """
    query = read_projects(files, branch=branch, forks=True, with_facts=True, tip=tip, usual=usual)
    charge = complexity(
        len(files), page, branch=branch, forks=True, with_facts=True, tip=tip, usual=usual
    )
    return len(query) <= TEXT_LIMIT and charge <= limit


def project_gid(project_id: int) -> str:
    """A numeric id as GraphQL writes it."""
    return f"gid://gitlab/Project/{project_id}"


def list_group(lacks: Collection[str] = ()) -> str:
    """The query that lists a page of the group `$group` with all its subgroups."""
    return (
        "query listGroup($group: ID!, $first: Int, $after: String) { group(fullPath: $group) "
        "{ projects(includeSubgroups: true, first: $first, after: $after) "
        f"{{ nodes {{ {' '.join(_known(_FACTS, lacks))} }} "
        "pageInfo { hasNextPage endCursor } } } }"
    )


# Which of `$paths` the projects `$ids` have.
FILES_THERE = f"""
query filesThere($ids: [ID!], $first: Int, $paths: [String!]!, $files: Int) {{
  projects(ids: $ids, first: $first) {{
    nodes {{ id repository {{ blobs(paths: $paths, first: $files, {_HEADS}) {{
      nodes {{ path mode }}
    }} }} }}
  }}
}}
"""
