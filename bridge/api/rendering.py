"""How a page for people is made from its template, and how names, moments and paths are written."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from bridge.answers.changed import FIELDS, MANIFESTS
from bridge.api.keys import CLOCK, LIVE
from bridge.api.root import ROOT, own_path, rooted
from bridge.model.token_expiry import warning

MAX_QUERY = 512  # characters of what somebody asks for

_templates = Environment(
    loader=PackageLoader("bridge.api"), autoescape=True, undefined=StrictUndefined
)


def score_path(kind: str, name: object) -> str:
    """The address of a scorecard."""
    return f"/scores/{kind}/{quote(str(name), safe='/:')}"


def short_name(name: object) -> str:
    """A reference as people say it, without kind and default namespace; other names stay."""
    head, colon, rest = str(name).partition(":")
    is_ref = colon and head.isalpha() and rest.count("/") == 1
    return rest.removeprefix("default/") if is_ref else str(name)


def with_code(text: str) -> Markup:
    """What stands in backticks as code, everything escaped."""
    parts = [escape(part) for part in text.split("`")]
    coded = Markup("<code>{}</code>")
    return Markup().join(coded.format(p) if at % 2 else p for at, p in enumerate(parts))


def breakable(text: object, after: str = "/") -> Markup:
    """A path or a key that may be broken after some signs, everything escaped."""
    parts = re.split(f"(?<=[{re.escape(after)}])", str(text))
    return Markup("<wbr>").join(parts)


def moment(when: datetime | None) -> str:
    """A moment as people read it; "" where there is none."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if when is not None else ""


_templates.filters["breakable"] = breakable
_templates.filters["code"] = with_code
_templates.filters["moment"] = moment
_templates.filters["short"] = short_name
_templates.globals["score_path"] = score_path
_templates.globals["most_fields"] = FIELDS
_templates.globals["most_manifests"] = MANIFESTS


def render(
    request: web.Request, template: str, *, status: int = 200, **context: Any
) -> web.Response:
    """A page made from a template, with what its frame needs."""
    live = request.app[LIVE]
    age = None
    if live.served_since is not None:
        age = _age((request.app[CLOCK]() - live.served_since).total_seconds())
    text = _templates.get_template(template).render(
        live=live,
        report=live.report,
        age=age,
        path=own_path(request),
        token_said=warning(live.token_end, request.app[CLOCK]()),
        **context,
    )
    page = rooted(text, request.app[ROOT])
    return web.Response(text=page, status=status, content_type="text/html", charset="utf-8")


def _age(seconds: float) -> str:
    """A span of time as a person says it."""
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"
