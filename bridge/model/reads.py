"""What a crawl reads of a repository besides the manifests at its root."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b


class ReadKind(StrEnum):
    """What a repository has at a path."""

    FILE = "file"
    FOLDER = "folder"
    ABSENT = "absent"
    GLOB = "glob"  # not a path: a pattern that was looked for


@dataclass(frozen=True, slots=True)
class ReadFile:
    """What was found at one path, from the repository's root.

    `text` is None where it was not wanted, is `kept` in the store as it was read before, or is
    `refused` ("binary", "4.1 MB; the limit is 1.0 MB"). Of a pattern `refused` says why more may
    fit it than was found. `manifest`: it is read as a manifest itself, or is a pattern of manifests
    that was cut short. `nearest` is what lies beside a path that is not there, and is spelt most
    like it.
    """

    path: str
    kind: ReadKind
    oid: str = ""
    size: int = 0
    text: str | None = None
    refused: str = ""
    manifest: bool = False
    kept: bool = False
    nearest: str = ""


@dataclass(frozen=True, slots=True)
class Reads:
    """All that was read of one repository besides its root's manifests, by path.

    `digest` names it down to the blobs. A path that is not here was not looked for.
    """

    files: Mapping[str, ReadFile] = field(default_factory=dict)
    digest: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        told = sorted(
            (e.path, e.kind.value, e.oid, e.refused, e.nearest) for e in self.files.values()
        )
        text = "\0".join("\1".join(each) for each in told)
        made = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        object.__setattr__(self, "digest", made if told else "")

    @property
    def manifests(self) -> tuple[ReadFile, ...]:
        """The files that are read as manifests themselves."""
        return tuple(e for e in self.files.values() if e.manifest and e.kind is ReadKind.FILE)

    @property
    def manifests_cut(self) -> str:
        """Why there may be more manifests than were read; "" where there are none."""
        cut = (e for e in self.files.values() if e.manifest and e.kind is ReadKind.GLOB)
        return next((f"{each.path}: {each.refused}" for each in cut if each.refused), "")


@dataclass(frozen=True, slots=True)
class KnownReads:
    """What was read of a repository before: at the commit `tip`, for what `key` names.

    The same commit and the same key give the same files. Its files have no texts (`kept`).
    """

    tip: str = ""
    key: str = ""
    reads: Reads = Reads()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What manifests want to be read: paths with their texts, paths that need only be `there`,
    and patterns of which every file is wanted with its text. `manifests` are patterns of further
    manifests, which a manifest at the root may name. Some paths are `named` by the
    manifest itself: of those that are not there the nearest is wanted. Some are to `spare`: one
    whose text cannot be had now holds up nothing, and is as it was known.
    """

    texts: frozenset[str] = frozenset()
    there: frozenset[str] = frozenset()
    globs: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()
    spare: frozenset[str] = frozenset()
    manifests: tuple[str, ...] = ()

    def __or__(self, other: Wanted) -> Wanted:
        return Wanted(
            self.texts | other.texts,
            self.there | other.there,
            self.globs | other.globs,
            self.named | other.named,
            self.spare | other.spare,
            tuple(dict.fromkeys(self.manifests + other.manifests)),
        )


@dataclass(frozen=True, slots=True)
class KeptReads:
    """What is to be kept of a project: what was read, with its texts, and the `needed` blobs that
    are not among it. With an empty key nothing is.
    """

    project_id: int
    tip: str
    key: str
    reads: Reads
    needed: frozenset[str] = frozenset()
