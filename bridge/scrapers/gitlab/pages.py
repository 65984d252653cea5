"""JSON answers → records. Pure: no sockets, no clock.

What GitLab leaves out is never read as "not there" unless it says so itself: nulls and partial
errors become `unsure`, to be asked again and then to be a gap.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from sys import intern
from typing import Any

from bridge.model.moments import zoned_moment
from bridge.model.reads import ReadFile, ReadKind
from bridge.model.scrape import Gap, Project, ProjectRead
from bridge.scrapers.gitlab.deletion import marked_for_deletion
from bridge.scrapers.gitlab.files import Unclear, is_file, kind_at, nodes_of, wanted_file
from bridge.scrapers.gitlab.observing import FIELDS, observe, to_look_for
from bridge.scrapers.gitlab.queries import PRESENT, TIP, alias
from bridge.scrapers.gitlab.trouble import Cause, Trouble

NO_CODE = "repository is null in GitLab's answer: the token has no permission to read its code"
_SHOWN_ERROR = 200  # characters of somebody else's message


@dataclass(frozen=True, slots=True)
class SeenProject:
    """A project of a page: read, or a gap that asking again would not mend.

    `forked` is None when GitLab did not tell it. `look_for` are the paths that are still to be
    looked for, by fact.
    """

    project: Project
    record: ProjectRead | Gap
    forked: bool | None = None
    look_for: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ListedProject:
    """A project as an enumeration names it; `forked` is None when it does not tell it."""

    project: Project
    forked: bool | None = None


@dataclass(frozen=True, slots=True)
class ProjectsPage:
    """What one answer tells of the projects asked for.

    `missing` were asked for and are not in the answer. `unsure` are in it, but not whole: why.
    """

    seen: tuple[SeenProject, ...] = ()
    missing: tuple[int, ...] = ()
    unsure: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GroupPage:
    """One page of a group's projects; `cursor` is None on the last one."""

    projects: tuple[Project, ...]
    cursor: str | None


def read_page(
    answer: Any,
    asked: Sequence[int],
    files: Sequence[str],
    seen_at: datetime | None = None,
    *,
    branch: str = "",
    lacks: Collection[str] = (),
    usual: Sequence[str] = (),
) -> ProjectsPage:
    """What the answer to `read_projects` tells. Raises `Trouble` when it tells nothing at all.

    With `seen_at` it was asked for Ox's facts too, and each project read has its observation.
    `branch` is the one that was read instead of the default one; `lacks` are the fields that this
    GitLab does not know. The `usual` paths were looked for beside those of the facts.
    """
    nodes = _nodes(answer, "projects")
    answer, facts = _without_fact_errors(answer)
    errors, named, everywhere = _errors_by_node(answer)
    seen: list[SeenProject] = []
    unsure: dict[int, str] = {}
    wanted = set(asked)
    for index, node in enumerate(nodes):
        project_id = _id(node)
        if project_id is None or project_id not in wanted:
            continue
        wanted.discard(project_id)
        if index in named or everywhere:
            unsure[project_id] = f"GitLab's answer has an error: {named.get(index) or errors[0]}"
            continue
        try:
            found = _read_node(node, project_id, files, branch)
            if seen_at is not None and isinstance(found.record, ProjectRead):
                told = observe(project_id, node, seen_at, facts.get(index, {}), lacks)
                looked = () if PRESENT in facts.get(index, {}) else looked_at(node, usual)
                record = replace(found.record, observation=told, looked=looked)
                found = replace(found, record=record, look_for=to_look_for(node, told))
            seen.append(found)
        except Unclear as why:
            unsure[project_id] = f"GitLab's answer is not whole: {why}"
    missing = [project_id for project_id in asked if project_id in wanted]
    if errors:  # a node may be null because of them: that is no evidence of absence
        unsure |= dict.fromkeys(missing, f"GitLab's answer has an error: {errors[0]}")
        missing = []
    return ProjectsPage(tuple(seen), tuple(missing), unsure)


def looked_at(node: Mapping[str, Any], paths: Sequence[str]) -> tuple[ReadFile, ...]:
    """What a project's page tells of these paths; nothing where it does not tell it whole."""
    nodes = nodes_of(node.get("repository"), PRESENT) if paths else None
    if nodes is None:
        return ()
    try:
        seen = {each.path: each for each in map(kind_at, nodes)}
    except Unclear:
        return ()
    return tuple(seen.get(path) or _absent(path) for path in paths)


@lru_cache(64)  # many projects wait with the same few
def _absent(path: str) -> ReadFile:
    return ReadFile(path, ReadKind.ABSENT)


def group_page(answer: Any) -> GroupPage | None:
    """One page of `LIST_GROUP`; None when there is no such group, or not for this token.

    Raises `Trouble` when the answer is not whole: then nothing may be concluded from it. GitLab
    leaves out what the token may not see; a null in its place is something else.
    """
    _nothing_but_errors(answer)
    errors, _, _ = _errors_by_node(answer)
    if errors:
        raise Trouble(_cause(errors), f"GitLab answered with an error: {errors[0]}")
    group = answer["data"].get("group")
    if group is None:
        return None
    try:
        projects = group["projects"]
        info = projects["pageInfo"]
        cursor = str(info["endCursor"]) if info["hasNextPage"] else None
        found = tuple(_facts(node, _sure_id(node)) for node in projects["nodes"])
    except (KeyError, TypeError, AttributeError, Unclear):
        raise Trouble(Cause.BUSY, "the group's page is not whole") from None
    return GroupPage(found, cursor)


def files_there(answer: Any) -> dict[int, frozenset[str]]:
    """The paths that `FILES_THERE` found, by project. Raises `Trouble` when not all is told."""
    nodes = _nodes(answer, "projects")
    if messages := _messages(answer):
        raise Trouble(_cause(messages), f"GitLab answered with an error: {messages[0]}")
    found: dict[int, frozenset[str]] = {}
    for node in nodes:
        try:
            blobs = node["repository"]["blobs"]["nodes"]
            there = frozenset(str(blob["path"]) for blob in blobs if is_file(blob["mode"]))
        except (KeyError, TypeError):
            continue
        if (project_id := _id(node)) is not None:
            found[project_id] = there
    return found


def repositories(answer: Any, aliases: Sequence[str]) -> list[dict[int, Any]]:
    """The repositories under each alias, by project. Raises `Trouble` when not all is told."""
    _nothing_but_errors(answer)
    if messages := _messages(answer):
        raise Trouble(_cause(messages), f"GitLab answered with an error: {messages[0]}")
    found = []
    for each in aliases:
        nodes = _nodes(answer, each)
        there = {_id(node): node.get("repository") for node in nodes if isinstance(node, dict)}
        found.append({number: value for number, value in there.items() if number is not None})
    return found


def commit_of(tree: Any) -> str:
    """The last commit of what was read, if a tree tells it; "" otherwise."""
    commit = tree.get("lastCommit") if isinstance(tree, dict) else None
    return _text(commit, "sha") if isinstance(commit, dict) else ""


def listed(row: Any) -> ListedProject:
    """A project as REST lists it. Raises `Trouble` for what is no project."""
    if not isinstance(row, dict) or not isinstance(row.get("id"), int):
        raise Trouble(Cause.NOT_UNDERSTOOD, "the list of projects holds something else")
    topics = row.get("topics")
    project = Project(
        id=row["id"],
        path=_text(row, "path_with_namespace"),
        web_url=_text(row, "web_url"),
        default_branch=intern(_text(row, "default_branch")),
        description=_text(row, "description"),
        visibility=intern(_text(row, "visibility")),
        topics=tuple(str(topic) for topic in topics) if isinstance(topics, list) else (),
        archived=row.get("archived") is True,
        # Of a group above it, and in the short form, only the project's page tells.
        marked_for_deletion=bool(row.get("marked_for_deletion_on")),
        created_at=zoned_moment(row.get("created_at")),
        updated_at=zoned_moment(row.get("updated_at")),
        last_activity_at=zoned_moment(row.get("last_activity_at")),
    )
    return ListedProject(project, forked=bool(row.get("forked_from_project")))


def _nodes(answer: Any, connection: str) -> list[Any]:
    _nothing_but_errors(answer)
    found = answer["data"].get(connection)
    nodes = found.get("nodes") if isinstance(found, dict) else None
    if not isinstance(nodes, list):
        messages = _messages(answer)
        shown = f": {messages[0]}" if messages else ""
        raise Trouble(_cause(messages), f"GitLab's answer holds no projects{shown}")
    return nodes


def _nothing_but_errors(answer: Any) -> None:
    if not isinstance(answer, dict):
        raise Trouble(Cause.NOT_UNDERSTOOD, "the answer is not GraphQL; is this a GitLab?")
    if isinstance(answer.get("data"), dict):
        return
    messages = _messages(answer)
    if not messages:
        raise Trouble(Cause.BUSY, "GitLab answered without data")
    raise Trouble(_cause(messages), f"GitLab answered: {messages[0]}")


def _messages(answer: Mapping[str, Any]) -> list[str]:
    errors = answer.get("errors")
    if not isinstance(errors, list):
        return []
    return [_message(error) for error in errors]


def _message(error: Any) -> str:
    text = error.get("message") if isinstance(error, dict) else error
    return str(text)[:_SHOWN_ERROR]


def _cause(messages: Sequence[str]) -> Cause:
    """What GitLab's own words ask for; they are all it gives."""
    text = " ".join(messages).lower()
    if "complexity" in text:
        return Cause.TOO_LARGE
    if "timeout" in text or "timed out" in text:
        return Cause.SLOW
    if "doesn't exist on type" in text or "cannot query field" in text or "undefined" in text:
        return Cause.NOT_UNDERSTOOD
    return Cause.BROKEN


def _without_fact_errors(answer: Any) -> tuple[Any, dict[int, dict[str, str]]]:
    """The answer without the errors that concern Ox's facts only; those by node and field.

    A node that an error made null still counts as left out by an error.
    """
    errors = answer.get("errors")
    if not isinstance(errors, list):
        return answer, {}
    nodes, others = answer["data"]["projects"]["nodes"], []
    facts: dict[int, dict[str, str]] = {}
    for error in errors:
        path = error.get("path") if isinstance(error, dict) else None
        match path if isinstance(path, list) else []:
            case ["projects", "nodes", int(index), *below] if (
                0 <= index < len(nodes)
                and isinstance(nodes[index], dict)
                and (field := _fact_field(below, nodes[index]))
            ):
                facts.setdefault(index, {})[field] = _message(error)
            case _:
                others.append(error)
    return {**answer, "errors": others}, facts


def _fact_field(path: Sequence[Any], node: Mapping[str, Any]) -> str:
    """The fact's field that an error's path below a node leads to; "" for any other."""
    if path[:1] == ["repository"]:
        # Only while the repository itself still tells the rest.
        path = path[1:] if isinstance(node.get("repository"), dict) else []
    field = path[0] if path else ""
    return field if isinstance(field, str) and field in FIELDS else ""


def _errors_by_node(answer: Mapping[str, Any]) -> tuple[list[str], dict[int, str], bool]:
    """All messages; those that name a node, by its index; and whether one names none."""
    named: dict[int, str] = {}
    everywhere = False
    errors = answer.get("errors")
    for error in errors if isinstance(errors, list) else ():
        path = error.get("path") if isinstance(error, dict) else None
        parts = path if isinstance(path, list) else []
        index = next((part for part in parts if isinstance(part, int)), None)
        if index is None:
            everywhere = True
        else:
            named[index] = _message(error)
    return _messages(answer), named, everywhere


def _read_node(
    node: Mapping[str, Any], project_id: int, files: Sequence[str], branch: str
) -> SeenProject:
    forked = node.get("isForked")
    forked = forked if isinstance(forked, bool) else None
    project = _facts(node, project_id)
    if "repository" not in node:
        raise Unclear("it tells nothing of the repository")
    repository = node["repository"]
    if repository is None:
        return SeenProject(project, Gap(NO_CODE, project_id, project.path), forked)
    if not isinstance(repository, dict) or not isinstance(repository.get("empty"), bool):
        raise Unclear("the repository's state is missing")
    if repository["empty"]:
        return SeenProject(project, ProjectRead(project), forked)
    if not project.default_branch:
        reason = "the repository is not empty, but GitLab names no default branch"
        return SeenProject(project, Gap(reason, project_id, project.path), forked)
    if branch:
        if not _has_tip(repository):
            return SeenProject(project, Gap(_no_branch(branch), project_id, project.path), forked)
        # Links to what was read lead to where it was read.
        project = replace(project, default_branch=branch)
    found = (wanted_file(repository, alias(n), name) for n, name in enumerate(files))
    read = ProjectRead(
        project,
        tuple(file for file in found if file is not None),
        tip=commit_of(repository.get(TIP)),
    )
    return SeenProject(project, read, forked)


def _no_branch(branch: str) -> str:
    shown = branch[:_SHOWN_ERROR]
    return f"it has no branch {shown!r}, which gitlab.branches says to read it from"


def _has_tip(repository: Mapping[str, Any]) -> bool:
    """Whether the branch that was asked for is there: it has a last commit."""
    if TIP not in repository:
        raise Unclear("it tells nothing of the branch")
    tree = repository[TIP]
    return isinstance(tree, dict) and isinstance(tree.get("lastCommit"), dict)


def _facts(node: Mapping[str, Any], project_id: int) -> Project:
    path = node.get("fullPath")
    if not isinstance(path, str) or not path:
        raise Unclear("the project's path is missing")
    if "archived" not in node or node["archived"] is None:
        raise Unclear("whether it is archived is missing")
    topics = node.get("topics")
    repository = node.get("repository")
    return Project(
        id=project_id,
        path=path,
        web_url=_text(node, "webUrl"),
        default_branch=intern(_text(repository, "rootRef") if isinstance(repository, dict) else ""),
        description=_text(node, "description"),
        visibility=intern(_text(node, "visibility")),
        topics=tuple(str(topic) for topic in topics) if isinstance(topics, list) else (),
        archived=node["archived"] is True,
        marked_for_deletion=marked_for_deletion(node, path, project_id),
        created_at=zoned_moment(node.get("createdAt")),
        updated_at=zoned_moment(node.get("updatedAt")),
        last_activity_at=zoned_moment(node.get("lastActivityAt")),
    )


def _id(node: Any) -> int | None:
    gid = node.get("id") if isinstance(node, dict) else None
    tail = str(gid).rpartition("/")[2]
    return int(tail) if tail.isascii() and tail.isdigit() and len(tail) < 19 else None


def _sure_id(node: Any) -> int:
    found = _id(node)
    if found is None:
        raise Unclear("a project without an id")
    return found


def _text(node: Mapping[str, Any], key: str) -> str:
    value = node.get(key)
    return value if isinstance(value, str) else ""
