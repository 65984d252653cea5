"""Manifests once translated: what each one says, as drafts of entities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bridge.model.entities import Draft, Json
from bridge.model.json_text import ascii_json, tree_of
from bridge.model.problems import Problem
from bridge.model.scrape import Project


class Verdict(StrEnum):
    """What became of one manifest file."""

    VALID = "valid"  # translated
    QUARANTINED = "quarantined"  # meant for us, and broken
    IGNORED = "ignored"  # not meant for us, with a reason


@dataclass(frozen=True, slots=True)
class Inherited:
    """A key that a manifest has from the defaults for a group ("" for all), and their file."""

    key: str
    group: str
    file: str

    @property
    def pattern(self) -> str:
        """The group as the file names it."""
        return f"{self.group}/**" if self.group else "**"


@dataclass(frozen=True, slots=True)
class CodeOwners:
    """Whom a CODEOWNERS file names for everything: the first handles (`@shop/api`), as written."""

    file: str
    handles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Translation:
    """What one manifest file became. Depends only on the blob, its project and the mappings.

    `data` is the parsed manifest as JSON text, a list with one tree a document: few ask for it, and
    as trees those of 10,000 manifests would take several times the memory. `reason` says in words
    why a file was ignored. `partial`: some documents of the file could not be used, and `drafts`
    are of the others; it matters to whoever remembers what the file gave before, and is not
    stored. `fingerprint` names everything that the translation depends on: the same fingerprint
    never needs translating again. `inherited` is what it has from the defaults for its groups.
    `code_owners` are for guesses alone; None where no CODEOWNERS names anybody for everything.
    """

    verdict: Verdict
    fingerprint: str
    mapping: str = ""
    drafts: tuple[Draft, ...] = ()
    data: str = ""
    problems: tuple[Problem, ...] = ()
    reason: str = ""
    partial: bool = False
    inherited: tuple[Inherited, ...] = ()
    code_owners: CodeOwners | None = None

    @property
    def documents(self) -> Sequence[Json]:
        """The parsed manifest, one tree a document, for those who want more than entities."""
        trees: list[Json]
        trees = tree_of(self.data or "[]")
        return trees


def as_data(documents: Sequence[Json]) -> str:
    """Parsed documents as `Translation.data`. Raises TypeError for what JSON cannot hold."""
    return ascii_json(documents) if documents else ""


@dataclass(frozen=True, slots=True)
class TranslatedManifest:
    """A translation in its place: the project and file, and whether it is an older, kept one.

    `kept_since` is since when `translation` stands in for a newer text that is broken (None: it is
    the current one). `held_since` is when this manifest first claimed what it claims (None:
    unknown): the older claim wins.
    """

    project: Project
    file: str
    oid: str
    translation: Translation
    kept_since: datetime | None = None
    held_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class AggregatedManifests:
    """All translated manifests of a pass, sorted by (project id, file): a processor's input."""

    manifests: tuple[TranslatedManifest, ...] = ()
