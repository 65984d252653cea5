"""The teams that Backstage has from others: asked of its catalog, kept in the store.

What Fester publishes itself is in that catalog, too, and is no team from elsewhere. When the
catalog cannot be read, the teams that it told last stay known: nothing of ours takes their names.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from bridge.errors import SourceError
from bridge.model.entities import Ref
from bridge.model.problems import Problem, Severity
from bridge.neighbours.backstage_catalog import PAGE_BYTES, CatalogUnread, groups_and_users
from bridge.neighbours.http_client import HttpClient
from bridge.processors.teams import Team, team_of
from bridge.settings import Settings
from bridge.store.store import SqlStore
from bridge.wiring.neighbours import secret, trust_of

ASKED_AGAIN: Final = timedelta(minutes=5)
_SECONDS: Final = 30.0  # for one page
_OURS: Final = "fester.dev/"  # each Group and User that a shipped mapping makes has one of these


class BackstageTeams:
    """Who Backstage has from others. `teams` are those of the last `renew`.

    `problems` says why they are old, if they are.
    """

    def __init__(self, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._settings = settings
        self._clock = clock
        self._asked_at: datetime | None = None  # also when it did not answer
        self._told_at = ""
        self.teams: tuple[Team, ...] = ()
        self.problems: tuple[Problem, ...] = ()

    def refs(self) -> frozenset[Ref]:
        """Their references."""
        return frozenset(team.ref for team in self.teams)

    async def renew(self, store: SqlStore, source: str) -> None:
        """Ask again, if the settings wish it and the last answer is older than five minutes.

        Raises `SourceError` when nothing was ever told, and `StoreError`.
        """
        now = self._clock()
        if not self._settings.owners.backstage or not self._due(now):
            return
        if not self._told_at:
            self._remember(await store.teams_elsewhere.load(source))
            if not self._due(now):
                return
        self._asked_at = now
        try:
            self.teams = _from_others(await self._entities())
        except CatalogUnread as error:
            self.problems = (self._unread(str(error)),)
            return
        self.problems = ()
        self._told_at = now.isoformat(timespec="seconds")
        await store.teams_elsewhere.save(source, _text(self._told_at, self.teams))

    def _due(self, now: datetime) -> bool:
        return self._asked_at is None or now - self._asked_at >= ASKED_AGAIN

    def _remember(self, text: str) -> None:
        if text:
            told = json.loads(text)
            self._told_at = told["at"]
            self._asked_at = datetime.fromisoformat(self._told_at)
            self.teams = tuple(
                Team(Ref.parse(ref), tuple(names), kind, elsewhere=True)
                for ref, names, kind in told["teams"]
            )

    async def _entities(self) -> list[Mapping[str, Any]]:
        settings = self._settings
        http = HttpClient(
            settings.backstage.url,
            secret=secret(settings, "backstage_token"),
            timeout=_SECONDS,
            limit=PAGE_BYTES,
            trust=trust_of(settings),
        )
        try:
            return await groups_and_users(http)
        finally:
            await http.close()

    def _unread(self, reason: str) -> Problem:
        where = f"the groups and users that Backstage at {self._settings.backstage.url} has"
        if not self._told_at:
            raise SourceError(
                f"{where} could not be read: {reason}. Nothing was ever known of them, so nothing "
                "is published: it might take their names. Mend it, or take `owners.backstage` out"
            )
        return Problem(
            f"{where} could not be read: {reason}; those that it told of at {self._told_at} stay "
            "known, and it is asked again in five minutes",
            "owners-unread",
            Severity.WARNING,
        )


def _from_others(entities: Iterable[Mapping[str, Any]]) -> tuple[Team, ...]:
    found = (team_of(each, elsewhere=True) for each in entities if not _is_ours(each))
    return tuple(sorted((team for team in found if team), key=lambda team: str(team.ref)))


def _is_ours(entity: Mapping[str, Any]) -> bool:
    metadata = entity.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    if not isinstance(annotations, Mapping):
        return False
    return any(str(key).startswith(_OURS) for key in annotations)


def _text(at: str, teams: Iterable[Team]) -> str:
    rows = [[str(team.ref), team.names, team.type] for team in teams]
    return json.dumps({"at": at, "teams": rows})
