"""`catalog`: how whole systems, domains, APIs and groups are. Pure but for the clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from bridge.model.definitions import stands_in
from bridge.model.entities import Json, Ref
from bridge.model.facts import Reading, Subject
from bridge.ox.facts.manifest import CHANNEL
from bridge.ox.facts.offline import OfflineCollector
from bridge.ox.facts.readings import ReadingBuilder
from bridge.ox.facts.schemas import CATALOG

UNSPECIFIED: Final = "unspecified"
# The facts that have a meaning for a kind, beside the description.
_ABOUT: Final = {
    "api": ("owner_known", "definition_given", "type_given", "providers", "consumers"),
    "system": ("owner_known", "parts"),
    "domain": ("owner_known", "parts"),
    "group": ("type_given", "members", "owned", "channel_given"),
}
_NOBODY: Final = "nobody tells the catalog who is in a team: it holds no User"
_PARTS: Final = {"system": ("system",), "domain": ("domain", "subdomainOf")}


class CatalogCollector(OfflineCollector):
    """How whole systems, domains, APIs and groups are."""

    def __init__(
        self, clock: Callable[[], datetime], known: Callable[[], frozenset[Ref]] = frozenset
    ) -> None:
        super().__init__(CATALOG, read, clock, known)


def read(subject: Subject, now: datetime, known: frozenset[Ref] = frozenset()) -> Reading:
    """The facts of one entity; what has no meaning for its kind is not applicable."""
    kind = subject.ref.kind
    notes = ReadingBuilder(CATALOG, subject.ref, now, "the catalog")
    metadata, spec = (_mapping(subject.body.get(key)) for key in ("metadata", "spec"))
    named = subject.named_by
    values: dict[str, Json] = {
        "owner_known": _owner_known(subject, spec, known),
        "definition_given": _defined(spec),
        "type_given": str(spec.get("type") or UNSPECIFIED) != UNSPECIFIED,
        "providers": named.get("providesApis", 0),
        "consumers": named.get("consumesApis", 0),
        "parts": sum(named.get(key, 0) for key in _PARTS.get(kind, ())),
        "members": _members(spec, named),
        "owned": named.get("owner", 0),
        "channel_given": bool(_mapping(metadata.get("annotations")).get(CHANNEL)),
    }
    about = _ABOUT.get(kind, ())
    notes.known("description_length", len(str(metadata.get("description") or "").strip()))
    for name, value in values.items():
        if name in about:
            notes.known(name, value)
        else:
            notes.not_applicable(f"it has no meaning for the kind {kind}", name)
    if kind == "group" and not values["members"] and not subject.people:
        notes.not_applicable(_NOBODY, "members")
    return notes.reading()


def _owner_known(subject: Subject, spec: Mapping[str, Any], known: frozenset[Ref]) -> bool:
    try:
        owner = Ref.parse(
            str(spec.get("owner") or ""), kind="group", namespace=subject.ref.namespace
        )
    except ValueError:
        return False
    return owner.kind in ("group", "user") and (owner in subject.catalog or owner in known)


def _defined(spec: Mapping[str, Any]) -> bool:
    """A text that is no placeholder, a file that is published beside it, or remotes."""
    definition = spec.get("definition")
    if isinstance(definition, str):
        return bool(definition.strip()) and not stands_in(definition)
    return bool(definition) or bool(spec.get("remotes"))


def _members(spec: Mapping[str, Any], named: Mapping[str, int]) -> int:
    """Those that it names or that name it, whichever are more: both name the same ones."""
    listed = sum(len(_list(spec.get(key))) for key in ("members", "children"))
    return max(listed, named.get("memberOf", 0) + named.get("parent", 0))


def _mapping(value: Json) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Json) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []
