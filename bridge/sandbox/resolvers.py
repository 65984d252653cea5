"""What each GraphQL field of the sandbox answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bridge.sandbox.connections import PAGING, ConnectionPage, in_order, plain_page, project_page
from bridge.sandbox.project import ProjectFacts, SandboxProject
from bridge.sandbox.query_run import (
    LOST,
    PAGE,
    ArgumentsRefused,
    FieldTimeout,
    Poisoned,
    QueryRun,
    Resolver,
    Rows,
    constant,
    may_time_out,
    stamp,
    value,
)
from bridge.sandbox.repository_fields import REPOSITORY
from bridge.sandbox.world import CI_CONFIG, SandboxGroup, World

PROJECT_GID = "gid://gitlab/Project/"
FULL_PATHS_LIMIT = 50
VERSION = "18.4.2-ee"
REVISION = "5a2b1c3d4e5"


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


def _stamp_or_none(moment: datetime | None) -> str | None:
    return None if moment is None else stamp(moment)


def _projects(_: Any, arguments: Mapping[str, Any], reading: QueryRun) -> ConnectionPage:
    wanted = dict(arguments)
    sort = wanted.get("sort") or "id_desc"

    def make() -> list[SandboxProject]:
        return in_order(_filtered(_chosen(wanted, reading), wanted, reading), sort)

    if wanted.get("ids") is not None or wanted.get("fullPaths") is not None:
        return _redacted(make(), wanted, sort, reading)
    question = {name: str(given) for name, given in wanted.items() if name not in PAGING}
    asked = ("graphql", reading.authenticated, frozenset(question.items()))
    return _redacted(reading.world.listing(asked, make), wanted, sort, reading)


def _filtered(
    found: list[SandboxProject], wanted: Mapping[str, Any], reading: QueryRun
) -> list[SandboxProject]:
    archived = wanted.get("archived")
    if archived in ("ONLY", "EXCLUDE"):
        is_archived = reading.world.is_archived
        found = [p for p in found if is_archived(p) == (archived == "ONLY")]
    if topics := wanted.get("topics"):
        found = [p for p in found if set(topics) <= set(p.topics)]
    if level := wanted.get("visibilityLevel"):
        found = [p for p in found if p.visibility == level]
    return _searched(found, wanted.get("search"))


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
    ordered: Sequence[SandboxProject], wanted: dict[str, Any], sort: str, reading: QueryRun
) -> ConnectionPage:
    page = project_page(ordered, wanted, sort, reading.may_see)
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
    sort = wanted.get("sort") or "id_desc"
    found = in_order(_searched(found, wanted.get("search")), sort)
    return _redacted(found, wanted, sort, reading)


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


def _fact(read: Callable[[ProjectFacts], Any]) -> Resolver:
    return lambda project, _, __: read(project.facts)


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
    "createdAt": value(lambda p: stamp(p.created_at)),
    "description": value(lambda p: p.description),
    "forksCount": _fact(lambda facts: facts.forks),
    "fullPath": value(lambda p: p.path),
    "group": lambda p, _, r: r.world.group(p.namespace),
    "httpUrlToRepo": lambda p, a, r: _web_url(p, a, r) + ".git",
    "id": value(lambda p: f"{PROJECT_GID}{p.id}"),
    "isForked": value(lambda p: p.fork),
    "languages": _languages,
    "lastActivityAt": value(lambda p: stamp(p.last_activity_at)),
    "markedForDeletion": lambda p, _, r: r.world.is_marked_for_deletion(p),
    "markedForDeletionOn": value(lambda p: _stamp_or_none(p.marked_for_deletion_at)),
    "name": value(lambda p: p.name),
    "nameWithNamespace": lambda p, _, r: spoken(p.path, p.name, r.world),
    "namespace": lambda p, _, r: r.world.group(p.namespace),
    "onlyAllowMergeIfPipelineSucceeds": _fact(lambda f: f.only_merge_if_pipeline_succeeds),
    "openIssuesCount": _fact(lambda facts: facts.open_issues if facts.issues else None),
    "openMergeRequestsCount": _fact(lambda facts: facts.open_merge_requests),
    "path": value(lambda p: p.path.rpartition("/")[2]),
    "pipeline": _pipeline,
    "pipelines": _pipelines,
    "releases": _releases,
    "repository": _repository,
    "sshUrlToRepo": value(lambda p: f"git@sandbox.invalid:{p.path}.git"),
    "starCount": constant(0),
    "topics": value(lambda p: list(p.topics)),
    "updatedAt": value(lambda p: stamp(p.updated_at)),
    "visibility": value(lambda p: p.visibility),
    "webUrl": _web_url,
}

NAMESPACE: Rows = {
    "fullName": lambda g, _, r: spoken(g.path, g.name, r.world),
    "fullPath": value(lambda g: g.path),
    "id": value(lambda g: f"gid://gitlab/Group/{g.id}"),
    "name": value(lambda g: g.name),
    "path": value(lambda g: g.path.rpartition("/")[2]),
    "visibility": constant("private"),
}


def _group_url(group: SandboxGroup, _: Mapping[str, Any], reading: QueryRun) -> str:
    return f"{reading.base_url}/groups/{group.path}"


RESOLVERS: dict[str, Rows] = {
    **REPOSITORY,
    "Query": QUERY,
    "Project": {name: may_time_out(name, resolver) for name, resolver in PROJECT.items()},
    "Namespace": NAMESPACE,
    "Group": {
        **NAMESPACE,
        "archived": value(lambda group: group.archived),
        "description": constant(""),
        "projects": _group_projects,
        "webUrl": _group_url,
        "parent": _parent,
        "descendantGroups": _below,
        "groupMembers": _group_members,
    },
    "GroupConnection": PAGE,
    "GroupMemberConnection": PAGE,
    "GroupMember": {
        "id": value(lambda m: f"gid://gitlab/GroupMember/{m.id}"),
        "accessLevel": value(lambda m: m.role),
        "group": lambda m, _, r: r.world.group(m.group),
        "user": value(lambda m: m.user),
    },
    "AccessLevel": {"integerValue": value(int)},
    "UserCore": {
        "id": value(lambda user: f"gid://gitlab/User/{user.id}"),
        "username": value(lambda user: user.username),
        "name": value(lambda user: user.name),
        "publicEmail": value(lambda user: user.email or None),
        "state": value(lambda user: user.state),
        "bot": value(lambda user: user.bot),
    },
    "ProjectConnection": {**PAGE, "nodes": _nodes, "edges": _edges},
    "ProjectEdge": {"cursor": value(lambda e: e.cursor), "node": value(lambda e: e.node)},
    "PipelineConnection": PAGE,
    "ReleaseConnection": PAGE,
    "PageInfo": {
        "endCursor": value(lambda page: page.end),
        "hasNextPage": value(lambda page: page.has_next),
        "hasPreviousPage": value(lambda page: page.has_previous),
        "startCursor": value(lambda page: page.start),
    },
    "QueryComplexity": {"limit": value(lambda r: r.limit), "score": value(lambda r: r.score)},
    "Metadata": {
        "enterprise": constant(True),
        "revision": constant(REVISION),
        "version": constant(VERSION),
    },
    "CurrentUser": {
        "id": constant("gid://gitlab/User/1"),
        "name": constant("Catalog crawler"),
        "username": constant("catalog-crawler"),
        "bot": constant(True),
    },
    "RepositoryLanguage": {
        "color": constant("#3572A5"),
        "name": value(lambda language: language[0]),
        "share": value(lambda language: language[1]),
    },
    "Pipeline": {
        "createdAt": value(lambda p: stamp(p.project.last_activity_at)),
        "id": value(lambda p: f"gid://gitlab/Ci::Pipeline/{p.project.id}"),
        "iid": constant("1"),
        "ref": value(lambda p: p.project.default_branch),
        "sha": constant("0" * 40),
        "status": value(lambda p: p.status),
    },
    "Release": {
        "createdAt": value(lambda release: stamp(release.released_at)),
        "name": value(lambda release: release.tag),
        "releasedAt": value(lambda release: stamp(release.released_at)),
        "tagName": value(lambda release: release.tag),
        "upcomingRelease": lambda release, _, r: release.released_at > r.world.clock(),
    },
}
