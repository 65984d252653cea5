"""What the fields of a repository answer: blobs, trees, commits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bridge.sandbox.connections import ConnectionPage, plain_page
from bridge.sandbox.project import DIRECTORY_MODE, SandboxFile, SandboxProject
from bridge.sandbox.query_run import (
    PAGE,
    QueryRun,
    Resolver,
    Rows,
    constant,
    may_time_out,
    stamp,
    value,
)


@dataclass(frozen=True)
class Blob:
    """A file at its path in a project."""

    project: SandboxProject
    path: str
    file: SandboxFile


def _blobs(project: SandboxProject, arguments: Mapping[str, Any], _: QueryRun) -> ConnectionPage:
    """The nodes at these paths: files, and whatever else git has at a path."""
    found = []
    files = _files_at(project, arguments.get("ref"), arguments.get("refType"))
    if project.repository == "ok" and files is not None:
        asked = dict.fromkeys(arguments["paths"])
        nodes = ((path, files.get(path) or _directory(files, path)) for path in asked)
        found = [Blob(project, path, node) for path, node in nodes if node is not None]
    return plain_page(found, dict(arguments))


def _directory(files: Mapping[str, SandboxFile], path: str) -> SandboxFile | None:
    inside = [name for name in files if name.startswith(f"{path}/")]
    return SandboxFile("\n".join(inside).encode(), mode=DIRECTORY_MODE) if inside else None


def _files_at(
    project: SandboxProject, ref: str | None, ref_type: str | None = None
) -> Mapping[str, SandboxFile] | None:
    """The files at a ref; None for one that is not there. A tag hides a branch of its name."""
    name = ref or project.default_branch
    if name == "HEAD":
        return project.files
    if ref_type != "HEADS" and name in project.tags:
        return project.tags[name]
    name = name.removeprefix("refs/heads/")
    if ref_type == "TAGS":
        return None
    return project.files if name == project.default_branch else project.branches.get(name)


@dataclass(frozen=True)
class Tree:
    """A directory of a repository, with all the files of that; `path` is "" for the root."""

    project: SandboxProject
    files: Mapping[str, SandboxFile]
    path: str = ""

    def inside(self) -> list[str]:
        """The paths of the files below, from the directory itself."""
        head = f"{self.path}/" if self.path else ""
        return [path.removeprefix(head) for path in self.files if path.startswith(head)]


def _tree(project: SandboxProject, arguments: Mapping[str, Any], _: QueryRun) -> Tree | None:
    """GitLab gives a tree for a branch that is not there, too; it has no last commit.

    An empty repository has no HEAD, and so no tree of it. Without a ref it takes HEAD, and with a
    type of ref the branch or tag of that very name.
    """
    ref, kind = arguments.get("ref"), arguments.get("refType")
    named = ref or ("HEAD" if kind is None else "head")
    if named == "HEAD" and project.repository == "empty":
        return None
    files = _files_at(project, named, kind) if project.repository == "ok" else None
    return Tree(project, files or {}, (arguments.get("path") or "").strip("/"))


def _tree_blobs(tree: Tree, arguments: Mapping[str, Any], _: QueryRun) -> ConnectionPage:
    """The files right in the directory, as git sorts them; directories and submodules are not
    among."""
    head = f"{tree.path}/" if tree.path else ""
    paths = sorted(head + name for name in tree.inside() if "/" not in name)
    blobs = [Blob(tree.project, p, tree.files[p]) for p in paths if tree.files[p].is_file]
    return plain_page(blobs, dict(arguments))


def _tree_trees(tree: Tree, arguments: Mapping[str, Any], _: QueryRun) -> ConnectionPage:
    """The directories right in the directory."""
    head = f"{tree.path}/" if tree.path else ""
    names = sorted({name.partition("/")[0] for name in tree.inside() if "/" in name})
    return plain_page([head + name for name in names], dict(arguments))


@dataclass(frozen=True)
class Commit:
    """A commit: its id, and when it was written."""

    sha: str
    at: datetime


def _last_commit(tree: Tree, *_: Any) -> Commit | None:
    """The last one that touched the path, be it by deleting all that was there."""
    touched = tree.project.facts.touched.get(tree.path)
    if not tree.files or not (tree.inside() or touched):
        return None
    return Commit(_commit_id(tree.files), touched or tree.project.created_at)


def _commit_id(files: Mapping[str, SandboxFile]) -> str:
    listing = "".join(f"{path}:{file.oid}\n" for path, file in sorted(files.items()))
    return hashlib.sha1(listing.encode(), usedforsecurity=False).hexdigest()


def _with_repository(value: Callable[[SandboxProject], Any]) -> Resolver:
    return lambda project, _, __: value(project) if project.repository == "ok" else None


def _blob_path(blob: Blob, view: str) -> str:
    return f"/{blob.project.path}/-/{view}/{blob.project.default_branch}/{blob.path}"


REPOSITORY: dict[str, Rows] = {
    "RepositoryBlobConnection": PAGE,
    "Repository": {
        "blobs": may_time_out("blobs", _blobs),
        "diskPath": constant(None),
        "empty": value(lambda p: p.repository == "empty"),
        "exists": constant(True),
        "rootRef": _with_repository(lambda p: p.default_branch),
        "tree": may_time_out("tree", _tree),
    },
    "Tree": {"blobs": _tree_blobs, "lastCommit": _last_commit, "trees": _tree_trees},
    "TreeEntryConnection": PAGE,
    "TreeEntry": {
        "flatPath": value(lambda path: path),
        "id": value(lambda path: f"gid://gitlab/Tree/{path}"),
        "name": value(lambda path: path.rpartition("/")[2]),
        "path": value(lambda path: path),
    },
    "BlobConnection": PAGE,
    "Blob": {
        "flatPath": value(lambda b: b.path),
        "id": value(lambda b: f"gid://gitlab/Blob/{b.file.oid}"),
        "lfsOid": value(lambda b: b.file.lfs_oid),
        "mode": value(lambda b: b.file.mode),
        "name": value(lambda b: b.path.rpartition("/")[2]),
        "path": value(lambda b: b.path),
    },
    "Commit": {
        "authoredDate": value(lambda commit: stamp(commit.at)),
        "id": value(lambda commit: f"gid://gitlab/Commit/{commit.sha}"),
        "sha": value(lambda commit: commit.sha),
    },
    "RepositoryBlob": {
        "fileType": constant("text"),
        "id": value(lambda b: f"gid://gitlab/Blob/{b.file.oid}"),
        "lfsOid": value(lambda b: b.file.lfs_oid),
        "mode": value(lambda b: b.file.mode),
        "name": value(lambda b: b.path.rpartition("/")[2]),
        "oid": value(lambda b: b.file.oid),
        "path": value(lambda b: b.path),
        "rawPath": value(lambda b: _blob_path(b, "raw")),
        # BigInt travels as a string.
        "rawSize": value(lambda b: str(len(b.file.content))),
        "rawTextBlob": value(lambda b: b.file.text),
        "size": value(lambda b: str(len(b.file.content))),
        "webPath": value(lambda b: _blob_path(b, "blob")),
    },
}
