"""Whether Backstage would take an entity, as sentences for whoever asks."""

from __future__ import annotations

from bridge.model.entities import Json
from bridge.processors.rules import KINDS, broken_rules


def entity_faults(entity: Json) -> list[str]:
    """Every rule that an entity breaks; [] when Backstage takes it. Takes any JSON object."""
    faults = [f"{broken.path} {broken.message}" for broken in broken_rules(entity)]
    kind = entity.get("kind")
    if not faults and kind not in KINDS:
        faults.append(
            f"No processor recognized the kind {kind} as valid, possibly caused by a foreign kind "
            f"or apiVersion; known are {', '.join(KINDS)}"
        )
    return faults
