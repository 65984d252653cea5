"""python-gitlab in a bounded number of worker threads, and what its errors mean for a run.

python-gitlab is synchronous. A client of its own for each thread, because a `requests.Session` is
not meant to be shared; no request that writes is ever repeated by itself.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from itertools import islice
from typing import Any, Final, TypeVar

import gitlab
import requests
from gitlab.exceptions import (
    GitlabAuthenticationError,
    GitlabError,
    GitlabHttpError,
    GitlabParsingError,
)

from bridge.errors import TrackerError, TrackerRefused, TrackerStopped, TrackerUnsure
from bridge.neighbours.gitlab_rest import PAGE, Connection, unanswered
from bridge.ox.remediation.harmless import plain
from bridge.secret.live import Secret, secret_of, variable_of
from bridge.secret.masks import masked

THREADS: Final = 4
TIMEOUT: Final = 30.0
# A listing that never ends must not fill the memory.
ROWS: Final = 100_000

Answer = TypeVar("Answer")


class Clients:
    """So many connections to one GitLab; work waits until one is free."""

    def __init__(
        self,
        url: str,
        token: str | Secret,
        *,
        threads: int = THREADS,
        timeout: float = TIMEOUT,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._free: asyncio.Queue[gitlab.Gitlab] = asyncio.Queue()
        self._variable = variable_of(token)
        secret = secret_of(token)
        for _ in range(threads):
            self._free.put_nowait(Connection(url, secret, timeout=timeout, trust=trust))

    async def run(self, work: Callable[[gitlab.Gitlab], Answer]) -> Answer:
        """Do `work` in a thread. Raises `TrackerError` for whatever goes wrong."""
        client = await self._free.get()
        try:
            return await asyncio.to_thread(_explained, client, work, self._variable)
        finally:
            self._free.put_nowait(client)

    async def close(self) -> None:
        """Close the connections; safe to call twice."""
        while not self._free.empty():
            self._free.get_nowait().session.close()


def every(source: Any, asked: dict[str, Any], *, most: int = ROWS) -> list[dict[str, Any]]:
    """All rows of a list. Raises `TrackerRefused` for more than `most`, or fewer than it named.

    A page that was lost on its way shows only by the number that the other pages' heads name.
    """
    listed = source.list(iterator=True, per_page=PAGE, **asked)
    named = [listed.total]
    rows = [dict(row.attributes) for row in islice(listed, most + 1)]
    named.append(listed.total)
    if len(rows) > most:
        raise TrackerRefused(f"GitLab lists more than {most}")
    promised = max((number for number in named if number is not None), default=0)
    if len(rows) < promised:
        raise TrackerRefused(f"GitLab named {promised} things and gave {len(rows)}")
    return rows


class Answered(TrackerRefused):
    """A refusal with its HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        self.status = status
        super().__init__(message)


def status_of(error: TrackerError) -> int:
    """The HTTP status of a refusal; 0 for anything else."""
    return error.status if isinstance(error, Answered) else 0


def _explained(
    client: gitlab.Gitlab, work: Callable[[gitlab.Gitlab], Answer], variable: str
) -> Answer:
    """Do it; raise `TrackerError` with what happens next for whatever goes wrong."""
    try:
        return work(client)
    except (GitlabAuthenticationError, GitlabHttpError) as error:
        raise _by_status(error, variable) from error
    except GitlabParsingError as error:
        raise TrackerUnsure(f"GitLab's answer was no JSON: {plain(masked(str(error)))}") from error
    except GitlabError as error:
        raise _by_status(error, variable) from error
    except requests.RequestException as error:
        raise TrackerUnsure(unanswered(error)) from error
    except (KeyError, TypeError, ValueError) as error:
        raise TrackerUnsure(
            f"GitLab's answer was not understood: {plain(masked(str(error)))}"
        ) from error


def _by_status(error: GitlabError, variable: str) -> TrackerError:
    status, said = int(error.response_code or 0), plain(masked(str(error.error_message or error)))
    if status == 429:
        return TrackerStopped("GitLab asks to wait (429); what is left is done in the next run")
    if status in (401, 403) and "insufficient_scope" in str(error.response_body):
        advice = f"give {variable} the scope `api`, or leave remediation plan-only"
        return TrackerStopped(f"the token may not write ({status}): {advice}")
    if status == 401:
        return TrackerStopped(f"GitLab refuses the token (401): check {variable}")
    if 400 <= status < 500:
        return Answered(f"GitLab refused ({status}): {said}", status)
    return TrackerUnsure(f"GitLab failed ({status or 'no status'}): {said}")
