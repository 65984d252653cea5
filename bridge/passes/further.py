"""What to read of a repository besides its root's manifests: asked of the mappings, kept in the
store.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from hashlib import blake2b

from bridge.language.paths import is_pattern, usable, within
from bridge.model.definitions import blob_of, definition_of
from bridge.model.memory import KnownManifest
from bridge.model.numbers import mark_in
from bridge.model.problems import Problem, Severity
from bridge.model.reads import KeptReads, KnownReads, ReadKind, Reads, Wanted
from bridge.model.scrape import ManifestFile, Project, ProjectRead, Record
from bridge.passes.interfaces import ModelStore, ReadStore
from bridge.ports import ReadingTranslator, Translator


@dataclass(frozen=True, slots=True)
class Further:
    """A `bridge.model.scrape.FurtherReads`. `nested` are (glob of project paths, patterns)."""

    source: str
    store: ReadStore
    reading: ReadingTranslator
    nested_in: tuple[tuple[str, tuple[str, ...]], ...] = ()
    _wanted: dict[str, tuple[str, ...]] = field(default_factory=dict, compare=False)

    @property
    def usual(self) -> tuple[str, ...]:
        """Paths that are looked for in most repositories."""
        return self.reading.usual

    async def known(self, ids: Sequence[int]) -> Mapping[int, KnownReads]:
        """What was read of projects before. Raises `StoreError`."""
        return await self.store.known(self.source, ids)

    async def texts(self, project_id: int, oids: Sequence[str]) -> Mapping[str, str]:
        """The texts of blobs that were read before. Raises `StoreError`."""
        return await self.store.texts(self.source, project_id, oids)

    def key(self, project: Project, files: Sequence[ManifestFile]) -> str:
        """Names what may be wanted of a project; "" for nothing."""
        nested = self._by_settings(project)
        if not nested and not (files and self.reading.reads):
            return ""
        parts = [self.reading.reads, *nested, *(f"{file.path} {file.oid}" for file in files)]
        parts += filter(None, (self.reading.depends(project, file) for file in files))
        text = "\0".join(parts)
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    def is_manifest(self, path: str) -> bool:
        """Whether a mapping wants files of this name."""
        return self.reading.is_manifest(path)

    def wanted(self, project: Project, files: Sequence[ManifestFile]) -> Wanted:
        """What these manifests want to be read besides, and the settings of such a project."""
        found = Wanted(manifests=self._by_settings(project))
        for file in files:
            if file.text is not None:
                found |= self.reading.wanted(project, file)
        return found

    def _by_settings(self, project: Project) -> tuple[str, ...]:
        return nested_by(self.nested_in, project.path)


def nested_by(settings: Iterable[tuple[str, tuple[str, ...]]], path: str) -> tuple[str, ...]:
    """The patterns of nested manifests that the settings have for a project."""
    lowered = path.lower()
    return tuple(
        found
        for glob, patterns in settings
        if fnmatchcase(lowered, glob.lower())
        for pattern in patterns
        if (found := within("", pattern)) and (usable(found) or not is_pattern(found))
    )


def further(
    source: str,
    store: ReadStore,
    translator: Translator,
    nested: tuple[tuple[str, tuple[str, ...]], ...],
) -> Further | None:
    """What tells a scraper what else to read; None where nobody wants anything else."""
    if not isinstance(translator, ReadingTranslator) or not (translator.reads or nested):
        return None
    return Further(source, store, translator, nested)


async def whole(records: Iterable[Record], source: str, model: ModelStore) -> list[Record]:
    """The records with what they left in the store, for whoever translates them."""
    given = list(records)
    texts = await texts_left([e for e in given if isinstance(e, ProjectRead)], source, model)
    return [with_texts(each, texts) if isinstance(each, ProjectRead) else each for each in given]


async def texts_left(
    reads: Sequence[ProjectRead], source: str, model: ModelStore
) -> Mapping[str, str]:
    """The texts that records left in the store, by object id: one query. Raises `StoreError`."""
    ids = [each.project.id for each in reads if lacks_texts(each)]
    return await model.reads.texts_of(source, ids) if ids else {}


def lacks_texts(record: ProjectRead) -> list[str]:
    """The ids of the blobs whose texts a record leaves in the store."""
    files = record.reads.files.values() if record.reads is not None else ()
    return sorted({file.oid for file in files if file.kept and file.text is None})


def with_texts(record: ProjectRead, texts: Mapping[str, str]) -> ProjectRead:
    """The record with the texts that it left in the store."""
    if record.reads is None or not texts:
        return record
    reads = Reads(
        {
            path: replace(file, text=texts.get(file.oid)) if file.kept else file
            for path, file in record.reads.files.items()
        }
    )
    files = tuple(
        replace(file, reads=reads, text=texts.get(file.oid, file.text) if file.kept else file.text)
        for file in record.files
    )
    return replace(record, files=files, reads=reads)


def kept_of(record: ProjectRead, manifests: Iterable[KnownManifest]) -> KeptReads:
    """What is to be kept of a record; `manifests` is what is known of its project by now."""
    assert record.reads is not None
    drafts = (
        draft
        for each in manifests
        for translation in (each.current, each.good)
        if translation is not None
        for draft in translation.drafts
    )
    paths = (definition_of(draft.body) for draft in drafts)
    needed = frozenset(blob_of(path)[0] for path in paths if path is not None)
    return KeptReads(record.project.id, record.tip, record.reads_key, record.reads, needed)


def cut_short(record: ProjectRead) -> tuple[Problem, ...]:
    """What to say of patterns that mean more than was read."""
    files = record.reads.files.values() if record.reads is not None else ()
    return tuple(
        Problem(
            f"{file.path}: {file.refused}; the others are not read. Name fewer, or say more "
            "exactly which are meant",
            "reads-cut",
            Severity.WARNING,
            project=record.project.path,
            gitlab=mark_in(record.project.id),
        )
        for file in files
        if file.kind is ReadKind.GLOB and file.refused
    )
