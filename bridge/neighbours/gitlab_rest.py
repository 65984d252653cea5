"""GitLab's REST API by python-gitlab, for what is not hot: blocking, one thread at a time.

Takes 17 MB when imported; whoever needs it imports it when it first asks.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

import gitlab
import requests
from gitlab.exceptions import GitlabAuthenticationError
from yarl import URL

from bridge.neighbours.http_client import MEGABYTE, untrusted
from bridge.neighbours.requests_trust import TrustingAdapter, certificate_error
from bridge.neighbours.tls import trust as default_trust
from bridge.secret.live import Secret

PAGE: Final = 100
LIMIT: Final = 16 * MEGABYTE
_CHUNK: Final = 64 * 1024
_SECONDS: Final = 120.0  # for a whole answer, however many bytes of it come every now and then


class Connection(gitlab.Gitlab):
    """One connection. It waits for nothing by itself, follows no redirect, and repeats nothing
    but a request whose token was refused, when there is another token by then.

    The token is sent as a Bearer, which GitLab takes of every kind that opens its API.
    """

    def __init__(
        self,
        base: str,
        secret: Secret | None,
        *,
        timeout: float,
        trust: ssl.SSLContext | None = None,
        heard: Callable[[requests.Response], None] = lambda response: None,
    ) -> None:
        self._secret = secret
        session = requests.Session()
        # The token is in a header that would follow a redirect to wherever it leads.
        session.max_redirects = 0
        session.auth = _Bearer(secret, base)
        adapter = TrustingAdapter(trust or default_trust())
        session.mount("https://", adapter)
        session.hooks["response"] += [lambda response, *_, **__: heard(response), _bounded]
        super().__init__(
            base,
            timeout=timeout,
            per_page=PAGE,
            retry_transient_errors=False,
            user_agent="fester",
            session=session,
        )

    def http_request(self, *arguments: Any, **options: Any) -> requests.Response:
        """As the original, without waiting; and once more with a token that is new."""
        options = {"obey_rate_limit": False, "max_retries": 0, **options}
        try:
            return super().http_request(*arguments, **options)
        except GitlabAuthenticationError:
            if self._secret is None or not self._secret.look():
                raise
        return super().http_request(*arguments, **options)

    def close(self) -> None:
        """Close it; safe to call twice."""
        self.session.close()


class AnswerTooLong(requests.RequestException):
    """An answer that is longer than any that is asked for."""


class _Bearer(requests.auth.AuthBase):
    """The token as it is now. Without one nothing is sent, nor what a .netrc would bring."""

    def __init__(self, secret: Secret | None, base: str) -> None:
        self._secret = secret
        self._origin = URL(base).origin()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        # A list's next page is wherever its head says.
        if self._secret is not None and URL(request.url or "").origin() == self._origin:
            request.headers["Authorization"] = f"Bearer {self._secret()}"
        return request


def unanswered(error: requests.RequestException) -> str:
    """Why there was no answer, as a sentence part; never what the library says of the request."""
    if isinstance(error, requests.exceptions.TooManyRedirects):
        return "GitLab redirects; give the address that it redirects to"
    if isinstance(error, requests.exceptions.SSLError):
        return f"GitLab was not asked: {untrusted(certificate_error(error))}"
    if isinstance(error, requests.exceptions.Timeout):
        return "GitLab did not answer in time"
    return f"GitLab did not answer ({type(error).__name__})"


def _bounded(response: requests.Response, *_: Any, **__: Any) -> None:
    """Reads the body before requests does, which would read it to the end, however long."""
    body, until = bytearray(), monotonic() + _SECONDS
    for chunk in response.iter_content(_CHUNK):
        body += chunk
        if len(body) > LIMIT or monotonic() > until:
            response.close()
            raise AnswerTooLong("the answer is too long")
    response._content = bytes(body)
