"""Requests of a whole round of `gitlab_rest`, by the token's role and GitLab's licence.

    python -m tests.benchmarks.fact_requests [--projects 10000]

The sandbox counts what reaches it. Every tenth service links a runbook in its own project.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from time import perf_counter

from bridge.model.facts import Reading, Standing, Subject
from bridge.ox.facts.gitlab_rest import GitLabRestCollector
from bridge.ox.facts.guards import OF_BRANCH
from bridge.ox.facts.schemas import GITLAB_REST
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.organization import generate
from bridge.sandbox.sessions import Edition, Role, Session
from bridge.sandbox.world import World
from tests.ox.subjects import component, project_of, subject

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
TOKENS: Mapping[str, Session] = {
    "Maintainer": Session(),
    "Maintainer, licence Free": Session(edition=Edition.FREE),
    "Maintainer, Community Edition": Session(edition=Edition.CE),
    "Reporter": Session(role=Role.REPORTER),
    "Reporter, licence Free": Session(role=Role.REPORTER, edition=Edition.FREE),
}


def subjects_of(world: World, url: str) -> list[Subject]:
    """A component for every project that has a branch."""
    found = []
    for project in (project_of(each, url) for each in world):
        links = []
        if project.id % 10 == 0:
            page = f"{project.web_url}/-/blob/{project.default_branch}/docs/runbook.md"
            links = [{"type": "runbook", "url": page}]
        found.append(subject(component(f"c{project.id}", links=links), project=project))
    return found


async def round_of(world: World, session: Session) -> tuple[Counter[str], list[Reading]]:
    """One round in batches as after passes: requests by kind, and the readings."""
    sandbox = SandboxGitLab(world, session=session)
    async with running(sandbox) as url:
        collector = GitLabRestCollector(url, sandbox.token, clock=lambda: NOW)
        subjects, readings = subjects_of(world, url), []
        for start in range(0, len(subjects), GITLAB_REST.batch):
            batch = subjects[start : start + GITLAB_REST.batch]
            readings += [reading async for reading in collector.collect(batch)]
        await collector.close()
        return sandbox.counts, readings


def known(readings: list[Reading]) -> int:
    """How many of the guards' facts are known or do not apply."""
    facts = (fact for reading in readings for fact in reading.facts if fact.name in OF_BRANCH)
    return sum(fact.standing is not Standing.UNKNOWN for fact in facts)


async def measure(projects: int) -> None:
    world = generate(projects, seed=1, clock=lambda: NOW)
    for name, session in TOKENS.items():
        begun = perf_counter()
        counts, readings = await round_of(world, session)
        sure = known(readings) / (len(OF_BRANCH) * len(readings))
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
        sys.stdout.write(
            f"{name:<32} {counts.total():>6} requests ({kinds}), {sure:.0%} sure, "
            f"{perf_counter() - begun:.0f} s\n"
        )
        sys.stdout.flush()


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--projects", type=int, default=10_000)
    asyncio.run(measure(parser.parse_args().projects))


if __name__ == "__main__":
    main()
