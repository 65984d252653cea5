"""Asks for pages of projects, finds out what this GitLab does not know, and halves what is heavy.

Nothing here is lost for good: a project that no page tells of is asked for by REST.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import structlog

from bridge.ox.facts.gitlab_answers import UnreadAnswer
from bridge.ox.facts.project_page import (
    OPTIONAL,
    RULES_OF,
    PageAnswer,
    page_query,
    page_variables,
    rules_query,
    told_of,
    unknown_fields,
)

if TYPE_CHECKING:
    from bridge.ox.facts.gitlab_client import Client

log = structlog.get_logger()

BUDGET: Final = 16  # requests that a page may cost: one poisoned project of fifty costs fifteen
PAGES_OF_RULES: Final = 10


class PageAsking:
    """One GitLab's pages. `lacks` are the fields that it turned out not to know.

    `closed` says why no page is asked for any more in this round, "" while they are.
    """

    def __init__(self, lacks: frozenset[str] = frozenset()) -> None:
        self.lacks = lacks
        self.closed = ""

    def ask(
        self, client: Client, ids: Sequence[int], paths: Sequence[str], now: datetime
    ) -> dict[int, PageAnswer]:
        """What GitLab tells of these projects; blocking.

        Those that are missing could not be told. Raises `Busy` or `SourceRefused`.
        """
        page = _Page(self, client, paths, now)
        found = page.told(ids, texts=True)
        if found is None:
            # Heavy texts cost nobody what else the page asks; they are looked for with the rest.
            found = page.in_halves([list(ids)], texts=False)
            known = [number for number in ids if number in found]
            parts = [known] if len(known) < len(ids) else _halves(known)
            for number, told in page.in_halves(parts, texts=True).items():
                found[number] = found[number].with_texts(told)
        return {number: self._whole(client, told) for number, told in found.items()}

    def judge(self, unread: UnreadAnswer) -> None:
        """A refusal holds for every page; what failed may have been too heavy."""
        if 400 <= unread.status < 500:
            self.closed = f"GitLab's GraphQL API is not open to the token: {unread}"
            log.warning("Facts are asked for by REST", action="facts_by_rest", reason=str(unread))

    def body(
        self,
        client: Client,
        ids: Sequence[int],
        paths: Sequence[str],
        now: datetime,
        *,
        texts: bool,
    ) -> Mapping[str, Any]:
        """One page's answer, without what GitLab does not know. Raises as `Client.graphql`."""
        for _ in range(len(OPTIONAL)):
            lacks = self.lacks  # another thread may find out more meanwhile
            query = page_query(lacks, files=bool(paths), texts=texts)
            body = client.graphql(query, page_variables(ids, paths, query, now))
            if body.get("data"):
                return body
            unknown = unknown_fields(body.get("errors") or ())
            if not unknown - lacks:
                raise UnreadAnswer(f"GitLab refused the query: {_said(body)}")
            self.lacks |= unknown
        raise UnreadAnswer("GitLab refused the query in every form")

    def _whole(self, client: Client, told: PageAnswer) -> PageAnswer:
        """With all branch rules; without any where they cannot be read whole."""
        node = dict(told.node)
        rules = node.get("branchRules")
        if not rules:
            return told
        nodes = list(rules.get("nodes") or ())
        for _ in range(PAGES_OF_RULES):
            info = rules.get("pageInfo") or {}
            if not info.get("hasNextPage"):
                node["branchRules"] = {"nodes": nodes}
                return replace(told, node=node)
            variables = {"ids": [node["id"]], "after": info.get("endCursor")}
            try:
                body = client.graphql(rules_query(self.lacks), variables)
                (following,) = body["data"]["projects"]["nodes"]
                rules = following["branchRules"]
                nodes += rules["nodes"]
            except (UnreadAnswer, KeyError, TypeError, ValueError):
                break
        node["branchRules"] = None
        return replace(told, node=node, lacks=told.lacks | {RULES_OF})


class _Page:
    """Questions about one page, as many as its budget allows."""

    def __init__(
        self, asking: PageAsking, client: Client, paths: Sequence[str], now: datetime
    ) -> None:
        self._asking = asking
        self._client = client
        self._paths = paths
        self._now = now
        self._left = BUDGET

    def told(self, ids: Sequence[int], *, texts: bool) -> dict[int, PageAnswer] | None:
        """What GitLab tells of these; None where that is too much for it, or it is refused."""
        self._left -= 1
        asking = self._asking
        try:
            body = asking.body(self._client, ids, self._paths, self._now, texts=texts)
        except UnreadAnswer as unread:
            asking.judge(unread)
            return None
        return told_of(body, asking.lacks, self._paths, texts=texts)

    def in_halves(self, parts: list[list[int]], *, texts: bool) -> dict[int, PageAnswer]:
        """What is told of the parts; one that is too much is asked for in halves."""
        found: dict[int, PageAnswer] = {}
        waiting = deque(part for part in parts if part)
        while waiting and self._left > 0 and not self._asking.closed:
            part = waiting.popleft()
            told = self.told(part, texts=texts)
            if told is None:
                waiting.extend(_halves(part))
            else:
                found |= told
        return found


def _halves(part: list[int]) -> list[list[int]]:
    """Both; none of one project."""
    middle = len(part) // 2
    return [part[:middle], part[middle:]] if middle else []


def _said(body: Mapping[str, Any]) -> str:
    errors = body.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else {}
    return str(first.get("message") or "no reason")[:200] if isinstance(first, Mapping) else ""
