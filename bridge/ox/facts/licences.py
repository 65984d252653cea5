"""Which of GitLab's paid features a project has: told apart from a role that is too low."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from bridge.model.scrape import Project
from bridge.ox.facts.gitlab_answers import UnreadAnswer
from bridge.ox.facts.project_page import PageAnswer

if TYPE_CHECKING:
    from bridge.ox.facts.gitlab_client import Client

# Where each group has a licence of its own; on any other GitLab there is one for all.
_SHARED: Final = "gitlab.com"


class Licence(Enum):
    """What is paid for; FREE is the usual package without a licence, CE has no code for more."""

    CE = "this GitLab is the Community Edition"
    FREE = "this GitLab's licence is Free"
    PAID = "licensed"
    UNKNOWN = "it is not known which licence this GitLab has"

    @property
    def lacks_approvals(self) -> bool:
        """Whether approval rules and code owners' approval are not there, for sure."""
        return self in (Licence.CE, Licence.FREE)

    def without(self, thing: str) -> str:
        """The reason for a feature that is not there."""
        return f"{self.value}; only GitLab Premium and Ultimate have {thing}"


class Licences:
    """Remembers what was found out in one round."""

    def __init__(self, base: str) -> None:
        self._by_group = urlsplit(base).hostname == _SHARED
        self._known: dict[str, Licence] = {}

    def of(self, client: Client, project: Project, told: PageAnswer | None) -> Licence:
        """A project's licence: from its page, else asked for once a GitLab, or once a group there.

        Raises `Busy` or `SourceRefused`.
        """
        root = project.path.partition("/")[0].lower() if self._by_group else ""
        weights = _weights(told)
        if told is not None and told.enterprise is False:
            self._known[root] = Licence.CE
        elif weights is not None:
            self._known[root] = Licence.PAID if weights else Licence.FREE
        if root not in self._known:
            found = _asked(client, project, told)
            if found is Licence.UNKNOWN:
                return found
            self._known[root] = found
        return self._known[root]


def _weights(told: PageAnswer | None) -> bool | None:
    """Whether a feature of Premium is there that has nothing to do with roles."""
    features: Any = None
    if told is not None:
        features = (told.node.get("namespace") or {}).get("availableFeatures")
    weights = (features or {}).get("hasIssueWeightsFeature")
    return weights if isinstance(weights, bool) else None


def _asked(client: Client, project: Project, told: PageAnswer | None) -> Licence:
    """By REST: a project has the key exactly when approvals are licensed, whatever the role."""
    try:
        if "approvals_before_merge" in client.one(f"/projects/{project.id}"):
            return Licence.PAID
        if told is not None and told.enterprise is not None:
            return Licence.FREE if told.enterprise else Licence.CE
        enterprise = client.one("/metadata").get("enterprise")
    except UnreadAnswer:
        return Licence.UNKNOWN
    return Licence.CE if enterprise is False else Licence.FREE
