"""REST v4, writing: issues, their notes, and the people who can be assigned."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from aiohttp import web

from bridge.sandbox.project import SandboxProject
from bridge.sandbox.rest import Rest, base_url, is_true, known_user, refusal
from bridge.sandbox.rest_json import moment, stamp
from bridge.sandbox.sessions import SESSION, Role
from bridge.sandbox.tracker import SandboxUser, Thing, Tracker, Unacceptable

CHANGES = ("title", "description", "labels", "add_labels", "remove_labels", "state_event")
MORE_CHANGES = ("assignee_ids", "confidential", "due_date")
STATES = ("opened", "closed", "merged")
# What GitLab appends to the path of a project or group that is scheduled for deletion.
SCHEDULED = re.compile(r"-(deletion_scheduled|deleted)-\d+(/|$)")


class RequestRefused(Exception):
    """Carries the answer that ends a request early."""

    def __init__(self, answer: web.Response) -> None:
        self.answer = answer
        super().__init__()


class IssueRoutes(Rest):
    """Issues over the same world as everything else."""

    def routes(self) -> list[web.RouteDef]:
        """The routes of issues and people."""
        api = "/api/v4"
        issues = f"{api}/projects/{{id}}/issues"
        return [
            web.get(f"{api}/issues", self.all_issues),
            web.get(f"{api}/groups/{{id}}/issues", self.group_issues),
            web.get(issues, self.list_issues),
            web.post(issues, self.create_issue),
            web.get(f"{issues}/{{iid}}", self.one_issue),
            web.put(f"{issues}/{{iid}}", self.edit_issue),
            web.get(f"{issues}/{{iid}}/notes", self.list_notes),
            web.post(f"{issues}/{{iid}}/notes", self.add_note),
            web.get(f"{issues}/{{iid}}/resource_label_events", self.label_events),
            web.get(f"{api}/users", self.users),
            web.get(f"{api}/projects/{{id}}/members/all", self.members),
        ]

    async def all_issues(self, request: web.Request) -> web.Response:
        """Issues of every project that the token sees; by default only those it created."""
        if not known_user():
            return refusal(401, "401 Unauthorized")
        seen = [thing for thing in self.world.issues if self._readable(thing.project_id)]
        if request.query.get("scope", "created_by_me") in ("created_by_me", "created-by-me"):
            seen = [thing for thing in seen if thing.author == SESSION.get().user]
        return self._page(request, self._unarchived(request, seen))

    async def group_issues(self, request: web.Request) -> web.Response:
        """Issues of a group with its subgroups."""
        group = self._group(request)
        if group is None:
            return refusal(404, "404 Group Not Found")
        inside = {p.id for p in self.world.in_group(group.path, subgroups=True)}
        seen = [t for t in self.world.issues if t.project_id in inside]
        seen = [t for t in seen if self._readable(t.project_id)]
        return self._page(request, self._unarchived(request, seen))

    async def list_issues(self, request: web.Request) -> web.Response:
        """A project's issues; where issues are switched off the list is simply empty."""
        project = self._project(request)
        if project is None:
            return refusal(404, "404 Project Not Found")
        self.world.issues.furnish(project.id, project.facts.open_issues)
        enabled = project.issues_enabled
        return self._page(request, self.world.issues.of(project.id) if enabled else [])

    async def one_issue(self, request: web.Request) -> web.Response:
        """One issue by its number in the project."""
        try:
            project, thing = self._issue(request)
        except RequestRefused as refused:
            return refused.answer
        return web.json_response(self._json(request, thing, project))

    async def create_issue(self, request: web.Request) -> web.Response:
        """A new issue by the token's user."""
        try:
            project = self._writable(request)
            if not project.issues_enabled:
                raise RequestRefused(refusal(403, "403 Forbidden"))
            asked = await body_of(request)
            thing = self.world.issues.create(
                project.id,
                _text(asked, "title"),
                SESSION.get().user,
                description=_text(asked, "description"),
                labels=labels_of(asked.get("labels")),
                assignees=self._assignable(project, asked.get("assignee_ids")),
                confidential=bool(asked.get("confidential")),
            )
        except RequestRefused as refused:
            return refused.answer
        except Unacceptable as error:
            return web.json_response({"message": error.message}, status=400)
        return web.json_response(self._json(request, thing, project), status=201)

    async def edit_issue(self, request: web.Request) -> web.Response:
        """Change an issue, close it or open it again."""
        try:
            project, thing = self._issue(request, writing=True)
            asked = await body_of(request)
            change(self.world.issues, thing, asked, (*CHANGES, *MORE_CHANGES))
            if "assignee_ids" in asked:
                thing.assignees = self._assignable(project, asked["assignee_ids"])[:1]
            if "confidential" in asked:
                thing.confidential = bool(asked["confidential"])
        except RequestRefused as refused:
            return refused.answer
        except Unacceptable as error:
            return web.json_response({"message": error.message}, status=400)
        return web.json_response(self._json(request, thing, project))

    async def label_events(self, request: web.Request) -> web.Response:
        """Who put which label on an issue, or took it off, oldest first."""
        try:
            _, thing = self._issue(request)
        except RequestRefused as refused:
            return refused.answer
        rows = [
            {
                "id": number,
                "user": {"username": each.by.username, "name": each.by.name},
                "created_at": stamp(each.at),
                "resource_type": "Issue",
                "resource_id": thing.id,
                "label": {"name": each.label},
                "action": "add" if each.added else "remove",
            }
            for number, each in enumerate(self.world.issues.labelled, 1)
            if each.thing is thing
        ]
        return self._offset(request, rows)

    async def list_notes(self, request: web.Request) -> web.Response:
        """What was said under an issue, newest first."""
        try:
            _, thing = self._issue(request)
        except RequestRefused as refused:
            return refused.answer
        return self._offset(request, [_note_json(note) for note in reversed(thing.notes)])

    async def add_note(self, request: web.Request) -> web.Response:
        """A comment by the token's user."""
        try:
            project, thing = self._issue(request, writing=True)
            said = _text(await body_of(request), "body")
        except RequestRefused as refused:
            return refused.answer
        note = self.world.issues.comment(project.id, thing.iid, said, SESSION.get().user)
        return web.json_response(_note_json(note), status=201)

    async def users(self, request: web.Request) -> web.Response:
        """People by their user name, or by a part of a name."""
        if not known_user():
            return refusal(403, "403 Forbidden - Not authorized to access users")
        name, part = request.query.get("username"), request.query.get("search", "").lower()
        found = [
            user
            for user in self.world.people.users.values()
            if (name is None or user.username.lower() == name.lower())
            and (part in user.username.lower() or part in user.name.lower())
        ]
        return self._offset(request, [user_json(user) for user in found])

    async def members(self, request: web.Request) -> web.Response:
        """Who may work in a project."""
        project = self._project(request)
        if project is None:
            return refusal(404, "404 Project Not Found")
        part = request.query.get("query", "").lower()
        rows = [
            {**user_json(user), "access_level": 30}
            for user in self.world.people.members_of(project.id)
            if part in user.username.lower()
        ]
        return self._offset(request, rows)

    def _unarchived(self, request: web.Request, things: Sequence[Thing]) -> list[Thing]:
        """Lists over several projects hide those of archived ones unless they are asked not to."""
        if not is_true(request.query.get("non_archived", "true")):
            return list(things)
        projects = ((thing, self.world.get(thing.project_id)) for thing in things)
        return [thing for thing, project in projects if project and not project.archived]

    def _readable(self, project_id: int) -> bool:
        project = self.world.get(project_id)
        return project is not None and not project.hidden and project.issues_enabled

    def _writable(self, request: web.Request, *, least: Role = Role.REPORTER) -> SandboxProject:
        project = self._project(request)
        if project is None:
            raise RequestRefused(refusal(404, "404 Project Not Found"))
        if not known_user():
            raise RequestRefused(refusal(401, "401 Unauthorized"))
        if "api" not in self.scopes:
            said = "The request requires higher privileges than provided by the access token."
            body = {"error": "insufficient_scope", "error_description": said, "scope": "api"}
            raise RequestRefused(web.json_response(body, status=403))
        doomed = project.marked_for_deletion_at is not None or SCHEDULED.search(project.path)
        dead = project.archived or doomed
        if dead or SESSION.get().role_in(project.path) < least:
            raise RequestRefused(refusal(403, "403 Forbidden"))
        return project

    def _issue(
        self, request: web.Request, *, writing: bool = False
    ) -> tuple[SandboxProject, Thing]:
        project = self._project(request)
        if project is None:
            raise RequestRefused(refusal(404, "404 Project Not Found"))
        if writing:
            self._writable(request)
        iid = request.match_info["iid"]
        thing = self.world.issues.find(project.id, int(iid)) if iid.isdigit() else None
        if thing is None or not project.issues_enabled:
            raise RequestRefused(refusal(404, "404 Not found"))
        return project, thing

    def _assignable(self, project: SandboxProject, asked: Any) -> list[SandboxUser]:
        """Those of `asked` who are members: GitLab drops the others without a word."""
        wanted = asked if isinstance(asked, list) else []
        return [user for user in self.world.people.members_of(project.id) if user.id in wanted]

    def _page(self, request: web.Request, things: Sequence[Thing]) -> web.Response:
        found = filtered(request, things)
        rows = [self._json(request, thing, self.world.get(thing.project_id)) for thing in found]
        return self._offset(request, rows)

    def _json(
        self, request: web.Request, thing: Thing, project: SandboxProject | None
    ) -> dict[str, Any]:
        return thing_json(base_url(request), thing, project, "issues") | {
            "confidential": thing.confidential,
            "due_date": thing.due_date.isoformat() if thing.due_date else None,
            "issue_type": "issue",
            "user_notes_count": sum(not note.system for note in thing.notes),
        }


async def body_of(request: web.Request) -> dict[str, Any]:
    """The parameters of a writing request. Raises `RequestRefused` for what is no JSON object."""
    try:
        tree = json.loads(await request.text() or "{}")
    except ValueError:
        tree = None
    if not isinstance(tree, dict):
        raise RequestRefused(
            refusal(400, "The provided content-type is not supported", key="error")
        )
    return tree


def _text(asked: dict[str, Any], key: str) -> str:
    value = asked.get(key)
    if value is None and key in ("title", "body"):
        raise RequestRefused(refusal(400, f"{key} is missing", key="error"))
    return str(value or "")


def change(tracker: Tracker, thing: Thing, asked: dict[str, Any], known: Sequence[str]) -> None:
    """Carry out a PUT. Raises `RequestRefused` or `Unacceptable`."""
    if not any(key in asked for key in known):
        message = f"{', '.join(known)} are missing, at least one parameter must be provided"
        raise RequestRefused(refusal(400, message, key="error"))
    place, by = (thing.project_id, thing.iid), SESSION.get().user
    if "title" in asked or "description" in asked or "due_date" in asked:
        due = asked.get("due_date")
        tracker.edit(
            *place,
            by,
            title=asked.get("title"),
            description=asked.get("description"),
            due_date=date.fromisoformat(due) if due else None,
        )
    if "labels" in asked:
        thing.labels = []
        tracker.label(*place, *labels_of(asked["labels"]), by=by)
    if "add_labels" in asked:
        tracker.label(*place, *labels_of(asked["add_labels"]), by=by)
    if "remove_labels" in asked:
        tracker.unlabel(*place, *labels_of(asked["remove_labels"]), by=by)
    if asked.get("state_event") == "close":
        tracker.close(*place, by)
    if asked.get("state_event") == "reopen":
        tracker.reopen(*place, by)


def labels_of(asked: Any) -> list[str]:
    """Labels come as a list, or as one text with commas."""
    parts = asked if isinstance(asked, list) else str(asked or "").split(",")
    return [str(part).strip() for part in parts if str(part).strip()]


def filtered(request: web.Request, things: Sequence[Thing]) -> list[Thing]:
    """The filters and the order that a list is asked for."""
    asked = request.query
    wanted = set(labels_of(asked.get("labels")))
    state, author = asked.get("state", "all"), asked.get("author_id")
    since, word = moment(asked.get("updated_after")), asked.get("search", "").lower()
    name, made_since = asked.get("author_username"), moment(asked.get("created_after"))
    kept = [
        thing
        for thing in things
        if (state not in STATES or thing.state == state)
        and wanted <= set(thing.labels)
        and (author is None or str(thing.author.id) == author)
        and (name is None or thing.author.username == name)
        and (since is None or thing.updated_at >= since)
        and (made_since is None or thing.created_at >= made_since)
        and (not word or word in thing.title.lower() or word in thing.description.lower())
        and (not is_true(asked.get("confidential")) or thing.confidential)
    ]
    by_update = asked.get("order_by") == "updated_at"
    kept.sort(
        key=lambda thing: (thing.updated_at if by_update else thing.created_at, thing.id),
        reverse=asked.get("sort", "desc") != "asc",
    )
    return kept


def user_json(user: SandboxUser) -> dict[str, Any]:
    """A person as GitLab tells of one."""
    return {"id": user.id, "username": user.username, "name": user.name, "state": "active"}


def thing_json(
    base: str, thing: Thing, project: SandboxProject | None, kind: str
) -> dict[str, Any]:
    """What issues and merge requests have in common."""
    path = project.path if project else "gone"
    return {
        "id": thing.id,
        "iid": thing.iid,
        "project_id": thing.project_id,
        "title": thing.title,
        "description": thing.description,
        "state": thing.state,
        "labels": list(thing.labels),
        "author": user_json(thing.author),
        "assignees": [user_json(user) for user in thing.assignees],
        "created_at": stamp(thing.created_at),
        "updated_at": stamp(thing.updated_at),
        "closed_at": stamp(thing.closed_at) if thing.closed_at else None,
        "closed_by": user_json(thing.closed_by) if thing.closed_by else None,
        "web_url": f"{base}/{path}/-/{kind}/{thing.iid}",
    }


def _note_json(note: Any) -> dict[str, Any]:
    at: datetime = note.created_at.astimezone(UTC)
    author = user_json(note.author)
    body = {"id": note.id, "body": note.body, "author": author, "system": note.system}
    return {**body, "created_at": stamp(at)}
