"""The catalog as a list: which entities fit, without reading those that are not shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from bridge.answers.knowledge import Knowledge, annotation, ref_of, title_of
from bridge.catalog.jsontext import loaded

WORDS: Final = 8
_PROJECT: Final = "gitlab.com/project-slug"
_SEARCHED: Final = (
    "metadata.name",
    "metadata.title",
    f"metadata.annotations.{_PROJECT}",
    "spec.owner",
    "spec.system",
    "spec.domain",
)


@dataclass(frozen=True, slots=True)
class Listed:
    """One line: texts for people, "" where there is none; `project` is where it is described."""

    ref: str
    kind: str
    title: str
    owner: str
    system: str
    project: str


def fitting(text: str, kind: str, known: Knowledge) -> list[int]:
    """The slots of the entities that hold all words of a text, of a kind if one is named, by ref.

    The Locations by which Backstage finds the others are none.
    """
    index = known.index
    mask = index.everything & ~index.equal("kind", ("location",))
    if kind:
        mask &= index.equal("kind", (kind.lower(),))
    for word in text.lower().split()[:WORDS]:
        mask &= index.containing(_SEARCHED, word)
    flags = index.flags(mask)
    return [slot for slot in index.slots.values() if flags[slot]]


def lines(slots: Sequence[int], known: Knowledge) -> list[Listed]:
    """The lines of some of them."""
    return [_line(loaded(known.index.raws[slot])) for slot in slots]


def _line(entity: Mapping[str, Any]) -> Listed:
    spec = entity.get("spec") or {}
    return Listed(
        ref_of(entity),
        str(entity["kind"]),
        title_of(entity),
        str(spec.get("owner") or ""),
        str(spec.get("system") or spec.get("domain") or ""),
        annotation(entity, _PROJECT) or _described(entity),
    )


def _described(entity: Mapping[str, Any]) -> str:
    """The project of the manifest that an entity's page of GitLab shows."""
    path, dash, _ = urlsplit(annotation(entity, "backstage.io/view-url")).path.partition("/-/")
    return path.strip("/") if dash else ""
