"""Rubrics, entities and readings for tests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from bridge.model.entities import CatalogEntity, Json, Origin, Ref
from bridge.model.facts import Fact, FactDefinition, FactSchema, FactType, Reading, Standing
from bridge.ox.scores.rubric import LoadedRubric, load_rubric
from bridge.ox.scores.rubric_sources import schemas_for_rubrics
from bridge.processors.mapping import shipped_folder

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = 3600.0

SCHEMA = FactSchema(
    id="repo",
    version="1.0.0",
    title="",
    description="",
    facts=tuple(
        FactDefinition(name, kind, "")
        for name, kind in {
            "readme": FactType.BOOLEAN,
            "protected": FactType.BOOLEAN,
            "approvals": FactType.INTEGER,
            "age": FactType.FLOAT,
            "licence": FactType.STRING,
            "languages": FactType.SET,
        }.items()
    ),
    cadence=HOUR,
)

SMALL = """\
rubric: Small
targets: {1: 90, 2: 80, 3: 65, 4: 50}
levels: {gold: 90, silver: 60, starting: 0}
categories: {docs: Documentation, safety: Safety}
checks:
  readme:
    title: There is a README
    category: docs
    weight: 2
    tiers: all
    pass: ${{ repo.readme }}
    fix: Write one.
  protected:
    title: Protected
    category: safety
    weight: 3
    tiers: all
    gate: [1, 2]
    pass: ${{ repo.protected }}
  approvals:
    title: Approvals
    category: safety
    weight: 5
    tiers: [1, 2, 3]
    pass: ${{ repo.approvals >= 2 }}
    warn: ${{ repo.approvals >= 1 }}
"""


def shipped() -> LoadedRubric:
    return load_rubric(shipped_folder() / "rubric.yaml", schemas_for_rubrics())


def small(folder: Path, text: str = SMALL) -> LoadedRubric:
    path = folder / "rubric.yaml"
    path.write_text(text, "utf-8")
    return load_rubric(path, [SCHEMA])


def service(
    name: str = "api", *, tier: int | None = 1, spec: Mapping[str, Json] | None = None, **more: str
) -> CatalogEntity:
    body = {
        "kind": "Component",
        "metadata": {
            "name": name,
            "labels": {"fester.dev/tier": f"tier_{tier}"} if tier else {},
            "annotations": {f"fester.dev/{key}": value for key, value in more.items()},
        },
        "spec": spec or {},
    }
    return CatalogEntity(Ref.of(body), body, (Origin(1, "shop/api", "qm.yaml", "a", "qm-v1"),))


def reading(
    entity: CatalogEntity,
    facts: Mapping[str, Json],
    *,
    retriever: str = "repo",
    at: datetime = NOW,
    standing: Standing = Standing.KNOWN,
    reason: str = "",
) -> dict[str, Reading]:
    found = tuple(
        Fact(name, value, at, "https://gitlab.example.com/shop/api", standing, reason)
        for name, value in facts.items()
    )
    return {retriever: Reading(entity.ref, retriever, "1.0.0", at, found)}
