"""The JSON Schema of `fester.yaml`, for editors: made from the settings themselves."""

from __future__ import annotations

from bridge.model.entities import Json
from bridge.settings.loading import NOT_WRITTEN
from bridge.settings.sections import Settings


def settings_schema() -> dict[str, Json]:
    """What `fester.yaml` may hold. Secrets are not in it: they never stand in a file."""
    schema = Settings.model_json_schema(by_alias=True, mode="validation")
    written = schema["properties"]
    written["from"] = _sources(written["from"], written["further"])
    for key in NOT_WRITTEN:
        schema["properties"].pop(key, None)
    _as_written(schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "fester.yaml",
        "description": "Fester's settings; every key may be left out.",
    }


def _sources(one: dict[str, Json], further: dict[str, Json]) -> dict[str, Json]:
    """`from`: a text, or a list of it and of further sources."""
    text = {key: one.pop(key) for key in ("type", "default")}
    items = {"prefixItems": [{"type": "string"}], "items": further["items"]}
    return {**one, "anyOf": [text, {"type": "array", "minItems": 1, **items}]}


def _as_written(node: Json) -> None:
    """A lone text may stand for a list of one, as the settings read it."""
    if isinstance(node, list):
        for item in node:
            _as_written(item)
    elif isinstance(node, dict):
        if node.get("type") == "array" and "$ref" not in node.get("items", {}):
            node["type"] = ["array", "string"]
        for item in node.values():
            _as_written(item)
