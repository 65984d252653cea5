"""One manifest file on its way through the mappings that want it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from bridge.errors import NotUnderstood
from bridge.language.filters import EvaluationError, as_text, kind_of
from bridge.language.paths import is_pattern, usable, within
from bridge.language.text import Position, YamlDocument
from bridge.model.entities import Json
from bridge.model.problems import Problem, Severity
from bridge.model.reads import Wanted
from bridge.model.scrape import ManifestFile, Project
from bridge.processors.mapping.comments import commented
from bridge.processors.mapping.defaults import NOTHING, ByKey, GivenDefaults
from bridge.processors.mapping.documents import Documents, Reader, problem_at
from bridge.processors.mapping.files import NESTED_LIMIT, Files, wish
from bridge.processors.mapping.making import Made, Making, Quarantine, failed
from bridge.processors.mapping.mapping_file import Mapping
from bridge.processors.mapping.scope import file_names, project_names
from bridge.processors.mapping.secret_addresses import masked
from bridge.processors.mapping.splitting import (
    PART_LIMIT,
    envelope,
    heads,
    is_whole,
    lends_only,
    parts,
)
from bridge.processors.mapping.templates import Evaluation, Leaf, Path

# What all manifests of one file may make together: inheriting must not make much of little.
FILE_LEAF_LIMIT: Final = 100_000
FILE_CHARACTER_LIMIT: Final = 4_000_000
_NOT_PUBLISHED: Final = (
    "this is a secret address (an incoming webhook, or a password or token in a URL): whoever has "
    "it can use it, so it is not published. Write the channel's own page, and make a new secret"
)


class Foreign(Exception):
    """The file is not meant for us; carries the reason."""


@dataclass(slots=True)
class Work:
    """One file on its way through the mappings that want it.

    `made` and `problems` fill up; `run` raises Quarantine or Foreign when that is the verdict.
    `broken` are the documents, and parts of them, that gave nothing because something is wrong
    with them.
    """

    project: Project
    file: ManifestFile
    mappings: tuple[Mapping, ...]
    read: Reader
    telling: bool = False
    settings: dict[str, Json] = field(default_factory=dict)
    defaults: dict[str, GivenDefaults] = field(default_factory=dict)
    documents: Documents = field(default_factory=Documents)
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
            told = problem_at(f"ignored: {reason}", "document-ignored", self.documents.top(number))
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
        return tuple(self.documents.given.values())

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

    def _read(self) -> list[int]:
        """The numbers of the documents that say something; faults become problems."""
        if self.file.text is None:
            message = f"cannot be used: {self.file.refused or 'it is not text'}; keep it as a plain"
            raise Quarantine(Problem(f"{message} YAML file in the repository", "manifest-refused"))
        try:
            self.documents = Documents.of(self.file.text, self.read)
        except NotUnderstood as error:
            raise Quarantine(error.problem) from None
        for number, document in enumerate(self.documents.read):
            if document.fault is not None:
                self._broke(number, document.fault)
        numbers = [at for at, each in enumerate(self.documents.read) if each.tree is not None]
        if not numbers:
            raise Quarantine(problem_at("the file is empty", "manifest-empty", Position()))
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
        return {**self.names, "manifest": data, "documents": self.documents.trees()}

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
                self._broke(number, failed(error, self.documents, number))
        return chosen, reasons

    def _alone(self, numbers: list[int], chosen: list[tuple[int, Mapping]]) -> None:
        """Raise Quarantine when a mapping that takes one document meets several."""
        if len(numbers) + len(self.broken - set(numbers)) < 2:
            return
        if any(not mapping.many for _, mapping in chosen):
            message = "several documents in one file; keep one and drop the `---` lines"
            second = sorted({*numbers, *self.broken})[1]
            raise Quarantine(problem_at(message, "manifest-invalid", self.documents.start(second)))

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
                whole.append((self.documents.filled(number, given), mapping))
            elif is_whole(document, splits, lenders, given):
                whole.append((number, mapping))
            elif not lends_only(document, splits):
                found = self._parts(number, mapping, lenders, given)
                whole += [(part, mapping) for part in found]
            elif len(lenders) == len(chosen):
                named = " or ".join(f"`{key}`" for key in sorted(heads(splits)))
                message = f"there are shared keys and nothing that they are for: add {named}"
                self._broke(
                    number, problem_at(message, "manifest-invalid", self.documents.top(number))
                )
        for number in {number for number, _ in chosen} - {number for number, _ in whole}:
            self.documents.without_secrets(number)
        return whole

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
        numbers: list[int] = []
        for part in parts(document, mapping.splits, lenders, given):
            if self.documents.made >= PART_LIMIT:
                message = f"holds more than {PART_LIMIT} manifests; split the file"
                self._broke(
                    number, problem_at(message, "manifest-invalid", self.documents.top(number))
                )
                break
            numbers.append(self.documents.add_part(number, part))
        if not numbers and number not in self.broken:
            named = " or ".join(f"`{key}`" for key in sorted(heads(mapping.splits)))
            message = f"there is nothing here: add {named}"
            self._broke(number, problem_at(message, "manifest-invalid", self.documents.top(number)))
        return numbers

    def _note(self, found: list[Problem]) -> None:
        """Add warnings; what several parts inherit is said once."""
        known = set(self.problems)
        self.problems += [problem for problem in found if problem not in known]

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
            return problem_at(message, "manifest-invalid", self.documents.top(number))
        said = []
        paths: tuple[Path, ...] = ()
        for mapping in self.mappings:
            for leaf in (mapping.otherwise, mapping.when):
                if isinstance(leaf, Leaf):
                    paths += state.sources(leaf.expression)
            words = mapping.otherwise.build(state) if mapping.otherwise else None
            said.append(as_text(words) if words else f"this is not {mapping.title}")
        message = "; ".join(dict.fromkeys(said))
        return problem_at(message, "version-unknown", self.documents.spot(number, paths))

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
            raise Quarantine(problem_at(message, "mapping-failed", self.documents.top(number)))

    def _check(self, number: int, mapping: Mapping) -> list[Problem]:
        """What is wrong with a document; from here on it holds no secret address."""
        document, part = self.documents[number], self.documents.parts.get(number)
        found = [
            replace(problem, message=masked(problem.message))
            for problem in mapping.schema.problems(document.tree, lambda: document.positions)
        ]
        for message, position in commented(self.file.text or "", document):
            warning = problem_at(message, "comment-for-value", position)
            found.append(replace(warning, severity=Severity.WARNING))
        if part is not None:
            found = [replace(each, message=part.in_words(each.message)) for each in found]
        for path in self.documents.without_secrets(number):
            warning = problem_at(
                _NOT_PUBLISHED, "secret-address", self.documents.spot(number, (path,))
            )
            found.append(replace(warning, severity=Severity.WARNING))
        return found

    def _make(self, number: int, mapping: Mapping) -> None:
        try:
            state = self._state(number, mapping)
            if mapping.nested is not None and not self.file.folder:
                mapping.nested.raw(state)  # what it names must not be unknown unsaid
            Making(self.documents, number, mapping, state, self.made, self.problems).run()
        except EvaluationError as error:
            raise Quarantine(failed(error, self.documents, number)) from None
        self._within(state, number)
