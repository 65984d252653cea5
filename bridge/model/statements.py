"""What manifests say of entities, and what a part of a scrape changed of all that is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b

from bridge.model.entities import Body, CatalogEntity, Ref
from bridge.model.json_text import ascii_json
from bridge.model.manifests import TranslatedManifest
from bridge.model.memory import Horizon, KnownManifest, KnownProject, ManifestKey
from bridge.model.moments import AFTER_ALL, iso
from bridge.model.problems import Problem
from bridge.model.runs import Artifact, Report
from bridge.model.todo import Todo


@dataclass(frozen=True, slots=True)
class Statement:
    """What one manifest says of one entity: a body that is fit by Backstage's rules."""

    ref: Ref
    body: Body
    manifest: TranslatedManifest
    index: int  # which of the manifest's drafts
    line: int = 1
    column: int = 1
    places: tuple[tuple[str, int, int], ...] = ()  # as of a `Draft`

    @property
    def place(self) -> tuple[int, str, int]:
        """Where it stands among all: the order in which ties are settled."""
        return self.manifest.project.id, self.manifest.file, self.index

    @property
    def age(self) -> tuple[datetime, int, str, int]:
        """Sorts statements by how long their manifests have made them; an unknown age is last."""
        return (self.manifest.held_since or AFTER_ALL, *self.place)


@dataclass(frozen=True, slots=True)
class Taken:
    """What a part of a scrape changed of what is known: rows to write, rows to remove.

    `statements` has all that a manifest says now, for every manifest that changed; what it said
    before and is not among them is taken back. `problems` replaces the problems by what they are
    about. `figures` is added to the counts that are kept of a source.
    """

    projects: Sequence[KnownProject] = ()
    gone_projects: Sequence[int] = ()
    manifests: Sequence[KnownManifest] = ()
    gone_manifests: Sequence[ManifestKey] = ()
    statements: Mapping[ManifestKey, Sequence[Statement]] = field(default_factory=dict)
    problems: Mapping[str, Sequence[Problem]] = field(default_factory=dict)
    figures: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything changed."""
        return bool(
            self.projects
            or self.gone_projects
            or self.manifests
            or self.gone_manifests
            or self.statements
            or self.problems
        )


@dataclass(frozen=True, slots=True)
class Linked:
    """An entity with its references put right; some point at nothing, or may mean `several`."""

    entity: CatalogEntity
    missing: tuple[Ref, ...] = ()
    several: Mapping[Ref, Sequence[Ref]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredEntity:
    """An entity as the store has it. `merged` is what its manifests make of it, `entity` the same
    with its references put right; `digest` is the `entity_digest` of what was merged.

    `targets` has what it refers to in what was merged, with the one spelling of each. `names` are
    those that it goes by, with their ranks.
    """

    entity: CatalogEntity
    digest: str
    place: str  # the bits that place it in a shard
    merged: CatalogEntity
    targets: Mapping[Ref, Ref] = field(default_factory=dict)
    names: frozenset[tuple[int, Ref]] = frozenset()


@dataclass(frozen=True, slots=True)
class Merged:
    """What merging some references gave.

    `refs` were merged. `put` are entities that are new or differ; `new` are those of them that
    were not there. `gone` are there and nobody speaks of them any more; `back` were, and somebody
    does again. `problems` are by what they are about.
    """

    refs: Sequence[str]
    put: Sequence[StoredEntity] = ()
    new: Sequence[str] = ()
    gone: Sequence[str] = ()
    back: Sequence[str] = ()
    check: Sequence[str] = ()
    problems: Mapping[str, Sequence[Problem]] = field(default_factory=dict)
    figures: Mapping[str, int] = field(default_factory=dict)
    stage: Todo = Todo.MERGE  # or `DERIVE`: what is made of what others say


@dataclass(frozen=True, slots=True)
class Checked:
    """What checking the references of some entities gave.

    `refs` were checked. `put` are entities of them that are published otherwise now, and `problems`
    are what is wrong, by what it is about.
    """

    refs: Sequence[str]
    put: Sequence[StoredEntity] = ()
    problems: Mapping[str, Sequence[Problem]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A published file without its body. `digest` is the SHA-256 of the body, in hex."""

    path: str
    digest: str
    content_type: str
    stage: str
    entities: int = 0


@dataclass(frozen=True, slots=True)
class HistoryStep:
    """When a pass found what changed, and from when on changes are kept.

    Without `keep` nothing is recorded: what a first pass finds did not change.
    """

    at: datetime
    oldest: datetime
    keep: bool = True


@dataclass(frozen=True, slots=True)
class Concluded:
    """The end of a pass: `put` are (file, digest, entities in it) that are new or differ.

    With `unpublished` nothing was published: what was rendered is to be rendered again.
    """

    report: Report
    horizon: Horizon
    put: Sequence[tuple[Artifact, str, int]] = ()
    gone: Sequence[str] = ()
    unpublished: bool = False
    history: HistoryStep | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What passes changed: entities by reference, and projects by number.

    With `everything`, whoever listens has to look at all of it. `freed` are the published files of
    entities that stood in conflict with another source's and do no longer: they are as they were,
    and Backstage has to read them again.
    """

    put: frozenset[Ref] = frozenset()
    removed: frozenset[Ref] = frozenset()
    projects: frozenset[int] = frozenset()
    everything: bool = False
    freed: frozenset[str] = frozenset()

    def after(self, earlier: Changes) -> Changes:
        """Both, one after the other."""
        return Changes(
            (earlier.put - self.removed) | self.put,
            (earlier.removed - self.put) | self.removed,
            earlier.projects | self.projects,
            earlier.everything or self.everything,
            earlier.freed | self.freed,
        )


def entity_digest(entity: CatalogEntity) -> str:
    """Names all that an entity says and where it is from, but not of which blobs.

    What many manifests say together would differ after each commit to any of them.
    """
    origins = [
        (
            *(each.project_id, each.project, each.file, each.mapping),
            *(iso(each.kept_since), iso(each.held_since)),
        )
        for each in entity.origins
    ]
    text = ascii_json([entity.body, origins])
    return blake2b(text.encode(), digest_size=16).hexdigest()


def about_manifest(project_id: int, file: str) -> str:
    """What the problems of a manifest are kept under."""
    return f"manifest {project_id} {file}"


def about_discovery(project_id: int) -> str:
    """What is kept of a project that Backstage's own discovery reads, too."""
    return f"discovery {project_id}"


def about_reads(project_id: int) -> str:
    """What is kept of what could not be read whole of a project besides its manifests."""
    return f"reads {project_id}"


def about_project(project_id: int) -> str:
    """What the problems of a project are kept under."""
    return f"project {project_id}"


def about_entity(ref: str) -> str:
    """What the problems of merging an entity are kept under."""
    return f"entity {ref}"


def about_links(ref: str) -> str:
    """What the problems of an entity's references are kept under."""
    return f"links {ref}"
