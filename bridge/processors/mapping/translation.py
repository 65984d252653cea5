"""Translates manifest files by the loaded mappings. Nothing a manifest says makes this raise."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import quote

import structlog

from bridge.caching.interning import shared
from bridge.errors import NotUnderstood
from bridge.language import text
from bridge.language.filters import EvaluationError, as_text, kind_of
from bridge.language.text import Position, Positions
from bridge.model.entities import Draft, Json
from bridge.model.manifests import Translation, Verdict, as_data
from bridge.model.problems import Problem, Severity
from bridge.model.scrape import ManifestFile, Project
from bridge.processors.mapping.compiling import EntityTemplate
from bridge.processors.mapping.explaining import Explanation, explanation
from bridge.processors.mapping.loading import Mapping
from bridge.processors.mapping.templates import Leaf, Path, State, Traced, plain

log = structlog.get_logger()

ENTITY_LIMIT: Final = 200
# Part of every fingerprint: raise it when the same mapping gives something else.
LANGUAGE: Final = "1"


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


@dataclass(slots=True)
class Work:
    """One file on its way through the mappings that want it.

    `made` and `problems` fill up; `run` raises Quarantine or Foreign when that is the verdict.
    """

    project: Project
    file: ManifestFile
    mappings: tuple[Mapping, ...]
    telling: bool = False
    documents: tuple[Json, ...] = ()
    used: dict[str, None] = field(default_factory=dict)
    made: list[Made] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    places: tuple[Positions, ...] = ()

    def run(self) -> None:
        """Read, choose the mapping, check, evaluate: every document."""
        if self.file.text is None:
            message = f"cannot be used: {self.file.refused or 'it is not text'}; keep it as a plain"
            raise Quarantine(Problem(f"{message} YAML file in the repository", "manifest-refused"))
        try:
            self.documents, self.places = text.read(self.file.text)
        except NotUnderstood as error:
            raise Quarantine(error.problem) from None
        numbers = [at for at, data in enumerate(self.documents) if data is not None]
        if not numbers:
            raise Quarantine(self.problem("the file is empty", "manifest-empty", Position()))
        chosen = self._choose(numbers)
        for number, mapping in chosen:
            if not mapping.many and len(numbers) > 1:
                message = "several documents in one file; keep one and drop the `---` lines"
                raise Quarantine(self.problem(message, "manifest-invalid", self.top(numbers[1])))
            self.used[mapping.id] = None
            self._check(number, mapping)
        if any(problem.severity is Severity.ERROR for problem in self.problems):
            raise Quarantine
        for number, mapping in chosen:
            self._make(number, mapping)

    def positions(self, document: int) -> Positions:
        """Where things stand in one document; nowhere in a text that could not be read."""
        return self.places[document] if document < len(self.places) else Positions()

    def top(self, document: int) -> Position:
        """Where a document begins."""
        return self.positions(document).value(())

    def spot(self, document: int, paths: tuple[Path, ...]) -> Position:
        """Where the first of the paths stands; the document's top without any."""
        return self.positions(document).value(paths[0] if paths else ())

    def problem(self, message: str, rule: str, position: Position) -> Problem:
        """A problem at a position of the manifest."""
        return Problem(message, rule, line=position.line, column=position.column)

    def _env(self, data: Json) -> dict[str, Json]:
        return {
            "manifest": data,
            "project": project_names(self.project),
            "file": file_names(self.project, self.file),
        }

    def _choose(self, numbers: list[int]) -> list[tuple[int, Mapping]]:
        """The mapping of each document; raises Foreign when all of them are somebody else's."""
        chosen: list[tuple[int, Mapping]] = []
        reasons: list[str] = []
        problems: list[Problem] = []
        for number in numbers:
            state = State(self._env(self.documents[number]), {})
            try:
                mapping = self._wanting(state)
                reason = None if mapping else self._reason(state)
                if mapping is not None:
                    chosen.append((number, mapping))
                elif reason is not None:
                    reasons.append(reason)
                else:
                    problems.append(self._unfit(number, state))
            except EvaluationError as error:
                raise Quarantine(self._failed(error, number)) from None
        if problems:
            # Documents of one file are mostly wrong in the same way: once is enough to act on.
            raise Quarantine(*{problem.message: problem for problem in reversed(problems)}.values())
        if not chosen:
            raise Foreign(reasons[0])
        return chosen

    def _wanting(self, state: State) -> Mapping | None:
        for mapping in self.mappings:
            if mapping.when is None or mapping.when.raw(state):
                return mapping
        return None

    def _reason(self, state: State) -> str | None:
        for mapping in self.mappings:
            for when, reason in mapping.foreign:
                if when.raw(state):
                    return reason
        return None

    def _unfit(self, number: int, state: State) -> Problem:
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

    def _check(self, number: int, mapping: Mapping) -> None:
        self.problems += mapping.schema.problems(
            self.documents[number], lambda: self.positions(number)
        )

    def _make(self, number: int, mapping: Mapping) -> None:
        state = State(
            self._env(self.documents[number]),
            {name: leaf.expression for name, leaf in mapping.lets},
            self.telling,
        )
        try:
            for name, leaf in mapping.lets:
                state.env[name] = leaf.raw(state)
            for entity in mapping.entities:
                for body in entity.element.expand(state):
                    self._keep(number, mapping, entity, state, body)
            state.telling = True
            for element in mapping.warnings:
                for warning in element.expand(state):
                    self._warn(number, warning)
        except EvaluationError as error:
            raise Quarantine(*self.problems, self._failed(error, number)) from None

    def _keep(
        self, number: int, mapping: Mapping, entity: EntityTemplate, state: State, body: Json
    ) -> None:
        paths = state.sources(entity.name.expression) if isinstance(entity.name, Leaf) else ()
        position = self.spot(number, paths)
        for key in ("apiVersion", "kind"):
            if key not in body:
                message = f"{mapping.path.name} gives an entity without `{key}`; correct it"
                raise Quarantine(*self.problems, self.problem(message, "mapping-failed", position))
        if "name" not in body.get("metadata", {}):
            raise Quarantine(*self.problems, self._nameless(mapping, entity, paths, position))
        if len(self.made) >= ENTITY_LIMIT:
            message = f"gives more than {ENTITY_LIMIT} entities; split the manifest"
            raise Quarantine(*self.problems, self.problem(message, "mapping-failed", position))
        # Documents of one file often repeat their team or system word for word.
        if not any(other.body == body for other in self.made):
            self.made.append(Made(body, position, number))

    def _nameless(
        self, mapping: Mapping, entity: EntityTemplate, paths: tuple[Path, ...], position: Position
    ) -> Problem:
        if paths:
            message = (
                f"no name for the {entity.kind} can be made of this; use letters a-z or digits"
            )
            return self.problem(message, "name-unusable", position)
        message = f"{mapping.path.name} gives a {entity.kind} without a name; give it a `when`"
        return self.problem(message, "mapping-failed", position)

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


def project_names(project: Project) -> dict[str, Json]:
    """What `project` stands for in expressions; what is not known is null."""
    return {
        "id": project.id,
        "path": project.path,
        "name": project.name,
        "web_url": project.web_url or None,
        "default_branch": project.default_branch or None,
        "description": project.description or None,
        "visibility": project.visibility or None,
        "topics": list(project.topics),
    }


def file_names(project: Project, file: ManifestFile) -> dict[str, Json]:
    """What `file` stands for; the URLs are null for a checkout without a remote."""
    names: dict[str, Json] = {"path": file.path, "name": file.path.rpartition("/")[2]}
    for key, verb in (("url", "blob"), ("edit_url", "edit"), ("raw_url", "raw")):
        names[key] = None
        if project.web_url and project.default_branch:
            rest = quote(f"{project.default_branch}/{file.path}", safe="/")
            names[key] = f"{project.web_url}/-/{verb}/{rest}"
    return names


@dataclass(frozen=True, slots=True)
class Mappings:
    """The loaded mappings; a `bridge.ports.Translator`."""

    all: tuple[Mapping, ...]
    _digests: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict, compare=False)

    @property
    def files(self) -> tuple[str, ...]:
        """The file names that the mappings want, each once, in the mappings' order."""
        return tuple(dict.fromkeys(name for mapping in self.all for name in mapping.files))

    def wanting(self, file: ManifestFile) -> tuple[Mapping, ...]:
        """The mappings that want a file, by its name alone."""
        name = file.path.rpartition("/")[2]
        return tuple(mapping for mapping in self.all if name in mapping.files)

    def fingerprint(self, project: Project, file: ManifestFile) -> str:
        """Names the blob, the mappings that want it, and the project's fields that they read."""
        digest, uses = self._digest(file)
        fields = [repr(getattr(project, key)) for key in uses]
        parts = (LANGUAGE, digest, file.path, file.oid, file.refused, *fields)
        return hashlib.blake2b(
            "\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16
        ).hexdigest()

    def _digest(self, file: ManifestFile) -> tuple[str, tuple[str, ...]]:
        name = file.path.rpartition("/")[2]
        known = self._digests.get(name)
        if known is None:
            wanting = self.wanting(file)
            uses = sorted({key for mapping in wanting for key in mapping.uses})
            known = ("+".join(mapping.digest for mapping in wanting), tuple(uses))
            self._digests[name] = known
        return known

    def translate(self, project: Project, file: ManifestFile) -> Translation:
        """What a manifest file becomes; every problem is in it, placed in project and file."""
        return self.work(project, file)[0]

    def work(
        self, project: Project, file: ManifestFile, *, telling: bool = False
    ) -> tuple[Translation, Work]:
        """The translation and how it came about; with `telling`, values know their sources."""
        wanting = self.wanting(file)
        work = Work(project, file, wanting, telling)
        verdict, reason = Verdict.VALID, ""
        if not wanting:
            verdict, reason = Verdict.IGNORED, "no mapping wants a file of this name"
        else:
            try:
                work.run()
            except Quarantine as quarantine:
                known = set(work.problems)
                work.problems += [each for each in quarantine.problems if each not in known]
                verdict = Verdict.QUARANTINED
                work.made.clear()
            except Foreign as foreign:
                verdict, reason = Verdict.IGNORED, str(foreign)
            except Exception as error:  # whatever a mapping does, the pass goes on
                log.exception("A mapping broke", action="mapping_broke", file=file.path)
                names = ", ".join(work.used or dict.fromkeys(each.id for each in wanting))
                message = (
                    f"the mapping {names} broke on this ({type(error).__name__}); what was known "
                    "of it is kept. The log says where: tell whoever looks after the mappings"
                )
                work.problems.append(work.problem(message, "mapping-broke", Position()))
                verdict = Verdict.QUARANTINED
                work.made.clear()
        return self._translation(work, verdict, reason), work

    def explain(self, project: Project, file: ManifestFile) -> Explanation:
        """Translate, and say for every field of every entity where it comes from."""
        translation, work = self.work(project, file, telling=True)
        return explanation(translation, work)

    def _translation(self, work: Work, verdict: Verdict, reason: str) -> Translation:
        place = {"project": work.project.path, "file": work.file.path}
        return Translation(
            verdict,
            self.fingerprint(work.project, work.file),
            "+".join(work.used),
            tuple(_drafts(work)),
            as_data(work.documents),
            tuple(problem.at(**place) for problem in work.problems),
            reason,
        )


def _drafts(work: Work) -> Iterator[Draft]:
    for made in work.made:
        body = plain(made.body) if work.telling else made.body
        yield Draft(shared(body), made.position.line, made.position.column)
