"""Which facts a rubric may name: those of every collector, and of sources that are not set up.

A rubric that speaks of Snyk, or of a tool for who is on call, must load where none is set up: its
checks are then unknown. A collector that is there describes its facts itself, and that counts.
"""

from __future__ import annotations

from collections.abc import Iterable

from bridge.model.facts import FactSchema
from bridge.ox.facts.jsm import JSM
from bridge.ox.facts.opsgenie import OPSGENIE
from bridge.ox.facts.pagerduty import PAGERDUTY
from bridge.ox.facts.schemas import OURS
from bridge.ox.facts.snyk import SNYK


def schemas_for_rubrics(collected: Iterable[FactSchema] = ()) -> tuple[FactSchema, ...]:
    """Every schema whose facts a rubric may name, by id; those of collectors win."""
    known = {schema.id: schema for schema in (*OURS, SNYK, PAGERDUTY, OPSGENIE, JSM)}
    known |= {schema.id: schema for schema in collected}
    return tuple(known[name] for name in sorted(known))
