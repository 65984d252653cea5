"""The sandbox GitLab as an aiohttp application: who asks, what goes wrong, what was asked."""

from __future__ import annotations

import asyncio
import hmac
import json
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final

from aiohttp import web

from bridge.sandbox import faults_on_the_wire
from bridge.sandbox.branches import Branches
from bridge.sandbox.faults import Fault, FaultDice, FaultPlan, FaultRule, Target
from bridge.sandbox.graphql import GraphQLService
from bridge.sandbox.guards_schema import ENTERPRISE
from bridge.sandbox.latency import Latency
from bridge.sandbox.limits import Limit, LimitCounter
from bridge.sandbox.resolvers import PROJECT_GID
from bridge.sandbox.rest import AUTHENTICATED, BASE_PATH, READING, Rest, base_url, refusal
from bridge.sandbox.rest_code import CodeRoutes
from bridge.sandbox.rest_guards import GuardRoutes
from bridge.sandbox.rest_issues import IssueRoutes
from bridge.sandbox.sessions import SESSION, Session
from bridge.sandbox.tracker import SandboxUser
from bridge.sandbox.world import Clock, World

GITLAB_COM_RATE = 2000
NAMED_PROJECT = re.compile(r"/api/v4/projects/(\d+)")
GID_NUMBER = re.compile(re.escape(PROJECT_GID) + r"(\d+)")
LISTING = re.compile(r"/api/v4/((projects|groups)/[^/]+/)?(issues|merge_requests)/?$")
ENUMERATION = re.compile(r"/api/v4/(projects|groups/[^/]+/projects)/?$")
BODY_LIMIT = 4 * 1024 * 1024

# The rule by which the answer being made loses some of its projects.
PARTIAL: Final[ContextVar[FaultRule | None]] = ContextVar("partial", default=None)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class CountedRequest:
    """One request the sandbox saw; `fault` names what was done to it."""

    kind: Target
    method: str
    path: str
    at: datetime
    fault: Fault | None
    project_ids: tuple[int, ...] = ()


class SandboxGitLab:
    """GitLab's API over a `World`.

    `token` is the only one accepted (`PRIVATE-TOKEN` or `Bearer`), and `session` says whose it is
    and what its user may do; without any, only public projects show. `rate_limit` answers 429
    above so many requests a minute of `clock`; none by default, as self-managed GitLab.
    `text_tenfold` prices blobs as releases near 18.4.2 do. The token may write when `scopes` holds
    `api`.
    `limits` are application limits (`limits.DEFAULTS`); none by default, for a hand-moved clock
    seldom moves as far as their windows.
    `lacks` names GraphQL fields that an older GitLab does not know.
    With a `path` ("/gitlab") it lies under it, and another application answers elsewhere.
    """

    def __init__(
        self,
        world: World,
        *,
        token: str = "sandbox-token",  # noqa: S107 — opens nothing but the sandbox
        faults: FaultPlan | None = None,
        latency: Latency | None = None,
        clock: Clock | None = None,
        rate_limit: int | None = None,
        limits: Sequence[Limit] = (),
        text_tenfold: bool = False,
        scopes: Sequence[str] = READING,
        lacks: frozenset[str] = frozenset(),
        session: Session | None = None,
        path: str = "",
    ) -> None:
        self.world = world
        self.path = path.rstrip("/")
        self.scopes = scopes
        self.branches = Branches(world)
        self.token = token
        self.session = session or Session()
        self.latency = latency or Latency()
        self.clock = clock or world.clock
        self.rate_limit = rate_limit
        self.requests: list[CountedRequest] = []
        # Hears of every request before it is answered: to let the world change in mid-crawl.
        self.on_request: Callable[[CountedRequest], None] = lambda seen: None
        self._dice = FaultDice(faults or FaultPlan())
        self._jitter = random.Random(0)  # noqa: S311 — repeatable on purpose
        self._minute = (0, 0)
        self._limits = LimitCounter(limits)
        self._stopped = asyncio.Event()
        if not self.session.edition.enterprise:
            lacks |= ENTERPRISE
        self._graphql = GraphQLService(world, text_tenfold=text_tenfold, lacks=lacks)
        self.app = self._application()

    @property
    def counts(self) -> Counter[str]:
        """How many requests of each kind came since the start or `forget_requests`."""
        return Counter(request.kind for request in self.requests)

    def forget_requests(self) -> None:
        """Start counting anew, as between two runs of a benchmark."""
        self.requests.clear()

    def rotate(self, token: str, username: str) -> SandboxUser:
        """Another token in place of the old one: GitLab gives it a bot user of its own."""
        user = self.world.people.add(username, username.title())
        self.token, self.session = token, replace(self.session, user=user)
        return user

    def use_faults(self, plan: FaultPlan) -> None:
        """From now on fail by this plan; an empty plan heals the server."""
        self._dice = FaultDice(plan)

    def _application(self) -> web.Application:
        app = web.Application(middlewares=[self._everything], client_max_size=BODY_LIMIT)
        app.add_routes(Rest(self.world, self.scopes).routes())
        app.add_routes(GuardRoutes(self.world, self.scopes).routes())
        app.add_routes(IssueRoutes(self.world, self.scopes).routes())
        app.add_routes(CodeRoutes(self.world, self.branches, self.scopes).routes())
        app.router.add_post("/api/graphql", self._query)
        app.on_shutdown.append(self._stop)
        app[BASE_PATH] = self.path
        if not self.path:
            return app
        host = web.Application()
        host.add_subapp(self.path, app)
        host.router.add_route("*", "/{path:.*}", _another_application)
        return host

    async def _stop(self, _: web.Application) -> None:
        self._stopped.set()

    @web.middleware
    async def _everything(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        kind = _kind(request)
        named = await _named_projects(request, kind)
        rule = self._dice.throw(kind, named)
        self._count(request, kind, named, rule)
        headers, exhausted = self._rate_headers()
        await self._take_time(getattr(self.latency, "rest" if "rest" in kind else kind))
        if exhausted and rule is None:
            rule = FaultRule(Fault.RATE_LIMITED)
        now = self.clock().timestamp()
        wait = self._limits.exceeded(request.method, request.rel_url.raw_path, now)
        if wait and rule is None:
            return faults_on_the_wire.too_many(wait)
        answer = await self._answer(request, handler, rule)
        if not answer.prepared:
            answer.headers.update(headers)
            answer.headers["Date"] = format_datetime(self.clock().astimezone(UTC), usegmt=True)
            if answer.status == 429 and not self._dice.plan.healthy_headers:
                _say_exhausted(answer)
        return answer

    async def _answer(
        self, request: web.Request, handler: Handler, rule: FaultRule | None
    ) -> web.StreamResponse:
        if rule is not None:
            if rule.fault is Fault.HANG:
                return await faults_on_the_wire.hang(request, self._stopped)
            if rule.fault is Fault.RESET:
                return faults_on_the_wire.reset(request)
            failed = faults_on_the_wire.failed_answer(rule.fault, self._dice.plan, self.clock())
            if failed is not None:
                return failed
        known = self._authenticated(request)
        if known is None:
            return refusal(401, "401 Unauthorized")
        AUTHENTICATED.set(known)
        SESSION.set(self.session)
        PARTIAL.set(rule if rule is not None and rule.fault is Fault.PARTIAL else None)
        answer = await _handled(request, handler)
        return await _spoiled(request, answer, rule)

    def _authenticated(self, request: web.Request) -> bool | None:
        """Whether the request carries the token; `None` when it carries a wrong one."""
        given = request.headers.get("PRIVATE-TOKEN")
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        if given is None and scheme.lower() == "bearer":
            given = bearer.strip()
        if given is None:
            return False
        return True if hmac.compare_digest(given.encode(), self.token.encode()) else None

    def _count(
        self, request: web.Request, kind: Target, named: tuple[int, ...], rule: FaultRule | None
    ) -> None:
        fault = rule.fault if rule else None
        path = request.rel_url.raw_path
        if request.rel_url.raw_query_string:
            path = f"{path}?{request.rel_url.raw_query_string}"
        seen = CountedRequest(kind, request.method, path, self.clock(), fault, named)
        self.requests.append(seen)
        self.on_request(seen)

    def _rate_headers(self) -> tuple[dict[str, str], bool]:
        now = int(self.clock().timestamp())
        minute = now // 60
        observed = self._minute[1] + 1 if self._minute[0] == minute else 1
        self._minute = (minute, observed)
        limit = self.rate_limit or GITLAB_COM_RATE
        headers = {
            "RateLimit-Limit": str(limit),
            "RateLimit-Observed": str(observed),
            "RateLimit-Remaining": str(max(0, limit - observed)),
            "RateLimit-Reset": str((minute + 1) * 60),
            "RateLimit-Name": "throttle_authenticated_api",
        }
        return headers, self.rate_limit is not None and observed > self.rate_limit

    async def _take_time(self, seconds: float) -> None:
        if seconds > 0:
            await asyncio.sleep(seconds * (1 + self.latency.jitter * self._jitter.random()))

    async def _query(self, request: web.Request) -> web.Response:
        payload = await _payload(request)
        if payload is None:
            return web.json_response(
                {"errors": [{"message": "Unexpected end of document"}]}, status=422
            )
        rule = PARTIAL.get()
        dice = self._dice
        answer = self._graphql.answer(
            payload,
            authenticated=AUTHENTICATED.get(),
            base_url=base_url(request),
            loses=None if rule is None else lambda ids: dice.loses(rule, ids),
        )
        await self._take_time(self.latency.per_project * answer.projects)
        return web.json_response(answer.body, status=answer.status)


def _say_exhausted(answer: web.StreamResponse) -> None:
    reset = datetime.fromtimestamp(int(answer.headers["RateLimit-Reset"]), UTC)
    answer.headers["RateLimit-Remaining"] = "0"
    answer.headers["RateLimit-Observed"] = answer.headers["RateLimit-Limit"]
    answer.headers["RateLimit-ResetTime"] = format_datetime(reset, usegmt=True)


async def _another_application(request: web.Request) -> web.Response:
    """What lies beside a GitLab at its host: it knows nothing of it, and says so in HTML."""
    text = "<!DOCTYPE html><title>Intranet</title><h1>There is no such page</h1>"
    return web.Response(status=404, text=text, content_type="text/html")


def _path(request: web.Request) -> str:
    """The path below where GitLab lies."""
    return request.rel_url.raw_path.removeprefix(request.app[BASE_PATH])


def _kind(request: web.Request) -> Target:
    path = _path(request)
    if path.startswith("/api/graphql"):
        return "graphql"
    if "/repository/files/" in path:
        return "raw"
    if request.method not in ("GET", "HEAD"):
        return "rest-write"
    if LISTING.match(path):
        return "rest-list"
    return "rest-enumeration" if ENUMERATION.match(path) else "rest"


async def _named_projects(request: web.Request, kind: Target) -> tuple[int, ...]:
    """The projects a request asks for by id: in its path, or anywhere in a GraphQL body."""
    if kind == "graphql":
        return tuple(int(number) for number in GID_NUMBER.findall(await request.text()))
    found = NAMED_PROJECT.match(_path(request))
    return (int(found[1]),) if found else ()


async def _payload(request: web.Request) -> dict[str, Any] | None:
    try:
        payload = json.loads(await request.text())
    except ValueError:
        return None
    return payload if isinstance(payload, dict) else None


async def _handled(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        return refusal(error.status, f"{error.status} {error.reason}", key="error")


async def _spoiled(
    request: web.Request, answer: web.StreamResponse, rule: FaultRule | None
) -> web.StreamResponse:
    if rule is None or not isinstance(answer, web.Response):
        return answer
    if rule.fault is Fault.LOST_ANSWER:  # what was asked for is done, and nobody hears of it
        return faults_on_the_wire.reset(request)
    if rule.fault is Fault.TRUNCATED:
        return await faults_on_the_wire.truncated(request, answer)
    if rule.fault in (Fault.LOST_PAGE, Fault.CUT_SHORT):
        return faults_on_the_wire.lost_page(answer, cut_short=rule.fault is Fault.CUT_SHORT)
    return answer


@asynccontextmanager
async def running(sandbox: SandboxGitLab, port: int = 0) -> AsyncIterator[str]:
    """Serve a sandbox on this machine only; gives its base URL, and stops when left."""
    runner = web.AppRunner(
        sandbox.app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        bound = runner.addresses[0][1]
        yield f"http://127.0.0.1:{bound}{sandbox.path}"
    finally:
        await runner.cleanup()
