"""Who may ask what: a scope for every route, tokens, origins, and patience with slow clients.

A handler says what it needs with `@needs(Scope…)`. One that says nothing needs READ for GET and
OPERATE for anything else: to forget it never opens a door.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ipaddress
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import ClientConnectionResetError, hdrs, web
from aiohttp.typedefs import Middleware
from yarl import URL

from bridge.api.answers import error_response
from bridge.api.interfaces import Gatekeeper
from bridge.api.root import own_path
from bridge.errors import KeysUnavailable, TokenRefused
from bridge.model.access import Principal, Scope

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
OnPrepare = Callable[[web.Request, web.StreamResponse], Awaitable[None]]
Needing = TypeVar("Needing", bound=Callable[..., Awaitable[web.StreamResponse]])

_SCOPE = "_fester_scope"
_READING = {hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS}
# Where a browser may be told to ask from another origin, and what it may then do and see.
_METHODS = "GET, HEAD, POST"
_REQUEST_HEADERS = "Authorization, Content-Type, If-None-Match"
_RESPONSE_HEADERS = "ETag, Link"
_PREFLIGHT_SECONDS = "600"
_PRINCIPAL: web.RequestKey[Principal] = web.RequestKey("principal", Principal)
MAX_QUERY = 16_000  # characters


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask. Without a `gatekeeper` everybody may.

    `public` names first segments of paths that need no token ("catalog" opens `/catalog/…`),
    `origins` the other origins whose pages may ask. `names` are the hosts that a request may be
    addressed to where nobody needs a token, besides addresses and localhost; None: any.
    """

    gatekeeper: Gatekeeper | None = None
    public: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    names: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that a client has to send a request's body, and in all until it has its answer."""

    body: float = 20.0
    answer: float = 60.0


def needs(scope: Scope) -> Callable[[Needing], Needing]:
    """Say what a handler needs, whatever its method."""

    def mark(handler: Needing) -> Needing:
        setattr(handler, _SCOPE, scope)
        return handler

    return mark


def scope_of(handler: Any, method: str) -> Scope:
    """What a request for this handler needs."""
    said: Scope | None = getattr(handler, _SCOPE, None)
    return said or (Scope.READ if method in _READING else Scope.OPERATE)


def principal_of(request: web.Request) -> Principal | None:
    """Who asks; None where nobody needs to say."""
    return request.get(_PRINCIPAL)


def guard(access: Access) -> Middleware:
    """Lets a request through when its token gives what the route needs."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        scope = scope_of(request.match_info.handler, request.method)
        refusal = None
        if scope is Scope.PUBLIC or _opened(request, access):
            pass
        elif access.gatekeeper is not None:
            refusal = await _judge(request, access.gatekeeper, scope)
        elif access.names is not None and not _addressed(request.host, access.names):
            message = (
                "without `access` Fester answers to addresses and localhost alone; if a proxy "
                "offers it by this name, set public_url"
            )
            refusal = error_response(request, 421, "NotAllowedError", message)
        elif scope is Scope.OPERATE and _foreign(request, access):
            message = "pages of other origins may change nothing here; access.origins lists some"
            refusal = error_response(request, 403, "NotAllowedError", message)
        return await handler(request) if refusal is None else refusal

    return check


async def _judge(
    request: web.Request, gatekeeper: Gatekeeper, scope: Scope
) -> web.StreamResponse | None:
    """Why the request may not go on; None, and the request knows its principal, when it may."""
    token, basic = _token(request)
    if token is None:
        return _unauthenticated(request, "this needs a token: `Authorization: Bearer …`")
    try:
        principal = await gatekeeper.recognize(token)
    except TokenRefused as refused:
        return _unauthenticated(request, str(refused))
    except KeysUnavailable as unknown:
        return error_response(request, 503, "ServiceUnavailableError", str(unknown))
    # A browser sends what it remembers of Basic with every request, also with one that another
    # site's page makes it send: such a token only reads.
    if not principal.may(scope) or (basic and scope is Scope.OPERATE):
        message = f"this needs the scope `{scope.value}`, and a token sent as a bearer token"
        return error_response(request, 403, "NotAllowedError", message)
    request[_PRINCIPAL] = principal
    return None


def _addressed(host: str, names: frozenset[str]) -> bool:
    """Whether a Host header names us.

    A stranger's page can have its own name lead to this machine (DNS rebinding), and is then of
    our origin to the browser. The browser still says which name it was.
    """
    name = (URL.build(authority=host, scheme="http").host or "") if host else ""
    if name == "localhost" or name.endswith(".localhost") or name in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _opened(request: web.Request, access: Access) -> bool:
    first = own_path(request).removeprefix("/").partition("/")[0]
    return request.method in _READING and first in access.public


def _token(request: web.Request) -> tuple[str | None, bool]:
    """(token, whether it came as the password of Basic)."""
    scheme, _, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() == "bearer":
        return given.strip() or None, False
    if scheme.lower() == "basic":
        try:
            text = base64.b64decode(given.strip(), validate=True).decode()
        except (binascii.Error, ValueError):
            return None, True
        return text.partition(":")[2] or None, True
    return None, False


def _unauthenticated(request: web.Request, message: str) -> web.Response:
    response = error_response(request, 401, "AuthenticationError", message)
    response.headers.add(hdrs.WWW_AUTHENTICATE, 'Bearer realm="Fester"')
    if "text/html" in request.headers.get(hdrs.ACCEPT, ""):  # a person: let the browser ask
        response.headers.add(hdrs.WWW_AUTHENTICATE, 'Basic realm="Fester", charset="UTF-8"')
    return response


def _foreign(request: web.Request, access: Access) -> bool:
    """Whether a browser says that another site's page asks."""
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None:
        return request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
    return origin not in access.origins and origin.partition("://")[2] != request.host


def preflight(access: Access) -> Middleware:
    """Answers a browser that asks whether another origin's page may ask (CORS)."""

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get(hdrs.ORIGIN)
        asks_first = hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
        if origin is None or request.method != hdrs.METH_OPTIONS or not asks_first:
            return await handler(request)
        if origin not in access.origins:
            return error_response(
                request, 403, "NotAllowedError", "this origin is not in access.origins"
            )
        response = web.Response(status=204)
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = _METHODS
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = _REQUEST_HEADERS
        response.headers[hdrs.ACCESS_CONTROL_MAX_AGE] = _PREFLIGHT_SECONDS
        return response

    return answer


def cross_origin(access: Access) -> OnPrepare:
    """CORS for the origins that are listed, and for no other: on whatever answer is sent."""

    async def allow(request: web.Request, response: web.StreamResponse) -> None:
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None and origin in access.origins:
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _RESPONSE_HEADERS
        if origin is not None or access.origins:
            # Else a cache would give a page what it kept for a program.
            response.headers.add(hdrs.VARY, hdrs.ORIGIN)

    return allow


@web.middleware
async def short_query(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answers 414 to a query that is longer than any that we understand."""
    if len(request.rel_url.raw_query_string) > MAX_QUERY:
        return error_response(
            request, 414, "InputError", f"the query is longer than {MAX_QUERY} characters"
        )
    return await handler(request)


def body_in_time(patience: Patience) -> Middleware:
    """Reads the body before the handler does (which then finds it read), or answers 408.

    A public route bounds its body itself: it should first know who sends it.
    """

    @web.middleware
    async def read(request: web.Request, handler: Handler) -> web.StreamResponse:
        public = scope_of(request.match_info.handler, request.method) is Scope.PUBLIC
        if request.can_read_body and not public:
            try:
                async with asyncio.timeout(patience.body):
                    await request.read()
            except TimeoutError:
                response = error_response(
                    request, 408, "RequestTimeoutError", "the body did not arrive in time"
                )
                response.force_close()
                return response
        return await handler(request)

    return read


def answer_in_time(patience: Patience) -> Middleware:
    """Answers and sends the answer, and hangs up on a client that does not take it in time."""

    @web.middleware
    async def send(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            async with asyncio.timeout(patience.answer):
                response = await handler(request)
                with suppress(ClientConnectionResetError):  # who is gone needs no answer
                    await response.prepare(request)
                    await response.write_eof()
                return response
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
            raise

    return send
