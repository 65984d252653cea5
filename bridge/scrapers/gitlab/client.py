"""The only module of this room that speaks to GitLab: bounded, retried, throttled requests."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from hashlib import blake2b
from typing import Any, Final
from urllib.parse import urlencode

from yarl import URL

from bridge.errors import ConfigurationError, SourceRefused
from bridge.model.problems import Problem
from bridge.model.rates import Rates
from bridge.model.scrape import Traffic
from bridge.neighbours.http_client import Failure, HttpClient, NoAnswer, NotJson
from bridge.scrapers.gitlab.options import GitLabOptions
from bridge.scrapers.gitlab.throttle import Throttle
from bridge.scrapers.gitlab.trouble import Cause, Trouble
from bridge.secret.live import Secret, secret_of, variable_of
from bridge.secret.values import header_value

BODY_LIMIT = 16 * 1024 * 1024  # bytes of one answer, unpacked
_HEAD = 2_000  # bytes of an answer's body that are searched for its meaning
_TOO_HEAVY = b"Request timed out"  # GitLab's own words, where a proxy's page has others
_URGENT = 2  # requests in flight beside the others
_REST, _GRAPHQL = "rest", "graphql"
_SLOW_RETRIES = 1  # a timeout costs its whole time: asking a second time is enough


@dataclass(frozen=True, slots=True)
class GitLabAnswer:
    """A good answer: its JSON and headers."""

    body: Any
    headers: Mapping[str, str]


@dataclass(slots=True)
class Tally:
    """The requests of one crawl. An urgent one, of a few projects, does not queue behind others.

    `began` is the time of the first answer, by GitLab's clock.
    """

    urgent: bool = False
    requests: int = 0
    began: datetime | None = None

    def answered(self, headers: Mapping[str, str]) -> None:
        """Note an answer."""
        if self.began is None:
            self.began = _date_of(headers)


# Crawls overlap: whatever is asked within one counts for it.
TALLY: Final[ContextVar[Tally]] = ContextVar("tally")


class GitLabClient:
    """Speaks to one GitLab. The token is sent to `base` only, and shown nowhere.

    `requests` counts what was sent, retries included, and `outcomes` what came of it.
    """

    def __init__(
        self,
        base: str,
        token: str | Secret | None,
        options: GitLabOptions,
        throttle: Throttle,
        *,
        trust: ssl.SSLContext | None = None,
        variable: str = "GITLAB_TOKEN",
    ) -> None:
        self.base = base
        self.variable = variable_of(token, variable)
        self.requests = 0
        self.outcomes: Counter[str] = Counter()
        self._secret = secret_of(token) if isinstance(token, Secret) else _checked(token)
        self._options = options
        self._throttle = throttle
        self._trust = trust
        self._gate = asyncio.Semaphore(options.concurrency)
        self._urgent_gate = asyncio.Semaphore(_URGENT)
        self._http: HttpClient | None = None
        self._welcome = False  # whether this token was ever accepted

    def __repr__(self) -> str:
        return f"GitLabClient({self.base!r}, token={'***' if self._secret else None})"

    @property
    def anonymous(self) -> bool:
        """Whether it asks without a token."""
        return self._secret is None

    async def get(self, path: str, params: Mapping[str, str]) -> GitLabAnswer:
        """GET `path` (percent-encoded) under /api/v4.

        Raises `Trouble`, or `SourceRefused` for 401 and 403.
        """
        query = f"?{urlencode(params)}" if params else ""
        url = URL(f"{self.base}/api/v4{path}{query}", encoded=True)
        return await self._asked(_REST, "GET", url, patient=True)

    async def graphql(
        self, query: str, variables: Mapping[str, Any], *, patient: bool = False
    ) -> Any:
        """The JSON body that answers `query`. Raises as `get` does.

        Only when `patient` are a 500 and a timeout asked again: for a page of many projects
        it is better to ask for fewer.
        """
        body = {"query": query, "variables": dict(variables)}
        url = URL(f"{self.base}/api/graphql")
        return (await self._asked(_GRAPHQL, "POST", url, body=body, patient=patient)).body

    @property
    def traffic(self) -> Traffic:
        """What was asked so far, and what came of it."""
        return Traffic(dict(self.outcomes), self._throttle.waited)

    async def close(self) -> None:
        """Close the connections; safe to call twice."""
        http, self._http = self._http, None
        if http is not None:
            await http.close()

    async def _asked(
        self, lane: str, method: str, url: URL, *, patient: bool, body: Any = None
    ) -> GitLabAnswer:
        tally = TALLY.get(_NO_TALLY)
        attempt = 0
        waited = 0.0
        while True:
            try:
                async with self._urgent_gate if tally.urgent else self._gate:
                    pause = await self._throttle.enter(
                        self._counter(lane),
                        longest=self._options.longest_wait - waited,
                        ahead=tally.urgent,
                    )
                    if pause is None:
                        raise Trouble(
                            Cause.NOT_UNDERSTOOD,
                            "GitLab's rate limit would make one request wait longer than "
                            f"{self._options.longest_wait:.0f} s",
                        )
                    waited += pause
                    return await self._once(lane, method, url, body)
            except Trouble as trouble:
                if attempt >= self._retries(trouble.cause, patient):
                    raise
            except SourceRefused:
                # A token that was good a moment ago deserves one more try; a bad one does not.
                if not self._welcome or attempt:
                    raise
            await self._throttle.back_off(attempt)
            attempt += 1

    def share(self, rates: Rates) -> None:
        """Count requests where all that ask with this token count them."""
        self._throttle.share(rates)

    def _counter(self, lane: str) -> str:
        """The name of one of GitLab's counters, which counts the requests of a token."""
        token = self._secret() if self._secret is not None else ""
        told = f"{self.base}\0{token}".encode("utf-8", "surrogatepass")
        return f"{blake2b(told, digest_size=16).hexdigest()}:{lane}"

    def _retries(self, cause: Cause, patient: bool) -> int:
        if cause is Cause.BUSY:
            return self._options.max_retries
        if cause is Cause.BROKEN and patient:
            return self._options.max_retries
        if cause is Cause.SLOW and patient:
            return min(_SLOW_RETRIES, self._options.max_retries)
        return 0

    async def _once(self, lane: str, method: str, url: URL, body: Any) -> GitLabAnswer:
        status = 0
        headers: Mapping[str, str] = {}
        self.requests += 1
        TALLY.get(_NO_TALLY).requests += 1
        try:
            answer = await self._open().send(method, url, body=body)
            status, headers = answer.status, answer.headers
            TALLY.get(_NO_TALLY).answered(headers)
        except NoAnswer as error:
            raise Trouble(_CAUSES[error.failure], str(error)) from None
        finally:
            self.outcomes[str(status) if status else "no answer"] += 1
            await self._throttle.leave(self._counter(lane), status, headers)
        self._judge(status, headers, answer.body)
        self._welcome = True
        try:
            return GitLabAnswer(answer.json(), headers)
        except NotJson:
            raise Trouble(
                Cause.BUSY, "the answer is not JSON; is this the address of a GitLab?"
            ) from None

    def _judge(self, status: int, headers: Mapping[str, str], raw: bytes) -> None:
        """Raise for every status that is not good."""
        if 200 <= status < 300:
            return
        if status in (401, 403):
            raise SourceRefused(
                f"GitLab at {self.base} answered {status}: the token is "
                f"{'missing' if self.anonymous else 'not valid, expired or too weak'}; check "
                f"{self.variable}, it needs the scope read_api. Nothing was changed"
            )
        if 300 <= status < 400:
            where = headers.get("Location", "elsewhere").partition("?")[0][:200]
            raise Trouble(
                Cause.NOT_UNDERSTOOD, f"it redirects to {where}; give the address it redirects to"
            )
        if status == 404:
            raise Trouble(Cause.NOT_THERE, "404: not found")
        if status == 408:
            raise Trouble(Cause.SLOW, "GitLab answered 408")
        if status == 503 and _TOO_HEAVY in raw[:_HEAD]:
            raise Trouble(Cause.HEAVY, "GitLab answered 503: the query took it too long")
        if status in (429, 502, 503, 504):
            raise Trouble(Cause.BUSY, f"GitLab answered {status}")
        if status >= 500:
            raise Trouble(Cause.BROKEN, f"GitLab answered {status}")
        raise Trouble(Cause.NOT_UNDERSTOOD, f"GitLab answered {status}")

    def _open(self) -> HttpClient:
        if self._http is None:
            self._http = HttpClient(
                self.base,
                secret=self._secret,
                timeout=self._options.timeout,
                limit=BODY_LIMIT,
                trust=self._trust,
            )
        return self._http


_NO_TALLY: Final = Tally()


def _date_of(headers: Mapping[str, str]) -> datetime | None:
    """What time it was where an answer was made (RFC 9110, section 6.6.1), if that is told."""
    try:
        told = parsedate_to_datetime(headers.get("Date", ""))
        return told if told.tzinfo else told.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError):
        return None


# What may help when there was no answer.
_CAUSES: Final = {
    Failure.SLOW: Cause.SLOW,
    Failure.UNREACHABLE: Cause.BUSY,
    Failure.TOO_LARGE: Cause.TOO_LARGE,
    Failure.UNTRUSTED: Cause.NOT_UNDERSTOOD,
}


def _checked(token: str | None) -> Secret | None:
    """A token that a program gave; what the settings give was looked at there."""
    if not (token or "").strip():
        return None
    try:
        return Secret(header_value(token or ""))
    except ValueError as error:
        message = f"GITLAB_TOKEN cannot be used: {error}; copy it again"
        raise ConfigurationError([Problem(message, "token-malformed")]) from None
