"""`/api/ox`: facts as one fact retriever hands them over, and facts that somebody pushes."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Final

from aiohttp import web

from bridge.api.answers import error_response
from bridge.api.facts.tech_insights import definitions_json, entity_json, stamp
from bridge.api.interfaces import FactBook
from bridge.api.live import Served
from bridge.errors import FactsRefused
from bridge.model.facts import FactBoard

PREFIX: Final = "/api/ox"


class FactRoutes:
    """The handlers. What a retriever hands over is made once for each board."""

    def __init__(self, book: FactBook) -> None:
        self._book = book
        self._made: tuple[FactBoard | None, dict[str, Served]] = (None, {})

    def routes(self) -> list[web.RouteDef]:
        """All routes."""
        return [
            web.get(f"{PREFIX}/fact-retrievers", self.retrievers),
            web.get(f"{PREFIX}/fact-retrievers/{{id}}/facts", self.facts),
            web.post(f"{PREFIX}/facts", self.push),
        ]

    async def retrievers(self, request: web.Request) -> web.StreamResponse:
        """`GET /fact-retrievers`: what a tech-insights backend needs to declare each of them."""
        return web.json_response(
            [
                {
                    "id": schema.id,
                    "version": schema.version,
                    "title": schema.title,
                    "description": schema.description,
                    "entityFilter": schema.entity_filter,
                    "cadence": schema.cadence,
                    "schema": definitions_json(schema),
                }
                for schema in self._book.board.schemas
            ]
        )

    async def facts(self, request: web.Request) -> web.StreamResponse:
        """`GET /fact-retrievers/{id}/facts`: `[{entity, facts, timestamp}]`, or 304."""
        retriever = request.match_info["id"]
        if self._book.board.schema(retriever) is None:
            message = f"no such fact retriever; {PREFIX}/fact-retrievers lists them"
            return error_response(request, 404, "NotFoundError", message)
        served = await self._served(retriever)
        headers = {"ETag": served.etag, "Cache-Control": "no-cache"}
        tags = request.if_none_match or ()
        if any(tag.value in ("*", served.etag.strip('"')) for tag in tags):
            return web.Response(status=304, headers=headers)
        return web.Response(body=served.body, content_type=served.content_type, headers=headers)

    async def push(self, request: web.Request) -> web.StreamResponse:
        """`POST /facts`: record readings by a registered schema; all of them, or none."""
        try:
            body = json.loads(await request.read())
            recorded = await self._book.push(body)
        except (ValueError, RecursionError):
            return error_response(request, 400, "InputError", "the body is not JSON")
        except FactsRefused as refused:
            return error_response(request, 422, "InputError", str(refused))
        return web.json_response({"recorded": recorded})

    async def _served(self, retriever: str) -> Served:
        board, made = self._made
        if board is not self._book.board:
            board, made = self._made = (self._book.board, {})
        if retriever not in made:
            made[retriever] = await asyncio.to_thread(_hand_over, board, retriever)
        return made[retriever]


def _hand_over(board: FactBoard, retriever: str) -> Served:
    rows = [
        {
            "entity": entity_json(ref),
            "facts": known[retriever].values(),
            "timestamp": stamp(known[retriever].seen_at),
        }
        for ref, known in sorted(board.latest.items())
        if retriever in known
    ]
    body = json.dumps(rows, separators=(",", ":")).encode()
    return Served(body, "application/json", f'"{hashlib.sha256(body).hexdigest()[:32]}"')
