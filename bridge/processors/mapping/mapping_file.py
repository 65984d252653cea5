"""One mapping file, compiled, and the examples that it carries."""

from __future__ import annotations

from collections.abc import Mapping as Map
from dataclasses import dataclass
from pathlib import Path

from bridge.language.schema.validator import Schema
from bridge.model.entities import Json
from bridge.model.problems import Problem
from bridge.processors.mapping.compiling import EntityTemplate
from bridge.processors.mapping.splitting import Split, shared
from bridge.processors.mapping.templates import Constant, Element, Leaf


@dataclass(frozen=True, slots=True)
class Example:
    """A manifest (one tree a document) and what it must become."""

    title: str
    place: str
    manifests: tuple[Json, ...]
    entities: tuple[Json, ...]
    problems: tuple[str, ...] = ()
    project: Map[str, Json] | None = None
    file: str = ""
    reads: Map[str, str | None] | None = None


@dataclass(frozen=True, slots=True)
class Mapping:
    """One mapping file, compiled. `uses` are the project's fields that its expressions read.

    `condition` is `when` as it is written. `notes` are mistakes with which it can be used.
    `defaults` are the keys that qm.defaults.yaml may give, where `splits` do not say it.
    """

    id: str
    title: str
    files: tuple[str, ...]
    path: Path
    schema_path: Path
    schema: Schema
    digest: str
    uses: frozenset[str]
    entities: tuple[EntityTemplate, ...]
    many: bool = False
    splits: tuple[Split, ...] = ()
    when: Leaf | None = None
    otherwise: Leaf | Constant | None = None
    foreign: tuple[tuple[Leaf, str], ...] = ()
    lets: tuple[tuple[str, Leaf], ...] = ()
    reads: tuple[Element, ...] = ()
    nested: Leaf | None = None
    warnings: tuple[Element, ...] = ()
    examples: tuple[Example, ...] = ()
    condition: str = ""
    notes: tuple[Problem, ...] = ()
    defaults: tuple[tuple[str, ...], ...] = ()

    @property
    def inheritable(self) -> tuple[tuple[str, ...], ...]:
        """The keys, by path, that a manifest may have from the defaults for its groups."""
        return self.defaults or tuple((key,) for key in sorted(shared(self.splits)))
