"""The problems of the last pass with whose they are, worked out once for each report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from aiohttp import web

from bridge.answers.owners import Owners
from bridge.answers.whereabouts import gitlab_of
from bridge.api.keys import LIVE
from bridge.api.memo import OF_REPORT
from bridge.api.problems.asked import Owned, worst_first
from bridge.model.problems import Problem, Severity
from bridge.model.runs import Report


async def owned(request: web.Request) -> Sequence[Owned]:
    """All of them, the worst first."""
    _, everything = await _of_report(request)
    return everything


async def _of_report(request: web.Request) -> tuple[Report | None, Sequence[Owned]]:
    """The latest report and its problems: another one may come while these are worked out."""
    live = request.app[LIVE]
    report, index = live.report, live.index  # one pass brings both

    def made() -> list[Owned]:
        owners = Owners.of(index, live.gitlabs)
        problems = report.problems if report is not None else ()
        return worst_first(Owned(each, owners.team(each)) for each in problems)

    return report, await request.app[OF_REPORT].get(report, "owned", made)


async def counted_by_team(request: web.Request) -> Mapping[str, Mapping[str, int]]:
    """How many there are of each severity, the worst first, by the reference of their team."""
    report, everything = await _of_report(request)

    def made() -> dict[str, dict[str, int]]:
        counts: dict[str, Counter[str]] = {}
        for each in everything:
            counts.setdefault(each.team, Counter())[each.problem.severity.value] += 1
        return {
            team: {each.value: found[each.value] for each in Severity if found[each.value]}
            for team, found in counts.items()
        }

    return await request.app[OF_REPORT].get(report, "counted by team", made)


async def about(request: web.Request, ref: str, project: str, address: str) -> list[Problem]:
    """What is wrong with an entity or its manifest, the worst first.

    `project` is the path of its project, `address` that of the manifest's page in GitLab.
    """
    report, everything = await _of_report(request)

    def made() -> dict[str | tuple[str, str], list[Problem]]:
        found: dict[str | tuple[str, str], list[Problem]] = {}
        for each in everything:
            problem = each.problem
            if problem.ref:
                found.setdefault(problem.ref, []).append(problem)
            if problem.project:
                place = problem.source, problem.project.lower()
                found.setdefault(place, []).append(problem)
        return found

    by_subject = await request.app[OF_REPORT].get(report, "by subject", made)
    file = unquote(address.partition("/-/blob/")[2]).partition("/")[2]
    source = gitlab_of(address, request.app[LIVE].gitlabs)
    theirs = by_subject.get((source, project.lower()), ()) if project and file else ()
    of_file = [each for each in theirs if each.file == file and each.ref in ("", ref)]
    return list(dict.fromkeys((*by_subject.get(ref, ()), *of_file)))
