"""Answers in the shapes that Backstage's services use."""

from __future__ import annotations

from aiohttp import web

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
