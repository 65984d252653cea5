"""What a publish will write, keep and remove. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bridge.errors import PublishError
from bridge.exporters.render import PROVENANCE, SHARDS
from bridge.model.definitions import is_definition
from bridge.model.runs import Artifact, Receipt, Stage

# A reader must find what the index names: entities, then the index, then what nobody names.
_ORDER = {Stage.DEFINITIONS: 0, Stage.ENTITIES: 1, Stage.INDEX: 2, Stage.DATA: 3}
# Backstage's bucket reader does not decode names, so they hold nothing that needs encoding.
_PATH = re.compile(r"(?!.*(?:^|/)\.{1,2}(?:/|$))[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*")
_OURS = re.compile(rf"(?:{SHARDS}(?:all|[01]+)\.yaml|{PROVENANCE}(?:all|[01]+)\.json)")
# Names that a publisher uses for itself: locks, leases and half-written files.
_RESERVED = re.compile(r"(?:.*/)?\.fester-[^/]*")


@dataclass(frozen=True, slots=True)
class Plan:
    """The work of one publish, in the order in which it is to be done."""

    write: tuple[Artifact, ...]
    keep: tuple[Artifact, ...]
    remove: tuple[str, ...]

    @property
    def idle(self) -> bool:
        """Whether there is nothing to write and nothing to remove."""
        return not self.write and not self.remove

    def receipt(self, to: str) -> Receipt:
        """The account of this plan once it is done."""
        changed = tuple(artifact.path for artifact in self.write)
        return Receipt(to, len(self.write), len(self.keep), len(self.remove), changed)

    def stage(self, *stages: Stage) -> tuple[Artifact, ...]:
        """What is to be written in these stages."""
        return tuple(artifact for artifact in self.write if artifact.stage in stages)


def make_plan(
    artifacts: Sequence[Artifact],
    existing: Mapping[str, str],
    digest: Callable[[bytes], str],
    previous_index: bytes | None,
) -> Plan:
    """Compare what is to be with what is there.

    `existing` maps the destination's paths to digests as `digest` makes them; `previous_index` is
    the index that lies there, None if there is none. Removals are late: a
    shard goes only when neither the new index nor the one before (`previous_index`) names it, so
    that a reader who holds the old index still finds its files. Files that are not ours stay.
    Raises `PublishError` for a path that is not safe, or that comes twice.
    """
    check_paths(artifacts)
    ordered = sorted(artifacts, key=lambda artifact: (_ORDER[artifact.stage], artifact.path))
    paths = {artifact.path for artifact in ordered}
    keep = [a for a in ordered if existing.get(a.path) == digest(a.body)]
    kept = {artifact.path for artifact in keep}
    named = _named_by(previous_index)
    stale = sorted(path for path in existing if is_ours(path) and path not in paths)
    return Plan(
        write=tuple(artifact for artifact in ordered if artifact.path not in kept),
        keep=tuple(keep),
        remove=tuple(path for path in stale if path not in named),
    )


def check_paths(artifacts: Sequence[Artifact]) -> None:
    """Raise `PublishError` unless every path is safe at any destination, and comes once."""
    seen: set[str] = set()
    for path in (artifact.path for artifact in artifacts):
        if not is_safe(path):
            raise PublishError(
                f"{path!r} cannot be published: a path is relative, of letters, digits and ._-/ "
                "only, without '..'; names that begin with .fester- are Fester's own"
            )
        if path in seen:
            raise PublishError(
                f"two artifacts have the same path {path!r}: each processor needs its own names"
            )
        seen.add(path)


def is_shard(path: str) -> bool:
    """Whether a path is that of a shard, which is ours to remove."""
    return bool(_OURS.fullmatch(path))


def is_ours(path: str) -> bool:
    """Whether a path is that of a shard or of what shards name, which is ours to remove."""
    return is_shard(path) or is_definition(path)


def is_safe(path: str) -> bool:
    """Whether a relative path stays below its root and needs no encoding anywhere."""
    return bool(_PATH.fullmatch(path)) and not _RESERVED.fullmatch(path)


def _named_by(index: bytes | None) -> set[str]:
    """The shards that an index names, and the same ones for programs: both come and go together."""
    text = (index or b"").decode("utf-8", "replace")
    named = {found[0] for found in _OURS.finditer(text)}
    bits = [path.removeprefix(SHARDS).removesuffix(".yaml") for path in named]
    return named | {f"{PROVENANCE}{each}.json" for each in bits}
