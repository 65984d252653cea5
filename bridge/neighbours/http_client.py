"""The one HTTP client for systems that are not ours: bounded in bytes and time, told where to.

It opens the only sessions of the product. Its token goes to one address, never along a redirect;
a token that is refused is looked for anew once, for it may have been changed meanwhile.
"""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from bridge.errors import FesterError
from bridge.model.json_text import tree_of
from bridge.neighbours.tls import trust as default_trust
from bridge.secret.live import Secret

MEGABYTE: Final = 1024 * 1024
_CHUNK: Final = 64 * 1024


class Failure(Enum):
    """Why there is no answer, by what may help."""

    SLOW = "slow"
    UNREACHABLE = "unreachable"
    TOO_LARGE = "too large"
    UNTRUSTED = "untrusted"  # its certificate: asking again gives the same


class NoAnswer(FesterError):
    """A request without an answer; the message is a sentence part that names no secret.

    `sent` is False when the request surely did not reach anybody.
    """

    def __init__(self, failure: Failure, reason: str, *, sent: bool = True) -> None:
        self.failure = failure
        self.sent = sent
        super().__init__(reason)


class NotJson(FesterError):
    """An answer's body is not the JSON that was expected."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `headers` are found whatever their case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body's tree. Raises `NotJson`."""
        try:
            return tree_of(self.body)
        except (ValueError, RecursionError):
            raise NotJson("the answer is not JSON") from None


class HttpClient:
    """Asks one neighbour, at `base` and nowhere else.

    `authorization` says how the `secret` stands in the header of that name; with a `user` it is
    that one's password (Basic) instead. `timeout` is seconds
    for a whole request, `limit` bytes of an answer, unpacked. `trust` is `bridge.neighbours.tls`'s
    own if none is given. With `proxies` those of the environment are used.
    """

    def __init__(
        self,
        base: str,
        *,
        secret: Secret | None = None,
        authorization: str = "Bearer {}",
        user: str = "",
        headers: Mapping[str, str] | None = None,
        timeout: float = 20.0,
        limit: int = 8 * MEGABYTE,
        trust: ssl.SSLContext | None = None,
        proxies: bool = True,
    ) -> None:
        self.base = URL(base.rstrip("/"))
        self._secret = secret
        self._authorization = authorization
        self._user = user
        self._headers = {"Accept": "application/json", "User-Agent": "fester", **(headers or {})}
        self._timeout = timeout
        self._limit = limit
        self._trust = trust
        self._proxies = proxies
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"HttpClient({str(self.base.origin())!r}, secret={'***' if self._secret else None})"

    async def close(self) -> None:
        """Close the connections; safe to call twice."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def send(
        self,
        method: str,
        url: URL | str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer, whatever its status; redirects are not followed. `body` is sent as JSON.

        Bytes are JSON already, and are sent as they are: what was signed must not change.

        `url` is whole, or a path (percent-encoded, with its query) at `base`'s host. Raises
        `NoAnswer`, and ValueError for another host: what opens this one stays here.
        """
        target = self.base.join(URL(url, encoded=True)) if isinstance(url, str) else url
        if target.origin() != self.base.origin():
            raise ValueError("the request leads to another host")
        answer = await self._once(method, target, body, headers or {})
        if answer.status == 401 and self._secret is not None and self._secret.look():
            answer = await self._once(method, target, body, headers or {})
        return answer

    async def _once(self, method: str, url: URL, body: Any, more: Mapping[str, str]) -> Answer:
        headers = dict(more)
        ready = body if isinstance(body, bytes) else None
        if ready is not None:
            headers["Content-Type"] = "application/json"
        if self._secret is not None:
            headers["Authorization"] = self._authorized(self._secret())
        try:
            async with self._open().request(
                method,
                url,
                json=body if ready is None else None,
                data=ready,
                headers=headers,
                allow_redirects=False,
                **_proxy(url) if self._proxies else {},
            ) as response:
                return Answer(response.status, response.headers, await self._bounded(response))
        except TimeoutError:
            reason = f"no answer within {self._timeout:g} s"
            raise NoAnswer(Failure.SLOW, reason) from None
        except aiohttp.ClientConnectorCertificateError as error:
            reason = untrusted(error.certificate_error)
            raise NoAnswer(Failure.UNTRUSTED, reason, sent=False) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            unsent = isinstance(error, aiohttp.ClientConnectorError | aiohttp.InvalidURL)
            raise NoAnswer(Failure.UNREACHABLE, unreachable(error), sent=not unsent) from None

    def _authorized(self, secret: str) -> str:
        if self._user:
            return f"Basic {b64encode(f'{self._user}:{secret}'.encode()).decode()}"
        return self._authorization.format(secret)

    async def _bounded(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK):
            body += chunk
            if len(body) > self._limit:
                response.close()
                limit = f"{self._limit / MEGABYTE:g} MB"
                raise NoAnswer(Failure.TOO_LARGE, f"the answer is larger than {limit}")
        return bytes(body)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(total=self._timeout),
                cookie_jar=aiohttp.DummyCookieJar(),
                connector=aiohttp.TCPConnector(ssl=self._trust or default_trust()),
                # Else a .netrc would put another name and password beside our token.
                trust_env=False,
            )
        return self._session


def unreachable(error: BaseException) -> str:
    """Why a connection failed, as a sentence part; never what a library says of URL or headers."""
    if isinstance(error, aiohttp.ClientConnectorError):
        what = error.os_error.strerror or type(error.os_error).__name__
    elif isinstance(error, ValueError) and not isinstance(error, aiohttp.ClientError):
        what = "what is to be sent is no HTTP request"
    else:
        what = type(error).__name__
    return f"the connection failed ({what})"


def untrusted(error: BaseException) -> str:
    """Why a certificate was refused, and what to do."""
    why = str(getattr(error, "verify_message", "") or type(error).__name__)
    return f"its certificate is not trusted here ({why}); name its CA's file in `ca_file`"


def _proxy(url: URL) -> dict[str, Any]:
    """The proxy that the environment names for an address, as aiohttp takes it."""
    proxies = getproxies()
    found = proxies.get(url.scheme) or proxies.get("all")
    if not found or proxy_bypass(f"{url.host}:{url.port}"):
        return {}
    proxy = URL(found if "://" in found else f"http://{found}")
    if proxy.user is None:
        return {"proxy": proxy}
    login = b64encode(f"{proxy.user}:{proxy.password or ''}".encode()).decode()
    # aiohttp sends it as Proxy-Authorization, and to the proxy alone.
    return {"proxy": proxy.with_user(None), "proxy_headers": {"Authorization": f"Basic {login}"}}
