"""From what a scrape saw and what was known before to what is known now. Pure.

This is where the promise is kept: a gap is not an absence. A project or a manifest leaves the
memory only on positive evidence:

- its project was read whole and the file is not in it,
- its project is gone from a complete enumeration, or answered 404 by id,
- its project is left out on purpose (archived, excluded), with a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from bridge.model.entities import Draft, Ref
from bridge.model.manifests import TranslatedManifest, Translation, Verdict
from bridge.model.memory import Horizon, KnownManifest, KnownProject, ManifestKey, Memory
from bridge.model.numbers import mark_in, own_id
from bridge.model.problems import Problem, Severity
from bridge.model.scrape import (
    Coverage,
    Gap,
    ManifestFile,
    Observation,
    Project,
    ProjectGone,
    ProjectRead,
    ProjectSkipped,
    Record,
    ScrapeEnd,
)
from bridge.passes.reasons import (
    UNLISTED,
    UNLISTED_GROUP,
    enumeration_gap,
    member_left,
    nested_kept,
    unreadable,
    why_absent,
)
from bridge.ports import Translator

_MOST_LEFT = 20  # of one group that are told one by one


@dataclass(slots=True)
class Reconciliation:
    """Takes in the records of one scrape, then `finish` gives the new memory.

    `now` is when the scrape began, in whole seconds; it stamps first sightings, gaps and the
    horizon. `scope` names what a full sweep asks for.
    """

    before: Memory
    translator: Translator
    now: datetime
    scope: str = ""
    projects: dict[int, KnownProject] = field(init=False)
    manifests: dict[ManifestKey, KnownManifest] = field(init=False)
    problems: list[Problem] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    unreadable: set[int] = field(default_factory=set)
    translated: int = 0
    enumeration_lost: list[str] = field(default_factory=list)
    end: ScrapeEnd | None = None
    observations: dict[int, Observation] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)  # why a project was unreadable
    _files: dict[int, set[str]] = field(init=False)

    def __post_init__(self) -> None:
        self.projects = dict(self.before.projects)
        self.manifests = dict(self.before.manifests)
        self._files = {}
        for project_id, file in self.before.manifests:
            self._files.setdefault(project_id, set()).add(file)

    def take(self, record: Record) -> None:
        """Take in one record. A project's later record overrides its earlier one."""
        takers: dict[type, Callable[..., None]] = {
            ProjectRead: self._take_read,
            ProjectSkipped: self._take_skipped,
            ProjectGone: self._take_gone,
            Gap: self._take_gap,
            ScrapeEnd: self._take_end,
        }
        takers[type(record)](record)

    def finish(self) -> Memory:
        """The memory after the scrape; settles the projects that were not seen."""
        if self.end is not None and self.end.coverage is Coverage.FULL:
            self.settle_unseen(self.before.projects.keys() - self.seen)
        self.problems.extend(enumeration_gap(reason) for reason in self.enumeration_lost)
        horizon = replace(self.before.horizon, passes=self.before.horizon.passes + 1)
        if self.end is not None and not self.enumeration_lost:
            horizon = moved(horizon, self.end, self.now, self.scope)
        return Memory(self.projects, self.manifests, horizon)

    def settle_unseen(self, ids: Collection[int]) -> None:
        """Settle projects that a full scrape was to show, and did not."""
        for project_id in sorted(ids):
            self._settle_unseen(project_id)

    def leave_out(self, ids: Collection[int], reason: str) -> None:
        """Forget projects that are not to be read any more."""
        for project_id in sorted(ids):
            self._forget(project_id, reason)

    @property
    def settled(self) -> set[int]:
        """The projects that this scrape tells of: all it saw, but for those in a gap of which
        nothing but their number is known. Another scrape may know more of these.
        """
        return self.seen - (self.unreadable - self.projects.keys())

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for was read."""
        return self.end is not None and not self.unreadable and not self.enumeration_lost

    def _take_end(self, record: ScrapeEnd) -> None:
        self.end = record

    def _take_read(self, record: ProjectRead) -> None:
        project = record.project
        self.seen.add(project.id)
        self.unreadable.discard(project.id)
        if record.observation is not None:
            self.observations[project.id] = record.observation
        known = self.projects.get(project.id)
        fresh = KnownProject(project, self.now)
        # An unchanged project keeps its row as it is: nothing to write for it.
        if known is None or replace(known, read_at=self.now) != fresh:
            self.projects[project.id] = fresh
        members = self._members(project.id)
        present = {file.path for file in record.files}
        absent = self._files.get(project.id, set()) - present
        left = [self.manifests[project.id, file] for file in sorted(absent)]
        for file in record.files:
            self._take_file(project, file, left)
        nested = {file for file in absent if project.id >= 0 and "/" in file}
        kept_because = self._nested_unknown(record) if nested else ""
        if kept_because:
            self.problems.append(nested_kept(project, nested, kept_because))
            absent -= nested
            present |= nested
        self._remove(project, absent)
        self._files[project.id] = present
        ended = sorted(members - self._members(project.id))
        self.problems.extend(member_left(project, ref) for ref in ended[:_MOST_LEFT])
        if ended[_MOST_LEFT:]:
            more = f"and {len(ended) - _MOST_LEFT} more people"
            self.problems.append(member_left(project, more))

    def _remove(self, project: Project, absent: Collection[str]) -> None:
        """Forget manifests that are not there any more, with a reason each."""
        for gone in sorted(absent):
            del self.manifests[project.id, gone]
            self.problems.append(
                Problem(
                    f"{why_absent(project, gone)}; what it described is removed",
                    "manifest-removed",
                    Severity.INFO,
                    project=project.path,
                    file=gone,
                    gitlab=mark_in(project.id),
                )
            )

    def _nested_unknown(self, record: ProjectRead) -> str:
        """Why it is not known which nested manifests a project has; "" where it is.

        A manifest at the root that cannot be used does not tell what it includes, and a pattern
        that was cut short may mean more than was read.
        """
        for file in record.files:
            current = self.manifests[record.project.id, file.path].current
            if not file.folder and (current.verdict is Verdict.QUARANTINED or current.partial):
                return f"{file.path} is broken, so what it includes is not known"
        return record.reads.manifests_cut if record.reads is not None else ""

    def _members(self, project_id: int) -> set[str]:
        """The users that a group's manifests give, in however many files; none for a project."""
        if project_id >= 0:
            return set()
        drafts = (
            draft
            for file in self._files.get(project_id, ())
            for draft in self.manifests[project_id, file].current.drafts
        )
        return {str(ref) for ref in map(_name_of, drafts) if ref is not None and ref.kind == "user"}

    def _take_file(
        self, project: Project, file: ManifestFile, left: Sequence[KnownManifest] = ()
    ) -> None:
        """Take in a manifest; one that moved here keeps the claim of where it `left`."""
        key = (project.id, file.path)
        known = self.manifests.get(key)
        fingerprint = self.translator.fingerprint(project, file)
        if known is not None and known.current.fingerprint == fingerprint:
            return
        translation = self.translator.translate(project, file)
        self.translated += 1
        made = remember(known, project.id, file, translation, self.now)
        self.manifests[key] = moved_here(made, left) if known is None else made

    def _take_skipped(self, record: ProjectSkipped) -> None:
        project = record.project
        self.seen.add(project.id)
        self.unreadable.discard(project.id)
        known = self.projects.get(project.id)
        self._forget(project.id, record.reason)
        left = KnownProject(project, read_at=None, left_out=record.reason)
        # One that is as it was keeps its row: nothing to write for it.
        self.projects[project.id] = known if known is not None and known == left else left

    def _take_gone(self, record: ProjectGone) -> None:
        self.seen.add(record.project_id)
        self._forget(record.project_id, record.reason)

    def _take_gap(self, record: Gap) -> None:
        if record.project_id is None:
            self.enumeration_lost.append(record.reason)
            return
        if record.project_id in self.seen and record.project_id not in self.unreadable:
            return  # read after all: the gap is older news
        self.seen.add(record.project_id)
        self._mark_unreadable(record.project_id, record.reason, record.path, tried=self.now)

    def _settle_unseen(self, project_id: int) -> None:
        if self.enumeration_lost and self.before.projects[project_id].left_out:
            return  # nothing of it is missed
        if self.enumeration_lost:
            self._mark_unreadable(project_id, "the list of projects could not be read whole")
        else:
            self._forget(project_id, UNLISTED if project_id >= 0 else UNLISTED_GROUP)

    def _mark_unreadable(
        self, project_id: int, reason: str, path: str = "", tried: datetime | None = None
    ) -> None:
        self.unreadable.add(project_id)
        self.reasons[project_id] = reason
        known = self.projects.get(project_id)
        if known is None and not path:  # a project that only its number is known of
            nameless = Project(project_id, f"project {own_id(project_id)}")
            self.problems.append(unreadable(nameless, reason, None, None))
            return
        known = known or KnownProject(Project(project_id, path), read_at=None)
        self.projects[project_id] = replace(
            known,
            gap_since=known.gap_since or self.now,
            gap_reason=reason,
            gap_tried=tried or known.gap_tried,
            left_out="",
        )

    def _forget(self, project_id: int, reason: str) -> None:
        known = self.projects.pop(project_id, None)
        files = self._files.pop(project_id, set())
        for file in files:
            del self.manifests[project_id, file]
        if known is not None and files:
            self.problems.append(
                Problem(
                    f"left out: {reason}; what its manifests described is removed",
                    "project-left-out",
                    Severity.INFO,
                    project=known.project.path,
                    gitlab=mark_in(project_id),
                )
            )


def remember(
    known: KnownManifest | None,
    project_id: int,
    file: ManifestFile,
    translation: Translation,
    now: datetime,
) -> KnownManifest:
    """What to remember of a file that has just been translated anew.

    A broken text keeps the last good translation beside it; a good text starts its claim when it
    is first seen and keeps it through later changes. Of a text that can be used in part, what the
    rest gave before is kept: nobody can tell whether it is gone.
    """
    held = known.held_since if known else None
    if translation.verdict is Verdict.VALID:
        if translation.partial:
            translation = _with_what_was_known(translation, known)
        return KnownManifest(project_id, file.path, file.oid, translation, held or now)
    fresh = KnownManifest(project_id, file.path, file.oid, translation)
    if translation.verdict is Verdict.IGNORED or known is None:
        return fresh
    if known.current.verdict is Verdict.VALID:
        good, good_oid = known.current, known.oid
    elif known.good is not None:
        good, good_oid = known.good, known.good_oid
    else:
        return fresh
    return replace(
        fresh,
        good=good,
        good_oid=good_oid,
        held_since=held,
        broken_since=known.broken_since or now,
    )


def moved_here(made: KnownManifest, left: Iterable[KnownManifest]) -> KnownManifest:
    """A new manifest, with the claim of one that left its project and spoke of the same entity."""
    names = {_name_of(draft) for draft in made.current.drafts[:1]} - {None}
    ages = (
        each.held_since
        for each in left
        for translation in (each.current, each.good)
        if translation is not None and names & {_name_of(d) for d in translation.drafts[:1]}
    )
    oldest = min((age for age in ages if age is not None), default=None)
    return replace(made, held_since=oldest) if oldest and made.held_since else made


def _with_what_was_known(translation: Translation, known: KnownManifest | None) -> Translation:
    """The translation, and those drafts of the last good one whose entities it does not have."""
    if known is None:
        return translation
    before = known.current if known.current.verdict is Verdict.VALID else known.good
    names = {_name_of(draft) for draft in translation.drafts}
    kept = [draft for draft in before.drafts if _name_of(draft) not in names] if before else []
    return replace(translation, drafts=(*translation.drafts, *kept))


def _name_of(draft: Draft) -> Ref | None:
    """What a draft is called; None for one that Backstage would refuse in any case."""
    try:
        return Ref.of(draft.body)
    except (KeyError, AttributeError, TypeError):
        return None


def translated_manifest(known: KnownProject, manifest: KnownManifest) -> TranslatedManifest | None:
    """What stands of a manifest: its current translation if it is valid, else its last good one."""
    if manifest.current.verdict is Verdict.VALID:
        return TranslatedManifest(
            known.project,
            manifest.file,
            manifest.oid,
            manifest.current,
            held_since=manifest.held_since,
        )
    if manifest.good is None:
        return None
    return TranslatedManifest(
        known.project,
        manifest.file,
        manifest.good_oid,
        manifest.good,
        kept_since=manifest.broken_since,
        held_since=manifest.held_since,
    )


def translated_manifests(memory: Memory) -> tuple[TranslatedManifest, ...]:
    """Every manifest that has something to say, sorted by (project id, file)."""
    found = (
        translated_manifest(memory.projects[manifest.project_id], manifest)
        for _, manifest in sorted(memory.manifests.items(), key=lambda pair: pair[0])
    )
    return tuple(each for each in found if each is not None)


def moved(horizon: Horizon, end: ScrapeEnd, now: datetime, scope: str) -> Horizon:
    """How far is known after a scrape whose listing was whole, and that began at `now`.

    The source is asked by its own clock what changed since: by ours, if that is ahead, something
    would never be asked for.
    """
    if end.coverage is Coverage.SELECTED:
        return horizon
    if end.coverage is Coverage.FULL:
        horizon = replace(horizon, swept_at=now, scope=scope)
    return replace(horizon, listed_at=min(now, end.began or now))
