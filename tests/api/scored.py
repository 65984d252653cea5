"""A board of three services, and a history, for the tests of the API and its pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

from bridge.model.entities import Catalog, CatalogEntity, Ref
from bridge.ox.scores.rubric_in_force import RubricFile
from bridge.ox.scores.scorekeeping import Scorekeeper, WaiverSource, no_waivers
from bridge.store import SqlStore, open_store
from tests.ox.rubrics import NOW, SCHEMA, SMALL, reading, service, small

TODAY = NOW + timedelta(days=20)
EVIL = "<script>alert(1)</script>"
TEAM = {"owner": "group:default/red", "system": "shop"}
API = service("api", tier=2, spec=TEAM, product=EVIL)
WEB = service("web", tier=4, spec=TEAM)
DARK = service("dark", tier=1, spec={"owner": "user:default/jane"})
SHOP = CatalogEntity(
    Ref("system", "default", "shop"),
    {"kind": "System", "metadata": {"name": "shop"}, "spec": {"domain": "retail"}},
    (),
)


STORES: dict[int, SqlStore] = {}


async def close_store(keeper: Scorekeeper) -> None:
    """What a store that is not there any more looks like."""
    await STORES[id(keeper)].close()


@asynccontextmanager
async def scored(folder: Path, waivers: WaiverSource = no_waivers) -> AsyncIterator[Scorekeeper]:
    """Three weeks in which the api gets a README on the tenth day; `waivers` as by labels."""
    now = NOW
    store = await open_store("sqlite://")

    def clock() -> datetime:
        return now

    text = SMALL.replace("fix: Write one.", f"fix: 'Write `README.md` {EVIL}'")
    file = RubricFile(folder / "rubric.yaml", [SCHEMA], small(folder, text))
    history = store.scores()
    keeper = Scorekeeper("https://gitlab.example.com", file, history, clock, waivers)
    STORES[id(keeper)] = store
    keeper.take_catalog(Catalog((API, WEB, DARK, SHOP)))
    for day in range(21):
        now = NOW + timedelta(days=day)
        api = {"readme": day >= 10, "protected": False, "approvals": 1}
        await keeper.evaluate(
            {
                API.ref: reading(API, api, at=now),
                WEB.ref: reading(WEB, {"readme": False, "protected": True}, at=now),
            }
        )
    try:
        yield keeper
    finally:
        del STORES[id(keeper)]
        await store.close()
