"""Reading manifests from this machine's disk, for the commands that need no GitLab."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
from rich.console import Console

from bridge.cli.checkout_seen import remote_of
from bridge.cli.show import plain, show_problems
from bridge.errors import ConfigurationError
from bridge.language.text import Limits
from bridge.model.blob_ids import blob_id
from bridge.model.entities import Draft
from bridge.model.manifests import Translation, Verdict
from bridge.model.problems import Problem
from bridge.model.reads import KnownReads, Wanted
from bridge.model.scrape import ManifestFile, Project, ProjectRead
from bridge.processors.mapping import Mappings
from bridge.processors.rules import refused
from bridge.scrapers.disk_reads import completed

_DEEPEST = 8  # folders below a given path
_MOST = 10_000  # manifests in one call


def read_manifest(path: Path, name: str) -> ManifestFile:
    """The file at `path` as if it were called `name` in a repository.

    Text that is not UTF-8 is kept as what the reader refuses. Raises `ConfigurationError` when
    the file cannot be read at all.
    """
    limit = Limits().bytes
    try:
        with path.open("rb") as stream:
            raw = stream.read(limit + 1)
        size = path.stat().st_size
    except OSError as error:
        problem = Problem(f"cannot be read: {error.strerror}", "unreadable", file=str(path))
        raise ConfigurationError([problem]) from None
    oid = blob_id(raw)
    if len(raw) > limit:
        return ManifestFile(name, oid, size, None, f"{size} bytes; the limit is {limit}")
    try:
        return ManifestFile(name, oid, size, raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return ManifestFile(
            name, oid, size, None, f"not UTF-8 (line {line}); save the file as UTF-8"
        )


def wanted_name(file: Path, name: str | None, names: Sequence[str]) -> str:
    """The name that a file goes by; raises `ConfigurationError` when no mapping wants it."""
    found = name or file.name
    if found not in names:
        message = f"no mapping wants the name {found!r}; say --as NAME with one of "
        message += ", ".join(names)
        raise ConfigurationError([Problem(message, "name-unknown", file=str(file))])
    return found


def tell_problems(errors: Console, translation: Translation, file: Path) -> bool:
    """Show what is wrong with a file; whether anything can be made of it."""
    show_problems(errors, [each.at(project="", file=str(file)) for each in translation.problems])
    if translation.verdict is Verdict.VALID:
        return True
    if translation.reason:
        click.echo(plain(f"ignored: {translation.reason}"), err=True)
    return False


def refused_by_backstage(drafts: Iterable[Draft], file: Path, so: str = "") -> list[Problem]:
    """What Backstage would refuse of the entities that a file became; `so` is what is done then."""
    return [
        Problem(
            f"Backstage refuses the {draft.body['kind']}{so}: {broken.path} {broken.message}",
            "entity-invalid",
            file=str(file),
            line=draft.line,
            column=draft.column,
        )
        for draft in drafts
        for broken in refused(draft.body)
    ]


def project_of(path: Path) -> Project:
    """A stand-in for the project that a lone file belongs to: named after its folder."""
    name = path.resolve().parent.name or "project"
    return Project(id=0, path=name)


def project_at(path: Path, given: str | None) -> Project:
    """The same, by the path that is `given`, or that the checkout's remote has."""
    root = repository_of(path)
    remote = remote_of(root) if root is not None else None
    known = given.strip("/") if given else remote and remote.path
    return replace(project_of(path), path=known) if known else project_of(path)


def repository_of(path: Path) -> Path | None:
    """The checkout that a file lies in: the nearest folder above it with a `.git`."""
    return next((each for each in path.absolute().parents if (each / ".git").exists()), None)


@dataclass(frozen=True, slots=True)
class _OnThisMachine:
    """A `bridge.model.scrape.FurtherReads` of a checkout: nothing is remembered."""

    mappings: Mappings

    @property
    def usual(self) -> tuple[str, ...]:
        return ()

    async def known(self, ids: Sequence[int]) -> Mapping[int, KnownReads]:
        return {}

    async def texts(self, project_id: int, oids: Sequence[str]) -> Mapping[str, str]:
        return {}

    def key(self, project: Project, files: Sequence[ManifestFile]) -> str:
        return "offline"

    def is_manifest(self, path: str) -> bool:
        return False

    def wanted(self, project: Project, files: Sequence[ManifestFile]) -> Wanted:
        return replace(self.mappings.wanted(project, files[0]), manifests=())


def in_its_repository(
    mappings: Mappings, project: Project, root: Path, path: Path, file: ManifestFile
) -> ManifestFile:
    """A manifest at its place in a checkout, with what it wants to be read of that.

    Raises `ConfigurationError` when something of it cannot be read.
    """
    placed = replace(file, path=path.absolute().relative_to(root).as_posix())
    try:
        read = completed(root, ProjectRead(project, (placed,)), _OnThisMachine(mappings))
    except OSError as error:
        problem = Problem(f"cannot be read: {error.strerror}", "unreadable", file=error.filename)
        raise ConfigurationError([problem]) from None
    return read.files[0]


def find_manifests(paths: Sequence[Path], names: Sequence[str]) -> Iterator[tuple[Path, str]]:
    """Each manifest below `paths` and the name it goes by.

    A file that is named outright is taken if its name is wanted. Symbolic links are not followed.
    Raises `ConfigurationError` for paths that do not exist and names that no mapping wants.
    """
    problems = []
    found: list[tuple[Path, str]] = []
    for path in paths:
        if path.is_dir():
            found.extend((file, file.name) for file in _walk(path, set(names), _DEEPEST))
        elif not path.exists():
            problems.append(Problem("no such file or folder", "path-missing", file=str(path)))
        elif path.name in names:
            found.append((path, path.name))
        else:
            message = f"no mapping wants this name; they want {', '.join(names)}"
            problems.append(Problem(message, "name-unknown", file=str(path)))
    if problems:
        raise ConfigurationError(problems)
    yield from found[:_MOST]


def _walk(folder: Path, names: set[str], depth: int) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        if entry.is_symlink():
            continue
        if entry.is_file() and entry.name in names:
            yield entry
        elif entry.is_dir() and depth and entry.name not in (".git", "node_modules"):
            yield from _walk(entry, names, depth - 1)
