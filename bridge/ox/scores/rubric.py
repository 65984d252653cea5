"""Loads the rubric: what is expected of services. Every mistake is reported at once, placed.

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
| `waivers` | `check`, `entity` (a reference or a glob), `reason`, `expires` |
| `examples` | `facts`, `tier`, and the `states`, `score` and `level` expected |

In `pass` and `warn` facts are named `retriever.fact`. There is no key for "when": whether a check
applies is said by tier, kind and facts that are not applicable, so that a fact that gets better
never lowers a score.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bridge.errors import ConfigurationError
from bridge.language.expressions import Expression, Run
from bridge.language.filters import kind_of
from bridge.language.names import did_you_mean
from bridge.language.source import Source, is_expression
from bridge.language.text_positions import Path as Keys
from bridge.model.entities import Json, Ref
from bridge.model.facts import FactSchema
from bridge.model.scores import TIERS, Check, Level, Rubric, Waiver
from bridge.ox.scores.rubric_facts import FactNames

RULE: Final = "rubric-invalid"
MOST_CHECKS: Final = 200
MOST_WAIVERS: Final = 2_000
KEYS: Final = (
    *("rubric", "minimum_coverage", "untiered", "targets", "levels", "categories", "checks"),
    *("waivers", "examples"),
)
CHECK_KEYS: Final = (
    *("title", "category", "weight", "tiers", "pass", "warn", "gate", "kinds", "description"),
    *("fix", "links"),
)
WAIVER_KEYS: Final = ("check", "entity", "reason", "expires")
EXAMPLE_KEYS: Final = ("title", "tier", "facts", "states", "score", "level")
_SLUG: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
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
    reading = _RubricReader(tree, source, FactNames(schemas))
    loaded = reading.rubric(hashlib.sha256(content.encode()).hexdigest()[:16], schemas)
    if source.problems:
        raise ConfigurationError(source.problems)
    return loaded


@dataclass(slots=True)
class _RubricReader:
    """A rubric file's tree on its way to a `LoadedRubric`."""

    tree: dict[str, Json]
    source: Source
    names: FactNames
    conditions: dict[str, Condition] = field(default_factory=dict)

    def rubric(self, version: str, schemas: Sequence[FactSchema]) -> LoadedRubric:
        self.source.known_keys(self.tree, (), KEYS, "a rubric")
        title = self._text(self.tree, (), "rubric", "a rubric")
        coverage = self._number(self.tree.get("minimum_coverage", "0.7"), ("minimum_coverage",), 1)
        titles = self._map("categories")
        categories = {
            key: self._text(titles, ("categories",), key, "`categories`") for key in titles
        }
        checks = self._checks(categories)
        ids = [check.id for check in checks]
        rubric = Rubric(
            version=version,
            title=title,
            checks=checks,
            categories=categories,
            targets=self._targets(),
            levels=self._levels(),
            minimum_coverage=coverage,
            untiered=self._tier(self.tree.get("untiered", 3), ("untiered",)),
            waivers=self._waivers(ids),
            source=self.source.file,
        )
        examples = self._examples(ids, [level.name for level in rubric.levels])
        cadences = {schema.id: schema.cadence for schema in schemas}
        return LoadedRubric(rubric, self.conditions, cadences, examples)

    def _map(self, key: str) -> dict[str, Json]:
        value = self.tree.get(key)
        if isinstance(value, dict) and value:
            return value
        self.source.problem(f"a rubric needs `{key}:` with a map and has {kind_of(value)}", (key,))
        return {}

    def _list(self, key: str, most: int) -> list[Json]:
        value = self.tree.get(key) or []
        if isinstance(value, list) and len(value) <= most:
            return value
        self.source.problem(f"`{key}` needs a list of at most {most:,}", (key,))
        return []

    def _text(self, tree: dict[str, Json], path: Keys, key: str, what: str) -> str:
        value = tree.get(key)
        if isinstance(value, str) and value.strip():
            return value.strip()
        self.source.problem(f"{what} needs `{key}: <text>`", (*path, key))
        return ""

    def _number(self, value: Json, path: Keys, most: float = math.inf) -> float:
        """Numbers with a point are text to the reader of YAML."""
        if _NUMBER.fullmatch(str(value)) and not isinstance(value, bool) and float(value) <= most:
            return float(value)
        bound = f" from 0 to {most:g}" if most < math.inf else ""
        self.source.problem(f"expected a number{bound} and found {_said(value)}", path)
        return 0.0

    def _tier(self, value: Json, path: Keys) -> int:
        if str(value) in {str(tier) for tier in TIERS}:
            return int(value)
        self.source.problem(f"expected a tier (1, 2, 3 or 4) and found {_said(value)}", path)
        return TIERS[-1]

    def _tiers(self, value: Json, path: Keys) -> frozenset[int]:
        if value == "all":
            return frozenset(TIERS)
        if isinstance(value, list) and value:
            return frozenset(self._tier(tier, (*path, at)) for at, tier in enumerate(value))
        message = f"expected `all` or a list of tiers like [1, 2] and found {_said(value)}"
        self.source.problem(message, path)
        return frozenset(TIERS)

    def _targets(self) -> dict[int, float]:
        found = {}
        for key, value in self._map("targets").items():
            tier = self._tier(key, ("targets", key))
            found[tier] = self._number(value, ("targets", key), 100)
        missing = [tier for tier in TIERS if tier not in found]
        if found and missing:
            said = ", ".join(map(str, missing))
            self.source.problem(f"`targets` lacks a number for tier {said}", ("targets",), key=True)
        return found

    def _levels(self) -> tuple[Level, ...]:
        levels = [
            Level(key, self._number(value, ("levels", key), 100))
            for key, value in self._map("levels").items()
        ]
        for key in self._map("levels") if levels else ():
            if len(key) > 63:
                message = "a level's name has at most 63 characters"
                self.source.problem(message, ("levels", key), key=True)
        if any(one.minimum <= other.minimum for one, other in pairwise(levels)):
            message = (
                "`levels` go from the highest to the lowest: write them like "
                "`{gold: 90, silver: 75, bronze: 0}`"
            )
            self.source.problem(message, ("levels",), key=True)
        if levels and not any(level.minimum == 0 for level in levels):
            self.source.problem("`levels` needs one that holds from 0", ("levels",), key=True)
        return tuple(sorted(levels, key=lambda level: -level.minimum))

    def _checks(self, categories: Mapping[str, str]) -> tuple[Check, ...]:
        checks = self._map("checks")
        if len(checks) > MOST_CHECKS:
            self.source.problem(f"there are more than {MOST_CHECKS} checks", ("checks",), key=True)
            return ()
        return tuple(self._check(key, value, categories) for key, value in checks.items())

    def _check(self, name: str, value: Json, categories: Mapping[str, str]) -> Check:
        path: Keys = ("checks", name)
        if not _SLUG.fullmatch(name) or len(name) > 63:
            self.source.problem(f"`{name}` is no id: lower case, digits and `-`", path, key=True)
        if not isinstance(value, dict):
            self.source.problem(f"a check needs a map and has {kind_of(value)}", path)
            value = {}
        self.source.known_keys(value, path, CHECK_KEYS, "a check")
        category = self._text(value, path, "category", "a check")
        if category and category not in categories:
            hint = did_you_mean(category, categories) or f"; there are {', '.join(categories)}"
            message = f"`{category}` is not a category{hint}"
            self.source.problem(message, (*path, "category"))
        weight = self._number(value.get("weight"), (*path, "weight"))
        if weight == 0 and _NUMBER.fullmatch(str(value.get("weight"))):
            self.source.problem("a weight is more than 0", (*path, "weight"))
        passes = self._expression(value.get("pass"), (*path, "pass"))
        warns = self._expression(value["warn"], (*path, "warn")) if "warn" in value else None
        self.conditions[name] = Condition(passes.run, warns.run if warns else None)
        read = (*passes.references, *(warns.references if warns else ()))
        tiers = self._tiers(value.get("tiers"), (*path, "tiers"))
        gates = self._tiers(value["gate"], (*path, "gate")) if "gate" in value else frozenset[int]()
        if not gates <= tiers and value.get("gate") != "all":
            message = "a gate for a tier that the check does not apply to; add it to `tiers`"
            self.source.problem(message, (*path, "gate"))
        return Check(
            id=name,
            title=self._text(value, path, "title", "a check"),
            category=category,
            weight=weight,
            tiers=tiers,
            expression=str(value.get("pass")),
            facts=tuple(dict.fromkeys(f"{root}.{keys[0]}" for root, keys in read if keys)),
            warning=str(value.get("warn", "")),
            description=str(value.get("description") or ""),
            gate_tiers=gates & tiers,
            kinds=self._kinds(value.get("kinds", ["component"]), (*path, "kinds")),
            how_to_fix=str(value.get("fix") or ""),
            links=self._links(value.get("links") or [], (*path, "links")),
        )

    def _expression(self, value: Json, path: Keys) -> Expression:
        if not is_expression(value):
            said = (
                f"expected an expression like `${{{{ gitlab.readme }}}}` and found {_said(value)}"
            )
            self.source.problem(said, path)
            return Expression(lambda _env: None)
        expression = self.source.expression(value, path, self.names)
        for root, keys in expression.references:
            if not keys:
                message = f"`{root}` is a source of facts; name one of them, as in `{root}.…`"
                self.source.problem(message, path)
        return expression

    def _kinds(self, value: Json, path: Keys) -> tuple[str, ...]:
        if isinstance(value, list) and value and all(isinstance(kind, str) for kind in value):
            return tuple(kind.lower() for kind in value)
        self.source.problem("expected a list of kinds like [Component]", path)
        return ()

    def _links(self, value: Json, path: Keys) -> tuple[Mapping[str, str], ...]:
        links = []
        for at, link in enumerate(value if isinstance(value, list) else [value]):
            self.source.known_keys(link, (*path, at), ("title", "url"), "a link")
            url = link.get("url") if isinstance(link, dict) else None
            if isinstance(url, str) and _is_web(url):
                links.append({"title": str(link.get("title") or url), "url": url})
            else:
                self.source.problem("a link needs `url: https://…` and `title`", (*path, at))
        return tuple(links)

    def _waivers(self, checks: Sequence[str]) -> tuple[Waiver, ...]:
        found = []
        for at, value in enumerate(self._list("waivers", MOST_WAIVERS)):
            path: Keys = ("waivers", at)
            self.source.known_keys(value, path, WAIVER_KEYS, "a waiver")
            given = value if isinstance(value, dict) else {}
            texts = {key: self._text(given, path, key, "a waiver") for key in WAIVER_KEYS}
            self._known_check(texts["check"], checks, (*path, "check"))
            expires = _day(texts["expires"])
            if expires is None and texts["expires"]:
                message = f"expected a date like 2026-12-31 and found {_said(texts['expires'])}"
                self.source.problem(message, (*path, "expires"))
            if expires is not None:
                entity = self._waived(texts["entity"].lower(), (*path, "entity"))
                found.append(Waiver(texts["check"], texts["reason"], expires, "rubric", entity))
        return tuple(found)

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
        for at, value in enumerate(self._list("examples", 500)):
            path: Keys = ("examples", at)
            self.source.known_keys(value, path, EXAMPLE_KEYS, "an example")
            if not isinstance(value, dict) or not isinstance(value.get("facts"), dict):
                self.source.problem("an example needs `facts:` with a map of facts", path)
                continue
            for name in value["facts"]:
                fault = self.names.fact_fault(name)
                if fault:
                    self.source.problem(fault, (*path, "facts", name), key=True)
            states = value.get("states") or {}
            for name in states:
                self._known_check(name, checks, (*path, "states", name), key=True)
            level, score = value.get("level"), value.get("score")
            if level is not None and level not in levels:
                hint = did_you_mean(str(level), levels) or f"; there are {', '.join(levels)}"
                self.source.problem(f"`{level}` is not a level{hint}", (*path, "level"))
            if score not in (None, "insufficient"):
                score = self._number(score, (*path, "score"), 100)
            tier = self._tier(value["tier"], (*path, "tier")) if "tier" in value else None
            place, title = self.source.place(path), str(value.get("title", f"example {at + 1}"))
            found.append(
                RubricExample(title, place, tier, _floats(value["facts"]), states, score, level)
            )
        return tuple(found)


def _said(value: Json) -> str:
    return repr(value)[:60] if isinstance(value, str | int) else kind_of(value)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _floats(facts: Mapping[str, Json]) -> dict[str, Json]:
    return {
        key: float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value
        for key, value in facts.items()
    }
