"""Between what is known and the rows of the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Row

from bridge.errors import StoreError
from bridge.model.memory import KnownManifest, KnownProject, ManifestKey
from bridge.model.problems import Problem
from bridge.model.runs import Artifact, Report
from bridge.model.statements import Statement, StoredEntity
from bridge.store import codec, model_codec
from bridge.store.sources import source_name
from bridge.store.tables import manifests

Item = TypeVar("Item")
Values: TypeAlias = dict[str, Any]

# In the order of `KnownManifest`.
manifest_columns = tuple(
    manifests.c[name]
    for name in [
        "project_id",
        "file",
        "oid",
        "current",
        "held_since",
        "good",
        "good_oid",
        "broken_since",
    ]
)
_ADVICE = (
    "Nothing was changed. Restore the store from a backup; or, if everything in the source can be "
    "read now, remove this row and run again, and it is read anew"
)


def project_rows(source_id: int, known: Iterable[KnownProject]) -> list[Values]:
    """Rows to write. Raises `StoreError` that names the project that JSON cannot hold."""
    rows: list[Values] = []
    for each in known:
        try:
            body = codec.encode_project(each)
        except (TypeError, ValueError) as error:
            raise _unstorable(f"project {each.project.path!r}", error) from error
        rows.append(
            {
                "source_id": source_id,
                "project_id": each.project.id,
                "read_at": codec.moment_text(each.read_at),
                "gap_since": codec.moment_text(each.gap_since),
                "body": body,
                "path": source_name(each.project.path.lower()).replace("\0", ""),
            }
        )
    return rows


def manifest_rows(source_id: int, known: Iterable[KnownManifest]) -> list[Values]:
    """Rows to write. Raises `StoreError` that names the manifest that JSON cannot hold."""
    rows: list[Values] = []
    for each in known:
        try:
            current = codec.encode_translation(each.current)
            good = codec.encode_translation(each.good) if each.good is not None else None
        except (TypeError, ValueError, RecursionError) as error:
            raise _unstorable(f"{each.file!r} of project {each.project_id}", error) from error
        rows.append(
            {
                "source_id": source_id,
                "project_id": each.project_id,
                "file": each.file,
                "oid": each.oid,
                "good_oid": each.good_oid,
                "held_since": codec.moment_text(each.held_since),
                "broken_since": codec.moment_text(each.broken_since),
                "current": current,
                "good": good,
                "fingerprint": each.current.fingerprint,
            }
        )
    return rows


def known_projects(rows: Sequence[Row[Any]]) -> dict[int, KnownProject]:
    """What rows say. Raises `StoreError` that names the row that cannot be understood."""
    known: dict[int, KnownProject] = {}
    for row in rows:
        try:
            known[row.project_id] = codec.decode_project(row.body, row.read_at, row.gap_since)
        except codec.Undecodable as error:
            what = f"what is stored of project {row.project_id} (table fester_projects)"
            raise unreadable(what, error) from error
    return known


def known_manifests(rows: Sequence[Any]) -> dict[ManifestKey, KnownManifest]:
    """What rows say. Raises `StoreError` that names the row that cannot be understood."""
    known: dict[ManifestKey, KnownManifest] = {}
    for row in rows:
        project_id, file, *_ = row
        try:
            known[project_id, file] = _known_manifest(row)
        except codec.Undecodable as error:
            what = f"what is stored of {file!r} of project {project_id} (table fester_manifests)"
            raise unreadable(what, error) from error
    return known


def _known_manifest(row: Sequence[Any]) -> KnownManifest:
    project_id, file, oid, current, held_since, good, good_oid, broken_since = row
    return KnownManifest(
        project_id,
        file,
        oid,
        codec.decode_translation(current),
        codec.moment_of(held_since),
        codec.decode_translation(good) if good is not None else None,
        good_oid,
        codec.moment_of(broken_since),
    )


def packed_report(report: Report) -> bytes:
    """A report as it is stored. Raises `StoreError`."""
    try:
        return codec.pack(codec.encode_report(report))
    except (TypeError, ValueError) as error:
        raise _unstorable("the report", error) from error


def stored_report(number: int, packed: bytes) -> Report:
    """A report as it was. Raises `StoreError`."""
    try:
        return codec.decode_report(codec.unpack(packed))
    except codec.Undecodable as error:
        raise unreadable(f"the report {number} (table fester_passes)", error) from error


def _unstorable(what: str, error: Exception) -> StoreError:
    return StoreError(
        f"{what} cannot be stored: {error}. Nothing was saved of this pass; "
        "take out the value that JSON cannot hold and run again"
    )


def unreadable(what: str, error: Exception) -> StoreError:
    """The error about a row that cannot be understood."""
    return StoreError(f"{what} cannot be understood: {error}. {_ADVICE}")


def stored_statement(row: Any) -> Statement:
    """What a row says. Raises `StoreError` that names the row that cannot be understood."""
    return _understood(model_codec.statement, row, f"what is said of {row.ref}", "statements")


def stored_entity(row: Any) -> StoredEntity:
    """What a row says. Raises `StoreError` that names the row that cannot be understood."""

    def made(row: Any) -> StoredEntity:
        entity = model_codec.entity(row.ref, row.body)
        merged = entity
        if row.merged is not None:
            merged = replace(entity, body=model_codec.loaded(row.merged))
        return StoredEntity(entity, row.digest, row.place, merged)

    return _understood(made, row, f"the entity {row.ref}", "entities")


def stored_file(row: Any) -> Artifact:
    """What a row says. Raises `StoreError` that names the row that cannot be understood."""
    return _understood(model_codec.artifact, row, f"the file {row.path}", "files")


def stored_problem(text: str) -> Problem:
    """What a row's body says. Raises `StoreError`."""
    return _understood(model_codec.problem, text, "a problem", "problems")


def _understood(decode: Callable[[Any], Item], row: Any, what: str, table: str) -> Item:
    try:
        return decode(row)
    except codec.Undecodable as error:
        raise unreadable(f"{what} (table fester_{table})", error) from error
