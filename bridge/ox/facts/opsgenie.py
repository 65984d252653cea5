"""`opsgenie`: whether somebody is on call for the service, and who.

By the schedule that the entity names, else by those of its team (`opsgenie.com/team`, which
Backstage's plugin reads, too); nothing is guessed from names.
https://docs.opsgenie.com/docs/who-is-on-call-api
"""

from __future__ import annotations

import ssl
from typing import Any, Final
from urllib.parse import quote

from bridge.ox.facts.json_api import PAGES, JsonApi, Unanswered, at, rows
from bridge.ox.facts.on_call import Named, OnCallSchedule, schema_of
from bridge.secret.live import Secret

BASE: Final = "https://api.opsgenie.com"
TEAM: Final = "opsgenie.com/team"
SCHEDULE: Final = "fester.dev/opsgenie-schedule"
NAMED_BY: Final = ((SCHEDULE, Named.SCHEDULE), (TEAM, Named.TEAM))

OPSGENIE: Final = schema_of("opsgenie", "Opsgenie")


class Opsgenie:
    """Opsgenie's API as far as it is needed."""

    def __init__(
        self, token: str | Secret, *, base: str = BASE, trust: ssl.SSLContext | None = None
    ) -> None:
        self.api = JsonApi("Opsgenie", base, token, authorization="GenieKey {}", trust=trust)

    async def greet(self) -> None:
        """See that the key may list schedules. Raises `Unanswered`."""
        await self.api.get("/v2/schedules")

    async def schedules(self) -> list[OnCallSchedule]:
        """Every schedule that the key may see. Raises `Unanswered`."""
        found: list[OnCallSchedule] = []
        path = "/v2/schedules"
        for _ in range(PAGES):
            tree = await self.api.get(path)
            if not isinstance(tree.get("data"), list):
                raise Unanswered("Opsgenie's list of schedules has no `data`")
            found += [_schedule(row) for row in rows(tree, "data")]
            following = self.api.link(at(tree, "paging", "next"))
            if following is None:
                return found
            path = following
        raise Unanswered(f"Opsgenie's list goes on after {PAGES} pages")

    async def on_call(self, schedule: OnCallSchedule) -> list[str]:
        """User names of who is on call now by a schedule. Raises `Unanswered`."""
        path = f"/v2/schedules/{quote(schedule.id, safe='')}/on-calls"
        tree = await self.api.get(path, {"flat": "true"})
        names = at(tree, "data", "onCallRecipients")
        if not isinstance(names, list):
            raise Unanswered("Opsgenie does not say who is on call (`onCallRecipients`)")
        return [name for name in names if isinstance(name, str)]


def _schedule(row: dict[str, Any]) -> OnCallSchedule:
    team_id, team = at(row, "ownerTeam", "id"), at(row, "ownerTeam", "name")
    return OnCallSchedule(
        id=str(row.get("id") or ""),
        name=str(row.get("name") or ""),
        team_id=str(team_id or ""),
        team=str(team or ""),
        enabled=row.get("enabled") is not False,
    )
