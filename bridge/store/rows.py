"""Between what is known and the rows of the tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b, sha256
from typing import Any, TypeAlias
from zlib import crc32

from sqlalchemy import Row

from bridge.caching.memo import MemoPass, PassMemo
from bridge.errors import StoreError
from bridge.model.entities import Catalog, CatalogEntity, Ref
from bridge.model.memory import KnownManifest, KnownProject, ManifestKey
from bridge.model.runs import Report
from bridge.store import codec
from bridge.store.tables import manifests

Values: TypeAlias = dict[str, Any]

SLICE = 128  # entities, more or less

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
                "read_at": each.read_at,
                "gap_since": each.gap_since,
                "body": body,
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
                "held_since": each.held_since,
                "broken_since": each.broken_since,
                "current": current,
                "good": good,
            }
        )
    return rows


class Loaded:
    """What was loaded last: rows that are as they were then give the same objects again.

    So a replica that follows works out anew only what the other one's pass changed.
    """

    def __init__(self) -> None:
        self.projects: PassMemo[int, KnownProject] = PassMemo()
        self.manifests: PassMemo[ManifestKey, KnownManifest] = PassMemo()
        self.slices: PassMemo[str, tuple[CatalogEntity, ...]] = PassMemo()


def known_projects(
    rows: Sequence[Row[Any]], loaded: MemoPass[int, KnownProject]
) -> dict[int, KnownProject]:
    """What rows say. Raises `StoreError` that names the row that cannot be understood."""
    known: dict[int, KnownProject] = {}
    for row in rows:
        said = (row.body, row.read_at, row.gap_since)
        try:
            known[row.project_id] = loaded.get(
                row.project_id,
                (_digest(*said),),
                lambda said=said: codec.decode_project(*said),  # type: ignore[misc]
            )
        except codec.Undecodable as error:
            what = f"what is stored of project {row.project_id} (table fester_projects)"
            raise _unreadable(what, error) from error
    return known


def known_manifests(
    rows: Sequence[Any], loaded: MemoPass[ManifestKey, KnownManifest]
) -> dict[ManifestKey, KnownManifest]:
    """What rows say. Raises `StoreError` that names the row that cannot be understood."""
    known: dict[ManifestKey, KnownManifest] = {}
    for row in rows:
        project_id, file, *said = row
        try:
            known[project_id, file] = loaded.get(
                (project_id, file),
                (_digest(*said),),
                lambda row=row: _known_manifest(row),  # type: ignore[misc]
            )
        except codec.Undecodable as error:
            what = f"what is stored of {file!r} of project {project_id} (table fester_manifests)"
            raise _unreadable(what, error) from error
    return known


def _known_manifest(row: Sequence[Any]) -> KnownManifest:
    project_id, file, oid, current, held_since, good, good_oid, broken_since = row
    return KnownManifest(
        project_id,
        file,
        oid,
        codec.decode_translation(current),
        held_since,
        codec.decode_translation(good) if good is not None else None,
        good_oid,
        broken_since,
    )


def _digest(*said: str | None) -> str:
    """Stands for a row: its texts would take as much room as what is made of them."""
    return blake2b(repr(said).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def catalog_rows(catalog: Catalog, earlier: PassMemo[Ref, Values] | None = None) -> list[Values]:
    """Rows for the catalog's slices; a slice's digest tells whether it must be written.

    With `earlier` only the slices that changed are encoded anew.
    """
    with (earlier or PassMemo()).round() as known:
        return [
            {"ordinal": ordinal, **known.get(part[0].ref, part, lambda part=part: _packed(part))}  # type: ignore[misc]
            for ordinal, part in enumerate(_slices(catalog.entities))
        ]


def _slices(entities: Sequence[CatalogEntity]) -> Iterator[Sequence[CatalogEntity]]:
    """Cut by what stands there, not by counting: one entity more changes one slice, not all."""
    start = 0
    for end, entity in enumerate(entities, 1):
        cut = crc32(repr(entity.ref).encode("utf-8", "surrogatepass")) % SLICE == 0
        if cut or end - start == 2 * SLICE:
            yield entities[start:end]
            start = end
    if start < len(entities):
        yield entities[start:]


def _packed(part: Sequence[CatalogEntity]) -> Values:
    try:
        text = codec.encode_entities(part)
    except (TypeError, ValueError, RecursionError) as error:
        raise _unstorable("the catalog", error) from error
    return {"digest": sha256(text.encode("ascii")).hexdigest(), "body": codec.pack(text)}


def catalog_slice(source: str, ordinal: int, body: bytes) -> tuple[CatalogEntity, ...]:
    """The entities of one slice. Raises `StoreError`."""
    try:
        return codec.decode_entities(codec.unpack(body))
    except codec.Undecodable as error:
        what = f"slice {ordinal} of the catalog of {source} (table fester_catalog_slices)"
        raise _unreadable(what, error) from error


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
        raise _unreadable(f"the report {number} (table fester_passes)", error) from error


def _unstorable(what: str, error: Exception) -> StoreError:
    return StoreError(
        f"{what} cannot be stored: {error}. Nothing was saved of this pass; "
        "take out the value that JSON cannot hold and run again"
    )


def _unreadable(what: str, error: Exception) -> StoreError:
    return StoreError(f"{what} cannot be understood: {error}. {_ADVICE}")
