"""Shows in `Live` what the passes of this replica give, and what it can look up in the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TypeAlias

import structlog

from bridge.answers.fields import MOST_SAID
from bridge.answers.lately import Lately, lately
from bridge.api.feed import Feed
from bridge.api.live import Live, SourceHealth
from bridge.errors import StoreError
from bridge.exporters.backstage_refresh import Refresher
from bridge.exporters.change_receivers import ChangeReceivers
from bridge.model.memory import Memory
from bridge.model.replica_role import ReplicaRole
from bridge.model.runs import Outcome
from bridge.model.scrape import Traffic
from bridge.model.statements import Statement
from bridge.ox.after_pass import tried
from bridge.passes.interfaces import ModelStore
from bridge.passes.runner import Passes
from bridge.passes.stages import Pass, Stages
from bridge.ports import Measured, Scraper
from bridge.processors.mapping import Mappings
from bridge.service.pulse import Pulse
from bridge.wiring import Wired
from bridge.wiring.census import CensusTaker
from bridge.wiring.clock import utc_now
from bridge.wiring.schemas import schema_names, schema_of

log = structlog.get_logger()

Account: TypeAlias = Callable[[Pass], None]


@dataclass(slots=True)
class Showing:
    """What a replica's service tells of its passes and of itself; `live` shows it.

    `account` hears of each pass that is made here, `census` counts after full ones, `feed` keeps
    the read API's index.
    """

    live: Live
    parts: Wired
    passes: Passes
    feed: Feed
    census: CensusTaker
    account: Account
    # What a pass changed that broke off, here or in another process, was told to nobody.
    _untold: bool = True

    async def show(self, done: Pass) -> None:
        """Serve what a pass gave. Raises `StoreError`."""
        live = self.live
        failed = done.report.outcome is Outcome.FAILED
        changes = replace(done.changes, everything=True) if self._untold else done.changes
        self._untold = True
        # The API serves what the files hold, scores and all.
        index = live.index if failed else await self.feed.index(done.files, changes)
        self._untold = failed
        if live.several:
            source, model = self.parts.stages.scraper.name, self.parts.store.model
            live.gitlabs = await model.gitlabs(source, live.sources)
        live.take(
            (await self.passes.with_problems(done)).report,
            files=done.files,
            index=index,
            horizon=done.horizon,
            gaps=await self.passes.gaps(),
            now=utc_now(),
        )
        await remember_lately(live)
        live.news()

    def made(self, done: Pass) -> None:
        """Count a pass that was made here."""
        self.live.passes[done.report.kind, done.report.outcome] += 1
        self.census.hear(done.report)
        self.account(done)

    def role(self, now: ReplicaRole) -> None:
        """Say who makes the passes."""
        self._untold = self._untold or now is not self.live.role
        self.live.role = now
        self.live.news()  # who leads now tells receivers
        if now is not ReplicaRole.LEADER:
            self.parts.scores.take_catalog(None)  # who leads now scores what is newer

    def store_answers(self, answers: bool) -> None:
        """Say whether the store tells who leads."""
        since = None if answers else self.live.store_away_since or utc_now()
        self.live.store_away_since = since

    async def after_pass(self, done: Pass) -> None:
        """The steps after a pass that was made here."""
        await tried(self.census.count)
        if self.live.lately is not None and self.live.lately.missed:
            await remember_lately(self.live)
        known = await done.known()
        await self.parts.after_pass.run(known.catalog, known.memory, done.observations)


def live_of(
    parts: Wired,
    passes: Passes,
    receivers: ChangeReceivers,
    pulse: Pulse,
    hints_waiting: Callable[[], int],
    *,
    notice: str = "",
) -> Live:
    """What the API reads: nothing is served yet, and what is asked for is found in the store."""
    store, source = parts.store, parts.source
    return Live(
        fetch=partial(store.model.file, source),
        known=passes.known,
        changes=partial(store.entity_changes.find, source),
        censuses=partial(store.censuses.since, source),
        last_census=partial(store.censuses.last, source),
        said=partial(said_of, store.model, source),
        receivers=receivers.standings,
        news=receivers.poke,
        sweeps=partial(store.parts.progress, source),
        sources={name: _health(parts.stages.reading(name)) for name in parts.stages.sources},
        hints_waiting=hints_waiting,
        hanging=pulse.hanging,
        schemas=_schemas(parts.mappings),
        source=source,
        notice=notice,
    )


def _health(stages: Stages) -> SourceHealth:
    return SourceHealth(stages.scraper.name, traffic_of(stages.scraper))


def _schemas(mappings: Mappings) -> dict[str, bytes]:
    """The JSON Schemas that are served, by the names of their files."""
    own = {f"{name}.json": schema_of(name, mappings.all).encode() for name in schema_names()}
    return own | {m.schema_path.name: m.schema_path.read_bytes() for m in mappings.all}


async def remember_lately(live: Live) -> None:
    """Have at hand what changed within a day; what the store does not tell now comes later.

    Until it does, answers say that it is missing: an old state is not the present.
    """
    try:
        live.lately = await lately(live.changes, utc_now(), live.lately)
    except StoreError as error:
        live.lately = replace(live.lately or Lately(), missed=True)
        log.warning("What changed is not at hand", action="changes_unread", error=str(error))


async def said_of(model: ModelStore, source: str, ref: str) -> tuple[Sequence[Statement], Memory]:
    """What manifests say of an entity, and those manifests. Raises `StoreError`."""
    stored = (await model.entities(source, [ref])).get(ref)
    origins = stored.entity.origins if stored is not None else ()
    heard = {(each.project_id, each.file) for each in origins}  # others lost their claim
    everything = (await model.speaking_of(source, [ref])).get(ref, [])
    theirs = (e for e in everything if (e.manifest.project.id, e.manifest.file) in heard)
    said = list(islice(theirs, MOST_SAID))
    projects = {each.manifest.project.id for each in said}
    return said, await model.known(source, projects)


async def tell(refresher: Refresher, live: Live, done: Pass) -> None:
    """Tell Backstage what a pass changed; what it does not hear is a warning beside that pass."""
    live.refreshes = refresher.counts
    # What this process was the first to tell, an earlier one may have written and not told.
    problem = await refresher.tell(done.digests, freed=done.changes.freed)
    if problem is not None:
        live.note(problem)


def traffic_of(scraper: Scraper) -> Callable[[], Traffic]:
    """Tells what a scraper asked of its GitLab until now."""
    return lambda: scraper.traffic if isinstance(scraper, Measured) else Traffic()
