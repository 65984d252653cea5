"""Which facts a rubric may name: those of every collector, and of sources that are not set up.

A rubric that speaks of Snyk or PagerDuty must load where neither is set up: its checks are then
unknown. A collector that is there describes its facts itself, and that counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bridge.model.facts import FactDefinition, FactSchema, FactType
from bridge.ox.schemas import DAY, OURS

SNYK: Final = FactSchema(
    id="snyk",
    version="1.0.0",
    title="What Snyk knows of the project",
    description="Not set up: its facts are unknown.",
    facts=(
        FactDefinition("registered", FactType.BOOLEAN, "Snyk watches the project"),
        FactDefinition(
            "critical_older_than_30_days",
            FactType.INTEGER,
            "Open critical vulnerabilities that are older than 30 days",
        ),
    ),
    cadence=DAY,
)
PAGERDUTY: Final = FactSchema(
    id="pagerduty",
    version="1.0.0",
    title="What PagerDuty knows of the service",
    description="Not set up: its facts are unknown.",
    facts=(FactDefinition("on_call_named", FactType.BOOLEAN, "Somebody is on call"),),
    cadence=DAY,
)


def schemas_for_rubrics(collected: Iterable[FactSchema] = ()) -> tuple[FactSchema, ...]:
    """Every schema whose facts a rubric may name, by id; those of collectors win."""
    known = {schema.id: schema for schema in (*OURS, SNYK, PAGERDUTY)}
    known |= {schema.id: schema for schema in collected}
    return tuple(known[name] for name in sorted(known))
