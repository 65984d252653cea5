"""Entities and projects to collect facts about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from bridge.model.entities import CatalogEntity, Json, Ref
from bridge.model.facts import Fact, Reading, Standing, Subject
from bridge.model.scrape import Observation, Project
from bridge.ports import FactCollector
from bridge.sandbox.project import SandboxProject

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def component(name: str = "api", *, spec: Any = None, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": name, **metadata},
        "spec": {"type": "service", "lifecycle": "production", "owner": "team-a"} | (spec or {}),
    }


def subject(
    body: dict[str, Any] | None = None,
    *,
    project: Project | None = None,
    observation: Observation | None = None,
    catalog: tuple[str, ...] = (),
) -> Subject:
    body = body or component()
    return Subject(
        CatalogEntity(Ref.of(body), body, ()),
        project=project,
        manifest_file="qm.yaml",
        observation=observation,
        catalog=frozenset(map(Ref.parse, catalog)),
    )


def project_of(world_project: SandboxProject, url: str) -> Project:
    """The project as a crawl would know it."""
    empty = world_project.repository == "empty"
    return Project(
        world_project.id,
        world_project.path,
        f"{url}/{world_project.path}",
        "" if empty else world_project.default_branch,
    )


async def readings(collector: FactCollector, subjects: Sequence[Subject]) -> list[Reading]:
    """All that a collector gives, which is closed after it."""
    try:
        return [reading async for reading in collector.collect(subjects)]
    finally:
        await collector.close()


def fact(reading: Reading, name: str) -> Fact:
    return next(fact for fact in reading.facts if fact.name == name)


def told(reading: Reading, name: str) -> Json:
    """A fact's value; of one without, how it stands."""
    found = fact(reading, name)
    return found.value if found.standing is Standing.KNOWN else found.standing.value
