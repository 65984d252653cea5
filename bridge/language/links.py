"""What kind of thing a link of an entity leads to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final
from urllib.parse import quote, unquote

from bridge.model.entities import Body, Json


class LinkKind(StrEnum):
    """What a link leads to."""

    RUNBOOK = "runbook"
    DASHBOARD = "dashboard"
    ALERTS = "alerts"
    LOGS = "logs"
    SLO = "slo"
    ON_CALL = "on_call"
    DOCS = "docs"
    REPOSITORY = "repository"
    OTHER = "other"


# The words that manifests of the known formats use for each kind.
_WORDS: Final[Mapping[LinkKind, str]] = {
    LinkKind.RUNBOOK: "runbook runbooks playbook playbooks",
    LinkKind.DASHBOARD: "dashboard dashboards metrics metric monitoring monitor",
    LinkKind.ALERTS: "alert alerts alerting alarm alarms",
    LinkKind.LOGS: "log logs logging",
    LinkKind.SLO: "slo slos sla objective objectives",
    LinkKind.ON_CALL: "on_call oncall rota incident incidents pager paging",
    LinkKind.DOCS: "doc docs documentation guide wiki readme handbook",
    LinkKind.REPOSITORY: "repo repository code source",
}
_KIND_OF: Final = {word: kind for kind, words in _WORDS.items() for word in words.split()}


def links_of(body: Body) -> list[tuple[LinkKind, str]]:
    """(kind, URL) of every link of an entity."""
    links = (body.get("metadata") or {}).get("links")
    found = links if isinstance(links, list) else []
    return [
        (kind_of(link), str(link.get("url", ""))) for link in found if isinstance(link, Mapping)
    ]


def own_file(url: str, web_url: str, branch: str) -> str | None:
    """The path of a project's file by its address on the default branch; None for what lies
    elsewhere, and when the project's address or branch is not known.
    """
    begin = f"{web_url}/-/blob/{quote(branch, safe='/')}/"
    if not (web_url and branch) or not url.startswith(begin):
        return None
    return unquote(url.removeprefix(begin).partition("#")[0].partition("?")[0])


def kind_of(link: Mapping[str, Json]) -> LinkKind:
    """The kind by the link's type; a link without one is judged by the words of its title."""
    kind = str(link.get("type") or "")
    text = kind or str(link.get("title") or "")
    whole = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    if whole in _KIND_OF:
        return _KIND_OF[whole]
    words = (_KIND_OF[word] for word in whole.split("_") if word in _KIND_OF)
    return next(words, LinkKind.OTHER)
