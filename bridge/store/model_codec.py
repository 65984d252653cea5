"""Rows of the catalog's model: statements, entities, problems, files. See `codec` for the rules."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from sys import intern
from typing import Any, Final, TypeAlias

from bridge.caching.interning import interned
from bridge.model.compression import compressed
from bridge.model.entities import CatalogEntity, Json, Origin, Ref, ref_of
from bridge.model.json_text import ascii_json, tree_of
from bridge.model.manifests import TranslatedManifest, Translation, Verdict
from bridge.model.moments import moment_in
from bridge.model.problems import Problem
from bridge.model.runs import Artifact, Stage
from bridge.model.scrape import Project
from bridge.model.statements import Statement
from bridge.store import codec

Values: TypeAlias = dict[str, Any]

# In every row of what stands on an old text: without it all of them would be written anew.
_BECAUSE: Final = "the manifest's newer text is broken"


def dumped(tree: Json) -> str:
    """A tree as JSON of ASCII alone, which every database can hold."""
    return ascii_json(tree)


def loaded(text: str) -> Any:
    """The tree of `dumped`. Raises `Undecodable`."""
    try:
        return tree_of(text)
    except (ValueError, RecursionError) as error:
        raise codec.Undecodable(f"expected JSON ({error})") from error


def digest_of(text: str) -> str:
    """A short name of a text."""
    return blake2b(text.encode(), digest_size=16).hexdigest()


def statement_row(source_id: int, said: Statement) -> Values:
    """The row of a statement; its digest names all but where exactly it stands."""
    manifest = said.manifest
    body = dumped(
        {
            "body": said.body,
            "path": manifest.project.path,
            "web_url": manifest.project.web_url,
            "default_branch": manifest.project.default_branch,
            "mapping": manifest.translation.mapping,
            "kept_since": codec.moment_text(manifest.kept_since),
            "kept_because": _BECAUSE if manifest.kept_since else "",
            "held_since": codec.moment_text(manifest.held_since),
        }
    )
    return {
        "source_id": source_id,
        "ref": str(said.ref),
        "project_id": manifest.project.id,
        "file": manifest.file,
        "n": said.index,
        "digest": digest_of(body),
        "oid": manifest.oid,
        "line": said.line,
        "col": said.column,
        "places": dumped(said.places),
        "body": body,
    }


def statement(row: Any) -> Statement:
    """The statement of a row. Raises `Undecodable`."""
    tree = loaded(row.body)
    try:
        places = tuple((text, line, column) for text, line, column in loaded(row.places))
        branch = intern(tree["default_branch"])
        manifest = TranslatedManifest(
            Project(row.project_id, tree["path"], tree["web_url"], branch),
            intern(row.file),
            row.oid,
            _translation(tree["mapping"]),
            _moment(tree["kept_since"]),
            _moment(tree["held_since"]),
        )
        body = interned(tree["body"])
        return Statement(ref_of(row.ref), body, manifest, row.n, row.line, row.col, places)
    except (KeyError, TypeError, ValueError) as error:
        raise codec.Undecodable(f"expected a statement ({error})") from error


# Thousands of statements were made by the same few mappings, at the same few moments.
_moment = lru_cache(1_024)(moment_in)


@lru_cache(1_024)
def _translation(mapping: str) -> Translation:
    return Translation(Verdict.VALID, "", mapping)


def mirrored(ref: Ref) -> str:
    """A reference with its name backwards: those that end alike then lie side by side."""
    return f"{ref.kind}:{f'{ref.namespace}/{ref.name}'[::-1]}"


_ORIGIN = ("project_id", "project", "file", "oid", "mapping")
_ORIGIN_MOMENTS = ("kept_since", "held_since")


def encoded_entity(entity: CatalogEntity) -> str:
    """The text of an entity's row."""
    origins = [
        {name: getattr(each, name) for name in _ORIGIN}
        | {name: codec.moment_text(getattr(each, name)) for name in _ORIGIN_MOMENTS}
        for each in entity.origins
    ]
    return dumped({"body": entity.body, "origins": origins})


def entity(ref: str, text: str) -> CatalogEntity:
    """The entity of a row. Raises `Undecodable`."""
    tree = loaded(text)
    try:
        origins = tuple(_origin(each) for each in tree["origins"])
        return CatalogEntity(ref_of(ref), interned(tree["body"]), origins)
    except (KeyError, TypeError) as error:
        raise codec.Undecodable(f"expected an entity ({error})") from error


def _origin(tree: Any) -> Origin:
    moments = [_moment(tree.get(name, "")) for name in _ORIGIN_MOMENTS]
    return Origin(*[tree.get(name, "") for name in _ORIGIN], *moments)


def problem_rows(source_id: int, about: str, problems: Sequence[Problem]) -> list[Values]:
    """A row a problem."""
    return [
        {
            "source_id": source_id,
            "about": about,
            "n": n,
            "body": dumped(codec.problem_tree(problem)),
        }
        for n, problem in enumerate(problems)
    ]


def problem(text: str) -> Problem:
    """The problem of a row. Raises `Undecodable`."""
    return codec.problem_of(loaded(text))


def file_row(source_id: int, artifact: Artifact, digest: str, entities: int) -> Values:
    """The row of a published file, compressed: such texts shrink tenfold."""
    return {
        "source_id": source_id,
        "path": artifact.path,
        "digest": digest,
        "content_type": artifact.content_type,
        "stage": artifact.stage.value,
        "entities": entities,
        "body": compressed(artifact.body),
    }


def artifact(row: Any) -> Artifact:
    """The file of a row. Raises `Undecodable`."""
    try:
        body = zlib.decompress(row.body)
        return Artifact(row.path, body, row.content_type, Stage(row.stage))
    except (zlib.error, ValueError) as error:
        raise codec.Undecodable(f"expected a compressed file ({error})") from error
