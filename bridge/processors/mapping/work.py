"""One manifest file on its way through the mappings that want it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final

from bridge.errors import NotUnderstood
from bridge.language import text
from bridge.language.filters import EvaluationError, as_text, kind_of
from bridge.language.paths import is_pattern, usable, within
from bridge.language.text import Position, Positions, YamlDocument
from bridge.language.text_faults import shown
from bridge.model.entities import Json
from bridge.model.problems import Problem, Severity
from bridge.model.reads import Wanted
from bridge.model.scrape import ManifestFile, Project
from bridge.processors.mapping.comments import commented
from bridge.processors.mapping.compiling import EntityTemplate
from bridge.processors.mapping.defaults import NOTHING, ByKey, GivenDefaults, filled
from bridge.processors.mapping.files import NESTED_LIMIT, Files, wish
from bridge.processors.mapping.mapping_file import Mapping
from bridge.processors.mapping.scope import file_names, project_names
from bridge.processors.mapping.secret_addresses import masked, without_secrets
from bridge.processors.mapping.splitting import (
    PART_LIMIT,
    ManifestPart,
    envelope,
    heads,
    is_whole,
    lends_only,
    parts,
)
from bridge.processors.mapping.templates import Evaluation, Leaf, Path, Traced, plain
from bridge.processors.rules import SPEC_FIELDS, SpecField

ENTITY_LIMIT: Final = 500
# What all manifests of one file may make together: inheriting must not make much of little.
FILE_LEAF_LIMIT: Final = 100_000
FILE_CHARACTER_LIMIT: Final = 4_000_000
_NOT_PUBLISHED: Final = (
    "this is a secret address (an incoming webhook, or a password or token in a URL): whoever has "
    "it can use it, so it is not published. Write the channel's own page, and make a new secret"
)


class Quarantine(Exception):
    """The manifest cannot be used; carries its problems."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__()
        self.problems = problems


class Foreign(Exception):
    """The file is not meant for us; carries the reason."""


@dataclass(frozen=True, slots=True)
class Made:
    """One entity as it was made; while telling, `body` holds `Traced`s."""

    body: Json
    position: Position
    document: int
    places: tuple[tuple[str, int, int], ...] = ()


@dataclass(slots=True)
class Work:
    """One file on its way through the mappings that want it.

    `made` and `problems` fill up; `run` raises Quarantine or Foreign when that is the verdict.
    `documents` are the `read` ones, and behind them the `parts` that some were split into, by the
    same numbers. `broken` are the documents and parts that gave nothing because something is
    wrong with them.
    """

    project: Project
    file: ManifestFile
    mappings: tuple[Mapping, ...]
    telling: bool = False
    settings: dict[str, Json] = field(default_factory=dict)
    defaults: dict[str, GivenDefaults] = field(default_factory=dict)
    documents: tuple[YamlDocument, ...] = ()
    read: int = 0
    parts: dict[int, ManifestPart] = field(default_factory=dict)
    origins: dict[int, int] = field(default_factory=dict)  # of parts, the document
    given: dict[int, ByKey] = field(default_factory=dict)
    used: dict[str, None] = field(default_factory=dict)
    made: list[Made] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    broken: set[int] = field(default_factory=set)
    leaves: int = 0
    characters: int = 0
    chosen: list[tuple[int, Mapping]] | None = None
    states: dict[int, Evaluation] = field(default_factory=dict)
    names: dict[str, Json] = field(default_factory=dict)  # the same for all documents

    def run(self) -> None:
        """Read, choose the mapping, check, evaluate: every document by itself."""
        numbers = self._read()
        chosen, reasons = self._choose(numbers)
        if not chosen and not self.broken:
            raise Foreign(reasons[0][1])
        for number, reason in reasons:
            told = self.problem(f"ignored: {reason}", "document-ignored", self.top(number))
            self._note([replace(told, severity=Severity.INFO)])
        self._alone(numbers, chosen)
        for number, mapping in self._apart(chosen):
            self.used[mapping.id] = None
            self._use(number, mapping)
        if self.broken and not self.made:
            raise Quarantine

    def wanted(self) -> Wanted:
        """What else the file wants to be read; raises as `run` does."""
        found = Wanted()
        for number, mapping in self._apart(self._looked_into()):
            if mapping.reads:
                state = self._looked_at(number, mapping)
                for element in mapping.reads:
                    for item in element.expand(state):
                        found |= wish(item, element, self.file.folder)
        return found

    def inheriting(self) -> tuple[ByKey, ...]:
        """What the file's documents and parts inherit from its groups; raises as `run` does."""
        self._apart(self._choose(self._read())[0])
        return tuple(self.given.values())

    def nested(self) -> tuple[str, ...]:
        """The patterns of further manifests that the file names; raises as `run` does."""
        found: dict[str, None] = {}
        for number, mapping in self._looked_into():
            if mapping.nested is None:
                continue
            named = mapping.nested.raw(self._looked_at(number, mapping))
            for pattern in named if isinstance(named, list) else [named]:
                path = within(self.file.folder, pattern) if isinstance(pattern, str) else None
                if path is not None and (usable(path) or not is_pattern(path)):
                    found[path] = None
        return tuple(found)[:NESTED_LIMIT]

    def _looked_into(self) -> list[tuple[int, Mapping]]:
        """The documents and their mappings, for what is asked before the file is translated."""
        if self.chosen is None:
            self.chosen, _ = self._choose(self._read())
        return self.chosen

    def _looked_at(self, number: int, mapping: Mapping) -> Evaluation:
        if number not in self.states:
            self.states[number] = self._state(number, mapping)
        return self.states[number]

    def _state(self, number: int, mapping: Mapping) -> Evaluation:
        """The names of one document, `let` and all. Raises EvaluationError."""
        state = Evaluation(
            self._env(self.documents[number].tree),
            {name: leaf.expression for name, leaf in mapping.lets},
            self.telling,
        )
        for name, leaf in mapping.lets:
            state.env[name] = leaf.raw(state)
        return state

    def positions(self, document: int) -> Positions:
        """Where things stand in one document; nowhere in a text that could not be read."""
        return self.documents[document].positions if self.documents else Positions()

    def read_from(self, number: int) -> int:
        """The number of the read document that a manifest is, or is a part of."""
        return self.origins.get(number, number)

    def top(self, document: int) -> Position:
        """Where a document begins."""
        return self.positions(document).value(())

    def spot(self, document: int, paths: tuple[Path, ...]) -> Position:
        """Where the first of the paths stands; the document's top without any."""
        return self.positions(document).value(paths[0] if paths else ())

    def problem(self, message: str, rule: str, position: Position) -> Problem:
        """A problem at a position of the manifest."""
        return Problem(masked(message), rule, line=position.line, column=position.column)

    def _read(self) -> list[int]:
        """The numbers of the documents that say something; faults become problems."""
        if self.file.text is None:
            message = f"cannot be used: {self.file.refused or 'it is not text'}; keep it as a plain"
            raise Quarantine(Problem(f"{message} YAML file in the repository", "manifest-refused"))
        try:
            self.documents = text.read_each(self.file.text)
        except NotUnderstood as error:
            raise Quarantine(error.problem) from None
        self.read = len(self.documents)
        for number, document in enumerate(self.documents):
            if document.fault is not None:
                self._broke(number, document.fault)
        numbers = [at for at, each in enumerate(self.documents) if each.tree is not None]
        if not numbers:
            raise Quarantine(self.problem("the file is empty", "manifest-empty", Position()))
        return numbers

    def _broke(self, number: int, *problems: Problem) -> None:
        """Note that a document cannot be used. Documents are mostly wrong in the same way: of
        several that say the same, the first place is enough to act on."""
        self.broken.add(number)
        said = {problem.message for problem in self.problems}
        self.problems += [problem for problem in problems if problem.message not in said]

    def _env(self, data: Json) -> dict[str, Json]:
        self.names = self.names or {
            "project": project_names(self.project),
            "file": file_names(self.project, self.file),
            "files": Files(self.file.reads, self.file.folder),
            "settings": self.settings,
        }
        trees = [each.tree for each in self.documents[: self.read]]
        return {**self.names, "manifest": data, "documents": trees}

    def _choose(
        self, numbers: list[int]
    ) -> tuple[list[tuple[int, Mapping]], list[tuple[int, str]]]:
        """The mapping of each document, and why others are somebody else's."""
        chosen: list[tuple[int, Mapping]] = []
        reasons: list[tuple[int, str]] = []
        for number in numbers:
            state = Evaluation(self._env(self.documents[number].tree), {})
            try:
                mapping = self._wanting(state)
                reason = None if mapping else self._reason(state)
                if mapping is not None:
                    chosen.append((number, mapping))
                elif reason is not None:
                    reasons.append((number, reason))
                else:
                    self._broke(number, self._unfit(number, state))
            except EvaluationError as error:
                self._broke(number, self._failed(error, number))
        return chosen, reasons

    def _alone(self, numbers: list[int], chosen: list[tuple[int, Mapping]]) -> None:
        """Raise Quarantine when a mapping that takes one document meets several."""
        if len(numbers) + len(self.broken - set(numbers)) < 2:
            return
        if any(not mapping.many for _, mapping in chosen):
            message = "several documents in one file; keep one and drop the `---` lines"
            second = sorted({*numbers, *self.broken})[1]
            raise Quarantine(self.problem(message, "manifest-invalid", self._start(second)))

    def _apart(self, chosen: list[tuple[int, Mapping]]) -> list[tuple[int, Mapping]]:
        """The manifests to use: documents, and in place of those that hold several, their parts."""
        whole: list[tuple[int, Mapping]] = []
        for number, mapping in chosen:
            document, splits = self.documents[number], mapping.splits
            given = self.defaults.get(mapping.id, NOTHING).values
            lenders = [
                self.documents[other]
                for other, its in chosen
                if splits and its is mapping and lends_only(self.documents[other], splits)
            ]
            if not splits:
                whole.append((self._filled(number, given), mapping))
            elif is_whole(document, splits, lenders, given):
                whole.append((number, mapping))
            elif not lends_only(document, splits):
                found = self._parts(number, mapping, lenders, given)
                whole += [(part, mapping) for part in found]
            elif len(lenders) == len(chosen):
                named = " or ".join(f"`{key}`" for key in sorted(heads(splits)))
                message = f"there are shared keys and nothing that they are for: add {named}"
                self._broke(number, self.problem(message, "manifest-invalid", self.top(number)))
        for number in {number for number, _ in chosen} - {number for number, _ in whole}:
            self._without_secrets(number)
        return whole

    def _without_secrets(self, number: int) -> list[Path]:
        """Take secret addresses out of a document; gives where they stood."""
        tree, secrets = without_secrets(self.documents[number].tree)
        if secrets:
            before, after = self.documents[:number], self.documents[number + 1 :]
            self.documents = (*before, replace(self.documents[number], tree=tree), *after)
        return secrets

    def _filled(self, number: int, given: ByKey) -> int:
        """The number of a document with what it inherits from its groups: its own for nothing."""
        document = self.documents[number]
        tree, added = filled(document.tree, given)
        if not added:
            return number
        made = len(self.documents)
        self.given[made], self.origins[made] = added, number
        self.documents = (*self.documents, replace(document, tree=tree))
        return made

    def _parts(
        self, number: int, mapping: Mapping, lenders: list[YamlDocument], given: ByKey
    ) -> list[int]:
        """The numbers of a document's parts; none when what they share is wrong."""
        document = self.documents[number]
        found = [
            replace(problem, message=masked(problem.message))
            for problem in mapping.schema.problems(
                envelope(document, mapping.splits), lambda: document.positions
            )
        ]
        if any(problem.severity is Severity.ERROR for problem in found):
            self._broke(number, *found)
            return []
        self._note(found)
        before = len(self.documents)
        for part in parts(document, mapping.splits, lenders, given):
            if len(self.documents) - self.read >= PART_LIMIT:
                message = f"holds more than {PART_LIMIT} manifests; split the file"
                self._broke(number, self.problem(message, "manifest-invalid", self.top(number)))
                break
            self.parts[len(self.documents)] = part
            self.given[len(self.documents)] = part.given
            self.origins[len(self.documents)] = number
            self.documents = (*self.documents, part.document)
        numbers = list(range(before, len(self.documents)))
        if not numbers and number not in self.broken:
            named = " or ".join(f"`{key}`" for key in sorted(heads(mapping.splits)))
            message = f"there is nothing here: add {named}"
            self._broke(number, self.problem(message, "manifest-invalid", self.top(number)))
        return numbers

    def _note(self, found: list[Problem]) -> None:
        """Add warnings; what several parts inherit is said once."""
        known = set(self.problems)
        self.problems += [problem for problem in found if problem not in known]

    def _start(self, number: int) -> Position:
        fault = self.documents[number].fault
        return Position(fault.line, fault.column) if fault else self.top(number)

    def _wanting(self, state: Evaluation) -> Mapping | None:
        for mapping in self.mappings:
            if mapping.when is None or mapping.when.raw(state):
                return mapping
        return None

    def _reason(self, state: Evaluation) -> str | None:
        for mapping in self.mappings:
            for when, reason in mapping.foreign:
                if when.raw(state):
                    return reason
        return None

    def _unfit(self, number: int, state: Evaluation) -> Problem:
        data = state.env["manifest"]
        if not isinstance(data, dict):
            message = f"expected keys and values (`key: value`) and found {kind_of(data)}"
            return self.problem(message, "manifest-invalid", self.top(number))
        said = []
        paths: tuple[Path, ...] = ()
        for mapping in self.mappings:
            for leaf in (mapping.otherwise, mapping.when):
                if isinstance(leaf, Leaf):
                    paths += state.sources(leaf.expression)
            words = mapping.otherwise.build(state) if mapping.otherwise else None
            said.append(as_text(words) if words else f"this is not {mapping.title}")
        message = "; ".join(dict.fromkeys(said))
        return self.problem(message, "version-unknown", self.spot(number, paths))

    def _use(self, number: int, mapping: Mapping) -> None:
        """Check one document and make its entities: all of them, or none when it is broken."""
        before = len(self.made)
        found = self._check(number, mapping)
        try:
            if any(problem.severity is Severity.ERROR for problem in found):
                raise Quarantine(*found)
            self._note(found)
            self._make(number, mapping)
        except Quarantine as quarantine:
            self._broke(number, *quarantine.problems)
            del self.made[before:]

    def _within(self, state: Evaluation, number: int) -> None:
        """Count what a manifest has made; raises Quarantine when its file makes too much."""
        self.leaves += state.leaves
        self.characters += state.characters
        if self.leaves > FILE_LEAF_LIMIT or self.characters > FILE_CHARACTER_LIMIT:
            message = (
                f"the file makes more than {FILE_LEAF_LIMIT:,} values or "
                f"{FILE_CHARACTER_LIMIT:,} characters; split it, or inherit less"
            )
            raise Quarantine(self.problem(message, "mapping-failed", self.top(number)))

    def _check(self, number: int, mapping: Mapping) -> list[Problem]:
        """What is wrong with a document; from here on it holds no secret address."""
        document, part = self.documents[number], self.parts.get(number)
        found = [
            replace(problem, message=masked(problem.message))
            for problem in mapping.schema.problems(document.tree, lambda: document.positions)
        ]
        for message, position in commented(self.file.text or "", document):
            warning = self.problem(message, "comment-for-value", position)
            found.append(replace(warning, severity=Severity.WARNING))
        if part is not None:
            found = [replace(each, message=part.in_words(each.message)) for each in found]
        for path in self._without_secrets(number):
            warning = self.problem(_NOT_PUBLISHED, "secret-address", self.spot(number, (path,)))
            found.append(replace(warning, severity=Severity.WARNING))
        return found

    def _make(self, number: int, mapping: Mapping) -> None:
        try:
            state = self._state(number, mapping)
            if mapping.nested is not None and not self.file.folder:
                mapping.nested.raw(state)  # what it names must not be unknown unsaid
            for entity in mapping.entities:
                for body in entity.element.expand(state):
                    self._keep(number, mapping, entity, state, body)
            state.telling = True
            for element in mapping.warnings:
                for warning in element.expand(state):
                    self._warn(number, warning)
        except EvaluationError as error:
            raise Quarantine(self._failed(error, number)) from None
        self._within(state, number)

    def _keep(
        self, number: int, mapping: Mapping, entity: EntityTemplate, state: Evaluation, body: Json
    ) -> None:
        named = state.given(entity.name.expression) if isinstance(entity.name, Leaf) else iter(())
        paths = tuple(path for path, _ in islice(named, 1))
        position = self.spot(number, paths)
        for key in ("apiVersion", "kind"):
            if key not in body:
                message = f"{mapping.path.name} gives an entity without `{key}`; correct it"
                raise Quarantine(self.problem(message, "mapping-failed", position))
        if "name" not in body.get("metadata", {}):
            raise Quarantine(self._nameless(mapping, entity, paths, number))
        if len(self.made) >= ENTITY_LIMIT:
            message = f"gives more than {ENTITY_LIMIT:,} entities; split the manifest"
            raise Quarantine(self.problem(message, "mapping-failed", position))
        self._unusable(number, entity, state)
        places = tuple(
            (reference, *self.positions(number).value(path)) for reference, path in state.referred
        )
        state.referred.clear()
        # Documents of one file often repeat their team or system word for word.
        if not any(other.body == body for other in self.made):
            self.made.append(Made(body, position, number, places))

    def _unusable(self, number: int, entity: EntityTemplate, state: Evaluation) -> None:
        """Report texts that no reference could be made of; raises Quarantine for a needed one."""
        fields = SPEC_FIELDS.get(entity.kind.lower(), {})
        for name, path in state.unusable:
            message = _nothing_left(_at(self.documents[number].tree, path), "reference")
            found = self.problem(message, "name-unusable", self.spot(number, (path,)))
            if fields.get(name, SpecField()).required:
                raise Quarantine(found)
            self.problems.append(replace(found, severity=Severity.WARNING))
        state.unusable.clear()

    def _nameless(
        self, mapping: Mapping, entity: EntityTemplate, paths: tuple[Path, ...], number: int
    ) -> Problem:
        if paths:
            given = _at(self.documents[number].tree, paths[0])
            message = _nothing_left(given, f"name for the {entity.kind}")
            return self.problem(message, "name-unusable", self.spot(number, paths))
        message = f"{mapping.path.name} gives a {entity.kind} without a name; give it a `when`"
        return self.problem(message, "mapping-failed", self.top(number))

    def _warn(self, number: int, warning: Json) -> None:
        if "message" not in warning:
            return
        at = warning.get("at", warning["message"])
        position = self.spot(number, at.sources if isinstance(at, Traced) else ())
        words = {key: as_text(plain(value)) for key, value in warning.items() if key != "at"}
        found = self.problem(words["message"], words["rule"], position)
        self.problems.append(replace(found, severity=Severity.WARNING))

    def _failed(self, error: EvaluationError, number: int) -> Problem:
        message = f"the mapping at {error.place} cannot use this: {error}"
        return self.problem(message, "mapping-failed", self.spot(number, error.sources))


def _nothing_left(given: Json, what: str) -> str:
    return (
        f"no {what} can be made of {shown(given)}: it takes letters a-z or digits, and too few "
        "of these are. Write it with those, or give it an `id` where the format has one"
    )


def _at(tree: Json, path: Path) -> Json:
    for key in path:
        tree = tree[key]
    return tree
