"""The JSON Schema of qm.defaults.yaml for an editor, with all that may stand in it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from bridge.language.own_schemas import schema_text
from bridge.processors.mapping.defaults_file import OWN
from bridge.processors.mapping.mapping_file import Mapping


def defaults_schema(mappings: Iterable[Mapping]) -> str:
    """The schema as text: in place of any key those that manifests of these mappings inherit.

    What holds of each value is said by the schemas that the mappings name.
    """
    tree = json.loads(schema_text("defaults"))
    own, others = tree["properties"]["defaults"], tree["properties"]["mappings"]
    for mapping in mappings:
        if mapping.id == OWN:
            own |= _groups(mapping, own)
        elif mapping.inheritable:
            known = others.setdefault("properties", {})
            known[mapping.id] = _groups(mapping, others["additionalProperties"])
    return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"


def _groups(mapping: Mapping, anything: dict[str, Any]) -> dict[str, Any]:
    """`anything` that may be said by group, held to what the mapping's manifests inherit."""
    values = mapping.schema.part_tree(mapping.inheritable)
    if '"$ref"' in json.dumps(values):  # what holds itself: only its own file can say it
        values["properties"] = {key: {} for key in values["properties"]}
    return {**anything, "additionalProperties": {**anything["additionalProperties"], **values}}
