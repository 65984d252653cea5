"""Entities as HTTP answers: small ones at once, large ones in pieces between other requests."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiohttp import web

from bridge.catalog.fields import projected
from bridge.catalog.index import Index

_AT_ONCE = 100  # entities; more are sent in pieces of as many
_JSON = "application/json; charset=utf-8"


def json_bytes(body: bytes, headers: dict[str, str] | None = None) -> web.Response:
    """A body that is JSON already."""
    return web.Response(body=body, headers={"Content-Type": _JSON, **(headers or {})})


async def entities_response(
    request: web.Request,
    index: Index,
    slots: Sequence[int | None],
    fields: Sequence[str],
    *,
    around: tuple[bytes, bytes] = (b"", b""),
    headers: dict[str, str] | None = None,
) -> web.StreamResponse:
    """An array of entities between two texts; None gives null."""
    before, after = around
    if len(slots) <= _AT_ONCE:
        return json_bytes(b"%b[%b]%b" % (before, _joined(index, slots, fields), after), headers)
    response = web.StreamResponse(headers={"Content-Type": _JSON, **(headers or {})})
    await response.prepare(request)
    await response.write(before + b"[")
    for start in range(0, len(slots), _AT_ONCE):
        piece = _joined(index, slots[start : start + _AT_ONCE], fields)
        await response.write(b"," + piece if start else piece)
        await asyncio.sleep(0)  # let others be answered: a write alone need not wait
    await response.write(b"]" + after)
    await response.write_eof()
    return response


def _joined(index: Index, slots: Sequence[int | None], fields: Sequence[str]) -> bytes:
    return b",".join(
        b"null" if slot is None else projected(index.raws[slot], fields) for slot in slots
    )
