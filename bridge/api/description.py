"""`/openapi.json`: every HTTP route of Fester, described.

Whoever adds routes describes them in an `openapi.yaml` beside their handlers: each such file in
this package may hold `tags`, `paths` and `components`, and all are merged here. A test holds the
description to the routes that there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from aiohttp import web
from ruamel.yaml import YAML

from bridge.api.catalog.responses import json_bytes
from bridge.api.root import ROOT
from bridge.catalog.jsontext import dumped


@cache
def description() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "Fester",
            "version": version("fester"),
            "description": "A software catalog made from manifests in GitLab.",
        },
        "tags": [],
        "paths": {},
        "components": {},
    }
    for fragment in _fragments():
        document["tags"] += fragment.get("tags", [])
        _merge(document["paths"], fragment.get("paths", {}))
        for kind, named in fragment.get("components", {}).items():
            _merge(document["components"].setdefault(kind, {}), named)
    return document


def _fragments() -> Iterator[dict[str, Any]]:
    for path in sorted(Path(__file__).parent.rglob("openapi.yaml")):
        yield YAML(typ="safe").load(path.read_text("utf-8"))


def _merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    twice = into.keys() & more.keys()
    if twice:
        raise ValueError(f"described twice: {', '.join(sorted(twice))}; leave one of them")
    into.update(more)


async def describe(request: web.Request) -> web.StreamResponse:
    """`GET /openapi.json`."""
    root = request.app[ROOT]
    servers = {"servers": [{"url": root}]} if root else {}
    return json_bytes(dumped({**description(), **servers}))
