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

from bridge.ox.facts.gitlab_answers import Unread
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

BUDGET: Final = 16  # requests that a page may cost: one poisoned project of fifty costs twelve
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
        found: dict[int, PageAnswer] = {}
        waiting = deque([(list(ids), True)])
        for _ in range(BUDGET):
            if self.closed or not waiting:
                break
            part, texts = waiting.popleft()
            try:
                body = self._body(client, part, paths, now, texts=texts)
            except Unread as unread:
                self._judge(unread)
                waiting.extend(_lighter(part, texts=texts))
            else:
                found |= told_of(body, self.lacks, paths, texts=texts)
        return {number: self._whole(client, told) for number, told in found.items()}

    def _judge(self, unread: Unread) -> None:
        """A refusal holds for every page; what failed may have been too heavy."""
        if 400 <= unread.status < 500:
            self.closed = f"GitLab's GraphQL API is not open to the token: {unread}"
            log.warning("Facts are asked for by REST", action="facts_by_rest", reason=str(unread))

    def _body(
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
                raise Unread(f"GitLab refused the query: {_said(body)}")
            self.lacks |= unknown
        raise Unread("GitLab refused the query in every form")

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
            except (Unread, KeyError, TypeError, ValueError):
                break
        node["branchRules"] = None
        return replace(told, node=node, lacks=told.lacks | {RULES_OF})


def _lighter(part: list[int], *, texts: bool) -> list[tuple[list[int], bool]]:
    """What is asked in place of a page that was too much: its halves; of one project, no texts."""
    middle = len(part) // 2
    if middle:
        return [(part[:middle], texts), (part[middle:], texts)]
    return [(part, False)] if texts else []


def _said(body: Mapping[str, Any]) -> str:
    errors = body.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else {}
    return str(first.get("message") or "no reason")[:200] if isinstance(first, Mapping) else ""
