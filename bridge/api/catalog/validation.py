"""`POST /validate-entity`: whether Backstage would take an entity."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from bridge.api.catalog.requests import Parameters, body_of
from bridge.api.catalog.responses import json_bytes
from bridge.api.keys import VALIDATE
from bridge.catalog.jsontext import dumped
from bridge.catalog.reading import is_script


async def validate_entity(request: web.Request) -> web.StreamResponse:
    """200 without a body, or 400 with every rule that is broken. Nothing is read or kept."""
    Parameters(request)
    body = await body_of(request, location_="string", entity_="object")
    wrong = _wrong_location(body["location"])
    if wrong:
        return _invalid("TypeError", [wrong])
    broken = request.app[VALIDATE](body["entity"])
    return _invalid("InputError", broken) if broken else web.Response()


def _invalid(name: str, messages: Sequence[str]) -> web.Response:
    errors = [{"name": name, "message": message} for message in messages]
    response = json_bytes(dumped({"errors": errors}))
    response.set_status(400)
    return response


def _wrong_location(text: str) -> str:
    """What is wrong with a location's reference, in Backstage's words; "" for nothing."""
    kind, colon, target = text.partition(":")
    kind, target, shown = kind.strip(), target.strip(), text[:200]
    if not colon or not kind or not target:
        return (
            f"Unable to parse location ref '{shown}', expected '<type>:<target>', "
            "e.g. 'url:https://host/path'"
        )
    if kind in ("http", "https"):
        return f"Invalid location ref '{shown}', please prefix it with 'url:', e.g. 'url:{shown}'"
    if is_script(target):
        return f"Invalid location ref '{shown}', target is a javascript: URL"
    if kind != "url":
        return (
            f"Invalid location ref {shown}, only 'url:<target>' is supported, "
            "e.g. url:https://host/path"
        )
    return ""
