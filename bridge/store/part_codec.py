"""What came of a part of a sweep, to packed JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from bridge.model.entities import Json
from bridge.model.memory import KnownProject
from bridge.model.reads import ReadFile, ReadKind, Reads
from bridge.model.runs import Artifact, Stage
from bridge.model.scrape import (
    Gap,
    ManifestFile,
    Observation,
    Project,
    ProjectGone,
    ProjectRead,
    ProjectSkipped,
    Record,
)
from bridge.model.work import PartRead, RenderedShard
from bridge.store.codec import (
    Undecodable,
    decode_project,
    decode_translation,
    encode_project,
    encode_translation,
    pack,
    unpack,
)
from bridge.store.model_codec import dumped, loaded

_READ, _SKIPPED, _GONE, _GAP = "read", "skipped", "gone", "gap"


def encode_part(read: PartRead) -> bytes:
    """Packed JSON."""
    tree = {
        "records": [_record_tree(each) for each in read.records],
        "translations": {key: encode_translation(t) for key, t in read.translations.items()},
        "requests": read.requests,
        "cut": read.cut,
        "put": list(read.put),
        "shards": [_shard_tree(each) for each in read.shards],
    }
    return pack(dumped(tree))


def decode_part(packed: bytes) -> PartRead:
    """What was encoded. Raises `Undecodable`."""
    try:
        tree = loaded(unpack(packed))
        return PartRead(
            tuple(_record(each) for each in tree["records"]),
            {key: decode_translation(text) for key, text in tree["translations"].items()},
            int(tree["requests"]),
            bool(tree["cut"]),
            tuple(map(str, tree["put"])),
            tuple(_shard(*each) for each in tree["shards"]),
        )
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise Undecodable(f"expected what was read of a part ({error!r})") from error


def _shard_tree(shard: RenderedShard) -> list[Any]:
    files = [[e.path, e.content_type, e.stage.value, e.body.decode()] for e in shard.files]
    return [shard.bits, shard.entities, files, list(shard.definitions)]


def _shard(bits: str, entities: int, files: list[Any], definitions: list[str]) -> RenderedShard:
    made = (Artifact(path, text.encode(), type_, Stage(to)) for path, type_, to, text in files)
    return RenderedShard(bits, int(entities), tuple(made), tuple(definitions))


def _record_tree(record: Record) -> list[Any]:
    if isinstance(record, ProjectRead):
        return [_READ, _project_text(record.project), _read_tree(record)]
    if isinstance(record, ProjectSkipped):
        return [_SKIPPED, _project_text(record.project), record.reason]
    if isinstance(record, ProjectGone):
        return [_GONE, record.project_id, record.reason]
    if isinstance(record, Gap):
        return [_GAP, record.project_id, record.path, record.reason]
    raise TypeError(f"a {type(record).__name__} is not what a part is made of")


def _record(tree: list[Any]) -> Record:
    kind, *rest = tree
    if kind == _READ:
        return _read(_project(rest[0]), rest[1])
    if kind == _SKIPPED:
        return ProjectSkipped(_project(rest[0]), str(rest[1]))
    if kind == _GONE:
        return ProjectGone(int(rest[0]), str(rest[1]))
    if kind == _GAP:
        number, path, reason = rest
        return Gap(str(reason), None if number is None else int(number), str(path))
    raise Undecodable(f"{kind!r} is no kind of record")


def _project_text(project: Project) -> str:
    return encode_project(KnownProject(project, None))


def _project(text: str) -> Project:
    return decode_project(text, "", "").project


def _read_tree(record: ProjectRead) -> dict[str, Json]:
    tree: dict[str, Any] = {
        "files": [_file_tree(each, record.reads) for each in record.files],
        "tip": record.tip,
        "reads_key": record.reads_key,
    }
    if record.reads is not None:
        tree["reads"] = _reads_tree(record.reads)
    if (seen := record.observation) is not None:
        at = seen.seen_at.isoformat()
        tree["seen"] = [seen.project_id, at, seen.values, seen.unknown]
        tree["seen"] += [seen.unreadable, seen.catalog_info]
    return tree


def _read(project: Project, tree: Mapping[str, Any]) -> ProjectRead:
    reads = _reads(tree["reads"]) if "reads" in tree else None
    return ProjectRead(
        project,
        tuple(_file(each, reads) for each in tree["files"]),
        _observation(*tree["seen"]) if "seen" in tree else None,
        tree["tip"],
        reads,
        tree["reads_key"],
    )


def _observation(
    number: int, at: str, values: dict[str, Json], unknown: dict[str, str], *rest: str
) -> Observation:
    return Observation(number, datetime.fromisoformat(at), values, unknown, *rest)


def _file_tree(file: ManifestFile, shared: Reads | None) -> list[Any]:
    """A file; its reads are mostly those of its project, and then stand there alone."""
    own: Any = _reads_tree(file.reads) if file.reads != shared else None
    return [file.path, file.oid, file.size, file.text, file.refused, file.kept, own]


def _file(tree: list[Any], shared: Reads | None) -> ManifestFile:
    path, oid, size, text, refused, kept, own = tree
    reads = _reads(own) if own is not None else shared or Reads()
    return ManifestFile(path, oid, size, text, refused, reads, kept)


def _reads_tree(reads: Reads) -> list[Json]:
    return [asdict(each) for each in reads.files.values()]


def _reads(tree: list[dict[str, Any]]) -> Reads:
    files = (ReadFile(**{**each, "kind": ReadKind(each["kind"])}) for each in tree)
    return Reads({each.path: each for each in files})
