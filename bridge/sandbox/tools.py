"""Look-alikes of Snyk, PagerDuty, Opsgenie and Jira Service Management; no kinder.

Made from their public API descriptions.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from aiohttp import web

_WORD: Final = re.compile(r"[A-Za-z0-9_-]+")
ORG = "11111111-2222-3333-4444-555555555555"
CLOUD = "99999999-2222-3333-4444-555555555555"
USER = "kim@shop.example"


@dataclass
class Vulnerability:
    """An open issue of one Snyk project."""

    project: str
    severity: str
    created_at: datetime
    ignored: bool = False
    key: str = "SNYK-1"
    title: str = "Something bad"


@dataclass
class SandboxTools:
    """All of them. `answers` are statuses to give instead, one a request, in their order."""

    token: str = "sandbox-token"  # noqa: S105 — opens nothing but the sandbox
    projects: dict[str, str] = field(default_factory=dict)  # id → name, "group/repo:file"
    tags: dict[str, list[tuple[str, str]]] = field(default_factory=dict)  # by project
    inactive: set[str] = field(default_factory=set)  # projects that are not tested
    addresses: dict[str, str] = field(default_factory=dict)  # of their repositories, by project
    others: dict[str, dict[str, str]] = field(default_factory=dict)  # of more organizations
    issues: list[Vulnerability] = field(default_factory=list)
    services: list[dict[str, Any]] = field(default_factory=list)
    on_calls: list[dict[str, Any]] = field(default_factory=list)
    imports: list[dict[str, Any]] = field(default_factory=list)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)  # by id; others are pending
    answers: list[int] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    next_elsewhere: bool = False
    schedules: list[dict[str, Any]] = field(default_factory=list)  # Opsgenie's
    recipients: dict[str, list[str]] = field(default_factory=dict)  # by a schedule's id
    closed: set[str] = field(default_factory=set)  # schedules of teams that the key is not for
    operations: list[dict[str, Any]] = field(default_factory=list)  # Jira's schedules
    participants: dict[str, Any] = field(default_factory=dict)  # by the id of one of those
    accounts: dict[str, str] = field(default_factory=dict)  # names in Jira
    shows_accounts: bool = True

    def app(self) -> web.Application:
        """All routes."""
        app = web.Application(middlewares=[self._door])
        app.add_routes(
            [
                web.get("/rest/orgs/{org}", self._org),
                web.get("/rest/orgs/{org}/projects", self._projects),
                web.get("/rest/orgs/{org}/issues", self._issues),
                web.post("/v1/org/{org}/integrations/{integration}/import", self._import),
                web.get("/v1/org/{org}/integrations/{integration}/import/{job}", self._import_job),
                web.post("/v1/org/{org}/project/{project}/tags", self._tag),
                web.post("/v1/org/{org}/project/{project}/tags/remove", self._untag),
                web.post("/v1/org/{org}/project/{project}/deactivate", self._deactivate),
                web.get("/services", self._services),
                web.get("/oncalls", self._on_calls),
                web.get("/v2/schedules", self._schedules),
                web.get("/v2/schedules/{schedule}/on-calls", self._recipients),
                web.get("/jsm/ops/api/{cloud}/v1/schedules", self._operations),
                web.get("/jsm/ops/api/{cloud}/v1/schedules/{schedule}/on-calls", self._on_duty),
                web.get("/ex/jira/{cloud}/rest/api/3/user/bulk", self._accounts),
            ]
        )
        return app

    @web.middleware
    async def _door(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path_qs}")
        if self.answers and (status := self.answers.pop(0)) != 200:
            headers = {"Retry-After": "0"} if status == 429 else {}
            return web.json_response({"errors": []}, status=status, headers=headers)
        if request.headers.get("Authorization") not in _shown(request.path, self.token):
            return web.json_response({"errors": [{"status": "401"}]}, status=401)
        org = request.match_info.get("org", ORG)
        if "/org" in request.path and org != ORG and org not in self.others:
            return web.json_response({"errors": [{"status": "404"}]}, status=404)
        if request.match_info.get("cloud", CLOUD) != CLOUD:
            return web.json_response({"code": 404, "message": "Not Found"}, status=404)
        if request.path.startswith("/rest/") and "version" not in request.query:
            return web.json_response({"errors": [{"status": "400"}]}, status=400)
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _org(self, request: web.Request) -> web.Response:
        org = request.match_info["org"]
        slug = "the-company" if org == ORG else f"team-{org}"
        return web.json_response({"data": {"id": org, "type": "org", "attributes": {"slug": slug}}})

    async def _projects(self, request: web.Request) -> web.Response:
        rows = [
            {
                "id": number,
                "type": "project",
                "attributes": {
                    "name": name,
                    "origin": "gitlab",
                    "status": "inactive" if number in self.inactive else "active",
                    "tags": [{"key": key, "value": is_} for key, is_ in self.tags.get(number, [])],
                },
                "relationships": {"target": {"data": self._target(request, number)}},
            }
            for number, name in sorted(self._of(request).items())
        ]
        return self._cursor(request, rows)

    def _target(self, request: web.Request, number: str) -> dict[str, Any]:
        """Where a project's code lies: an id alone, unless more is asked for."""
        target: dict[str, Any] = {"id": f"target-{number}", "type": "target"}
        if request.query.get("expand") == "target":
            target["attributes"] = {"display_name": number, "url": self.addresses.get(number)}
        return target

    def _of(self, request: web.Request) -> dict[str, str]:
        """The projects of the organization that is asked."""
        org = request.match_info["org"]
        return self.projects if org == ORG else self.others[org]

    async def _issues(self, request: web.Request) -> web.Response:
        asked = request.query
        if asked.get("scan_item.type") != "project":
            return web.json_response({"errors": [{"status": "400"}]}, status=400)
        rows = [
            {
                "id": str(number),
                "type": "issue",
                "attributes": {
                    "key": issue.key,
                    "title": issue.title,
                    "effective_severity_level": issue.severity,
                    "created_at": issue.created_at.isoformat().replace("+00:00", "Z"),
                    "status": "open",
                    "ignored": issue.ignored,
                },
            }
            for number, issue in enumerate(self.issues)
            if issue.project == asked.get("scan_item.id") and issue.project in self._of(request)
        ]
        return self._cursor(request, rows)

    def _cursor(self, request: web.Request, rows: list[Any]) -> web.Response:
        """A page, and a link to the next one without the host, as Snyk gives it."""
        start = int(request.query.get("starting_after", "0"))
        size = min(100, int(request.query.get("limit", "10")))
        links = {}
        if start + size < len(rows):
            query = request.rel_url.update_query(starting_after=str(start + size))
            links["next"] = (
                f"https://elsewhere.example{query}" if self.next_elsewhere else f"{query}"
            )
        body = {"jsonapi": {"version": "1.0"}, "data": rows[start : start + size], "links": links}
        return web.json_response(body)

    async def _tag(self, request: web.Request) -> web.Response:
        """One more tag. Where Snyk does not say what it answers, the look-alike refuses."""
        tag = await self._tag_in(request)
        if tag is None or len(tag[0]) > 30 or len(tag[1]) > 50 or not _WORD.fullmatch("".join(tag)):
            return web.json_response({"code": 422, "message": "Invalid tag"}, status=422)
        mine = self.tags.setdefault(request.match_info["project"], [])
        if tag in mine:
            return web.json_response({"code": 409, "message": "Tag exists"}, status=409)
        mine.append(tag)
        return self._tags_left(mine)

    async def _untag(self, request: web.Request) -> web.Response:
        tag, mine = await self._tag_in(request), self.tags.get(request.match_info["project"], [])
        if tag not in mine:
            return web.json_response({"code": 404, "message": "No such tag"}, status=404)
        mine.remove(tag)
        return self._tags_left(mine)

    async def _tag_in(self, request: web.Request) -> tuple[str, str] | None:
        if request.match_info["project"] not in self._of(request):
            raise web.HTTPNotFound
        tree = await request.json()
        key, value = tree.get("key"), tree.get("value")
        return (key, value) if isinstance(key, str) and isinstance(value, str) else None

    @staticmethod
    def _tags_left(tags: list[tuple[str, str]]) -> web.Response:
        return web.json_response({"tags": [{"key": key, "value": is_} for key, is_ in tags]})

    async def _deactivate(self, request: web.Request) -> web.Response:
        project = request.match_info["project"]
        if project not in self._of(request):
            raise web.HTTPNotFound
        self.inactive.add(project)
        return web.json_response({})

    async def _import(self, request: web.Request) -> web.Response:
        target = (await request.json())["target"]
        self.imports.append(target)
        where = f"{request.path}/job-{len(self.imports)}"
        return web.json_response({}, status=201, headers={"Location": where})

    async def _import_job(self, request: web.Request) -> web.Response:
        """How an import stands: the files that were found stand in its logs."""
        job = request.match_info["job"]
        if job not in [f"job-{number}" for number in range(1, len(self.imports) + 1)]:
            return web.json_response({"code": 404, "message": "Not found"}, status=404)
        return web.json_response(
            {"id": job, "status": "pending", "logs": [], **self.jobs.get(job, {})}
        )

    async def _services(self, request: web.Request) -> web.Response:
        return self._offset(request, "services", self.services)

    async def _on_calls(self, request: web.Request) -> web.Response:
        return self._offset(request, "oncalls", self.on_calls)

    def _offset(self, request: web.Request, key: str, rows: list[Any]) -> web.Response:
        start, size = int(request.query.get("offset", "0")), int(request.query.get("limit", "25"))
        size = min(100, size)
        more = start + size < len(rows)
        page = {"limit": size, "offset": start, "more": more, "total": None}
        return web.json_response({key: rows[start : start + size], **page})

    async def _schedules(self, request: web.Request) -> web.Response:
        """Twenty a page, as Opsgenie gives where nothing is asked for; the next by a whole URL."""
        start = int(request.query.get("offset", "0"))
        page = self.schedules[start : start + 20]
        body: dict[str, Any] = {"data": page, "took": 0.1, "requestId": "r", "expandable": []}
        if start + 20 < len(self.schedules):
            host = "https://elsewhere.example" if self.next_elsewhere else request.url.origin()
            body["paging"] = {"next": f"{host}{request.path}?offset={start + 20}&limit=20"}
        return web.json_response(body)

    async def _recipients(self, request: web.Request) -> web.Response:
        """User names with `flat`, else participants; 40301 is a team's key at another team's."""
        asked = request.match_info["schedule"]
        found = next((each for each in self.schedules if each["id"] == asked), None)
        if asked in self.closed:
            said = {"message": "You are not authorized.", "code": 40301, "requestId": "r"}
            return web.json_response(said, status=403)
        if found is None or asked not in self.recipients:
            said = {"message": "Schedule does not exist", "requestId": "r"}
            return web.json_response(said, status=404)
        data: dict[str, Any] = {"_parent": {key: found[key] for key in ("id", "name", "enabled")}}
        if request.query.get("flat") == "true":
            data["onCallRecipients"] = self.recipients[asked]
        else:
            people = [{"name": name, "type": "user"} for name in self.recipients[asked]]
            data["onCallParticipants"] = people
        return web.json_response({"data": data, "took": 0.1, "requestId": "r"})

    async def _operations(self, request: web.Request) -> web.Response:
        """At most 50 a page; the next by a path below the site's operations, not the host's."""
        start = int(request.query.get("offset", "0"))
        size = min(50, int(request.query.get("size", "20")))
        body: dict[str, Any] = {"values": self.operations[start : start + size]}
        if start + size < len(self.operations):
            body["links"] = {"next": f"/v1/schedules?offset={start + size}&size={size}"}
        return web.json_response(body)

    async def _on_duty(self, request: web.Request) -> web.Response:
        """Participants with `flat=false`. The form of the other answer is nowhere described."""
        asked = request.match_info["schedule"]
        if asked in self.closed:
            return web.json_response({"code": 403, "message": "Forbidden"}, status=403)
        if asked not in self.participants:
            return web.json_response({"code": 404, "message": "Not Found"}, status=404)
        if request.query.get("flat") != "false":
            return web.json_response({"code": 400, "message": "Not described"}, status=400)
        return web.json_response({"onCallParticipants": self.participants[asked]})

    async def _accounts(self, request: web.Request) -> web.Response:
        """Ten a page unless more are asked for; whom Jira does not know is left out."""
        if not self.shows_accounts:
            return web.json_response({"errorMessages": ["Forbidden"]}, status=403)
        size = int(request.query.get("maxResults", "10"))
        known = [each for each in request.query.getall("accountId") if each in self.accounts]
        values = [{"accountId": each, "displayName": self.accounts[each]} for each in known[:size]]
        page = {"maxResults": size, "startAt": 0, "total": len(known)}
        return web.json_response({**page, "isLast": len(known) <= size, "values": values})


def _shown(path: str, token: str) -> tuple[str, ...]:
    """What opens a path: of Atlassian's a user's API token, or an app's."""
    if path.startswith(("/jsm/", "/ex/")):
        return f"Basic {b64encode(f'{USER}:{token}'.encode()).decode()}", f"Bearer {token}"
    if path.startswith("/v2/schedules"):
        return (f"GenieKey {token}",)
    return (f"token {token}",) if "/org" in path else (f"Token token={token}",)


@asynccontextmanager
async def tools_running(tools: SandboxTools) -> AsyncIterator[str]:
    """Serve them on this machine only; gives the base URL."""
    runner = web.AppRunner(tools.app(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await asyncio.shield(runner.cleanup())
