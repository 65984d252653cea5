"""How long updates of dependencies wait: open merge requests of Renovate and Dependabot.

They are told by their branches; the oldest `LOOKED_AT` open merge requests are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from bridge.model.moments import zoned_moment
from bridge.ox.facts.readings import ReadingBuilder

LOOKED_AT: Final = 50
UPDATE_FACTS: Final = ("dependency_updates_open", "days_of_oldest_dependency_update")
NEEDS: Final = "Project.mergeRequests"
ASKED: Final = (
    f"updates: mergeRequests(state: opened, sort: CREATED_ASC, first: {LOOKED_AT}) "
    "{ nodes { createdAt sourceBranch } pageInfo { hasNextPage } }"
)
_ROBOTS: Final = re.compile(r"(?:renovate|dependabot)[/-]", re.IGNORECASE)
_HIDDEN: Final = "merge requests are switched off, or hidden from the token"
_NONE: Final = "no update waits"


def read_updates(notes: ReadingBuilder, node: Mapping[str, Any], failed: Mapping[str, str]) -> None:
    """The facts of the updates that wait; where none were asked for, that they are hidden."""
    count, days = UPDATE_FACTS
    listed = node.get("updates")
    if "timeout" in failed.get("updates", "").lower():
        notes.unknown("GitLab did not answer in time", *UPDATE_FACTS)
        return
    if not isinstance(listed, Mapping):
        notes.not_applicable(_HIDDEN, *UPDATE_FACTS)
        return
    robots = [
        each
        for each in listed.get("nodes") or ()
        if each and _ROBOTS.match(str(each.get("sourceBranch") or ""))
    ]
    made = (zoned_moment(each.get("createdAt")) for each in robots)
    ages = [(notes.seen_at - at).days for at in made if at is not None]
    whole = not (listed.get("pageInfo") or {}).get("hasNextPage")
    if whole:
        notes.known(count, len(robots))
    else:
        notes.not_applicable(f"more than {LOOKED_AT} merge requests are open", count)
    if ages:
        notes.known(days, max(0, *ages))
    else:
        reason = _NONE if whole else f"it is not among the oldest {LOOKED_AT} merge requests"
        notes.not_applicable(reason, days)
