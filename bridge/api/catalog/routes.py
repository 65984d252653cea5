"""The handlers of `/api/catalog`, one a route of Backstage's catalog.

What each does is described in `openapi.yaml` beside this file; how it answers is
`bridge.catalog`'s work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Final

from aiohttp import web

from bridge.api.access import needs
from bridge.api.answers import CATALOG, error_response
from bridge.api.catalog.requests import (
    Parameters,
    body_of,
    count_in,
    directed,
    ordered_by,
    orders_from,
    texts_in,
)
from bridge.api.catalog.responses import entities_response, json_bytes
from bridge.api.catalog.validation import validate_entity
from bridge.api.keys import LIVE
from bridge.api.root import own_path
from bridge.catalog.ancestry import ancestry
from bridge.catalog.cursors import decoded, encoded
from bridge.catalog.fields import MOST_FIELDS, fields_from
from bridge.catalog.index import Index
from bridge.catalog.jsontext import dumped
from bridge.catalog.lists import PageByNumber, after, listed, page_after
from bridge.catalog.locations import located
from bridge.catalog.predicates import checked, filter_from, matching
from bridge.catalog.queries import (
    MOST_TEXT_FIELDS,
    EntityQuery,
    QueryPage,
    answered,
    every,
    question_from,
)
from bridge.errors import BadQuestion
from bridge.model.access import Scope
from bridge.model.entities import Json

MOST_REFS: Final = 1000
MOST_FACETS: Final = 50
MOST_COUNTS: Final = 200_000

_READ_ONLY = (
    "Fester is read-only: its catalog is made from manifests in GitLab; "
    "change the manifest, and the next pass brings it"
)

Answer = Callable[[web.Request, Index], Awaitable[web.StreamResponse]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def routes() -> list[web.RouteDef]:
    """Every route, reading and writing."""
    name = "{kind}/{namespace}/{name}"
    return [
        _get("/entities", entities),
        _get("/entities/by-query", by_query),
        _post("/entities/by-query", by_predicate),
        _post("/entities/by-refs", by_refs),
        _get("/entities/by-uid/{uid}", by_uid),
        _get(f"/entities/by-name/{name}", by_name),
        _get(f"/entities/by-name/{name}/ancestry", ancestors),
        _get("/entity-facets", facets),
        _post("/entity-facets", facets_by_predicate),
        _get("/locations", locations),
        _post("/locations/by-query", locations_by_query),
        _get("/locations/{id}", location),
        _get(f"/locations/by-entity/{name}", location_by_entity),
        web.post(f"{CATALOG}/validate-entity", _refusing(validate_entity)),
        web.delete(f"{CATALOG}/entities/by-uid/{{uid}}", _read_only),
        web.post(f"{CATALOG}/locations", _read_only),
        web.put(f"{CATALOG}/locations/{{id}}", _read_only),
        web.delete(f"{CATALOG}/locations/{{id}}", _read_only),
        web.post(f"{CATALOG}/refresh", _read_only),
        web.post(f"{CATALOG}/analyze-location", _read_only),
    ]


def _get(path: str, answer: Answer) -> web.RouteDef:
    return web.get(f"{CATALOG}{path}", _refusing(_reading(answer)))


def _post(path: str, answer: Answer) -> web.RouteDef:
    return web.post(f"{CATALOG}{path}", _refusing(_reading(answer)))


def _reading(answer: Answer) -> Handler:
    """Give the index of the last pass to an answer; 503 while there is none."""

    @wraps(answer)
    async def handler(request: web.Request) -> web.StreamResponse:
        live = request.app[LIVE]
        if not live.ready:
            message = "no pass has ended yet; /readyz tells when a catalog is served"
            return error_response(request, 503, "ServiceUnavailableError", message)
        return await answer(request, live.index)

    return handler


def _refusing(handler: Handler) -> Handler:
    """Answer 400 with the reason to what cannot be answered."""

    @wraps(handler)
    async def refusing(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except BadQuestion as error:
            return error_response(request, 400, "InputError", str(error))

    # Some questions are put by POST; none changes anything.
    return needs(Scope.READ)(refusing)


@needs(Scope.READ)
async def _read_only(request: web.Request) -> web.StreamResponse:
    return error_response(request, 403, "NotAllowedError", _READ_ONLY)


async def entities(request: web.Request, index: Index) -> web.StreamResponse:
    """`GET /entities`: the older list, whole or in pages by number."""
    asked = Parameters(request, "filter", "fields", "order", "limit", "offset", "after")
    query, fields = checked(filter_from(asked.texts("filter"))), asked.fields()
    question = EntityQuery(query, directed(asked.texts("order")))
    limit, offset, later = (
        asked.count("limit"),
        asked.count("offset"),
        asked.text("after"),
    )
    if limit == 0:
        raise BadQuestion("Invalid limit, must be greater than zero")
    if limit is None and offset is None and later is None:
        return await entities_response(request, index, every(index, question), fields)
    page = PageByNumber(limit, offset or 0)
    if later is not None:
        given = page_after(later)
        page = PageByNumber(given.limit or limit, given.offset)
    slots, more = listed(index, query, question.orders, page)
    headers = {}
    if more is not None:
        # `offset` would stand beside `after` and mean nothing.
        url = request.rel_url.without_query_params("offset").update_query(after=after(more))
        headers["Link"] = f'<{own_path(request, str(url)).removeprefix(CATALOG)}>; rel="next"'
    return await entities_response(request, index, slots, fields, headers=headers)


_BY_QUERY: Final = (
    "fields",
    "limit",
    "offset",
    "orderField",
    "cursor",
    "filter",
    "totalItems",
    "fullTextFilterTerm",
    "fullTextFilterFields",
)


async def by_query(request: web.Request, index: Index) -> web.StreamResponse:
    """`GET /entities/by-query`: the list in pages that go both ways."""
    asked = Parameters(request, *_BY_QUERY)
    cursor, fields = asked.text("cursor"), asked.fields()
    limit, offset = asked.count("limit"), asked.count("offset")
    count = asked.choice("totalItems", "include", "exclude")
    if cursor is not None:
        page = answered(index, question_from(cursor), limit=limit)
        return await _paged(request, index, page, fields)
    searched = [each for text in asked.texts("fullTextFilterFields") for each in text.split(",")]
    question = EntityQuery(
        query=filter_from(asked.texts("filter")),
        orders=orders_from(asked.texts("orderField")),
        term=asked.text("fullTextFilterTerm") or "",
        text_fields=tuple(searched) or None,
        count=count != "exclude",
    )
    page = answered(index, question, limit=limit, offset=offset or 0)
    return await _paged(request, index, page, fields)


async def by_predicate(request: web.Request, index: Index) -> web.StreamResponse:
    """`POST /entities/by-query`: the same, asked for with a predicate."""
    Parameters(request)
    body = await body_of(
        request,
        cursor="string",
        limit="number",
        offset="number",
        orderBy="array",
        fullTextFilter="object",
        totalItems="string",
        query="object",
    )
    fields = fields_from(texts_in(body, "fields", most=MOST_FIELDS) or ())
    limit = count_in(body, "limit")
    if "cursor" in body:
        if not body["cursor"]:
            raise BadQuestion("Cursor cannot be empty")
        page = answered(index, question_from(body["cursor"]), limit=limit)
        return await _paged(request, index, page, fields)
    offset = count_in(body, "offset") or 0
    page = answered(index, _question_in(body), limit=limit, offset=offset)
    return await _paged(request, index, page, fields)


def _question_in(body: dict[str, Any]) -> EntityQuery:
    search = body.get("fullTextFilter") or {}
    term = search.get("term", "")
    if not isinstance(term, str):
        raise BadQuestion("request/body/fullTextFilter/term must be string")
    if body.get("totalItems", "include") not in ("include", "exclude"):
        raise BadQuestion(
            "request/body/totalItems must be equal to one of the allowed values: include, exclude"
        )
    searched = texts_in(search, "fields", most=MOST_TEXT_FIELDS, place="fullTextFilter/")
    return EntityQuery(
        query=body.get("query"),
        orders=ordered_by(body.get("orderBy")),
        term=term,
        text_fields=None if searched is None else tuple(searched),
        count=body.get("totalItems") != "exclude",
    )


async def _paged(
    request: web.Request, index: Index, page: QueryPage, fields: tuple[str, ...]
) -> web.StreamResponse:
    tail = b',"totalItems":%d,"pageInfo":%b}' % (page.total, dumped(page.cursors))
    around = (b'{"items":', tail)
    return await entities_response(request, index, page.slots, fields, around=around)


async def by_refs(request: web.Request, index: Index) -> web.StreamResponse:
    """`POST /entities/by-refs`: as many entities as references, null for what is not there.

    References are compared without regard to case, as Backstage does since catalog-backend 4.0.3.
    """
    asked = Parameters(request, "filter")
    body = await body_of(request, entityRefs_="array", query="object")
    refs = texts_in(body, "entityRefs", most=MOST_REFS) or []
    fields = fields_from(texts_in(body, "fields", most=MOST_FIELDS) or ())
    given = [each for each in (filter_from(asked.texts("filter")), body.get("query")) if each]
    slots = [index.slots.get(ref.lower()) for ref in refs]
    if given:
        flags = index.flags(matching(index, checked({"$all": given})))
        slots = [slot if slot is not None and flags[slot] else None for slot in slots]
    return await entities_response(request, index, slots, fields, around=(b'{"items":', b"}"))


async def by_uid(request: web.Request, index: Index) -> web.StreamResponse:
    """`GET /entities/by-uid/{uid}`."""
    Parameters(request)
    uid = request.match_info["uid"]
    raw = index.by_uid(uid)
    if raw is None:
        return error_response(request, 404, "NotFoundError", f"No entity with uid {uid[:200]}")
    return json_bytes(raw)


async def by_name(request: web.Request, index: Index) -> web.StreamResponse:
    """`GET /entities/by-name/{kind}/{namespace}/{name}`, in whatever case."""
    Parameters(request)
    raw = index.raw(_ref(request))
    if raw is None:
        kind, namespace, name = _parts(request)
        message = f"No entity named '{name}' found, with kind '{kind}' in namespace '{namespace}'"
        return error_response(request, 404, "NotFoundError", message)
    return json_bytes(raw)


async def ancestors(request: web.Request, index: Index) -> web.StreamResponse:
    """`GET …/ancestry`: which entities led to this one."""
    Parameters(request)
    ref = _ref(request)
    found = ancestry(index, ref)
    if found is None:
        return error_response(request, 404, "NotFoundError", f"No such entity {ref}")
    return json_bytes(found)


def _parts(request: web.Request) -> tuple[str, str, str]:
    kind, namespace, name = (request.match_info[each] for each in ("kind", "namespace", "name"))
    return kind[:200], namespace[:200], name[:200]


def _ref(request: web.Request) -> str:
    kind, namespace, name = _parts(request)
    return f"{kind}:{namespace}/{name}".lower()


async def facets(request: web.Request, index: Index) -> web.StreamResponse:
    """`GET /entity-facets`: how many entities have which values of some fields."""
    asked = Parameters(request, "facet", "filter")
    names = asked.texts("facet")
    if not names:
        raise BadQuestion("request/query must have required property 'facet'")
    return await _facets(index, names, checked(filter_from(asked.texts("filter"))))


async def facets_by_predicate(request: web.Request, index: Index) -> web.StreamResponse:
    """`POST /entity-facets`: the same, asked for with a predicate."""
    Parameters(request)
    body = await body_of(request, facets_="array", query="object")
    names = [name for name in texts_in(body, "facets", most=MOST_FACETS) or () if name]
    if not names:
        raise BadQuestion("Missing or empty facets parameter")
    return await _facets(index, names, checked(body.get("query")))


async def _facets(index: Index, names: list[str], query: Json) -> web.StreamResponse:
    if len(names) > MOST_FACETS:
        raise BadQuestion(f"More than {MOST_FACETS} facets; ask in parts")
    mask = None if query is None else matching(index, query)
    found, left = {}, MOST_COUNTS
    for name in names:
        counts = index.facet(name.lower(), mask)
        left -= len(counts)
        if left < 0:
            raise BadQuestion(f"The facets have more than {MOST_COUNTS} values; ask in parts")
        found[name] = [{"value": value, "count": count} for value, count in counts]
        await asyncio.sleep(0)
    return json_bytes(dumped({"facets": found}))


async def locations(request: web.Request, index: Index) -> web.StreamResponse:
    """`GET /locations`: the published index is the one that is registered."""
    Parameters(request)
    return json_bytes(dumped([{"data": place.as_json()} for place in index.places]))


async def locations_by_query(request: web.Request, index: Index) -> web.StreamResponse:
    """`POST /locations/by-query`, in pages."""
    Parameters(request)
    body = await body_of(request, cursor="string", limit="number", query="object")
    if "cursor" in body:
        if not body["cursor"]:
            raise BadQuestion("Cursor cannot be empty")
        body = decoded(body["cursor"])
    limit = count_in(body, "limit")
    if limit == 0:
        raise BadQuestion("Limit must be a positive integer >= 1")
    limit = limit or 1000
    query = checked(body.get("query"))
    behind = str(body.get("afterId", ""))
    matches = located(index.places, query)
    found = [place for place in matches if place.id > behind]
    info = {}
    if len(found) > limit:
        place = found[limit - 1].id
        info["nextCursor"] = encoded({"limit": limit, "afterId": place, "query": query})
    items = [each.as_json() for each in found[:limit]]
    return json_bytes(dumped({"items": items, "totalItems": len(matches), "pageInfo": info}))


async def location(request: web.Request, index: Index) -> web.StreamResponse:
    """`GET /locations/{id}`."""
    Parameters(request)
    wanted = request.match_info["id"]
    for place in index.places:
        if place.id == wanted:
            return json_bytes(dumped(place.as_json()))
    message = f"Found no location with ID {wanted[:200]}"
    return error_response(request, 404, "NotFoundError", message)


async def location_by_entity(request: web.Request, index: Index) -> web.StreamResponse:
    """`GET /locations/by-entity/{kind}/{namespace}/{name}`: where an entity comes from at first."""
    Parameters(request)
    ref = _ref(request)
    if index.raw(ref) is None:
        return error_response(request, 404, "NotFoundError", f"found no entity for ref {ref}")
    return json_bytes(dumped(index.places[0].as_json()))
