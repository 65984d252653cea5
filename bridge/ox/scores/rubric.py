"""Loads the rubric: what is expected of services. Every mistake is reported at once, placed.

Its shape is that of the JSON Schema `rubric`; what names stand for is looked up here.

| key of `rubric.yaml` | what it says |
|---|---|
| `rubric` | its title |
| `minimum_coverage` | the share of known weight below which there is no score (0.7) |
| `untiered` | the tier that a service without one is measured as (3) |
| `targets` | the score that each tier should reach |
| `levels` | names for scores, and from which score each holds; one of them from 0 |
| `categories` | keys and titles |
| `checks` | by id: `title`, `category`, `weight`, `tiers`, `pass`; if wanted `warn`, `gate`, |
|  | `kinds`, `description`, `fix`, `links` |
| `waivers` | `check`, `entity` (a reference or a glob), `reason`, `expires`, if wanted `by` |
| `examples` | `facts`, `tier`, `kind`, and the `states`, `score` and `level` expected |

In `pass` and `warn` facts are named `retriever.fact`. There is no key for "when": whether a check
applies is said by tier, kind and facts that are not applicable, so that a fact that gets better
never lowers a score.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Final

from bridge.errors import ConfigurationError
from bridge.language.closures import Run
from bridge.language.expressions import Expression
from bridge.language.names import did_you_mean
from bridge.language.own_schemas import faults
from bridge.language.source import Source, is_expression
from bridge.language.text_positions import Path as Keys
from bridge.model.entities import Json, Ref
from bridge.model.facts import FactSchema
from bridge.model.scores import TIERS, Check, Level, Rubric, Waiver, WaiverPlace
from bridge.ox.scores.rubric_facts import FactNames

RULE: Final = "rubric-invalid"
_WAIVER: Final = ("check", "entity", "reason", "expires")
_SLUG: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_NUMBER: Final = re.compile(r"\d{1,9}(\.\d{1,9})?")


@dataclass(frozen=True, slots=True)
class RubricExample:
    """Facts of one entity ("retriever.fact"), and what must come of them; None: not said."""

    title: str
    place: str
    tier: int | None
    facts: Mapping[str, Json]
    states: Mapping[str, str]
    score: float | str | None = None  # a number, or "insufficient"
    level: str | None = None
    kind: str = "Component"


@dataclass(frozen=True, slots=True)
class Condition:
    """When a check passes, and when it only warns."""

    passes: Run
    warns: Run | None = None


@dataclass(frozen=True, slots=True)
class LoadedRubric:
    """A rubric that can be evaluated. `cadences` are seconds, by retriever."""

    rubric: Rubric
    conditions: Mapping[str, Condition]
    cadences: Mapping[str, float]
    examples: tuple[RubricExample, ...] = ()


def load_rubric(path: Path, schemas: Sequence[FactSchema]) -> LoadedRubric:
    """The rubric of a file, its expressions checked against the facts that there are.

    Raises `ConfigurationError` with every problem, each with `file:line:col`.
    """
    expected = "a rubric file holds one map that starts with `rubric: <title>`"
    source, tree, content = Source.opened(path, RULE, expected)
    source.problems += faults("rubric", source, tree)
    reading = _RubricReader(tree, source, FactNames(schemas))
    loaded = reading.rubric(hashlib.sha256(content.encode()).hexdigest()[:16], schemas)
    if source.problems:
        raise ConfigurationError(sorted(source.problems, key=lambda each: (each.line, each.column)))
    return loaded


@dataclass(slots=True)
class _RubricReader:
    """A rubric file's tree on its way to a `LoadedRubric`.

    What the JSON Schema says of it is told already: here what is not of its shape is passed over.
    """

    tree: dict[str, Json]
    source: Source
    names: FactNames
    conditions: dict[str, Condition] = field(default_factory=dict)

    def rubric(self, version: str, schemas: Sequence[FactSchema]) -> LoadedRubric:
        categories = {key: str(title).strip() for key, title in _map(self.tree, "categories")}
        checks = tuple(
            self._check(key, value, categories)
            for key, value in _map(self.tree, "checks")
            if isinstance(value, dict)
        )
        ids = [check.id for check in checks]
        rubric = Rubric(
            version=version,
            title=str(self.tree.get("rubric")).strip(),
            checks=checks,
            categories=categories,
            targets={
                tier: _number(value)
                for key, value in _map(self.tree, "targets")
                for tier in _tiers([key])
            },
            levels=self._levels(),
            minimum_coverage=_number(self.tree.get("minimum_coverage", "0.7")),
            untiered=min(_tiers([self.tree.get("untiered", 3)]), default=TIERS[-1]),
            waivers=self._waivers(ids),
            source=self.source.file,
        )
        examples = self._examples(ids, [level.name for level in rubric.levels])
        cadences = {schema.id: schema.cadence for schema in schemas}
        return LoadedRubric(rubric, self.conditions, cadences, examples)

    def _levels(self) -> tuple[Level, ...]:
        levels = [Level(key, _number(value)) for key, value in _map(self.tree, "levels")]
        for level in levels:
            if len(level.name) > 63:
                message = "a level's name has at most 63 characters"
                self.source.problem(message, ("levels", level.name), key=True)
        if any(one.minimum <= other.minimum for one, other in pairwise(levels)):
            message = (
                "`levels` go from the highest to the lowest: write them like "
                "`{gold: 90, silver: 75, bronze: 0}`"
            )
            self.source.problem(message, ("levels",), key=True)
        if levels and not any(level.minimum == 0 for level in levels):
            self.source.problem("`levels` needs one that holds from 0", ("levels",), key=True)
        return tuple(sorted(levels, key=lambda level: -level.minimum))

    def _check(self, name: str, value: dict[str, Json], categories: Mapping[str, str]) -> Check:
        path: Keys = ("checks", name)
        if not _SLUG.fullmatch(name) or len(name) > 63:
            self.source.problem(f"`{name}` is no id: lower case, digits and `-`", path, key=True)
        category = value.get("category")
        if isinstance(category, str) and category and category not in categories:
            hint = did_you_mean(category, categories) or f"; there are {', '.join(categories)}"
            message = f"`{category}` is not a category{hint}"
            self.source.problem(message, (*path, "category"))
        passes = self._expression(value.get("pass"), (*path, "pass"))
        warns = self._expression(value["warn"], (*path, "warn")) if "warn" in value else None
        self.conditions[name] = Condition(passes.run, warns.run if warns else None)
        read = (*passes.references, *(warns.references if warns else ()))
        tiers, gates = _tiers(value.get("tiers")), _tiers(value.get("gate"))
        if tiers and not gates <= tiers and value.get("gate") != "all":
            message = "a gate for a tier that the check does not apply to; add it to `tiers`"
            self.source.problem(message, (*path, "gate"))
        return Check(
            id=name,
            title=str(value.get("title", "")).strip(),
            category=str(category),
            weight=_number(value.get("weight")),
            tiers=tiers,
            expression=str(value.get("pass")),
            facts=tuple(dict.fromkeys(f"{root}.{keys[0]}" for root, keys in read if keys)),
            warning=str(value.get("warn", "")),
            description=str(value.get("description") or ""),
            gate_tiers=gates & tiers,
            kinds=_kinds(value.get("kinds", ["component"])),
            how_to_fix=str(value.get("fix") or ""),
            links=_links(value.get("links")),
        )

    def _expression(self, value: Json, path: Keys) -> Expression:
        if not is_expression(value):
            return Expression(lambda _env: None)
        expression = self.source.expression(value, path, self.names)
        for root, keys in expression.references:
            if not keys:
                message = f"`{root}` is a source of facts; name one of them, as in `{root}.…`"
                self.source.problem(message, path)
        return expression

    def _waivers(self, checks: Sequence[str]) -> tuple[Waiver, ...]:
        found = []
        for at, value in _items(self.tree, "waivers"):
            path: Keys = ("waivers", at)
            check, written, reason, day = (str(value.get(key, "")) for key in _WAIVER)
            self._known_check(check, checks, (*path, "check"))
            entity = self._waived(written.lower(), (*path, "entity"))
            expires = self._day(day, (*path, "expires"))
            by = str(value.get("by") or "").strip()
            found.append(Waiver(check, reason.strip(), expires, WaiverPlace.RUBRIC, entity, by))
        return tuple(found)

    def _day(self, text: str, path: Keys) -> date:
        try:
            return date.fromisoformat(text)
        except ValueError:
            if _DAY.fullmatch(text):
                self.source.problem(f"`{text}` is no day of the calendar", path)
            return date.max

    def _waived(self, entity: str, path: Keys) -> str:
        """A reference in full, or a glob of such; anything else would never name an entity."""
        if set(entity) & set("*?[") or not entity:
            return entity
        try:
            return str(Ref.parse(entity))
        except ValueError:
            message = f"`{entity}` names no entity: write a reference like component:default/cart"
            self.source.problem(message, path)
        return entity

    def _known_check(
        self, name: str, checks: Sequence[str], path: Keys, *, key: bool = False
    ) -> None:
        if name and name not in checks:
            hint = did_you_mean(name, checks) or f"; there are {', '.join(checks)}"
            self.source.problem(f"`{name}` is not a check{hint}", path, key=key)

    def _examples(self, checks: Sequence[str], levels: Sequence[str]) -> tuple[RubricExample, ...]:
        found = []
        for at, value in _items(self.tree, "examples"):
            path: Keys = ("examples", at)
            facts, states = dict(_map(value, "facts")), dict(_map(value, "states"))
            for name in facts:
                fault = self.names.fact_fault(name)
                if fault:
                    self.source.problem(fault, (*path, "facts", name), key=True)
            for name in states:
                self._known_check(name, checks, (*path, "states", name), key=True)
            level, score = value.get("level"), value.get("score")
            if level is not None and level not in levels:
                hint = did_you_mean(str(level), levels) or f"; there are {', '.join(levels)}"
                self.source.problem(f"`{level}` is not a level{hint}", (*path, "level"))
            found.append(
                RubricExample(
                    str(value.get("title", f"example {at + 1}")),
                    self.source.place(path),
                    min(_tiers([value["tier"]]), default=None) if "tier" in value else None,
                    _floats(facts),
                    states,
                    score if score in (None, "insufficient") else _number(score),
                    level,
                    str(value.get("kind", "Component")),
                )
            )
        return tuple(found)


def _map(tree: Mapping[str, Json], key: str) -> Iterable[tuple[str, Json]]:
    value = tree.get(key)
    return value.items() if isinstance(value, dict) else ()


def _items(tree: Mapping[str, Json], key: str) -> Iterator[tuple[int, dict[str, Json]]]:
    value = tree.get(key)
    for at, item in enumerate(value if isinstance(value, list) else ()):
        if isinstance(item, dict):
            yield at, item


def _number(value: Json) -> float:
    """Numbers with a point are text to the reader of YAML."""
    return float(value) if _NUMBER.fullmatch(str(value)) else 0.0


def _tiers(value: Json) -> frozenset[int]:
    if value == "all":
        return frozenset(TIERS)
    listed = [str(each) for each in value] if isinstance(value, list) else []
    return frozenset(tier for tier in TIERS if str(tier) in listed)


def _kinds(value: Json) -> tuple[str, ...]:
    return tuple(str(kind).lower() for kind in value) if isinstance(value, list) else ()


def _links(value: Json) -> tuple[Mapping[str, str], ...]:
    listed = value if isinstance(value, list) else [value]
    return tuple(
        {"title": str(link.get("title") or link.get("url")), "url": str(link.get("url"))}
        for link in listed
        if isinstance(link, dict)
    )


def _floats(facts: Mapping[str, Json]) -> dict[str, Json]:
    return {
        key: float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value
        for key, value in facts.items()
    }
