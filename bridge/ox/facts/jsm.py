"""`jsm`: who is on call by Jira Service Management's operations, which take Opsgenie's place.

A moved account keeps the names of its schedules, so what an entity names for Opsgenie counts where
it names none here. A team is known by its Atlassian id alone: nothing here has its name.
https://developer.atlassian.com/cloud/jira/service-desk-ops/rest/v2/api-group-schedule-on-calls/
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final
from urllib.parse import quote, urlencode

from bridge.ox.facts.json_api import PAGES, JsonApi, Unanswered, at, rows
from bridge.ox.facts.on_call import MOST_PEOPLE, Named, OnCallSchedule, schema_of
from bridge.ox.facts.opsgenie import SCHEDULE
from bridge.secret.live import Secret

BASE: Final = "https://api.atlassian.com"
NAMED_BY: Final = (
    ("fester.dev/jsm-schedule", Named.SCHEDULE),
    ("fester.dev/jsm-team", Named.TEAM),
    (SCHEDULE, Named.SCHEDULE),
)
_PAGE: Final = 50
_DEEP: Final = 5  # an escalation within an escalation

JSM: Final = schema_of("jsm", "Jira Service Management")


class Jsm:
    """The operations of one site. With a `user` the token is his API token, else a Bearer."""

    def __init__(
        self,
        cloud: str,
        token: str | Secret,
        *,
        user: str = "",
        base: str = BASE,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._ops = f"/jsm/ops/api/{quote(cloud, safe='')}/v1/schedules"
        self._users = f"/ex/jira/{quote(cloud, safe='')}/rest/api/3/user/bulk"
        self._names: dict[str, str] = {}
        self._nameless = False
        name = "Jira Service Management"
        self.api = JsonApi(name, base, token, authorization="Bearer {}", user=user, trust=trust)

    async def greet(self) -> None:
        """See that the token may list schedules. Raises `Unanswered`."""
        await self.api.get(self._ops, {"size": "1"})

    async def schedules(self) -> list[OnCallSchedule]:
        """Every schedule that the token's user may see. Raises `Unanswered`.

        The link to the next page is one below the site's operations; it says that there is one.
        """
        self._names, self._nameless = {}, False
        found: list[OnCallSchedule] = []
        for _ in range(PAGES):
            tree = await self.api.get(self._ops, {"offset": str(len(found)), "size": str(_PAGE)})
            if not isinstance(tree.get("values"), list):
                raise Unanswered(f"{self.api.name}'s list of schedules has no `values`")
            page = [_schedule(row) for row in rows(tree, "values")]
            found += page
            if not page or not at(tree, "links", "next"):
                return found
        raise Unanswered(f"{self.api.name}'s list goes on after {PAGES} pages")

    async def on_call(self, schedule: OnCallSchedule) -> list[str]:
        """Who is on call now by a schedule: names, and ids of whom Jira does not name.

        A team that is on call as a whole is given as one. Raises `Unanswered`.
        """
        path = f"{self._ops}/{quote(schedule.id, safe='')}/on-calls"
        tree = await self.api.get(path, {"flat": "false"})
        if not isinstance(tree.get("onCallParticipants"), list):
            raise Unanswered(f"{self.api.name} does not say who is on call (`onCallParticipants`)")
        people = list(dict.fromkeys(islice(_participants(tree), MOST_PEOPLE)))
        await self._learn([number for kind, number in people if kind == "user"])
        return [self._names.get(n, n) if kind == "user" else f"{kind} {n}" for kind, n in people]

    async def _learn(self, accounts: Sequence[str]) -> None:
        """Ask Jira for names; once it refuses, or is away, the ids have to do.

        https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-users/
        """
        unknown = [each for each in accounts if each not in self._names]
        if not unknown or self._nameless:
            return
        asked = [("maxResults", str(MOST_PEOPLE)), *(("accountId", each) for each in unknown)]
        try:
            tree = await self.api.get(f"{self._users}?{urlencode(asked)}")
        except Unanswered:
            self._nameless = True
            return
        for row in rows(tree, "values"):
            name = " ".join(str(row.get("displayName") or "").split())
            if name:
                self._names[str(row.get("accountId"))] = name


def _participants(tree: dict[str, Any], depth: int = 0) -> Iterator[tuple[str, str]]:
    """Kind and id of each; of an escalation, or a team that is told whole, those within it."""
    for row in rows(tree, "onCallParticipants"):
        kind, number = str(row.get("type") or ""), str(row.get("id") or "")
        if rows(row, "onCallParticipants") and depth < _DEEP:
            yield from _participants(row, depth + 1)
        elif number and kind != "escalation":  # an empty one is nobody
            yield kind, number


def _schedule(row: dict[str, Any]) -> OnCallSchedule:
    return OnCallSchedule(
        id=str(row.get("id") or ""),
        name=str(row.get("name") or ""),
        team_id=str(row.get("teamId") or ""),
        team="",
        enabled=row.get("enabled") is not False,
    )
