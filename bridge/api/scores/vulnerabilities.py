"""Open vulnerabilities by team, severity and age: a page, JSON and CSV.

`/vulnerabilities`, `/api/ox/vulnerabilities`, `/api/ox/vulnerabilities.csv`
"""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from bridge.api.answers import error_response
from bridge.api.keys import DEACTIVATIONS, FACTS, SCORES
from bridge.api.memo import OF_FACTS
from bridge.api.rendering import render
from bridge.api.scores.score_query import NOTHING_SCORED
from bridge.api.sheets import sheet
from bridge.model.entities import Json, Ref
from bridge.model.facts import Fact, FactBoard, Standing
from bridge.model.scores import Scoreboard
from bridge.model.vulnerabilities import AGES, BY_AGE, RETRIEVER, SEVERITIES, counts_of

ROWS: Final = 100  # teams, of four lines each
NOBODY: Final = ""  # the team of services that nobody owns


@dataclass(slots=True)
class TeamReport:
    """What is open in a team's services. `unread` could not be asked about, `unwatched` are not
    registered. A repository of several services counts for each of them.
    """

    team: str
    services: int = 0
    unread: int = 0
    unwatched: int = 0
    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def total(self, severity: str) -> int:
        """All of a severity."""
        return sum(self.counts[severity].values())

    def open(self, severities: Sequence[str]) -> Sequence[str]:
        """Those of which there is any; the first where there is none of any."""
        return [each for each in severities if self.total(each)] or severities[:1]

    def as_json(self) -> dict[str, Json]:
        """The report with documented keys."""
        found = {s: {age: self.counts[s][age] for age in AGES} for s in SEVERITIES}
        return {
            "team": self.team or None,
            "services": self.services,
            "unread": self.unread,
            "unwatched": self.unwatched,
            "open": found,
        }


def routes() -> list[web.RouteDef]:
    """The routes."""
    return [
        web.get("/api/ox/vulnerabilities", _listed),
        web.get("/api/ox/vulnerabilities.csv", _sheet),
        web.get("/vulnerabilities", _page),
    ]


def report(board: Scoreboard, facts: FactBoard) -> list[TeamReport]:
    """A report a team, those with most critical ones first.

    Of services alone: an API or a system of the same repository has the same counts.
    """
    teams = board.teams
    found: dict[str, TeamReport] = {}
    for ref in board.services:
        fact = _fact(facts, ref)
        if fact is None:
            continue
        name = teams.get(ref, NOBODY)
        mine = found.setdefault(name, TeamReport(name))
        if fact.standing is Standing.UNKNOWN:
            mine.unread += 1
        elif fact.standing is Standing.NOT_APPLICABLE:
            mine.unwatched += 1
        else:
            mine.services += 1
            for severity in SEVERITIES:
                mine.counts[severity].update(counts_of(fact.value, severity))
    return sorted(found.values(), key=lambda r: (*(-r.total(s) for s in SEVERITIES), r.team))


def _fact(facts: FactBoard, ref: Ref) -> Fact | None:
    reading = facts.latest.get(ref, {}).get(RETRIEVER)
    every = reading.facts if reading is not None else ()
    return next((fact for fact in every if fact.name == BY_AGE), None)


async def _reports(request: web.Request) -> list[TeamReport] | None:
    """None when nothing was scored yet."""
    board, facts = request.app[SCORES].board, request.app[FACTS].board
    if board is None:
        return None
    return await request.app[OF_FACTS].get(
        facts, ("vulnerabilities", board.at), lambda: report(board, facts)
    )


async def _listed(request: web.Request) -> web.StreamResponse:
    found = await _reports(request)
    if found is None:
        return error_response(request, 503, "ServiceUnavailableError", NOTHING_SCORED)
    items: list[Json] = [each.as_json() for each in found]
    return web.json_response({"items": items, "deactivations": await _deactivations(request)})


async def _deactivations(request: web.Request) -> list[dict[str, Json]]:
    """Projects in Snyk of archived repositories, as the last run of remediation left them."""
    return [
        {
            "project": item["project"],
            "snyk": str(item["check"]).rpartition(":")[2],
            "status": item["status"],
            "reason": item["reason"],
        }
        for item in await request.app[DEACTIVATIONS]()
    ]


async def _sheet(request: web.Request) -> web.StreamResponse:
    found = await _reports(request)
    if found is None:
        return error_response(request, 503, "ServiceUnavailableError", NOTHING_SCORED)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["team", "severity", *AGES, "total", "services", "unread", "unwatched"])
    writer.writerows(_rows(found))
    headers = {"Content-Disposition": 'attachment; filename="vulnerabilities.csv"'}
    return web.Response(text=text.getvalue(), content_type="text/csv", headers=headers)


def _rows(found: list[TeamReport]) -> Iterator[list[str | int]]:
    """A line a team and severity; a team's name is a reference, which no spreadsheet works out."""
    for each in found:
        beside = (each.services, each.unread, each.unwatched)
        for severity in SEVERITIES:
            ages = (each.counts[severity][age] for age in AGES)
            yield [each.team, severity, *ages, each.total(severity), *beside]


async def _page(request: web.Request) -> web.StreamResponse:
    found = await _reports(request)
    if found is None:
        return render(request, "scores_missing.html", sought="", status=503)
    return render(
        request,
        "vulnerabilities.html",
        sheet=sheet(request, found, ROWS),
        severities=SEVERITIES,
        ages=list(AGES),
        deactivations=await _deactivations(request),
    )
