"""The JSON Schemas that are offered to editors: of manifests, of our own files, of the settings."""

from __future__ import annotations

import json
from collections.abc import Iterable

from bridge.language import own_schemas
from bridge.processors.mapping import shipped_folder
from bridge.processors.mapping.defaults_schema import defaults_schema
from bridge.processors.mapping.mapping_file import Mapping
from bridge.settings import settings_schema

_FORMATS = ("qm",)  # manifests that people write for Fester alone


def schema_names() -> tuple[str, ...]:
    """The names that `schema_of` knows."""
    return tuple(sorted((*own_schemas.NAMES, *_FORMATS, "fester")))


def schema_of(name: str, mappings: Iterable[Mapping]) -> str:
    """One of `schema_names` as the text of a JSON Schema.

    That of `defaults` names what manifests of these mappings may inherit.
    """
    if name == "defaults":
        return defaults_schema(mappings)
    if name in own_schemas.NAMES:
        return own_schemas.schema_text(name)
    if name == "fester":
        return json.dumps(settings_schema(), indent=2, ensure_ascii=False) + "\n"
    return (shipped_folder() / f"{name}-v1.schema.json").read_text("utf-8")
