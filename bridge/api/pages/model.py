"""Pages about the model: one search, every entity, the map, and all documents."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from importlib.resources import files
from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from bridge.answers.document_state import STALE, state_of
from bridge.answers.documents import KINDS, Document, documents
from bridge.answers.fields import MOST, FieldOrigin, fields_of
from bridge.answers.knowledge import Knowledge, annotation, title_of
from bridge.answers.listing import fitting, lines
from bridge.answers.portrait import Portrait, definition, portrait
from bridge.answers.search import LONGEST, Hits, search
from bridge.answers.system_map import SystemMap, system_map
from bridge.answers.whereabouts import gitlab_of
from bridge.api.answers import error_response
from bridge.api.hardening import CSP, WITH_SCRIPT
from bridge.api.incident import KNOWLEDGE
from bridge.api.keys import CLOCK, LIVE
from bridge.api.memo import OF_INDEX
from bridge.api.pages.map_layout import Drawing, drawing
from bridge.api.pages.team import team_of
from bridge.api.problems.owned import about
from bridge.api.rendering import MAX_QUERY, render
from bridge.api.sheets import sheet
from bridge.catalog.jsontext import dumped
from bridge.errors import StoreError
from bridge.model.definitions import published_at
from bridge.model.numbers import FIRST_CALLED

SHOWN: Final = 200  # entities of a sheet
STATES: Final = {"stale": "not changed for long", "broken": "missing or empty"}
PROBLEMS: Final = 10  # on an entity's page
PAGE: Final = 100  # documents on one page
MOST_JSON: Final = 30_000  # characters of an entity's JSON on its page; quotes weigh five each


def routes() -> list[web.RouteDef]:
    """The routes."""
    return [
        web.get("/entities", _entities),
        web.get("/search", _search),
        web.get("/entity/{ref:.+}", _entity),
        web.get("/fields/{ref:.+}", _fields),
        web.get("/api/fields", _fields_json),
        web.get("/map", _map),
        web.get("/map/{ref:.+}", _map),
        web.get("/documents", _documents),
        web.get("/assets/map.js", _map_script),
    ]


def _known(request: web.Request) -> Knowledge:
    return request.app[KNOWLEDGE]()


async def _entities(request: web.Request) -> web.StreamResponse:
    """The catalog as a searchable table."""
    text = request.query.get("q", "")[:MAX_QUERY]
    kind = request.query.get("kind", "")[:MAX_QUERY]
    known = _known(request)
    rows = sheet(request, fitting(text, kind, known), SHOWN)
    shown = lines(rows.rows, known)
    return render(request, "entities.html", rows=rows, shown=shown, q=text, kind=kind)


async def _search(request: web.Request) -> web.StreamResponse:
    text = request.query.get("q", "").strip()[:LONGEST]
    report = request.app[LIVE].report
    problems = report.problems if report is not None else ()
    hits = search(text, _known(request), problems) if text else Hits()
    return render(request, "search.html", searched=text, hits=hits)


async def _entity(request: web.Request) -> web.StreamResponse:
    ref = request.match_info["ref"][:MAX_QUERY]
    known = _known(request)
    found = portrait(ref, known)
    if found is None:
        return render(request, "entity_missing.html", status=404, ref=ref)
    found = await _with_definition(request, found)
    text = dumped(found.body).decode()
    tree = None if len(text) > MOST_JSON else found.body
    _, around = await _drawn(request, ref)
    team = await team_of(request, found.ref, known) if found.kind == "Group" else None
    slug = annotation(found.body, "gitlab.com/project-slug")
    problems = await about(request, found.ref, slug, found.view_url)
    return render(
        request,
        "entity.html",
        entity=found,
        tree=tree,
        around=around,
        team=team,
        problems=problems[:PROBLEMS],
        wrong=len(problems),
        project=slug,
        gitlab=gitlab_of(found.view_url, request.app[LIVE].gitlabs) or FIRST_CALLED,
        check_titles=known.check_titles,
    )


async def _with_definition(request: web.Request, found: Portrait) -> Portrait:
    """With an API's definition in place of the sentence that says where it is published."""
    path = published_at(found.definition.text) if found.definition is not None else ""
    if found.definition is None or not path:
        return found
    try:
        served = await request.app[LIVE].file(path)
    except StoreError:
        served = None  # the page says the rest without it, and where it is
    text = served.body.decode(errors="replace") if served is not None else found.definition.text
    made = definition(found.definition.type, text, f"/catalog/{path}")
    return replace(found, definition=made)


async def _fields(request: web.Request) -> web.StreamResponse:
    """Where every field of an entity comes from."""
    ref = request.match_info["ref"][:MAX_QUERY].lower()
    found = await _origins(request, ref)
    if found is None:
        return render(request, "entity_missing.html", status=404, ref=ref)
    entity = _known(request).entity(ref)
    title = title_of(entity) if entity is not None else ref
    return render(request, "fields.html", fields=found, ref=ref, title=title, most=MOST)


async def _fields_json(request: web.Request) -> web.StreamResponse:
    ref = request.query.get("ref", "").strip()[:MAX_QUERY].lower()
    found = await _origins(request, ref)
    if found is None:
        return error_response(
            request, 404, "NotFoundError", "ask with ?ref=component:default/name of the catalog"
        )
    return web.json_response({"ref": ref, "fields": [asdict(each) for each in found]})


async def _origins(request: web.Request, ref: str) -> list[FieldOrigin] | None:
    """The fields of an entity; None when the catalog does not have it. Raises `StoreError`."""
    entity = _known(request).entity(ref)
    if entity is None:
        return None
    said, memory = await request.app[LIVE].said(ref)
    return await asyncio.to_thread(fields_of, entity, said, memory)


async def _drawn(request: web.Request, ref: str) -> tuple[SystemMap | None, Drawing | None]:
    """A map and where its boxes stand; None of what is not there, or has nothing to draw."""
    known = _known(request)

    def draw() -> tuple[SystemMap | None, Drawing | None]:
        found = system_map(ref, known)
        return found, drawing(found) if found is not None and found.arrows else None

    return await request.app[OF_INDEX].get(known.index, ("map", ref.lower()), draw)


async def _map(request: web.Request) -> web.StreamResponse:
    ref = request.match_info.get("ref", "")[:MAX_QUERY]
    found, drawn = await _drawn(request, ref)
    if found is None:
        return render(request, "entity_missing.html", status=404, ref=ref)
    titles = {box.ref: box.title for box in found.boxes}
    page = render(request, "map.html", map=found, drawn=drawn, ref=ref, titles=titles)
    page.headers[CSP] = WITH_SCRIPT  # of ours alone, and on this page alone
    return page


async def _map_script(request: web.Request) -> web.StreamResponse:
    script = files("bridge.api").joinpath("assets", "map.js").read_bytes()
    return web.Response(body=script, content_type="text/javascript", charset="utf-8")


async def _documents(request: web.Request) -> web.StreamResponse:
    query = {
        key: request.query.get(key, "")[:MAX_QUERY]
        for key in ("q", "kind", "owner", "system", "state")
    }
    known, now = _known(request), request.app[CLOCK]()
    everything = await request.app[OF_INDEX].get(known.index, "documents", lambda: documents(known))
    found = [each for each in everything if _wanted(each, query)]
    if query["state"] in STATES:
        found = await asyncio.to_thread(_standing, found, query["state"], known, now)
    start = _start(request)
    following = ""
    if start + PAGE < len(found):
        kept = {key: value for key, value in query.items() if value}
        following = "/documents?" + urlencode({**kept, "offset": start + PAGE})
    return render(
        request,
        "documents.html",
        documents=[(e, state_of(e, known, now)) for e in found[start : start + PAGE]],
        states=STATES,
        bound=STALE.days,
        total=len(found),
        start=start,
        following=following,
        query=query,
        kinds=KINDS,
        owners=_values(everything, "owner"),
        systems=_values(everything, "system"),
    )


def _standing(
    found: Sequence[Document], state: str, known: Knowledge, now: datetime
) -> list[Document]:
    """Those of which it is known that they stand so; in a thread, as there are many."""
    return [each for each in found if getattr(state_of(each, known, now), state)]


def _wanted(each: Document, query: dict[str, str]) -> bool:
    text = f"{each.title} {each.about} {each.ref}".lower()
    return (
        query["q"].lower() in text
        and query["kind"] in ("", each.kind)
        and query["owner"] in ("", each.owner)
        and query["system"] in ("", each.system)
    )


def _start(request: web.Request) -> int:
    offset = request.query.get("offset", "0")
    return int(offset) if offset.isascii() and offset.isdigit() and len(offset) < 9 else 0


def _values(found: Sequence[Document], field: str) -> list[str]:
    return sorted({getattr(each, field) for each in found} - {""})[:500]
