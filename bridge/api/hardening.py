"""Headers that keep a browser from doing more than it should with what we serve."""

from __future__ import annotations

from typing import Final

from aiohttp import hdrs, web

CSP: Final = "Content-Security-Policy"
_POLICY: Final = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
# For a page whose picture needs a script: ours, from this host, and nothing in the page itself.
WITH_SCRIPT: Final = f"{_POLICY}; script-src 'self'"


async def harden(request: web.Request, response: web.StreamResponse) -> None:
    """Set them when an answer's head is about to be sent.

    A streamed answer is past changing when its handler returns.
    """
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    response.headers.popall(hdrs.SERVER, None)  # nobody needs to know what it is made of
    response.headers.setdefault(CSP, _POLICY)
