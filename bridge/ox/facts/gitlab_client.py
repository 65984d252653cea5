"""A connection to GitLab's REST API by python-gitlab, for facts: what it raises, and when.

Takes 17 MB when imported; `gitlab_rest` imports it when it first asks.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, Final

import gitlab
import requests

from bridge.errors import SourceRefused
from bridge.neighbours.gitlab_rest import Connection, unanswered
from bridge.neighbours.waiting import asked_pause
from bridge.ox.facts.gitlab_answers import Busy, UnreadAnswer
from bridge.secret.live import Secret, secret_of, variable_of
from bridge.secret.masks import masked

_ROWS: Final = 500  # protected branches or approval rules of one project
_SHOWN: Final = 200


class Client:
    """One connection, for one thread at a time."""

    def __init__(
        self,
        base: str,
        token: str | Secret | None,
        timeout: float,
        clock: Callable[[], datetime],
        *,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self.requests = 0
        self._variable = variable_of(token)
        self._clock = clock
        self._retry_after = 0.0
        self._gitlab = Connection(
            base, secret_of(token), timeout=timeout, trust=trust, heard=self._note
        )

    def close(self) -> None:
        """Close it; safe to call twice."""
        self._gitlab.close()

    def rows(self, path: str) -> list[Any]:
        """A list of REST. Raises `UnreadAnswer`, `Busy` or `SourceRefused`."""
        return list(islice(self._asked(self._gitlab.http_list, path, iterator=True), _ROWS))

    def one(self, path: str) -> dict[str, Any]:
        """One object of REST. Raises as `rows` does."""
        return _object(self._asked(self._gitlab.http_get, path))

    def graphql(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """An answer of GraphQL, which may hold errors beside its data. Raises as `rows` does."""
        body = {"query": query, "variables": dict(variables)}
        address = f"{self._gitlab.url}/api/graphql"
        return _object(self._asked(self._gitlab.http_post, address, post_data=body))

    def size(self, path: str, ref: str) -> int:
        """The size of a file by its HEAD. Raises as `rows` does."""
        answer = self._asked(self._gitlab.http_request, "head", path, query_data={"ref": ref})
        size = answer.headers.get("X-Gitlab-Size", "")
        if not size.isascii() or not size.isdigit():
            raise UnreadAnswer("GitLab's answer does not tell the file's size")
        return int(size[:15])

    def _note(self, response: requests.Response) -> None:
        self.requests += 1
        self._retry_after = asked_pause(response.headers, self._clock().timestamp()) or 0.0

    def _asked(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        try:
            return call(*arguments, **options)
        except gitlab.exceptions.GitlabAuthenticationError:
            raise SourceRefused(
                f"GitLab refuses the token (401): check {self._variable} and its scope read_api"
            ) from None
        except gitlab.exceptions.GitlabError as error:
            status = int(error.response_code or 0)
            if status == 429:
                raise Busy(self._retry_after) from None
            said = masked(str(error.error_message or type(error).__name__))[:_SHOWN]
            raise UnreadAnswer(f"{status or 'no answer'} from GitLab: {said}", status) from None
        except requests.exceptions.RequestException as error:
            raise UnreadAnswer(unanswered(error)) from None
        except ValueError as error:
            raise UnreadAnswer(f"GitLab could not be asked ({type(error).__name__})") from None


def _object(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise UnreadAnswer("GitLab's answer is no JSON object")
    return answer
