"""Makes the entities of one manifest by its mapping, and says what could not be made of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from bridge.language.filters import EvaluationError, as_text
from bridge.language.text import Position
from bridge.language.text_faults import shown
from bridge.model.entities import Json
from bridge.model.problems import Problem, Severity
from bridge.processors.mapping.compiling import EntityTemplate
from bridge.processors.mapping.documents import Documents, problem_at
from bridge.processors.mapping.mapping_file import Mapping
from bridge.processors.mapping.templates import Evaluation, Leaf, Path, Traced, plain
from bridge.processors.rules import SPEC_FIELDS, SpecField

ENTITY_LIMIT: Final = 500


class Quarantine(Exception):
    """The manifest cannot be used; carries its problems."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__()
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Made:
    """One entity as it was made; while telling, `body` holds `Traced`s."""

    body: Json
    position: Position
    document: int
    places: tuple[tuple[str, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Making:
    """One manifest, by its number in `documents`, and the mapping that makes entities of it.

    `state` has its names. What is made goes to `made`, where that of the file's other documents
    is, and what there is to say of it to `problems`.
    """

    documents: Documents
    number: int
    mapping: Mapping
    state: Evaluation
    made: list[Made]
    problems: list[Problem]

    def run(self) -> None:
        """Make all of it; raises Quarantine or EvaluationError where it cannot be made."""
        for entity in self.mapping.entities:
            for body in entity.element.expand(self.state):
                self._keep(entity, body)
        self.state.telling = True
        for element in self.mapping.warnings:
            for warning in element.expand(self.state):
                self._warn(warning)

    def _keep(self, entity: EntityTemplate, body: Json) -> None:
        number, state = self.number, self.state
        named = state.given(entity.name.expression) if isinstance(entity.name, Leaf) else iter(())
        paths = tuple(path for path, _ in islice(named, 1))
        position = self.documents.spot(number, paths)
        for key in ("apiVersion", "kind"):
            if key not in body:
                message = f"{self.mapping.path.name} gives an entity without `{key}`; correct it"
                raise Quarantine(problem_at(message, "mapping-failed", position))
        if "name" not in body.get("metadata", {}):
            raise Quarantine(self._nameless(entity, paths))
        if len(self.made) >= ENTITY_LIMIT:
            message = f"gives more than {ENTITY_LIMIT:,} entities; split the manifest"
            raise Quarantine(problem_at(message, "mapping-failed", position))
        self._unusable(entity)
        places = tuple(
            (reference, *self.documents.positions(number).value(path))
            for reference, path in state.referred
        )
        state.referred.clear()
        # Documents of one file often repeat their team or system word for word.
        if not any(other.body == body for other in self.made):
            self.made.append(Made(body, position, number, places))

    def _unusable(self, entity: EntityTemplate) -> None:
        """Report texts that no reference could be made of; raises Quarantine for a needed one."""
        number, state = self.number, self.state
        fields = SPEC_FIELDS.get(entity.kind.lower(), {})
        for name, path in state.unusable:
            message = _nothing_left(_at(self.documents[number].tree, path), "reference")
            found = problem_at(message, "name-unusable", self.documents.spot(number, (path,)))
            if fields.get(name, SpecField()).required:
                raise Quarantine(found)
            self.problems.append(replace(found, severity=Severity.WARNING))
        state.unusable.clear()

    def _nameless(self, entity: EntityTemplate, paths: tuple[Path, ...]) -> Problem:
        number = self.number
        if paths:
            given = _at(self.documents[number].tree, paths[0])
            message = _nothing_left(given, f"name for the {entity.kind}")
            return problem_at(message, "name-unusable", self.documents.spot(number, paths))
        message = f"{self.mapping.path.name} gives a {entity.kind} without a name; give it a `when`"
        return problem_at(message, "mapping-failed", self.documents.top(number))

    def _warn(self, warning: Json) -> None:
        if "message" not in warning:
            return
        at = warning.get("at", warning["message"])
        position = self.documents.spot(self.number, at.sources if isinstance(at, Traced) else ())
        words = {key: as_text(plain(value)) for key, value in warning.items() if key != "at"}
        found = problem_at(words["message"], words["rule"], position)
        self.problems.append(replace(found, severity=Severity.WARNING))


def failed(error: EvaluationError, documents: Documents, number: int) -> Problem:
    """The problem of a document that an expression of the mapping cannot be worked out on."""
    message = f"the mapping at {error.place} cannot use this: {error}"
    return problem_at(message, "mapping-failed", documents.spot(number, error.sources))


def _nothing_left(given: Json, what: str) -> str:
    return (
        f"no {what} can be made of {shown(given)}: it takes letters a-z or digits, and too few "
        "of these are. Write it with those, or give it an `id` where the format has one"
    )


def _at(tree: Json, path: Path) -> Json:
    for key in path:
        tree = tree[key]
    return tree
