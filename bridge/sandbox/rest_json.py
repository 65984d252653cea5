"""Projects, files and moments as GitLab's REST writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from bridge.sandbox.project import SandboxFile, SandboxProject
from bridge.sandbox.resolvers import spoken
from bridge.sandbox.sessions import SESSION, Edition
from bridge.sandbox.world import World


def project_json(
    project: SandboxProject, world: World, base: str, *, simple: bool = False
) -> dict[str, Any]:
    """A project as REST gives it; `simple` leaves most of it out."""
    shown = _simple(project, world, base)
    return shown if simple else shown | _besides(project, world)


def _simple(project: SandboxProject, world: World, base: str) -> dict[str, Any]:
    group = world.group(project.namespace)
    return {
        "id": project.id,
        "description": project.description,
        "name": project.name,
        "name_with_namespace": spoken(project.path, project.name, world),
        "path": project.path.rpartition("/")[2],
        "path_with_namespace": project.path,
        "created_at": stamp(project.created_at),
        "default_branch": None if project.repository == "empty" else project.default_branch,
        "topics": list(project.topics),
        "issues_enabled": project.issues_enabled,
        "issues_access_level": "enabled" if project.issues_enabled else "disabled",
        "web_url": f"{base}/{project.path}",
        "http_url_to_repo": f"{base}/{project.path}.git",
        "last_activity_at": stamp(project.last_activity_at),
        "namespace": {
            "id": group.id if group else 0,
            "kind": "group",
            "full_path": project.namespace,
            "path": project.namespace.rpartition("/")[2],
            "name": group.name if group else project.namespace,
        },
    }


def _besides(project: SandboxProject, world: World) -> dict[str, Any]:
    """What is said where more is asked for than what is simple."""
    body: dict[str, Any] = {
        "updated_at": stamp(project.updated_at),
        "archived": world.is_archived(project),
        "marked_for_deletion_on": _day(project.marked_for_deletion_at),
        "repository_access_level": "disabled" if project.repository == "disabled" else "enabled",
        "visibility": project.visibility,
        "empty_repo": project.repository == "empty",
        "forks_count": project.facts.forks,
        "open_issues_count": project.facts.open_issues,
        "only_allow_merge_if_pipeline_succeeds": project.facts.only_merge_if_pipeline_succeeds,
    }
    if project.fork and not project.original_hidden:
        body["forked_from_project"] = {"id": 900_000 + project.id, "name": project.name}
    if SESSION.get().edition >= Edition.PREMIUM:  # the key is there exactly when it is licensed
        body["approvals_before_merge"] = 0
    return body


def stamp(moment: datetime) -> str:
    """A date-time as GitLab writes it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _day(moment: datetime | None) -> str | None:
    return None if moment is None else moment.date().isoformat()


def moment(text: str | None) -> datetime | None:
    """A date-time as a query gives it."""
    if not text:
        return None
    at = datetime.fromisoformat(text.replace(" ", "+"))
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def file_headers(path: str, file: SandboxFile) -> dict[str, str]:
    """What GitLab says of a file, in headers."""
    return {
        "X-Gitlab-Blob-Id": file.oid,
        "X-Gitlab-File-Name": quote(path.rpartition("/")[2]),
        "X-Gitlab-File-Path": quote(path),
        "X-Gitlab-Size": str(len(file.content)),
        "X-Gitlab-Encoding": "base64",
        "X-Gitlab-Execute-Filemode": str(file.mode == "100755").lower(),
    }
