"""`/badges/{ref}.svg`: a service's score as a picture for its README.

Whoever may read scores may see it. GitLab fetches pictures without a token: where others need one,
`access.public: [badges]` opens these alone.
"""

from __future__ import annotations

from hashlib import blake2b
from html import escape
from typing import Final

from aiohttp import web

from bridge.api.answers import error_response
from bridge.api.keys import SCORES
from bridge.api.scores import score_query
from bridge.errors import BadQuestion
from bridge.model.scores import Score

FRESH: Final = 300  # seconds that a copy may be shown
_WIDTH: Final = 6.6  # of a character of 11 pixels
_PAD: Final = 10
_LONGEST: Final = 40
# Dark enough beside white letters: at least 4.5 to 1.
_GOOD, _POOR, _BAD, _NEUTRAL = "#1a7f37", "#9a6700", "#c0262d", "#5f6670"
_BY_TARGET: Final = {True: _GOOD, False: _POOR, None: _NEUTRAL}


def routes() -> list[web.RouteDef]:
    """The route."""
    return [web.get("/badges/{ref:.+}.svg", _badge)]


async def _badge(request: web.Request) -> web.StreamResponse:
    board = request.app[SCORES].board
    try:
        ref = score_query.entity(request.match_info["ref"])
    except BadQuestion as refusal:
        return error_response(request, 400, "InputError", str(refusal))
    score = board.scores.get(ref) if board is not None else None
    if score is None:
        message = f"{ref} has no score; /api/ox/scores lists those that have one"
        return error_response(request, 404, "NotFoundError", message)
    body = svg("Ox score", *said(score)).encode()
    headers = {"Cache-Control": f"max-age={FRESH}"}
    etag = blake2b(body, digest_size=16).hexdigest()
    known = [each.value for each in request.if_none_match or ()]
    if etag in known:
        answer = web.Response(status=304, headers=headers)
    else:
        answer = web.Response(body=body, content_type="image/svg+xml", headers=headers)
    answer.etag = etag
    return answer


def said(score: Score) -> tuple[str, str]:
    """What a badge says of a score, and its colour."""
    if not score.sufficient or score.value is None:
        return "insufficient data", _NEUTRAL
    level = f" {score.level}" if score.level else ""
    if score.gates_failed:
        return f"{score.value:.0f}{level}, a gate fails", _BAD
    return f"{score.value:.0f}{level}", _BY_TARGET[score.on_target]


def svg(label: str, text: str, colour: str) -> str:
    """A badge that needs neither a font nor a script of somebody else's."""
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    left, right = (round(len(each) * _WIDTH + 2 * _PAD) for each in (label, text))
    name = escape(f"{label}: {text}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" '
        f'aria-label="{name}"><title>{name}</title>'
        f'<clipPath id="r"><rect width="{left + right}" height="20" rx="3"/></clipPath>'
        f'<g clip-path="url(#r)"><rect width="{left}" height="20" fill="#3b4048"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{colour}"/></g>'
        f'<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" '
        f'font-size="11"><text x="{left / 2:g}" y="14">{escape(label)}</text>'
        f'<text x="{left + right / 2:g}" y="14">{escape(text)}</text></g></svg>'
    )
