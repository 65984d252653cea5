"""What each GraphQL field of the sandbox answers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bridge.sandbox.complexity import LIMIT_ANONYMOUS, LIMIT_AUTHENTICATED
from bridge.sandbox.connections import ConnectionPage, plain_page, project_page
from bridge.sandbox.project import DIRECTORY_MODE, ProjectFacts, SandboxFile, SandboxProject
from bridge.sandbox.world import CI_CONFIG, SandboxGroup, World

PROJECT_GID = "gid://gitlab/Project/"
FULL_PATHS_LIMIT = 50
VERSION = "18.4.2-ee"
REVISION = "5a2b1c3d4e5"


class ArgumentsRefused(Exception):
    """The arguments ask for what GitLab refuses; the message is its answer for this field."""


class Poisoned(Exception):
    """A project or group on the page breaks the server: the whole answer becomes a 500."""


class FieldTimeout(Exception):
    """A field took too long: it becomes null and the errors say so."""


LOST = object()
"""Stands in a list of nodes for one that timed out altogether."""


@dataclass
class QueryRun:
    """One query under way: the world, who asks, and which projects a fault takes away."""

    world: World
    authenticated: bool
    base_url: str
    score: int = 0
    loses: Callable[[list[int]], set[int]] | None = None
    touched: int = 0
    lost: set[int] = field(default_factory=set)

    def may_see(self, project: SandboxProject) -> bool:
        """Whether the token behind this query is allowed to read the project."""
        return sees(project, self.authenticated)

    @property
    def limit(self) -> int:
        """How complex a query may be for whoever asks."""
        return LIMIT_AUTHENTICATED if self.authenticated else LIMIT_ANONYMOUS


def sees(project: SandboxProject, authenticated: bool) -> bool:
    """Whether a reader, known or not, may see a project."""
    return not project.hidden and (authenticated or project.visibility == "public")


@dataclass(frozen=True)
class Blob:
    """A file at its path in a project."""

    project: SandboxProject
    path: str
    file: SandboxFile


@dataclass(frozen=True)
class Edge:
    """A row with its cursor."""

    cursor: str
    node: Any


@dataclass(frozen=True)
class LatestPipeline:
    """The newest pipeline of a project's default branch."""

    project: SandboxProject
    status: str


Resolver = Callable[[Any, Mapping[str, Any], QueryRun], Any]
Rows = dict[str, Resolver]


def stamp(moment: datetime) -> str:
    """A time as GraphQL writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _stamp_or_none(moment: datetime | None) -> str | None:
    return None if moment is None else stamp(moment)


def _projects(_: Any, arguments: Mapping[str, Any], reading: QueryRun) -> ConnectionPage:
    wanted = dict(arguments)
    found = _chosen(wanted, reading)
    archived = wanted.get("archived")
    if archived in ("ONLY", "EXCLUDE"):
        is_archived = reading.world.is_archived
        found = [p for p in found if is_archived(p) == (archived == "ONLY")]
    if topics := wanted.get("topics"):
        found = [p for p in found if set(topics) <= set(p.topics)]
    if level := wanted.get("visibilityLevel"):
        found = [p for p in found if p.visibility == level]
    found = _searched(found, wanted.get("search"))
    return _redacted(found, wanted, wanted.get("sort") or "id_desc", reading)


def _chosen(wanted: Mapping[str, Any], reading: QueryRun) -> list[SandboxProject]:
    found = _asked_for(wanted, reading)
    if wanted.get("membership"):
        found = [project for project in found if reading.authenticated and project.member]
    return found


def _asked_for(wanted: Mapping[str, Any], reading: QueryRun) -> list[SandboxProject]:
    world = reading.world
    paths, ids = wanted.get("fullPaths"), wanted.get("ids")
    if paths is not None and len(paths) > FULL_PATHS_LIMIT:
        raise ArgumentsRefused(f"You cannot provide more than {FULL_PATHS_LIMIT} full_paths")
    if ids is not None:
        known = (world.get(number) for number in sorted({_number(gid) for gid in ids}))
        found = [project for project in known if project is not None]
        if paths is not None:
            lowered = {path.lower() for path in paths}
            found = [project for project in found if project.path.lower() in lowered]
        return found
    if paths is not None:
        located = (world.find(path) for path in paths)
        unique = {project.id: project for project in located if project is not None}
        return [unique[number] for number in sorted(unique)]
    return world.projects


def _number(gid: str) -> int:
    digits = gid.removeprefix(PROJECT_GID)
    if digits == gid or not digits.isdigit():
        raise ArgumentsRefused(f'"{gid}" is not a valid GitLab ID.')
    return int(digits)


def _searched(found: list[SandboxProject], search: str | None) -> list[SandboxProject]:
    if not search:
        return found
    word = search.lower()
    return [p for p in found if word in f"{p.name}\n{p.path}\n{p.description or ''}".lower()]


def _redacted(
    found: list[SandboxProject], wanted: dict[str, Any], sort: str, reading: QueryRun
) -> ConnectionPage:
    page = project_page(found, wanted, sort, reading.may_see)
    for project in page.rows:
        _healthy(project)
    if reading.loses is not None:
        reading.lost |= reading.loses([project.id for project in page.rows])
    reading.touched += len(page.rows)
    return page


def _healthy(project: SandboxProject) -> None:
    if project.poisoned:
        raise Poisoned(project.path)


def _project(_: Any, arguments: Mapping[str, Any], reading: QueryRun) -> SandboxProject | None:
    project = reading.world.find(arguments["fullPath"])
    if project is None or not reading.may_see(project):
        return None
    _healthy(project)
    if reading.loses is not None:
        reading.lost |= reading.loses([project.id])
    reading.touched += 1
    return project


def _group_projects(group: Any, arguments: Mapping[str, Any], reading: QueryRun) -> ConnectionPage:
    wanted = dict(arguments)
    found = reading.world.in_group(group.path, subgroups=bool(wanted.get("includeSubgroups")))
    if wanted.get("includeArchived") is False:
        found = [project for project in found if not reading.world.is_archived(project)]
    if wanted.get("ids") is not None:
        numbers = {_number(gid) for gid in wanted["ids"]}
        found = [project for project in found if project.id in numbers]
    found = _searched(found, wanted.get("search"))
    return _redacted(found, wanted, wanted.get("sort") or "id_desc", reading)


def _nodes(page: ConnectionPage, _: Mapping[str, Any], reading: QueryRun) -> list[Any]:
    # Of the projects a fault takes, those with an even id go whole, the others only lose their
    # repository: a reader has to survive both.
    if not reading.lost:
        return list(page.rows)
    return [LOST if _gone(project, reading) else project for project in page.rows]


def _gone(project: SandboxProject, reading: QueryRun) -> bool:
    return project.id in reading.lost and project.id % 2 == 0


def _edges(page: ConnectionPage, arguments: Mapping[str, Any], reading: QueryRun) -> list[Edge]:
    nodes = _nodes(page, arguments, reading)
    return [Edge(*pair) for pair in zip(page.cursors, nodes, strict=True)]


def _repository(project: SandboxProject, _: Mapping[str, Any], reading: QueryRun) -> Any:
    if project.id in reading.lost:
        raise FieldTimeout
    return None if project.repository in ("forbidden", "disabled") else project


def _blobs(project: SandboxProject, arguments: Mapping[str, Any], _: QueryRun) -> ConnectionPage:
    """The nodes at these paths: files, and whatever else git has at a path."""
    found = []
    files = _files_at(project, arguments.get("ref"), arguments.get("refType"))
    if project.repository == "ok" and files is not None:
        asked = dict.fromkeys(arguments["paths"])
        nodes = ((path, files.get(path) or _directory(files, path)) for path in asked)
        found = [Blob(project, path, node) for path, node in nodes if node is not None]
    return plain_page(found, dict(arguments))


def _directory(files: Mapping[str, SandboxFile], path: str) -> SandboxFile | None:
    inside = [name for name in files if name.startswith(f"{path}/")]
    return SandboxFile("\n".join(inside).encode(), mode=DIRECTORY_MODE) if inside else None


def _files_at(
    project: SandboxProject, ref: str | None, ref_type: str | None = None
) -> Mapping[str, SandboxFile] | None:
    """The files at a ref; None for one that is not there. A tag hides a branch of its name."""
    name = ref or project.default_branch
    if name == "HEAD":
        return project.files
    if ref_type != "HEADS" and name in project.tags:
        return project.tags[name]
    name = name.removeprefix("refs/heads/")
    if ref_type == "TAGS":
        return None
    return project.files if name == project.default_branch else project.branches.get(name)


@dataclass(frozen=True)
class Tree:
    """A directory of a repository, with all the files of that; `path` is "" for the root."""

    project: SandboxProject
    files: Mapping[str, SandboxFile]
    path: str = ""

    def inside(self) -> list[str]:
        """The paths of the files below, from the directory itself."""
        head = f"{self.path}/" if self.path else ""
        return [path.removeprefix(head) for path in self.files if path.startswith(head)]


def _tree(project: SandboxProject, arguments: Mapping[str, Any], _: QueryRun) -> Tree | None:
    """GitLab gives a tree for a branch that is not there, too; it has no last commit.

    An empty repository has no HEAD, and so no tree of it. Without a ref it takes HEAD, and with a
    type of ref the branch or tag of that very name.
    """
    ref, kind = arguments.get("ref"), arguments.get("refType")
    named = ref or ("HEAD" if kind is None else "head")
    if named == "HEAD" and project.repository == "empty":
        return None
    files = _files_at(project, named, kind) if project.repository == "ok" else None
    return Tree(project, files or {}, (arguments.get("path") or "").strip("/"))


def _tree_blobs(tree: Tree, arguments: Mapping[str, Any], _: QueryRun) -> ConnectionPage:
    """The files right in the directory, as git sorts them; directories and submodules are not
    among."""
    head = f"{tree.path}/" if tree.path else ""
    paths = sorted(head + name for name in tree.inside() if "/" not in name)
    blobs = [Blob(tree.project, p, tree.files[p]) for p in paths if tree.files[p].is_file]
    return plain_page(blobs, dict(arguments))


def _tree_trees(tree: Tree, arguments: Mapping[str, Any], _: QueryRun) -> ConnectionPage:
    """The directories right in the directory."""
    head = f"{tree.path}/" if tree.path else ""
    names = sorted({name.partition("/")[0] for name in tree.inside() if "/" in name})
    return plain_page([head + name for name in names], dict(arguments))


@dataclass(frozen=True)
class Commit:
    """A commit: its id, and when it was written."""

    sha: str
    at: datetime


def _last_commit(tree: Tree, *_: Any) -> Commit | None:
    """The last one that touched the path, be it by deleting all that was there."""
    touched = tree.project.facts.touched.get(tree.path)
    if not tree.files or not (tree.inside() or touched):
        return None
    return Commit(_commit_id(tree.files), touched or tree.project.created_at)


def _commit_id(files: Mapping[str, SandboxFile]) -> str:
    listing = "".join(f"{path}:{file.oid}\n" for path, file in sorted(files.items()))
    return hashlib.sha1(listing.encode(), usedforsecurity=False).hexdigest()


def _pipeline(project: SandboxProject, *_: Any) -> LatestPipeline | None:
    status = project.facts.pipeline_status
    return None if status is None else LatestPipeline(project, status.upper())


def _pipelines(
    project: SandboxProject, arguments: Mapping[str, Any], _: QueryRun
) -> ConnectionPage:
    latest = _pipeline(project)
    wanted = arguments.get("status")
    shown = latest is not None and wanted in (None, latest.status)
    return plain_page([latest] if shown else [], dict(arguments))


def _releases(project: SandboxProject, arguments: Mapping[str, Any], _: QueryRun) -> ConnectionPage:
    newest = sorted(project.facts.releases, key=lambda release: release.released_at)
    if (arguments.get("sort") or "RELEASED_AT_DESC").endswith("DESC"):
        newest.reverse()
    return plain_page(newest, dict(arguments))


def _languages(project: SandboxProject, *_: Any) -> list[tuple[str, float]]:
    shares = project.facts.languages.items()
    return sorted(shares, key=lambda language: -language[1]) if project.repository == "ok" else []


def _with_repository(value: Callable[[SandboxProject], Any]) -> Resolver:
    return lambda project, _, __: value(project) if project.repository == "ok" else None


def _value(read: Callable[[Any], Any]) -> Resolver:
    return lambda source, _, __: read(source)


def _fact(read: Callable[[ProjectFacts], Any]) -> Resolver:
    return lambda project, _, __: read(project.facts)


def _may_time_out(name: str, resolver: Resolver) -> Resolver:
    def resolve(project: Any, arguments: Mapping[str, Any], reading: QueryRun) -> Any:
        if name in project.facts.slow:
            raise FieldTimeout
        return resolver(project, arguments, reading)

    return resolve


def _constant(value: Any) -> Resolver:
    return lambda *_: value


def _web_url(project: SandboxProject, _: Mapping[str, Any], reading: QueryRun) -> str:
    return f"{reading.base_url}/{project.path}"


def spoken(path: str, name: str | None, world: World) -> str:
    """A path as people read it: the names of the groups, then the thing's own."""
    parts = path.split("/")
    groups = (world.group("/".join(parts[:n])) for n in range(1, len(parts)))
    names = [group.name for group in groups if group is not None]
    return " / ".join([*names, name or parts[-1]])


def _parent(group: SandboxGroup, _: Mapping[str, Any], reading: QueryRun) -> SandboxGroup | None:
    return reading.world.group(group.path.rpartition("/")[0])


def _all_groups(_: Any, arguments: Mapping[str, Any], reading: QueryRun) -> ConnectionPage:
    return plain_page(reading.world.groups, dict(arguments))


def _below(group: SandboxGroup, arguments: Mapping[str, Any], reading: QueryRun) -> ConnectionPage:
    inside = f"{group.path.lower()}/"
    found = [each for each in reading.world.groups if each.path.lower().startswith(inside)]
    return plain_page(found, dict(arguments))


def _group_members(
    group: SandboxGroup, arguments: Mapping[str, Any], reading: QueryRun
) -> ConnectionPage | None:
    members = reading.world.members
    if group.path in members.poisoned:
        raise Poisoned(group.path)
    if group.path in members.hidden or not reading.authenticated:
        return None
    return plain_page(members.of(group.path, arguments["relations"]), dict(arguments))


QUERY: Rows = {
    "currentUser": lambda _, __, r: r if r.authenticated else None,
    "group": lambda _, arguments, r: r.world.group(arguments["fullPath"]),
    "groups": _all_groups,
    "metadata": lambda _, __, r: r if r.authenticated else None,
    "project": _project,
    "projects": _projects,
    "queryComplexity": lambda _, __, r: r,
}

PROJECT: Rows = {
    "archived": lambda p, _, r: r.world.is_archived(p),
    "ciConfigPathOrDefault": _fact(lambda facts: facts.ci_config_path or CI_CONFIG),
    "createdAt": _value(lambda p: stamp(p.created_at)),
    "description": _value(lambda p: p.description),
    "forksCount": _fact(lambda facts: facts.forks),
    "fullPath": _value(lambda p: p.path),
    "group": lambda p, _, r: r.world.group(p.namespace),
    "httpUrlToRepo": lambda p, a, r: _web_url(p, a, r) + ".git",
    "id": _value(lambda p: f"{PROJECT_GID}{p.id}"),
    "isForked": _value(lambda p: p.fork),
    "languages": _languages,
    "lastActivityAt": _value(lambda p: stamp(p.last_activity_at)),
    "markedForDeletion": lambda p, _, r: r.world.is_marked_for_deletion(p),
    "markedForDeletionOn": _value(lambda p: _stamp_or_none(p.marked_for_deletion_at)),
    "name": _value(lambda p: p.name),
    "nameWithNamespace": lambda p, _, r: spoken(p.path, p.name, r.world),
    "namespace": lambda p, _, r: r.world.group(p.namespace),
    "onlyAllowMergeIfPipelineSucceeds": _fact(lambda f: f.only_merge_if_pipeline_succeeds),
    "openIssuesCount": _fact(lambda facts: facts.open_issues if facts.issues else None),
    "openMergeRequestsCount": _fact(lambda facts: facts.open_merge_requests),
    "path": _value(lambda p: p.path.rpartition("/")[2]),
    "pipeline": _pipeline,
    "pipelines": _pipelines,
    "releases": _releases,
    "repository": _repository,
    "sshUrlToRepo": _value(lambda p: f"git@sandbox.invalid:{p.path}.git"),
    "starCount": _constant(0),
    "topics": _value(lambda p: list(p.topics)),
    "updatedAt": _value(lambda p: stamp(p.updated_at)),
    "visibility": _value(lambda p: p.visibility),
    "webUrl": _web_url,
}

PAGE: Rows = {
    "nodes": _value(lambda page: list(page.rows)),
    "pageInfo": _value(lambda page: page),
    "count": _value(lambda page: page.total),
}

NAMESPACE: Rows = {
    "fullName": lambda g, _, r: spoken(g.path, g.name, r.world),
    "fullPath": _value(lambda g: g.path),
    "id": _value(lambda g: f"gid://gitlab/Group/{g.id}"),
    "name": _value(lambda g: g.name),
    "path": _value(lambda g: g.path.rpartition("/")[2]),
    "visibility": _constant("private"),
}


def _group_url(group: SandboxGroup, _: Mapping[str, Any], reading: QueryRun) -> str:
    return f"{reading.base_url}/groups/{group.path}"


RESOLVERS: dict[str, Rows] = {
    "Query": QUERY,
    "Project": {name: _may_time_out(name, resolver) for name, resolver in PROJECT.items()},
    "Namespace": NAMESPACE,
    "Group": {
        **NAMESPACE,
        "archived": _value(lambda group: group.archived),
        "description": _constant(""),
        "projects": _group_projects,
        "webUrl": _group_url,
        "parent": _parent,
        "descendantGroups": _below,
        "groupMembers": _group_members,
    },
    "GroupConnection": PAGE,
    "GroupMemberConnection": PAGE,
    "GroupMember": {
        "id": _value(lambda m: f"gid://gitlab/GroupMember/{m.id}"),
        "accessLevel": _value(lambda m: m.role),
        "group": lambda m, _, r: r.world.group(m.group),
        "user": _value(lambda m: m.user),
    },
    "AccessLevel": {"integerValue": _value(int)},
    "UserCore": {
        "id": _value(lambda user: f"gid://gitlab/User/{user.id}"),
        "username": _value(lambda user: user.username),
        "name": _value(lambda user: user.name),
        "publicEmail": _value(lambda user: user.email or None),
        "state": _value(lambda user: user.state),
        "bot": _value(lambda user: user.bot),
    },
    "ProjectConnection": {**PAGE, "nodes": _nodes, "edges": _edges},
    "ProjectEdge": {"cursor": _value(lambda e: e.cursor), "node": _value(lambda e: e.node)},
    "PipelineConnection": PAGE,
    "ReleaseConnection": PAGE,
    "RepositoryBlobConnection": PAGE,
    "PageInfo": {
        "endCursor": _value(lambda page: page.end),
        "hasNextPage": _value(lambda page: page.has_next),
        "hasPreviousPage": _value(lambda page: page.has_previous),
        "startCursor": _value(lambda page: page.start),
    },
    "QueryComplexity": {"limit": _value(lambda r: r.limit), "score": _value(lambda r: r.score)},
    "Metadata": {
        "enterprise": _constant(True),
        "revision": _constant(REVISION),
        "version": _constant(VERSION),
    },
    "CurrentUser": {
        "id": _constant("gid://gitlab/User/1"),
        "name": _constant("Catalog crawler"),
        "username": _constant("catalog-crawler"),
        "bot": _constant(True),
    },
    "RepositoryLanguage": {
        "color": _constant("#3572A5"),
        "name": _value(lambda language: language[0]),
        "share": _value(lambda language: language[1]),
    },
    "Pipeline": {
        "createdAt": _value(lambda p: stamp(p.project.last_activity_at)),
        "id": _value(lambda p: f"gid://gitlab/Ci::Pipeline/{p.project.id}"),
        "iid": _constant("1"),
        "ref": _value(lambda p: p.project.default_branch),
        "sha": _constant("0" * 40),
        "status": _value(lambda p: p.status),
    },
    "Release": {
        "createdAt": _value(lambda release: stamp(release.released_at)),
        "name": _value(lambda release: release.tag),
        "releasedAt": _value(lambda release: stamp(release.released_at)),
        "tagName": _value(lambda release: release.tag),
        "upcomingRelease": lambda release, _, r: release.released_at > r.world.clock(),
    },
    "Repository": {
        "blobs": _may_time_out("blobs", _blobs),
        "diskPath": _constant(None),
        "empty": _value(lambda p: p.repository == "empty"),
        "exists": _constant(True),
        "rootRef": _with_repository(lambda p: p.default_branch),
        "tree": _may_time_out("tree", _tree),
    },
    "Tree": {"blobs": _tree_blobs, "lastCommit": _last_commit, "trees": _tree_trees},
    "TreeEntryConnection": PAGE,
    "TreeEntry": {
        "flatPath": _value(lambda path: path),
        "id": _value(lambda path: f"gid://gitlab/Tree/{path}"),
        "name": _value(lambda path: path.rpartition("/")[2]),
        "path": _value(lambda path: path),
    },
    "BlobConnection": PAGE,
    "Blob": {
        "flatPath": _value(lambda b: b.path),
        "id": _value(lambda b: f"gid://gitlab/Blob/{b.file.oid}"),
        "lfsOid": _value(lambda b: b.file.lfs_oid),
        "mode": _value(lambda b: b.file.mode),
        "name": _value(lambda b: b.path.rpartition("/")[2]),
        "path": _value(lambda b: b.path),
    },
    "Commit": {
        "authoredDate": _value(lambda commit: stamp(commit.at)),
        "id": _value(lambda commit: f"gid://gitlab/Commit/{commit.sha}"),
        "sha": _value(lambda commit: commit.sha),
    },
    "RepositoryBlob": {
        "fileType": _constant("text"),
        "id": _value(lambda b: f"gid://gitlab/Blob/{b.file.oid}"),
        "lfsOid": _value(lambda b: b.file.lfs_oid),
        "mode": _value(lambda b: b.file.mode),
        "name": _value(lambda b: b.path.rpartition("/")[2]),
        "oid": _value(lambda b: b.file.oid),
        "path": _value(lambda b: b.path),
        "rawPath": _value(lambda b: _blob_path(b, "raw")),
        # BigInt travels as a string.
        "rawSize": _value(lambda b: str(len(b.file.content))),
        "rawTextBlob": _value(lambda b: b.file.text),
        "size": _value(lambda b: str(len(b.file.content))),
        "webPath": _value(lambda b: _blob_path(b, "blob")),
    },
}


def _blob_path(blob: Blob, view: str) -> str:
    return f"/{blob.project.path}/-/{view}/{blob.project.default_branch}/{blob.path}"
