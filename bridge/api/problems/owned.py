"""The problems of the last pass with whose they are, worked out once for each report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from aiohttp import web

from bridge.answers.owners import Owners
from bridge.api.keys import LIVE
from bridge.api.memo import OF_REPORT
from bridge.api.problems.asked import Owned, worst_first
from bridge.model.problems import Severity


async def owned(request: web.Request) -> Sequence[Owned]:
    """All of them, the worst first."""
    live = request.app[LIVE]
    report, index = live.report, live.index  # one pass brings both

    def made() -> list[Owned]:
        owners = Owners.of(index)
        problems = report.problems if report is not None else ()
        return worst_first(Owned(each, owners.team(each)) for each in problems)

    return await request.app[OF_REPORT].get(report, "owned", made)


async def counted_by_team(request: web.Request) -> Mapping[str, Mapping[str, int]]:
    """How many there are of each severity, the worst first, by the reference of their team."""
    everything = await owned(request)

    def made() -> dict[str, dict[str, int]]:
        counts: dict[str, Counter[str]] = {}
        for each in everything:
            counts.setdefault(each.team, Counter())[each.problem.severity.value] += 1
        return {
            team: {each.value: found[each.value] for each in Severity if found[each.value]}
            for team, found in counts.items()
        }

    return await request.app[OF_REPORT].get(request.app[LIVE].report, "counted by team", made)
