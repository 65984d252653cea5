"""REST v4 without faults: routes, JSON and paging as GitLab does them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, Final

from aiohttp import web

from bridge.sandbox.project import SandboxFile, SandboxProject
from bridge.sandbox.query_run import sees
from bridge.sandbox.resolvers import REVISION, VERSION, spoken
from bridge.sandbox.rest_json import file_headers, moment, project_json
from bridge.sandbox.sessions import SESSION
from bridge.sandbox.world import SandboxGroup, World

OFFSET_LIMIT = 50_000
COUNT_LIMIT = 10_000
PER_PAGE = 20
PER_PAGE_LIMIT = 100
READING = ("read_api", "read_repository")
# Where GitLab lies at its host: "" or a path such as "/gitlab".
BASE_PATH: Final[web.AppKey[str]] = web.AppKey("base_path", str)
# Whether the request being served carries the token. A context variable, because the request's own
# storage wants typed keys that older releases of aiohttp do not have.
AUTHENTICATED: Final[ContextVar[bool]] = ContextVar("authenticated", default=False)

ORDERS: dict[str, Callable[[SandboxProject], Any]] = {
    "id": lambda project: project.id,
    "name": lambda project: project.name.lower(),
    "path": lambda project: project.path.lower(),
    "created_at": lambda project: project.created_at,
    "updated_at": lambda project: project.updated_at,
    "last_activity_at": lambda project: project.last_activity_at,
}


def refusal(status: int, message: str, key: str = "message") -> web.Response:
    """GitLab's JSON for a request that it does not serve."""
    return web.json_response({key: message}, status=status)


# What GitLab's API takes for true in a query (dry-types' params.bool, through Grape).
_TRUE = frozenset(
    {"1", "on", "On", "ON", "t", "true", "True", "TRUE", "T", "y", "yes", "Yes", "YES", "Y"}
)


def is_true(text: str | None) -> bool:
    """Whether GitLab takes this query text for true."""
    return text in _TRUE


class Rest:
    """The REST half of the sandbox, over the same world as the GraphQL half."""

    def __init__(self, world: World, scopes: Sequence[str] = READING) -> None:
        self.world = world
        self.scopes = scopes

    def routes(self) -> list[web.RouteDef]:
        """All REST routes."""
        api = "/api/v4"
        project = f"{api}/projects/{{id}}"
        group = f"{api}/groups/{{id}}"
        files = f"{project}/repository/files/{{path}}"
        return [
            web.get(f"{api}/version", self.version),
            web.get(f"{api}/metadata", self.version),
            web.get(f"{api}/user", self.user),
            web.get(f"{api}/personal_access_tokens/self", self.own_token),
            web.get(f"{api}/projects", self.projects),
            web.get(project, self.project),
            web.get(f"{project}/languages", self.languages),
            web.head(files, self.file_head),
            web.get(f"{files}/raw", self.file_raw),
            web.get(group, self.group),
            web.get(f"{group}/projects", self.group_projects),
            web.get(f"{group}/subgroups", self.subgroups),
        ]

    async def version(self, request: web.Request) -> web.Response:
        """The version of the server; only for those who log in."""
        if not known_user():
            return refusal(401, "401 Unauthorized")
        return web.json_response({"version": VERSION, "revision": REVISION, **_code()})

    async def user(self, request: web.Request) -> web.Response:
        """Whose token it is."""
        if not known_user():
            return refusal(401, "401 Unauthorized")
        user = SESSION.get().user
        body = {"id": user.id, "username": user.username, "name": user.name, "bot": user.bot}
        return web.json_response({**body, "state": "active"})

    async def own_token(self, request: web.Request) -> web.Response:
        """What the token may do."""
        if not known_user():
            return refusal(401, "401 Unauthorized")
        token = {"id": 1, "name": "catalog-crawler", "revoked": False, "active": True}
        session = SESSION.get()
        expires = session.token_expires.isoformat() if session.token_expires else None
        scopes = {"scopes": list(self.scopes), "user_id": session.user.id}
        return web.json_response({**token, **scopes, "expires_at": expires})

    async def projects(self, request: web.Request) -> web.Response:
        """All projects the token sees, by keyset or by offset."""
        asked = request.query
        if asked.get("pagination") == "keyset":
            return self._keyset(request)
        after, before = _id_bounds(request)

        def make() -> list[SandboxProject]:
            found = self._filtered(request, self.world.projects)
            low, high = _between(found, after, before)
            return _ordered(found[low:high], asked, default="created_at")

        return self._offset(request, self._listing(request, make, "page", "per_page"))

    async def project(self, request: web.Request) -> web.Response:
        """One project by id or by full path."""
        project = self._project(request)
        if project is None:
            return refusal(404, "404 Project Not Found")
        if project.poisoned:
            return refusal(500, "500 Internal Server Error")
        return web.json_response(project_json(project, self.world, base_url(request)))

    async def languages(self, request: web.Request) -> web.Response:
        """The languages of a project's code, with their shares in percent."""
        project = self._project(request)
        if project is None:
            return refusal(404, "404 Project Not Found")
        return web.json_response(dict(project.facts.languages))

    async def file_head(self, request: web.Request) -> web.Response:
        """A file's metadata, in headers."""
        found = self._file(request)
        if isinstance(found, web.Response):
            return found
        return web.Response(headers=file_headers(request.match_info["path"], found))

    async def file_raw(self, request: web.Request) -> web.Response:
        """A file's bytes, whatever they are."""
        found = self._file(request)
        if isinstance(found, web.Response):
            return found
        headers = file_headers(request.match_info["path"], found)
        return web.Response(body=found.content, content_type="text/plain", headers=headers)

    async def group(self, request: web.Request) -> web.Response:
        """One group by id or by full path."""
        group = self._group(request)
        if group is None:
            return refusal(404, "404 Group Not Found")
        return web.json_response(self._group_json(group, base_url(request)))

    async def group_projects(self, request: web.Request) -> web.Response:
        """A group's projects by offset; of its subgroups too if asked."""
        group = self._group(request)
        if group is None:
            return refusal(404, "404 Group Not Found")
        subgroups = is_true(request.query.get("include_subgroups"))
        found = self._filtered(request, self.world.in_group(group.path, subgroups=subgroups))
        return self._offset(request, _ordered(found, request.query, default="created_at"))

    async def subgroups(self, request: web.Request) -> web.Response:
        """A group's direct subgroups."""
        group = self._group(request)
        if group is None:
            return refusal(404, "404 Group Not Found")
        parent = group.path.lower()
        children = [g for g in self.world.groups if g.path.lower().rpartition("/")[0] == parent]
        base = base_url(request)
        return self._offset(request, [self._group_json(child, base) for child in children])

    def _project(self, request: web.Request) -> SandboxProject | None:
        asked = request.match_info["id"]
        project = self.world.get(int(asked)) if asked.isdigit() else self.world.find(asked)
        return project if project is not None and sees(project, known_user()) else None

    def _group(self, request: web.Request) -> SandboxGroup | None:
        asked = request.match_info["id"]
        return self.world.group_by_id(int(asked)) if asked.isdigit() else self.world.group(asked)

    def _file(self, request: web.Request) -> SandboxFile | web.Response:
        project = self._project(request)
        if project is None:
            return refusal(404, "404 Project Not Found")
        if project.repository in ("forbidden", "disabled"):
            return refusal(403, "403 Forbidden")
        if project.repository == "empty":
            return refusal(404, "404 Repository Not Found")
        if request.query.get("ref", "HEAD") not in ("HEAD", project.default_branch):
            return refusal(404, "404 Commit Not Found")
        file = project.files.get(request.match_info["path"])
        return file or refusal(404, "404 File Not Found")

    def _listing(
        self, request: web.Request, make: Callable[[], list[SandboxProject]], *paging: str
    ) -> Sequence[SandboxProject]:
        """The list that a question pages through; `paging` are the parameters that only page."""
        question = frozenset(pair for pair in request.query.items() if pair[0] not in paging)
        return self.world.listing(("rest", known_user(), question), make)

    def _filtered(
        self, request: web.Request, found: Sequence[SandboxProject]
    ) -> list[SandboxProject]:
        asked, known = request.query, known_user()
        kept = [project for project in found if sees(project, known)]
        if is_true(asked.get("membership")):
            kept = [project for project in kept if known and project.member]
        if "archived" in asked:
            wanted = is_true(asked["archived"])
            kept = [each for each in kept if self.world.is_archived(each) == wanted]
        if is_true(asked.get("active")):
            kept = [each for each in kept if self._is_active(each)]
        if "visibility" in asked:
            kept = [project for project in kept if project.visibility == asked["visibility"]]
        if asked.get("topic"):
            topics = set(asked["topic"].split(","))
            kept = [project for project in kept if topics <= set(project.topics)]
        if since := moment(asked.get("last_activity_after")):
            kept = [project for project in kept if project.last_activity_at > since]
        if since := moment(asked.get("updated_after")):
            if asked.get("order_by") != "updated_at":
                raise web.HTTPBadRequest(
                    reason="`updated_at` filter and `updated_at` sorting must be paired"
                )
            kept = [project for project in kept if project.updated_at > since]
        return kept

    def _is_active(self, project: SandboxProject) -> bool:
        world = self.world
        return not (world.is_archived(project) or world.is_marked_for_deletion(project))

    def _keyset(self, request: web.Request) -> web.Response:
        asked = request.query
        if asked.get("order_by", "created_at") != "id":
            message = "Keyset pagination is not yet available for this type of request"
            return refusal(405, message, key="error")
        found = self._listing(
            request,
            lambda: self._filtered(request, self.world.projects),
            "id_after",
            "id_before",
            "per_page",
        )
        low, high = _between(found, *_id_bounds(request))
        descending, size = asked.get("sort", "desc") != "asc", _per_page(request)
        if descending:
            rows = found[max(low, high - size) : high][::-1]
        else:
            rows = found[low : min(high, low + size)]
        response = self._rows(request, rows)
        # A full server answers with a link as long as there were rows: the end is an empty page.
        if rows:
            bound = "id_before" if descending else "id_after"
            response.headers["Link"] = _link(request, "next", **{bound: str(rows[-1].id)})
        return response

    def _offset(self, request: web.Request, rows: Sequence[Any]) -> web.Response:
        page, size = max(1, _integer(request.query.get("page"), 1)), _per_page(request)
        start = (page - 1) * size
        if start >= OFFSET_LIMIT:
            message = (
                f"Offset pagination has a maximum allowed offset of {OFFSET_LIMIT} for requests "
                "that return objects of type Project. Remaining records can be retrieved using "
                "keyset pagination."
            )
            return refusal(405, message, key="error")
        response = self._rows(request, rows[start : start + size])
        _offset_headers(request, response, (page, size), len(rows))
        return response

    def _rows(self, request: web.Request, rows: Sequence[Any]) -> web.Response:
        base = base_url(request)
        return web.json_response(
            [
                project_json(row, self.world, base, simple=is_true(request.query.get("simple")))
                if isinstance(row, SandboxProject)
                else row
                for row in rows
            ]
        )

    def _group_json(self, group: SandboxGroup, base: str) -> dict[str, Any]:
        parent = self.world.group(group.path.rpartition("/")[0])
        return {
            "id": group.id,
            "name": group.name,
            "path": group.path.rpartition("/")[2],
            "full_path": group.path,
            "full_name": spoken(group.path, group.name, self.world),
            "parent_id": parent.id if parent else None,
            "visibility": "private",
            "web_url": f"{base}/groups/{group.path}",
        }


def _code() -> dict[str, bool]:
    """Whether the code of paid features is there."""
    return {"enterprise": SESSION.get().edition.enterprise}


def known_user() -> bool:
    """Whether the request carries the token."""
    return AUTHENTICATED.get()


def base_url(request: web.Request) -> str:
    """The server's own address as the client wrote it."""
    return f"{request.scheme}://{request.host}{request.app[BASE_PATH]}"


def _integer(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.lstrip("-").isdigit() else otherwise


def _per_page(request: web.Request) -> int:
    return min(PER_PAGE_LIMIT, max(1, _integer(request.query.get("per_page"), PER_PAGE)))


def _id_bounds(request: web.Request) -> tuple[int | None, int | None]:
    try:
        after, before = (int(request.query.get(key) or 0) for key in ("id_after", "id_before"))
    except ValueError as error:
        raise web.HTTPBadRequest(reason="id_after or id_before is invalid") from error
    return (after or None, before or None)


def _between(
    found: Sequence[SandboxProject], after: int | None, before: int | None
) -> tuple[int, int]:
    """Where projects with `after < id < before` lie among some by id; a bound may be missing."""
    low = 0 if after is None else bisect_right(found, after, key=_id)
    high = len(found) if before is None else bisect_left(found, before, key=_id)
    return low, max(low, high)


def _id(project: SandboxProject) -> int:
    return project.id


def _ordered(found: list[SandboxProject], asked: Any, *, default: str) -> list[SandboxProject]:
    order = ORDERS.get(asked.get("order_by", default), ORDERS[default])
    descending = asked.get("sort", "desc") != "asc"
    return sorted(found, key=lambda project: (order(project), project.id), reverse=descending)


def _link(request: web.Request, relation: str, **changed: str) -> str:
    return f'<{request.url.update_query(changed)}>; rel="{relation}"'


def _offset_headers(
    request: web.Request, response: web.Response, place: tuple[int, int], total: int
) -> None:
    page, size = place
    more = page * size < total
    links = [_link(request, "next", page=str(page + 1))] if more else []
    links.append(_link(request, "first", page="1"))
    headers = response.headers
    headers["X-Page"], headers["X-Per-Page"] = str(page), str(size)
    headers["X-Next-Page"] = str(page + 1) if more else ""
    if total <= COUNT_LIMIT:
        pages = -(-total // size)
        headers["X-Total"], headers["X-Total-Pages"] = str(total), str(pages)
        links.append(_link(request, "last", page=str(max(1, pages))))
    headers["Link"] = ", ".join(links)
