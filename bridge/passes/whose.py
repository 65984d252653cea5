"""Who may own what names nobody who is known: guesses for a person to read. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final

from bridge.model.entities import CatalogEntity
from bridge.model.manifests import CodeOwners
from bridge.model.memory import KnownManifest, KnownProject, Memory, PassRecord
from bridge.model.numbers import mark_in
from bridge.model.suggested_owner import LikelyOwners

_SHARED: Final = frozenset({"domain", "group", "system", "user"})  # several projects speak of them
_UNKNOWN: Final = frozenset({"owner-unknown", "owner-ambiguous"})  # what says so of an owner
_NOBODY: Final = frozenset({None, "", "group:default/unknown"})
_MOST: Final = 20  # projects that are worth a person's time


def unowned(
    projects: Iterable[KnownProject],
    own: Iterable[CatalogEntity],
    candidates: Iterable[KnownManifest],
    memory: Memory,
    record: PassRecord,
) -> Iterator[KnownProject]:
    """The projects that were asked for and give nothing with an owner who is known, or of which
    an entity that was asked for has none.
    """
    has_owner = _has_owner(record)
    theirs = [each for each in record.catalog.entities if _answers(each)]
    owned = {each.origins[0].project_id for each in theirs if has_owner(each)}
    lacking = {each.origins[0].project_id for each in own if _answers(each) and not has_owner(each)}
    asked = dict.fromkeys(
        (*(k.project.id for k in projects), *lacking, *(m.project_id for m in candidates))
    )
    for number in asked:
        known = memory.projects.get(number)
        if known and number >= 0 and not known.left_out and number not in owned - lacking:
            yield known


def _has_owner(record: PassRecord) -> Callable[[CatalogEntity], bool]:
    """Tells of an entity whether it names an owner who is known; some teams lie elsewhere."""
    doubtful = {(e.gitlab, e.project, e.file) for e in record.report.problems if e.rule in _UNKNOWN}
    teams = {str(e.ref) for e in record.catalog.entities if e.ref.kind in ("group", "user")}

    def told(entity: CatalogEntity) -> bool:
        owner, origin = entity.body["spec"].get("owner"), entity.origins[0]
        place = mark_in(origin.project_id), origin.project, origin.file
        known = owner in teams or place not in doubtful
        return owner not in _NOBODY and known

    return told


def _answers(entity: CatalogEntity) -> bool:
    """Whether an entity is one project's, which answers for its owner."""
    return entity.ref.kind not in _SHARED and bool(entity.origins)


def whose(projects: Iterable[KnownProject], memory: Memory, record: PassRecord) -> Iterator[str]:
    """Who may own these projects; and whom their CODEOWNERS name where that is no team of ours."""
    likely = LikelyOwners(record.catalog.entities)
    for known in islice(projects, _MOST):
        path, told = known.project.path, _code_owners(known, memory)
        gitlab = mark_in(known.project.id)
        found = likely.named(told.handles, told.file, gitlab) if told else None
        if told and found is None:
            yield (
                f"{told.file} of {path} names {', '.join(told.handles[:3])} as the owner of "
                "everything; no team in the catalog goes by that name"
            )
        found = found or likely.of(path, gitlab)
        if found is not None:
            yield (
                f"the owner of {path} may be {found.ref}: {found.reason}; if so, name {found.team} "
                "in its manifest. This is a guess, and not in the catalog"
            )


def _code_owners(known: KnownProject, memory: Memory) -> CodeOwners | None:
    """Whom the project's CODEOWNERS names for everything, as one of its manifests was read."""
    mine = (each for (number, _), each in memory.manifests.items() if number == known.project.id)
    return next((each.current.code_owners for each in mine if each.current.code_owners), None)
