"""Mappings at work: what a file becomes, and from where in it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

import structlog

from bridge.caching.interning import interned
from bridge.errors import ConfigurationError
from bridge.language.codeowners import PLACES, owners_of_everything
from bridge.language.filters import EvaluationError
from bridge.language.paths import is_pattern, within
from bridge.language.text import Position, read_each
from bridge.model.entities import Draft
from bridge.model.group_defaults import DefaultsPlace
from bridge.model.manifests import CodeOwners, Translation, Verdict, as_data
from bridge.model.numbers import mark_of
from bridge.model.problems import Problem
from bridge.model.reads import ReadKind, Reads, Wanted
from bridge.model.scrape import ManifestFile, Project, in_repositories
from bridge.processors.mapping.defaults import NOTHING, Defaults, GivenDefaults, anything, inherited
from bridge.processors.mapping.defaults_file import read_defaults
from bridge.processors.mapping.documents import OpenTexts, Reader, problem_at
from bridge.processors.mapping.explaining import MappingExplanation, explanation
from bridge.processors.mapping.files import written_path
from bridge.processors.mapping.making import Quarantine
from bridge.processors.mapping.mapping_file import Mapping
from bridge.processors.mapping.templates import plain
from bridge.processors.mapping.work import Foreign, Work

Found = TypeVar("Found")

log = structlog.get_logger()

# Part of every fingerprint: raise it when the same mapping gives something else.
LANGUAGE: Final = "5"
_CODE_OWNERS: Final = Wanted(texts=frozenset(PLACES), spare=frozenset(PLACES))
_MOST_CODE_OWNERS: Final = 10


@dataclass(frozen=True, slots=True)
class Mappings:
    """The loaded mappings; a `bridge.ports.Translator`.

    `notes` are their authors' mistakes with which they can be used. `defaults` are what manifests
    inherit from their groups.
    """

    all: tuple[Mapping, ...]
    notes: tuple[Problem, ...] = ()
    find_definitions: bool = False
    defaults: Defaults = field(default_factory=Defaults)
    _digests: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict, compare=False)
    _texts: OpenTexts = field(default_factory=OpenTexts, compare=False)

    @property
    def files(self) -> tuple[str, ...]:
        """The file names that the mappings want, each once, in the mappings' order."""
        return tuple(dict.fromkeys(name for mapping in self.all for name in mapping.files))

    def wanting(self, file: ManifestFile) -> tuple[Mapping, ...]:
        """The mappings that want a file, by its name alone."""
        name = file.path.rpartition("/")[2]
        return tuple(mapping for mapping in self.all if name in mapping.files)

    def with_defaults(self, defaults: Defaults) -> Mappings:
        """The same mappings, with these defaults in force."""
        return replace(self, defaults=defaults)

    def with_file(
        self, source: str, place: DefaultsPlace, text: str | None
    ) -> tuple[Mappings, tuple[Problem, ...]]:
        """The mappings with a source's own defaults: see `bridge.model.group_defaults`."""
        mark = mark_of(source)
        written = None if text is None else (str(place), text)
        if self.defaults.texts.get(mark) == written:
            return self, ()
        try:
            found = {} if text is None else read_defaults(text, str(place), self.all)
        except ConfigurationError as error:
            here = {"project": place.project, "file": place.path}
            return self, tuple(each.at(**here) for each in error.problems)
        return self.with_defaults(self.defaults.with_source(mark, found, written)), ()

    def groups(self, source: str) -> dict[str, str]:
        """The groups of a source that have defaults, and what names theirs."""
        return self.defaults.digests(mark_of(source))

    def fingerprint(self, project: Project, file: ManifestFile) -> str:
        """Names the blob, the mappings that want it, and the project's fields that they read."""
        digest, uses = self._digest(file)
        fields = [repr(getattr(project, key)) for key in uses]
        parts = (LANGUAGE, digest, file.path, file.oid, file.refused, *fields, *self._read(file))
        parts += tuple(f"{name} {each.digest}" for name, each in self._given(project, file).items())
        return hashlib.blake2b(
            "\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16
        ).hexdigest()

    def _read(self, file: ManifestFile) -> tuple[str, ...]:
        """What a translation depends on besides the file itself."""
        found = (str(self.find_definitions),) if self.find_definitions else ()
        return (*found, file.reads.digest) if file.reads.digest else found

    def _given(self, project: Project, file: ManifestFile) -> dict[str, GivenDefaults]:
        """What a file may inherit from its groups, by mapping."""
        if not self.defaults:
            return {}
        found = {each.id: self.defaults.of(project, each.id) for each in self.wanting(file)}
        return {name: given for name, given in found.items() if given is not NOTHING}

    def lacking(self, project: Project, file: ManifestFile) -> tuple[str, ...]:
        """The keys that a file does not have and that defaults for its groups could give."""
        work = self._at_work(project, file, read_each)
        work.defaults = {each.id: anything(each.inheritable) for each in self.wanting(file)}
        return tuple(each.key for each in inherited(_or_nothing(work.inheriting, ())))

    @property
    def reads(self) -> str:
        """Names what the mappings want to be read of a repository besides; "" for nothing."""
        wanting = [each.digest for each in self.all if each.reads or each.nested]
        return "+".join([*wanting, str(self.find_definitions), *PLACES]) if wanting else ""

    @property
    def usual(self) -> tuple[str, ...]:
        """Paths that are looked for whatever a manifest says, from a repository's root."""
        if not self.reads:
            return ()
        always = (e for mapping in self.all for e in mapping.reads if not (e.when or e.each))
        written = map(written_path, always)
        inside = (within("", path) for path in written if path is not None)
        paths = (path for path in inside if path and not is_pattern(path))
        return tuple(sorted({*PLACES, *paths}))

    def depends(self, project: Project, file: ManifestFile) -> str:
        """Names what the wishes of a manifest depend on besides its text: its groups' defaults."""
        if not any(each.reads or each.nested for each in self.wanting(file)):
            return ""
        return " ".join(each.digest for each in self._given(project, file).values())

    def is_manifest(self, path: str) -> bool:
        """Whether a mapping wants files of this name."""
        return path.rpartition("/")[2] in in_repositories(self.files)

    def wanted(self, project: Project, file: ManifestFile) -> Wanted:
        """What a manifest wants to be read besides; CODEOWNERS alone for one that cannot be used.

        Which owners are unknown shows when all is merged: too late to read of those alone.
        """
        work = self._at_work(project, file, self._texts.open)
        manifests: tuple[str, ...] = () if file.folder else _or_nothing(work.nested, ())
        return _or_nothing(work.wanted, Wanted()) | replace(_CODE_OWNERS, manifests=manifests)

    def _at_work(
        self, project: Project, file: ManifestFile, read: Reader, *, telling: bool = False
    ) -> Work:
        settings = {"find_definitions": self.find_definitions}
        given = self._given(project, file)
        return Work(project, file, self.wanting(file), read, telling, settings, given)

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
        work = self._at_work(project, file, self._texts.close, telling=telling)
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
                work.problems.append(problem_at(message, "mapping-broke", Position()))
                verdict = Verdict.QUARANTINED
                work.made.clear()
        return self._translation(work, verdict, reason), work

    def explain(self, project: Project, file: ManifestFile) -> MappingExplanation:
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
            as_data(work.documents.trees()),
            tuple(problem.at(**place) for problem in work.problems),
            reason,
            partial=verdict is Verdict.VALID and bool(work.broken),
            inherited=inherited(work.documents.given.values()) if verdict is Verdict.VALID else (),
            code_owners=_code_owners(work.file.reads),
        )


def _or_nothing(ask: Callable[[], Found], nothing: Found) -> Found:
    """What a manifest wants; what is wrong with it is told when it is translated."""
    try:
        return ask()
    except (Quarantine, Foreign, EvaluationError):
        return nothing
    except Exception:  # whatever a mapping does, the pass goes on
        log.exception("A mapping broke", action="mapping_broke")
        return nothing


def _code_owners(reads: Reads) -> CodeOwners | None:
    """Whom CODEOWNERS names for everything: GitLab takes the first file that is there."""
    there = (found for path in PLACES if (found := reads.files.get(path)))
    file = next((each for each in there if each.kind is ReadKind.FILE), None)
    handles = owners_of_everything(file.text) if file is not None and file.text else ()
    return CodeOwners(file.path, handles[:_MOST_CODE_OWNERS]) if file and handles else None


def _drafts(work: Work) -> Iterator[Draft]:
    for made in work.made:
        body = plain(made.body) if work.telling else made.body
        line, column = made.position.line, made.position.column
        document = work.documents.origin(made.document)
        yield Draft(interned(body), line, column, made.places, document)
