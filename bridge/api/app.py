"""The aiohttp application. Handlers only read `Live`; they never wait for a pass."""

from __future__ import annotations

import logging

import structlog
from aiohttp import ClientConnectionResetError, hdrs, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Middleware

from bridge.answers.knowledge import Knowledge
from bridge.answers.library import Library, Opened
from bridge.api import catalog, guide, incident, metrics, pages, scores
from bridge.api.access import (
    Handler,
    answer_in_time,
    body_in_time,
    cross_origin,
    guard,
    preflight,
    short_query,
)
from bridge.api.answers import conditional, error_response
from bridge.api.changes import routes as changes
from bridge.api.description import describe
from bridge.api.facts.checked_facts import CheckedFacts
from bridge.api.facts.facts import FactRoutes
from bridge.api.facts.tech_insights import TechInsights
from bridge.api.hardening import harden
from bridge.api.health import healthz, readyz
from bridge.api.incident.slack import PATH as SLACK_PATH
from bridge.api.keys import (
    CLOCK,
    DEACTIVATIONS,
    FACTS,
    HOOK_COUNTS,
    LIVE,
    REMEDIED,
    SCORES,
    VALIDATE,
)
from bridge.api.live import Live
from bridge.api.mcp_server import PATH as MCP_PATH
from bridge.api.mcp_server import McpOverHttp
from bridge.api.memo import OF_BOARD, OF_FACTS, OF_INDEX, OF_REPORT, Memo
from bridge.api.ox_metrics import OxMetrics
from bridge.api.pages import model
from bridge.api.parts import AppParts
from bridge.api.problems import routes as problems
from bridge.api.remediation import Notices, Remediation
from bridge.api.rendering import render
from bridge.api.root import ROOT, own_path, reachable, rooted_redirect
from bridge.api.scores.initiatives import InitiativeRoutes
from bridge.api.webhooks import PATH as WEBHOOK_PATH
from bridge.errors import StoreError
from bridge.passes.explain import Explanation, explain
from bridge.passes.view import Known

log = structlog.get_logger()

# The service takes no uploads: whatever is longer than this is not for us.
MAX_BODY = 1_000_000
MAX_REF = 512
# A request's head: its first line (with the query), each header, and how many. A token of
# Backstage's may have 32 KB.
MAX_LINE = 40_000
MAX_HEADERS = 100
IDLE_SECONDS = 75.0  # longer than proxies keep their connections to us
# What comes of strangers: no HTTP, a body that is not what its head says, a hasty departure.
_NO_ERRORS = (HttpProcessingError, web.RequestPayloadError, ClientConnectionResetError)
LINGERING_SECONDS = 2.0  # for the rest of a body that nobody reads


def make_app(live: Live, parts: AppParts) -> web.Application:
    """The application that serves `live`, and what its parts have to tell."""
    app = web.Application(middlewares=_middlewares(parts), client_max_size=MAX_BODY)
    app.on_response_prepare.extend((harden, cross_origin(parts.access), rooted_redirect))
    remedies = Remediation(parts.remediation)
    _keep(app, live, parts, remedies)
    routes = [
        *_plain_routes(parts),
        *catalog.routes(),
        *scores.routes(),
        *incident.routes(),
        *model.routes(),
        *changes.routes(),
        *problems.routes(),
        *guide.routes(),
        *remedies.routes(),
        *Notices(parts.remediation).routes(),
        *InitiativeRoutes(parts.initiatives).routes(),
        *_fact_routes(live, parts),
        web.post(MCP_PATH, _mcp(app, live, parts).handle),
    ]
    app.add_routes(reachable(routes, parts.root))
    return app


def _middlewares(parts: AppParts) -> list[Middleware]:
    """What every request passes through, from outside to inside."""
    return [
        answer_in_time(parts.patience),
        preflight(parts.access),
        _errors_answered,
        short_query,
        guard(parts.access),
        body_in_time(parts.patience),
    ]


def _keep(app: web.Application, live: Live, parts: AppParts, remedies: Remediation) -> None:
    """Put what handlers find in the application there."""
    app[ROOT] = parts.root
    app[LIVE] = live
    app[CLOCK] = parts.clock
    for memo in (OF_INDEX, OF_BOARD, OF_REPORT, OF_FACTS):
        app[memo] = Memo()
    app[HOOK_COUNTS] = parts.webhooks.counts
    app[VALIDATE] = parts.validate
    app[FACTS] = parts.facts
    app[SCORES] = parts.scored
    app[REMEDIED] = remedies.about
    app[DEACTIVATIONS] = remedies.deactivations
    app[metrics.OX_METRICS] = OxMetrics(parts.facts, parts.scored, parts.remediation, parts.clock)
    app[incident.KNOWLEDGE] = lambda: _knowledge(live, parts)


def _plain_routes(parts: AppParts) -> list[web.RouteDef]:
    return [
        web.get("/", pages.home),
        web.get("/explain", pages.explain_page),
        web.get("/catalog/", _catalog_root),
        web.get("/catalog/{path:.+}", _catalog_file),
        web.get("/schemas/", _schemas),
        web.get("/schemas/{name}", _schema),
        web.get("/api/report", _report),
        web.get("/api/explain", _explain),
        web.get("/healthz", healthz),
        web.get("/readyz", readyz),
        web.get("/metrics", metrics.expose),
        web.post(WEBHOOK_PATH, parts.webhooks.receive),
        web.post(f"{WEBHOOK_PATH}/{{source}}", parts.webhooks.receive),
        web.get("/openapi.json", describe),
        web.post(SLACK_PATH, parts.slack.receive),
    ]


def _fact_routes(live: Live, parts: AppParts) -> list[web.RouteDef]:
    """What other systems pull: facts, and every check as a fact."""
    facts = CheckedFacts(parts.facts, parts.scored, parts.clock)
    insights = TechInsights(facts, parts.checks, parts.scored, lambda: live.public_url)
    return [*FactRoutes(facts).routes(), *insights.routes()]


def _mcp(app: web.Application, live: Live, parts: AppParts) -> McpOverHttp:
    """What answers language models, for as long as the application runs."""

    async def opened() -> Opened:
        return _opened(live, app[incident.KNOWLEDGE](), await live.known())

    mcp = McpOverHttp(Library(opened, parts.clock))
    app.cleanup_ctx.append(mcp.lifetime)
    return mcp


def _knowledge(live: Live, parts: AppParts) -> Knowledge:
    """What answers draw on at this moment."""
    board = parts.scored.board
    return Knowledge(
        live.index,
        parts.facts.board.latest,
        board.scores if board is not None else {},
        live.served_since,
        live.last_complete,
        {check.id: check.title for check in parts.scored.rubric.checks},
        live.lately,
    )


def _opened(live: Live, known: Knowledge, all_known: Known) -> Opened:
    """What questions are answered from at this moment."""
    record, memory, source = all_known.record, all_known.memory, live.source
    if record is None or live.report is None:
        nothing = ("no pass has ended yet",)
        return Opened(
            known, (), lambda asked: Explanation(asked, (), nothing, (), known=False), live.changes
        )
    return Opened(
        known,
        live.report.problems,
        lambda asked: explain(asked, memory, record, source),
        live.changes,
    )


def app_runner(app: web.Application, *, idle: float = IDLE_SECONDS) -> web.AppRunner:
    """What runs the application, with bounds on heads and on connections that say nothing.

    `idle` seconds are what a connection has for a request's head, and between two requests.
    """
    return web.AppRunner(
        app,
        logger=_http_log(),
        handle_signals=False,
        keepalive_timeout=idle,
        lingering_time=LINGERING_SECONDS,
        max_line_size=MAX_LINE,
        max_field_size=MAX_LINE,
        max_headers=MAX_HEADERS,
    )


def _http_log() -> logging.Logger:
    """The server's own log, without what is no error of ours."""
    logger = logging.getLogger("bridge.http")
    if not logger.filters:
        logger.addFilter(
            lambda record: not (record.exc_info and isinstance(record.exc_info[1], _NO_ERRORS))
        )
    return logger


@web.middleware
async def _errors_answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors in one shape: 503 while the store is away; what we did not foresee is logged, too."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        name = "NotFoundError" if error.status == 404 else error.reason
        response = error_response(request, error.status, name, error.text or error.reason)
        if hdrs.ALLOW in error.headers:
            response.headers[hdrs.ALLOW] = error.headers[hdrs.ALLOW]
        return response
    except web.RequestPayloadError:
        message = "the body cannot be read as its headers say: Content-Encoding, Transfer-Encoding"
        return error_response(request, 400, "InputError", message)
    except StoreError as error:  # it is away, or holds what cannot be read
        log.error("The store does not answer", action="store_away", error=str(error))
        if own_path(request).startswith("/api/"):
            return error_response(request, 503, "ServiceUnavailableError", str(error))
        return render(request, "away.html", status=503, reason=str(error))
    except Exception as error:
        if isinstance(error, ConnectionError) and _gone(request):
            raise ClientConnectionResetError("who asked is gone") from None
        log.exception("A request failed", action="request_failed", path=request.path)
        return error_response(
            request, 500, "InternalServerError", "Fester failed at this; its log says why"
        )


def _gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


async def _catalog_root(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("/catalog/index.yaml")


async def _catalog_file(request: web.Request) -> web.StreamResponse:
    live = request.app[LIVE]
    if not live.ready:
        return error_response(
            request,
            503,
            "ServiceUnavailableError",
            "no pass has ended yet; /readyz tells when a catalog is served",
        )
    served = await live.file(request.match_info["path"])
    if served is None:
        return error_response(
            request, 404, "NotFoundError", "no such file; /catalog/index.yaml lists the others"
        )
    return conditional(request, served)


async def _schemas(request: web.Request) -> web.StreamResponse:
    names = sorted(request.app[LIVE].schemas)
    root = request.app[ROOT]
    return web.json_response({"schemas": [f"{root}/schemas/{name}" for name in names]})


async def _schema(request: web.Request) -> web.StreamResponse:
    body = request.app[LIVE].schemas.get(request.match_info["name"])
    if body is None:
        return error_response(request, 404, "NotFoundError", "no such schema; /schemas/ lists them")
    return web.Response(
        body=body,
        content_type="application/schema+json",
        # Editors in a browser read the schema from another origin.
        headers={"Cache-Control": "max-age=300", "Access-Control-Allow-Origin": "*"},
    )


async def _report(request: web.Request) -> web.StreamResponse:
    report = request.app[LIVE].report
    if report is None:
        return error_response(request, 503, "ServiceUnavailableError", "no pass has ended yet")
    return web.json_response(report.as_json())


async def _explain(request: web.Request) -> web.StreamResponse:
    live = request.app[LIVE]
    asked = request.query.get("ref", "").strip()
    if not asked or len(asked) > MAX_REF:
        return error_response(
            request,
            400,
            "InputError",
            "ask with ?ref=component:default/name, a name, or a project's path, id or URL",
        )
    answer = await pages.explained(live, asked) if live.report is not None else None
    if answer is None:
        return error_response(request, 503, "ServiceUnavailableError", "no pass has ended yet")
    return web.json_response(answer.as_json())
