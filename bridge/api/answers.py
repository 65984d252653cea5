"""Answers in the shapes that Backstage's services use."""

from __future__ import annotations

from aiohttp import web

from bridge.api.live import Served
from bridge.api.root import own_path

CATALOG = "/api/catalog"


def error_response(request: web.Request, status: int, name: str, message: str) -> web.Response:
    """An error in the shape that Backstage's services use."""
    # A plugin of Backstage names its own paths without where it is mounted.
    url = own_path(request, request.path_qs[:2000]).removeprefix(CATALOG)
    return web.json_response(
        {
            "error": {"name": name, "message": message},
            "request": {"method": request.method, "url": url},
            "response": {"statusCode": status},
        },
        status=status,
    )


def conditional(request: web.Request, served: Served) -> web.Response:
    """200 with the body, or 304 when the reader has it already (RFC 9110, section 13.1.2)."""
    headers = {"ETag": served.etag, "Cache-Control": "no-cache"}
    tags = request.if_none_match or ()
    known = any(tag.value in ("*", served.etag.strip('"')) for tag in tags)
    if known:
        return web.Response(status=304, headers=headers)
    headers["Content-Type"] = served.content_type
    return web.Response(body=served.body, headers=headers)
