"""A generated organization as `serve` shows it: a catalog, problems, facts, scores, a history."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bridge.api.app import make_app
from bridge.api.live import Live
from bridge.api.nothing import NoFacts
from bridge.api.parts import AppParts
from bridge.model.entities import Catalog, CatalogEntity, Ref
from bridge.model.entity_changes import ChangedManifest, ChangeKind, EntityChange, FieldChange
from bridge.model.facts import FactBoard
from bridge.model.manifests import TranslatedManifest, Translation, Verdict
from bridge.model.memory import Memory, PassRecord
from bridge.model.notices import Delivery, Notice, NoticeKind, NoticeMemory
from bridge.model.problems import Problem, Severity
from bridge.model.receivers import Backlog, ReceiverStanding
from bridge.model.runs import Outcome, Report
from bridge.model.scrape import Project
from bridge.model.statements import Statement
from bridge.ox.scores.initiatives import Initiatives
from bridge.ox.scores.rubric_in_force import RubricFile
from bridge.ox.scores.scorekeeping import Scorekeeper
from bridge.store import SqlStore, open_store
from bridge.wiring.remediation import Book
from bridge.wiring.showing import remember_lately
from tests.answers.fleet import GITLAB, SHOP, TEAM, entity, service
from tests.api.shown import show
from tests.ox.rubrics import NOW, SCHEMA, reading, small

TEXT: Final = "Takes what others give, and gives what others take, each in its own time. " * 3
CREWS: Final = 300
GOALS: Final = """\
readmes:
  title: Every service has a README
  owner: platform
  checks: [readme]
  starts: 2026-02-20
  due: 2026-04-30
"""


def town(size: int) -> tuple[CatalogEntity, ...]:
    """`size` services, each with documents, that all need the first one.

    Half of them are of one team and one system; the others of as many others as `CREWS`.
    """
    made = [TEAM, SHOP]
    for number in range(min(CREWS, size // 2)):
        made.append(entity("Group", f"crew-{number}", spec={"type": "team", "children": []}))
        owned = {"owner": f"group:default/crew-{number}", "domain": f"domain:default/d{number % 9}"}
        made.append(entity("System", f"system-{number}", spec=owned))
    for number in range(size):
        made.append(_service(number))
    made += [
        entity("Domain", f"d{number}", spec={"owner": "group:default/payments"})
        for number in range(9)
    ]
    return tuple(sorted(made, key=lambda each: str(each.ref)))


def _service(number: int) -> CatalogEntity:
    name = f"service-{number}"
    links = [
        {"url": f"https://wiki.example.com/{name}", "title": f"When {name} is down"}
        | {"type": "runbook"},
        {"url": f"https://grafana.example.com/d/{number}", "title": "Dashboard"},
    ]
    needs = ("service-0", f"service-{number // 2}") if number else ()
    made: CatalogEntity = service(
        name, tier=1 + number % 4, needs=needs, links=links, description=TEXT
    )
    if number % 2 == 0:
        return made
    crew = number // 2 % CREWS
    theirs = {"owner": f"group:default/crew-{crew}", "system": f"system:default/system-{crew}"}
    return replace(made, body={**made.body, "spec": {**made.body["spec"], **theirs}})


def wrong(size: int) -> tuple[Problem, ...]:
    """A problem for every fourth service, as long as ours get."""
    return tuple(
        Problem(
            f"unknown key `lifecyle` in service-{number}: {TEXT}",
            ("unknown-key", "manifest-invalid", "dangling")[number % 3],
            list(Severity)[number % 3],
            project=f"shop/service-{number}",
            file="qm.yaml",
            line=number + 1,
            ref=f"component:default/service-{number}",
        )
        for number in range(0, size, 4)
    )


def _changes(size: int) -> Iterator[EntityChange]:
    """As when a mapping changed: several long fields of everything, within hours."""
    for number in range(size):
        ref = Ref("component", "default", f"service-{number}")
        fields = tuple(
            FieldChange(f"metadata.annotations.example.com/{key}", TEXT, TEXT[::-1])
            for key in range(6)
        )
        yield EntityChange(
            *(ref, ChangeKind.CHANGED, NOW - timedelta(hours=2), ref.name),
            owner="group:default/payments",
            manifests=(ChangedManifest(f"shop/{ref.name}", "qm.yaml", "0" * 40),),
            fields=fields,
            left_out=number % 3,
        )


def _notices(size: int) -> list[Delivery]:
    return [
        Delivery(
            Notice(
                *(f"n{number}", NoticeKind.GATE, f"group:default/crew-{number % CREWS}"),
                f"the gate owner of service-{number} broke: {TEXT}",
            ),
            *("webhook", NOW - timedelta(hours=2), NOW - timedelta(hours=2)),
        )
        for number in range(size)
    ]


class _Facts(NoFacts):
    """What GitLab and Snyk tell of each service."""

    def __init__(self, services: Sequence[CatalogEntity]) -> None:
        counts = {"critical": {"week": 2, "older": 1}, "low": {"month": 7}}
        self.board = FactBoard(
            (),
            {
                each.ref: reading(each, {"issues_by_age": counts}, retriever="snyk")
                for each in services
            },
        )


def _said(size: int) -> Any:
    """Who speaks of an entity: of a team many do."""

    async def said(ref: str) -> tuple[Sequence[Statement], Memory]:
        made = Translation(Verdict.VALID, "", "qm-v1")
        many = min(size, 200) if ref.startswith("group:") else 1
        body = {"metadata": {"name": "x", "tags": [f"tag-{at}" for at in range(400)]}, "spec": {}}
        projects = [
            Project(at, f"shop/p{at}", web_url=f"{GITLAB}/shop/p{at}", default_branch="main")
            for at in range(many)
        ]
        return [
            Statement(
                Ref.parse(ref), body, TranslatedManifest(each, "qm.yaml", "0" * 40, made), 0, 3, 1
            )
            for each in projects
        ], Memory()

    return said


async def _receivers() -> list[ReceiverStanding]:
    backlog = Backlog(7, NOW - timedelta(minutes=4))
    return [
        ReceiverStanding(f"receiver-{n}", "hooks.example.com", None, backlog) for n in range(20)
    ]


def _goals(folder: Path) -> Path:
    path = folder / "initiatives.yaml"
    path.write_text(GOALS, "utf-8")
    return path


async def _lived(live: Live, store: SqlStore, size: int) -> None:
    """The history behind a catalog that is served."""
    await store.entity_changes.add(GITLAB, list(_changes(size // 4)))
    await store.notices.note(GITLAB, NoticeMemory(), _notices(size // 20))
    live.changes = partial(store.entity_changes.find, GITLAB)
    live.receivers, live.said = _receivers, _said(size)
    await remember_lately(live)


@asynccontextmanager
async def served(size: int) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    """All of it over HTTP, scored once."""
    entities = town(size)
    services = [each for each in entities if each.ref.kind == "component"]
    live = Live(source=GITLAB)
    kinds = {"Component": size, "Group": 1 + CREWS, "System": 1 + CREWS}
    report = Report(Outcome.COMPLETE, 1.0, entities=kinds, problems=wrong(size))
    show(live, PassRecord(report, Catalog(entities)), (), Memory(), NOW)
    store = await open_store("sqlite://")
    try:
        with tempfile.TemporaryDirectory() as folder:
            await _lived(live, store, size)
            file = RubricFile(Path(folder, "rubric.yaml"), [SCHEMA], small(Path(folder)))
            goals = _goals(Path(folder))
            keeper = Scorekeeper(GITLAB, file, store.scores(), lambda: NOW)
            keeper.take_catalog(Catalog(entities))
            facts = {"readme": False, "protected": False, "approvals": 1}
            await keeper.evaluate({each.ref: reading(each, facts, at=NOW) for each in services})
            parts = AppParts(
                clock=lambda: NOW,
                scored=keeper,
                facts=_Facts(services),
                remediation=Book(GITLAB, store),
                initiatives=Initiatives(goals, keeper, lambda: NOW),
            )
            # As `serve` does after a full sweep: what stays is not looked through again and again.
            gc.collect()
            gc.freeze()
            async with TestClient(TestServer(make_app(live, parts))) as client:
                yield client
    finally:
        gc.unfreeze()
        await store.close()
