"""REST v4, writing: branches, commits and merge requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from bridge.sandbox.branches import Branch, Branches
from bridge.sandbox.project import SandboxProject
from bridge.sandbox.rest import base_url, known_user, refusal
from bridge.sandbox.rest_issues import (
    CHANGES,
    IssueRoutes,
    RequestRefused,
    body_of,
    change,
    filtered,
    labels_of,
    thing_json,
)
from bridge.sandbox.sessions import SESSION, Role
from bridge.sandbox.tracker import Thing, Unacceptable
from bridge.sandbox.world import World


class CodeRoutes(IssueRoutes):
    """Everything that a merge request is made of."""

    def __init__(self, world: World, branches: Branches, scopes: Sequence[str]) -> None:
        super().__init__(world, scopes)
        self.branches = branches

    def routes(self) -> list[web.RouteDef]:
        """The routes of branches, commits and merge requests."""
        project = "/api/v4/projects/{id}"
        branches = f"{project}/repository/branches"
        requests = f"{project}/merge_requests"
        return [
            web.get(f"{branches}/{{branch:.+}}", self.branch),
            web.post(branches, self.create_branch),
            web.delete(f"{branches}/{{branch:.+}}", self.delete_branch),
            web.post(f"{project}/repository/commits", self.commit),
            web.get("/api/v4/merge_requests", self.all_requests),
            web.get("/api/v4/groups/{id}/merge_requests", self.group_requests),
            web.get(requests, self.list_requests),
            web.post(requests, self.create_request),
            web.get(f"{requests}/{{iid}}", self.one_request),
            web.put(f"{requests}/{{iid}}", self.edit_request),
        ]

    async def branch(self, request: web.Request) -> web.Response:
        """One branch by name."""
        project = self._project(request)
        if project is None:
            return refusal(404, "404 Project Not Found")
        found = self.branches.find(project, request.match_info["branch"])
        if found is None:
            return refusal(404, "404 Branch Not Found")
        return web.json_response(_branch_json(found, project))

    async def create_branch(self, request: web.Request) -> web.Response:
        """A branch at another one's head."""
        try:
            project = self._pushable(request)
            asked = {**request.query, **await body_of(request)}
            made = self.branches.create(
                project, str(asked.get("branch", "")), str(asked.get("ref", ""))
            )
        except RequestRefused as refused:
            return refused.answer
        except Unacceptable as error:
            return refusal(400, str(error))
        return web.json_response(_branch_json(made, project), status=201)

    async def delete_branch(self, request: web.Request) -> web.Response:
        """A branch's end."""
        try:
            project = self._pushable(request)
        except RequestRefused as refused:
            return refused.answer
        if not self.branches.delete(project, request.match_info["branch"]):
            return refusal(404, "404 Branch Not Found")
        return web.Response(status=204)

    async def commit(self, request: web.Request) -> web.Response:
        """One commit with several files, on a new branch or on an old one."""
        try:
            project = self._pushable(request)
            asked = await body_of(request)
            made = self.branches.commit(
                project,
                str(asked.get("branch", "")),
                str(asked.get("commit_message", "")),
                asked.get("actions") or [],
                asked.get("start_branch"),
            )
        except RequestRefused as refused:
            return refused.answer
        except Unacceptable as error:
            return refusal(400, str(error))
        message = {"id": made.head, "short_id": made.head[:8]}
        return web.json_response({**message, "title": asked.get("commit_message")}, status=201)

    async def all_requests(self, request: web.Request) -> web.Response:
        """Merge requests of every project; by default only those that the token created."""
        if not known_user():
            return refusal(401, "401 Unauthorized")
        seen = filtered(request, list(self.world.merge_requests))
        if request.query.get("scope", "created_by_me") != "all":
            seen = [thing for thing in seen if thing.author == SESSION.get().user]
        return self._requests(request, seen)

    async def group_requests(self, request: web.Request) -> web.Response:
        """Merge requests of a group with its subgroups; archived projects' are hidden."""
        group = self._group(request)
        if group is None:
            return refusal(404, "404 Group Not Found")
        inside = {p.id for p in self.world.in_group(group.path, subgroups=True)}
        seen = [t for t in self.world.merge_requests if t.project_id in inside]
        return self._requests(request, self._unarchived(request, filtered(request, seen)))

    def _requests(self, request: web.Request, seen: Sequence[Thing]) -> web.Response:
        projects = [(thing, self.world.get(thing.project_id)) for thing in seen]
        rows = [self._mr_json(request, thing, p) for thing, p in projects if p is not None]
        return self._offset(request, rows)

    async def list_requests(self, request: web.Request) -> web.Response:
        """A project's merge requests."""
        project = self._project(request)
        if project is None:
            return refusal(404, "404 Project Not Found")
        branch = request.query.get("source_branch")
        self.world.merge_requests.furnish(project.id, project.facts.open_merge_requests)
        found = [
            thing
            for thing in filtered(request, self.world.merge_requests.of(project.id))
            if branch is None or thing.source_branch == branch
        ]
        return self._offset(request, [self._mr_json(request, t, project) for t in found])

    async def one_request(self, request: web.Request) -> web.Response:
        """One merge request by its number in the project."""
        try:
            project, thing = self._request(request)
        except RequestRefused as refused:
            return refused.answer
        return web.json_response(self._mr_json(request, thing, project))

    async def create_request(self, request: web.Request) -> web.Response:
        """A new merge request; of one branch there is one open at a time."""
        try:
            project = self._pushable(request)
            asked = await body_of(request)
            source = str(asked.get("source_branch", ""))
            if self.branches.find(project, source) is None:
                raise Unacceptable({"source_branch": ["does not exist"]})
            for other in self.world.merge_requests.of(project.id):
                if other.state == "opened" and other.source_branch == source:
                    said = "Another open merge request already exists for this source branch: "
                    return web.json_response({"message": [f"{said}!{other.iid}"]}, status=409)
            thing = self.world.merge_requests.create(
                project.id,
                str(asked.get("title", "")),
                SESSION.get().user,
                description=str(asked.get("description", "")),
                labels=labels_of(asked.get("labels")),
                source_branch=source,
                target_branch=str(asked.get("target_branch", "")),
            )
        except RequestRefused as refused:
            return refused.answer
        except Unacceptable as error:
            return web.json_response({"message": error.message}, status=400)
        return web.json_response(self._mr_json(request, thing, project), status=201)

    async def edit_request(self, request: web.Request) -> web.Response:
        """Change a merge request, close it or open it again."""
        try:
            project, thing = self._request(request)
            self._pushable(request)
            change(self.world.merge_requests, thing, await body_of(request), CHANGES)
        except RequestRefused as refused:
            return refused.answer
        except Unacceptable as error:
            return web.json_response({"message": error.message}, status=400)
        return web.json_response(self._mr_json(request, thing, project))

    def _pushable(self, request: web.Request) -> SandboxProject:
        project = self._writable(request, least=Role.DEVELOPER)
        if project.repository == "forbidden":
            raise RequestRefused(refusal(403, "403 Forbidden"))
        return project

    def _request(self, request: web.Request) -> tuple[SandboxProject, Thing]:
        project = self._project(request)
        if project is None or not known_user():
            raise RequestRefused(refusal(404, "404 Project Not Found"))
        iid = request.match_info["iid"]
        thing = self.world.merge_requests.find(project.id, int(iid)) if iid.isdigit() else None
        if thing is None:
            raise RequestRefused(refusal(404, "404 Not found"))
        return project, thing

    def _mr_json(
        self, request: web.Request, thing: Thing, project: SandboxProject
    ) -> dict[str, Any]:
        return thing_json(base_url(request), thing, project, "merge_requests") | {
            "source_branch": thing.source_branch,
            "target_branch": thing.target_branch,
            "draft": thing.title.lower().startswith("draft:"),
        }


def _branch_json(branch: Branch, project: SandboxProject) -> dict[str, Any]:
    return {
        "name": branch.name,
        "default": branch.name == project.default_branch,
        "commit": {"id": branch.head},
    }
