"""The aiohttp application. Handlers only read `Live`; they never wait for a pass."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import structlog
from aiohttp import ClientConnectionResetError, hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from bridge.answers.knowledge import Knowledge
from bridge.answers.library import Library, Opened
from bridge.api import catalog, guide, incident, metrics, pages, scores
from bridge.api.access import (
    Access,
    Handler,
    Patience,
    answer_in_time,
    body_in_time,
    cross_origin,
    guard,
    needs,
    preflight,
    short_query,
)
from bridge.api.answers import conditional, error_response
from bridge.api.changes import routes as changes
from bridge.api.description import describe
from bridge.api.facts.checked_facts import CheckedFacts
from bridge.api.facts.facts import FactRoutes
from bridge.api.facts.nothing import NoChecks, NoFacts
from bridge.api.facts.tech_insights import TechInsights
from bridge.api.hardening import harden
from bridge.api.hooks import Wanted
from bridge.api.incident.slack import PATH as SLACK_PATH
from bridge.api.interfaces import CheckBook, FactBook, Scores
from bridge.api.keys import (
    CLOCK,
    DEACTIVATIONS,
    FACTS,
    HOOK_COUNTS,
    LIVE,
    REMEDIED,
    SCORES,
    VALIDATE,
    Validate,
)
from bridge.api.live import Live
from bridge.api.mcp_server import PATH as MCP_PATH
from bridge.api.mcp_server import McpOverHttp
from bridge.api.memo import OF_BOARD, OF_INDEX, OF_REPORT, Memo
from bridge.api.ox_metrics import OxMetrics
from bridge.api.pages import model
from bridge.api.problems import routes as problems
from bridge.api.remediation import NoRemediation, Notices, Remediation, RemediationBook
from bridge.api.root import ROOT, own_path, reachable, rooted_redirect
from bridge.api.scores.initiatives import InitiativeBook, Initiatives, NoInitiatives
from bridge.api.webhooks import PATH as WEBHOOK_PATH
from bridge.api.webhooks import Webhooks
from bridge.errors import StoreError
from bridge.model.access import Scope
from bridge.model.entities import Json
from bridge.model.hints import Hint
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


def make_app(
    live: Live,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    webhooks: Webhooks | None = None,
    validate: Validate = lambda entity: (),
    access: Access | None = None,
    patience: Patience | None = None,
    facts: FactBook | None = None,
    checks: CheckBook | None = None,
    scored: Scores | None = None,
    remediation: RemediationBook | None = None,
    slack: incident.SlackCommand | None = None,
    initiatives: InitiativeBook | None = None,
    root: str = "",
) -> web.Application:
    """The application that serves `live` to those whom `access` lets in (None: everybody).

    It takes GitLab's hooks in by `webhooks`; `validate` gives the rules that an entity breaks.
    `facts` and `checks` are served to tech-insights, `scored` and `initiatives` are what is served
    of scores; None: there are none here. `root` is the path under which others reach it ("";
    "/fester" behind a proxy): every link begins with it, and requests may come with it or, from a
    proxy that takes it off, without.
    """
    webhooks = webhooks or Webhooks(put=_drop, wanted=lambda source: Wanted(frozenset()))
    access, patience = access or Access(), patience or Patience()
    app = web.Application(
        middlewares=[
            answer_in_time(patience),
            preflight(access),
            _errors_answered,
            short_query,
            guard(access),
            body_in_time(patience),
        ],
        client_max_size=MAX_BODY,
    )
    app.on_response_prepare.extend((harden, cross_origin(access), rooted_redirect))
    app[ROOT] = root
    app[LIVE] = live
    app[CLOCK] = clock
    app[OF_INDEX], app[OF_BOARD], app[OF_REPORT] = Memo(), Memo(), Memo()
    app[HOOK_COUNTS] = webhooks.counts
    app[VALIDATE] = validate
    if scored is not None:
        app[SCORES] = scored
    routes = [
        web.get("/", pages.home),
        web.get("/explain", pages.explain_page),
        web.get("/catalog/", _catalog_root),
        web.get("/catalog/{path:.+}", _catalog_file),
        web.get("/schemas/", _schemas),
        web.get("/schemas/{name}", _schema),
        web.get("/api/report", _report),
        web.get("/api/explain", _explain),
        web.get("/healthz", _healthz),
        web.get("/readyz", _readyz),
        web.get("/metrics", metrics.expose),
        web.post(WEBHOOK_PATH, webhooks.receive),
        web.post(f"{WEBHOOK_PATH}/{{source}}", webhooks.receive),
        web.get("/openapi.json", describe),
        *catalog.routes(),
        *scores.routes(),
        *incident.routes(),
        *model.routes(),
        *changes.routes(),
        *problems.routes(),
        web.post(SLACK_PATH, (slack or incident.SlackCommand()).receive),
        *guide.routes(),
    ]
    book = remediation or NoRemediation()
    remedies = Remediation(book)
    app[REMEDIED] = remedies.about
    app[DEACTIVATIONS] = remedies.deactivations
    routes += remedies.routes()
    routes += Notices(book).routes()
    routes += Initiatives(initiatives or NoInitiatives()).routes()
    facts, checks = facts or NoFacts(), checks or NoChecks()
    app[FACTS] = facts
    app[metrics.OX_METRICS] = OxMetrics(facts, scored, book, clock)
    app[incident.KNOWLEDGE] = lambda: _knowledge(live, facts, scored)

    async def opened() -> Opened:
        return _opened(live, app[incident.KNOWLEDGE](), await live.known())

    mcp = McpOverHttp(Library(opened, clock))
    routes.append(web.post(MCP_PATH, mcp.handle))
    app.cleanup_ctx.append(mcp.lifetime)
    pulled = facts if scored is None else CheckedFacts(facts, scored, clock)
    routes += FactRoutes(pulled).routes()
    routes += TechInsights(pulled, checks, scored, lambda: live.public_url).routes()
    app.add_routes(reachable(routes, root))
    return app


def _knowledge(live: Live, facts: FactBook, scored: Scores | None) -> Knowledge:
    """What answers draw on at this moment."""
    board = scored.board if scored is not None else None
    return Knowledge(
        live.index,
        facts.board.latest,
        board.scores if board is not None else {},
        live.served_since,
        live.last_complete,
        {check.id: check.title for check in scored.rubric.checks} if scored is not None else {},
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


async def _drop(hints: Iterable[Hint]) -> None:
    """Nobody is here who would act on hints."""


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
        return pages.render(request, "away.html", status=503, reason=str(error))
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


@needs(Scope.PUBLIC)
async def _healthz(request: web.Request) -> web.StreamResponse:
    """Whether this process should go on: 503 when a part of it has come to a stop."""
    hanging = _hanging(request.app[LIVE])
    if hanging:
        return web.json_response({"status": "hangs", "hanging": hanging}, status=503)
    return web.json_response({"status": "ok"})


def _hanging(live: Live) -> dict[str, int]:
    """What does not move, and for how many seconds it is overdue."""
    return {part: round(seconds) for part, seconds in live.hanging().items()}


@needs(Scope.PUBLIC)
async def _readyz(request: web.Request) -> web.StreamResponse:
    live = request.app[LIVE]
    since = live.served_since.isoformat(timespec="seconds") if live.served_since else None
    hanging = _hanging(live)
    status = "hangs" if hanging else "ready" if live.ready else "waiting for the first pass"
    body: dict[str, Json] = {"status": status, "since": since, "role": live.role}
    if hanging:
        body["hanging"] = hanging
    if live.store_away_since is not None:
        body["store_away_since"] = live.store_away_since.isoformat(timespec="seconds")
    if live.several:
        body["sources"] = {name or "first": each.as_json() for name, each in live.sources.items()}
    report = live.report
    if report is not None:
        body["last_pass"] = {
            "outcome": report.outcome.value,
            "kind": report.kind,
            "started_at": report.started_at,
        }
    return web.json_response(body, status=200 if live.ready and not hanging else 503)
