"""`/api/tech-insights`: what Backstage's tech-insights backend answers, from our facts and checks.

Where that backend fails with a 500 for a request that makes no sense, this one says what is wrong.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web

from bridge.api.access import needs
from bridge.api.answers import error_response
from bridge.api.facts.checks import SUMMARY, check_json, judged_json, summary_json
from bridge.api.interfaces import CheckBook, FactBook, Scores
from bridge.api.rendering import score_path
from bridge.model.access import Scope
from bridge.model.entities import Json, Ref
from bridge.model.facts import FactSchema, Reading
from bridge.model.scores import Check, CheckResult

PREFIX: Final = "/api/tech-insights"
_IDS: Final = re.compile(r"ids(\[\d{0,6}\])?")
_IDS_LIMIT: Final = 1_000
_AT_ONCE: Final = 200  # entities whose checks are written at once


class TechInsights:
    """The handlers, over a book of facts, one of checks, and the scores.

    `address` gives Fester's own, for links to scorecards; "" for none.
    """

    def __init__(
        self,
        facts: FactBook,
        checks: CheckBook,
        scores: Scores,
        address: Callable[[], str],
    ) -> None:
        self._facts = facts
        self._checks = checks
        self._scores = scores
        self._address = address

    def routes(self) -> list[web.RouteDef]:
        """All routes."""
        return [
            web.get(f"{PREFIX}/facts/latest", self.latest),
            web.get(f"{PREFIX}/facts/range", self.range),
            web.get(f"{PREFIX}/fact-schemas", self.schemas),
            web.get(f"{PREFIX}/checks", self.checks),
            web.post(f"{PREFIX}/checks/run", self.run_many),
            web.post(f"{PREFIX}/checks/run/{{namespace}}/{{kind}}/{{name}}", self.run_one),
        ]

    async def latest(self, request: web.Request) -> web.StreamResponse:
        """`GET /facts/latest?entity=&ids[]=`: the latest facts by retriever; `{}` of a stranger."""
        entity, ids, refusal = _asked(request)
        if refusal is not None:
            return refusal
        known = self._facts.board.latest.get(entity, {})
        return web.json_response({name: facts_json(known[name]) for name in ids if name in known})

    async def range(self, request: web.Request) -> web.StreamResponse:
        """`GET /facts/range?entity=&ids[]=&startDatetime=&endDatetime=`: lists by retriever."""
        entity, ids, refusal = _asked(request)
        if refusal is not None:
            return refusal
        texts = [request.query.get(key) for key in ("startDatetime", "endDatetime")]
        start, end = (_moment(text) for text in texts)
        if start is None or end is None:
            field = "startDateTime" if start is None else "endDateTime"
            message = "Failed to parse datetime from request"
            body = {"message": message, "field": field, "value": None}
            return web.json_response(body, status=422)
        found: dict[str, list[Json]] = {}
        for reading in await self._facts.between(entity, ids, start, end):
            found.setdefault(reading.retriever, []).append(facts_json(reading))
        return web.json_response(found)

    async def schemas(self, request: web.Request) -> web.StreamResponse:
        """`GET /fact-schemas[?ids[]=]`: schemas, their facts flattened into them."""
        wanted = _ids(request)
        schemas = sorted(self._facts.board.schemas, key=lambda schema: schema.id, reverse=True)
        return web.json_response(
            [schema_json(schema) for schema in schemas if not wanted or schema.id in wanted]
        )

    async def checks(self, request: web.Request) -> web.StreamResponse:
        """`GET /checks`: every check's definition."""
        return web.json_response([check_json(check) for check in self._known().values()])

    @needs(Scope.READ)  # to run a check is to look at it
    async def run_one(self, request: web.Request) -> web.StreamResponse:
        """`POST /checks/run/:namespace/:kind/:name {checks?}`: how they stand for one entity."""
        parts = (request.match_info[key].lower() for key in ("kind", "namespace", "name"))
        body = await _body(request)
        if body is None or not _texts_or_none(body.get("checks")):
            return _not_understood(request, 'expected {"checks": ["id", …]} or {}')
        wanted = self._wanted(body.get("checks"))
        if isinstance(wanted, str):
            return error_response(request, 404, "NotFoundError", wanted)
        return web.json_response(self._results(Ref(*parts), wanted))

    @needs(Scope.READ)
    async def run_many(self, request: web.Request) -> web.StreamResponse:
        """`POST /checks/run {entities, checks?}`: of each entity; `[]` means all with facts."""
        body = await _body(request)
        entities = body.get("entities") if body is not None else None
        if body is None or not isinstance(entities, list) or not _texts_or_none(body.get("checks")):
            return _not_understood(request, 'expected {"entities": [reference, …], "checks": […]}')
        named = [_named(entity) for entity in entities]
        if None in named:
            return _not_understood(request, "expected references such as component:default/api")
        # Of everything, the answer may be long: it is written as it is made.
        names = [name for name in named if name] or [str(r) for r in self._facts.board.latest]
        wanted = self._wanted(body.get("checks"))
        response = web.StreamResponse(headers={"Content-Type": "application/json; charset=utf-8"})
        await response.prepare(request)
        separator = b"["
        for start in range(0, len(names), _AT_ONCE):
            part = [self._bulk(name, wanted) for name in names[start : start + _AT_ONCE]]
            await response.write(separator + json.dumps(part).encode()[1:-1])
            separator = b","
            await asyncio.sleep(0)
        await response.write(b"[]" if separator == b"[" else b"]")
        return response

    def _bulk(self, name: str, wanted: Sequence[Check] | str) -> dict[str, Json]:
        try:
            ref = Ref.parse(name)
        except ValueError:
            ref = None
        if isinstance(wanted, str):
            error = {"name": "NotFoundError", "message": wanted}
            return {"entity": name, "error": error, "results": []}
        return {"entity": name, "results": self._results(ref, wanted) if ref else []}

    def _wanted(self, ids: Sequence[str] | None) -> Sequence[Check] | str:
        """The checks of these ids, or all; a sentence when one is not there."""
        known = self._known()
        if ids is None:
            return list(known.values())
        missing = next((name for name in ids if name not in known), None)
        if missing is not None:
            return f"Tech insight check with id '{missing[:200]}' is not registered."
        return [known[name] for name in ids]

    def _known(self) -> dict[str, Check]:
        """Every check by its id; that of the whole score comes first."""
        whole = [SUMMARY] if self._scores.rubric.checks else []
        return {check.id: check for check in (*whole, *self._checks.checks())}

    def _results(self, entity: Ref, wanted: Sequence[Check]) -> list[Json]:
        """Those that are decided; the others are left out, as that backend does.

        The check of the whole score names them.
        """
        stands = {result.check: result for result in self._checks.results(entity)}
        decided = [
            self._result_json(check, stands[check.id])
            for check in wanted
            if check.id in stands and stands[check.id].state.known
        ]
        return [*self._whole(entity), *decided] if SUMMARY in wanted else decided

    def _whole(self, entity: Ref) -> Iterator[Json]:
        board = self._scores.board
        score = board.scores.get(entity) if board is not None else None
        if score is not None:
            address = self._address()
            path = score_path("entity", entity)
            scorecard = f"{address.rstrip('/')}{path}" if address else ""
            yield summary_json(score, self._scores.rubric, scorecard)

    def _result_json(self, check: Check, result: CheckResult) -> dict[str, Json]:
        facts: dict[str, Json] = {}
        for evidence in result.evidence:
            retriever, _, name = evidence.fact.partition(".")
            schema = self._facts.board.schema(retriever)
            definition = schema.definition(name) if schema else None
            about = _definition_json(definition) if definition else {}
            facts[name] = {"value": evidence.value, **about}
        judged = judged_json(check, result)
        return {"facts": facts, "result": result.state.passed, "check": judged}


def facts_json(reading: Reading) -> dict[str, Json]:
    """A reading as tech-insights gives it."""
    return {
        "id": reading.retriever,
        "entity": entity_json(reading.entity),
        "timestamp": stamp(reading.seen_at),
        "version": reading.version,
        "facts": reading.values(),
    }


def entity_json(ref: Ref) -> dict[str, str]:
    """A reference in three parts."""
    return {"namespace": ref.namespace, "kind": ref.kind, "name": ref.name}


def stamp(moment: datetime) -> str:
    """A date-time as JavaScript writes it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def schema_json(schema: FactSchema) -> dict[str, Json]:
    """A schema with its facts flattened into it."""
    head = {"id": schema.id, "version": schema.version, "entityFilter": schema.entity_filter}
    return {**head, **definitions_json(schema)}


def definitions_json(schema: FactSchema) -> dict[str, Json]:
    """The facts of a schema, as a fact retriever declares them."""
    return {definition.name: _definition_json(definition) for definition in schema.facts}


def _definition_json(definition: Any) -> dict[str, Json]:
    body = {"type": definition.type.value, "description": definition.description}
    more = {"since": definition.since, "metadata": dict(definition.metadata)}
    return body | {key: value for key, value in more.items() if value}


def _asked(request: web.Request) -> tuple[Ref, list[str], web.Response | None]:
    """The entity and the ids of a request for facts, or why they are not there."""
    nobody = Ref("", "", "")
    try:
        entity = Ref.parse(request.query.get("entity", "")[:600])
    except ValueError:
        message = "ask with ?entity=component:default/name&ids[]=retriever"
        return nobody, [], _not_understood(request, message)
    ids = _ids(request)
    if not ids:
        body = {"error": "Failed to parse ids from request"}
        return nobody, [], web.json_response(body, status=422)
    return entity, ids, None


def _ids(request: web.Request) -> list[str]:
    """`ids=a`, `ids[]=a` and `ids[0]=a` alike; a lone empty `ids=` is none."""
    found = [(key, value) for key, value in request.query.items() if _IDS.fullmatch(key)]
    if found == [("ids", "")]:
        return []
    return list(dict.fromkeys(value for _, value in found[:_IDS_LIMIT]))


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat((text or "").replace(" ", "+")[:64])
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except ValueError:
        return None


async def _body(request: web.Request) -> Mapping[str, Any] | None:
    """A body that is an object of JSON; an empty one is `{}`."""
    raw = await request.read()
    try:
        body = json.loads(raw) if raw.strip() else {}
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _texts_or_none(value: Any) -> bool:
    return value is None or (
        isinstance(value, Iterable)
        and not isinstance(value, str | Mapping)
        and all(isinstance(each, str) for each in value)
    )


def _named(entity: Json) -> str | None:
    """A reference as text: one that is text already, or in three parts."""
    if isinstance(entity, str):
        return entity if 0 < len(entity) <= 600 else None
    if not isinstance(entity, dict):
        return None
    parts = [entity.get("kind"), entity.get("namespace") or "default", entity.get("name")]
    if not all(isinstance(part, str) and part for part in parts):
        return None
    kind, namespace, name = (str(part).lower() for part in parts)
    return f"{kind}:{namespace}/{name}"


def _not_understood(request: web.Request, message: str) -> web.Response:
    return error_response(request, 400, "InputError", message)
