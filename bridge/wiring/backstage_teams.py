"""The teams that Backstage has from others: asked of its catalog, kept in the store.

What Fester publishes itself is in that catalog, too, and is no team from elsewhere: it has one of
our annotations, lies below our own address, or is in the store as what we published. When the
catalog cannot be read, the teams that it told last stay known: nothing of ours takes their names.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bridge.errors import SourceError, StoreError
from bridge.exporters.render import INDEX
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
_OURS: Final = "fester.dev/"  # what most mappings put on Groups and Users, but no copied ones
_GOOGLE: Final = ("storage.googleapis.com", "storage.cloud.google.com")
_LOCATIONS: Final = (
    "backstage.io/managed-by-origin-location",
    "backstage.io/managed-by-location",
)


class BackstageTeams:
    """Who Backstage has from others. `teams` are those of the last `renew`.

    `problems` says why they are old, if they are.
    """

    def __init__(self, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._settings = settings
        self._token = secret(settings, "backstage_token")
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
        try:
            entities = await self._entities()
        except CatalogUnread as error:
            self.problems = (self._unread(str(error)),)
            self._asked_at = now
            return
        self.teams = await self._from_others(entities, store, source)
        self.problems = ()
        self._asked_at = now
        self._told_at = now.isoformat(timespec="seconds")
        await store.teams_elsewhere.save(source, _text(self._told_at, self.teams))

    async def recall(self, store: SqlStore, source: str) -> None:
        """Take the teams that whoever leads was told last. Raises `StoreError`."""
        if text := await store.teams_elsewhere.load(source):
            self.teams = _told_in(text)[2]

    def _due(self, now: datetime) -> bool:
        return self._asked_at is None or now - self._asked_at >= ASKED_AGAIN

    def _remember(self, text: str) -> None:
        if text:
            self._told_at, self._asked_at, self.teams = _told_in(text)

    async def _from_others(
        self, entities: Sequence[Mapping[str, Any]], store: SqlStore, source: str
    ) -> tuple[Team, ...]:
        """The teams that are not ours: by their mark, their location, or what we published."""
        bases = _bases(self._settings)
        unmarked = [each for each in entities if not _is_ours(each, bases)]
        teams = {team.ref: team for each in unmarked if (team := team_of(each, elsewhere=True))}
        ours = await self._published(unmarked, store, source)
        return tuple(team for ref, team in sorted(teams.items(), key=_by_text) if ref not in ours)

    async def _published(
        self, entities: Iterable[Mapping[str, Any]], store: SqlStore, source: str
    ) -> frozenset[Ref]:
        """Those of an index somewhere that the store knows as published without a mark, too."""
        found = (team_of(each) for each in entities if _of_an_index(each))
        refs = {str(team.ref) for team in found if team}
        known = (await store.model.entities(source, refs)).values()
        return frozenset(each.entity.ref for each in known if not _marked(each.entity.body))

    async def _entities(self) -> list[Mapping[str, Any]]:
        settings = self._settings
        http = HttpClient(
            settings.backstage.url,
            secret=self._token,
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


def _told_in(text: str) -> tuple[str, datetime, tuple[Team, ...]]:
    """When Backstage told what the store has, as text and as a moment, and the teams.

    Raises `StoreError`.
    """
    try:
        told = json.loads(text)
        moment = datetime.fromisoformat(told["at"]).astimezone(UTC)
        teams = tuple(
            Team(Ref.parse(ref), tuple(names), kind, elsewhere=True)
            for ref, names, kind in told["teams"]
        )
        return told["at"], moment, teams
    except (ValueError, KeyError, TypeError, AttributeError):
        raise StoreError(
            "what the store has of the teams that Backstage told of last cannot be "
            "understood: restore the store from a backup, or take `owners.backstage` out"
        ) from None


def _by_text(item: tuple[Ref, Team]) -> str:
    return str(item[0])


def _bases(settings: Settings) -> tuple[str, ...]:
    """What the addresses begin with at which Backstage reads what we publish."""
    found = [settings.public_url] if settings.public_url else []
    for place in settings.to:
        if place.startswith("gs://"):
            path = place.removeprefix("gs://").strip("/")
            bucket, _, prefix = path.partition("/")
            found += [f"https://{host}/{path}" for host in _GOOGLE]
            found.append(f"https://{bucket}.{_GOOGLE[0]}/{prefix}")
    return tuple(f"{each.rstrip('/')}/" for each in found)


def _is_ours(entity: Mapping[str, Any], bases: tuple[str, ...]) -> bool:
    return _marked(entity) or any(each.startswith(bases) for each in _locations(entity))


def _marked(entity: Mapping[str, Any]) -> bool:
    return any(str(key).startswith(_OURS) for key in _annotations(entity))


def _of_an_index(entity: Mapping[str, Any]) -> bool:
    """Whether it came by an index as we publish it, at whatever address; also if it is not told."""
    locations = _locations(entity)
    return not locations or any(each.endswith(f"/{INDEX}") for each in locations)


def _locations(entity: Mapping[str, Any]) -> list[str]:
    """The addresses that Backstage has it from, the first and the last, without their types."""
    texts = (str(_annotations(entity).get(key) or "") for key in _LOCATIONS)
    return [text.partition(":")[2] for text in texts if text]


def _annotations(entity: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = entity.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    return annotations if isinstance(annotations, Mapping) else {}


def _text(at: str, teams: Iterable[Team]) -> str:
    rows = [[str(team.ref), team.names, team.type] for team in teams]
    return json.dumps({"at": at, "teams": rows})
