"""Fester under a path: `https://example.com/fester/`, by a proxy that takes the path off or not.

Handlers and templates know nothing of it. Links, forms and redirects that begin with a slash lead
to Fester, and get the path in front here; a request's own path is without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from aiohttp import hdrs, web

# The path under which others reach Fester, without a slash at its end; "" for none.
ROOT: Final = web.AppKey("root", str)
# An attribute that leads somewhere on this host. Values of others are escaped, so that none of
# them can look like one.
_LINK: Final = re.compile(r'(\s(?:href|action|src|formaction)=")/(?!/)')


def reachable(routes: Iterable[web.RouteDef], root: str) -> Iterator[web.RouteDef]:
    """The routes, and the same below `root`."""
    for route in routes:
        yield route
        if root:
            yield web.route(route.method, f"{root}{route.path}", route.handler, **route.kwargs)
            if route.path == "/":
                yield web.route(route.method, root, route.handler, **route.kwargs)


def own_path(request: web.BaseRequest, path: str = "") -> str:
    """A request's path (or `path`, with its query) as handlers know it, without the root."""
    path = path or request.path
    root = request.app[ROOT] if isinstance(request, web.Request) else ""
    return path.removeprefix(root) if path.startswith((f"{root}/", f"{root}?")) else path


def rooted(html: str, root: str) -> str:
    """A page of ours whose links lead below `root`."""
    return _LINK.sub(rf"\g<1>{root}/", html) if root else html


async def rooted_redirect(request: web.Request, response: web.StreamResponse) -> None:
    """Redirects that begin with a slash lead below the root, too."""
    root, target = request.app[ROOT], response.headers.get(hdrs.LOCATION, "")
    if root and target.startswith("/") and not target.startswith(("//", f"{root}/")):
        response.headers[hdrs.LOCATION] = f"{root}{target}"
