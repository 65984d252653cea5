"""One file of one project, by their paths: what Fester's own settings keep in GitLab."""

from __future__ import annotations

from typing import Any

from bridge.errors import SourceError, SourceRefused
from bridge.model.reads import ReadFile, ReadKind
from bridge.scrapers.gitlab.client import GitLabClient
from bridge.scrapers.gitlab.files import Unclear, found_at
from bridge.scrapers.gitlab.pages import NO_CODE
from bridge.scrapers.gitlab.trouble import Trouble


def read_file(*, branch: bool) -> str:
    """The query for a file with its text; `branch` is a variable, too."""
    declared, at = (", $branch: String", "ref: $branch, ") if branch else ("", "")
    return (
        f"query readFile($project: ID!, $paths: [String!]!{declared}) "
        "{ project(fullPath: $project) { id repository { "
        f"blobs(paths: $paths, first: 1, {at}refType: HEADS) "
        "{ nodes { path oid size mode lfsOid rawTextBlob } } } } }"
    )


async def look(
    client: GitLabClient, project: str, path: str, branch: str = ""
) -> tuple[int, ReadFile]:
    """The project's id, and what it has at a path; "" is its default branch.

    Raises `SourceError` when GitLab does not tell: what is not told is not taken for absent.
    """
    variables: dict[str, Any] = {"project": project, "paths": [path]}
    if branch:
        variables["branch"] = branch
    try:
        answer = await client.graphql(read_file(branch=bool(branch)), variables, patient=True)
        return _told(answer, path)
    except Trouble as trouble:
        raise SourceError(trouble.reason) from None
    except SourceRefused:
        raise SourceError("GitLab refuses it to this token") from None
    except Unclear as why:
        raise SourceError(f"GitLab's answer is not whole: {why}") from None


def _told(answer: Any, path: str) -> tuple[int, ReadFile]:
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict) or answer.get("errors"):
        raise Unclear("it has an error")
    project = data.get("project")
    if project is None:
        raise SourceError("GitLab shows this token no such project")
    try:
        number, repository = int(project["id"].rpartition("/")[2]), project["repository"]
        if repository is None:
            raise SourceError(NO_CODE)
        nodes = repository["blobs"]["nodes"]
        found = found_at(nodes[0]) if nodes else ReadFile(path, ReadKind.ABSENT)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        raise Unclear("it tells only a part of the project") from None
    if found.path != path or not isinstance(nodes, list):
        raise Unclear("it is about something else")
    return number, found
