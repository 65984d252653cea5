"""How each fault looks on the wire."""

from __future__ import annotations

import asyncio
import socket
import struct
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

from aiohttp import web

from bridge.sandbox.faults import Fault, FaultPlan
from bridge.sandbox.rest import refusal

BAD_GATEWAY_PAGE = (
    "<!DOCTYPE html>\n<html>\n<head><title>GitLab is not responding (502)</title></head>\n"
    "<body><h1>502</h1><h3>Whoops, GitLab is taking too much time to respond.</h3></body></html>\n"
)
NO_DATA_BODY: dict[str, Any] = {
    "errors": [{"message": "Query has complexity of 9999, which exceeds max complexity of 250"}]
}
TOO_HEAVY_BODY: dict[str, Any] = {
    "errors": [
        {
            "message": "Request timed out. Please try a less complex query or a smaller set of "
            "records."
        }
    ]
}
TOO_MANY = "This endpoint has been requested too many times. Try again later."


def retry_after(plan: FaultPlan, now: datetime) -> dict[str, str]:
    """The `Retry-After` header in the form the plan wants, or none."""
    if plan.retry_after is None:
        return {}
    if plan.retry_after_as == "date":
        moment = now + timedelta(seconds=plan.retry_after)
        return {"Retry-After": format_datetime(moment, usegmt=True)}
    return {"Retry-After": str(plan.retry_after)}


def failed_answer(  # noqa: PLR0911 — one answer for each fault reads best as a table
    fault: Fault, plan: FaultPlan, now: datetime
) -> web.Response | None:
    """The response for faults that are plain responses; `None` for all others."""
    match fault:
        case Fault.RATE_LIMITED:
            return web.Response(status=429, text="Retry later\n", headers=retry_after(plan, now))
        case Fault.BAD_GATEWAY:
            return web.Response(status=502, text=BAD_GATEWAY_PAGE, content_type="text/html")
        case Fault.UNAVAILABLE:
            headers = retry_after(plan, now)
            return web.Response(status=503, text="Service Unavailable\n", headers=headers)
        case Fault.TOO_HEAVY:
            return web.json_response(TOO_HEAVY_BODY, status=503)
        case Fault.SERVER_ERROR:
            return refusal(500, "500 Internal Server Error")
        case Fault.UNAUTHORIZED:
            return refusal(401, "401 Unauthorized")
        case Fault.FORBIDDEN:
            return refusal(403, "403 Forbidden")
        case Fault.NO_DATA:
            return web.json_response(NO_DATA_BODY)
        case _:
            return None


def too_many(seconds: int) -> web.Response:
    """What an application limit answers: JSON, when to ask again, and no word of a limit."""
    headers = {"Retry-After": str(seconds)}
    return web.json_response({"message": {"error": TOO_MANY}}, status=429, headers=headers)


async def hang(request: web.Request, stopped: asyncio.Event) -> web.StreamResponse:
    """Hold the connection until the client leaves or the server stops."""
    await stopped.wait()
    return reset(request)


def reset(request: web.Request) -> web.StreamResponse:
    """Cut the connection so that the client sees a reset, not an end."""
    transport = request.transport
    if transport is not None:
        carrier = transport.get_extra_info("socket")
        if carrier is not None:
            # No lingering: the kernel then sends RST instead of FIN.
            linger = struct.pack("ii", 1, 0)
            carrier.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    return web.Response(status=502)


async def truncated(request: web.Request, whole: web.Response) -> web.StreamResponse:
    """Promise a whole body, send half of it, hang up."""
    body = whole.body if isinstance(whole.body, bytes) else b"{}"
    answer = web.StreamResponse(status=whole.status)
    answer.content_type = whole.content_type
    answer.content_length = len(body)
    await answer.prepare(request)
    await answer.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return answer


def lost_page(whole: web.Response, *, cut_short: bool) -> web.Response:
    """An enumeration page without its rows; cut short, it even looks like the last one."""
    empty = web.json_response([])
    if not cut_short and "Link" in whole.headers:
        empty.headers["Link"] = whole.headers["Link"]
    return empty
