"""Defaults for groups, before and after a pass: read, kept, and the projects that they concern.

The store keeps what was read last, and the groups whose defaults changed since their projects were
read: these stay due until a pass has read all of them, whatever ends before. What cannot be read,
or cannot be used, leaves what was known in force.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

import structlog

from bridge.errors import SourceError, StoreError
from bridge.model.group_defaults import DefaultsPlace, Inheriting
from bridge.model.numbers import mark_in, mark_of, number_of
from bridge.model.problems import Problem, Severity
from bridge.model.reads import ReadKind
from bridge.passes.intake import BATCH
from bridge.passes.interfaces import Store
from bridge.passes.ledger import Ledger
from bridge.passes.stages import PassOptions, Stages
from bridge.ports import Browsing, Translator

log = structlog.get_logger()

_Inheriting = TypeVar("_Inheriting", bound=Inheriting)
_NOWHERE: Final = DefaultsPlace()
_ALL: Final = frozenset({""})
_MOST_GROUPS: Final = 2_000  # that are due one by one; of more, all is


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a source's defaults: the file's `text` as it could be used last, None if
    there was no file.

    `number` is that of its project, 0 unknown. `read`: whether the file was ever read, or found
    not to be there. `groups` name the defaults of each group as the manifests were last to have
    them, and `due` are the groups of which some may not have them yet.
    """

    place: DefaultsPlace = _NOWHERE
    number: int = 0
    read: bool = False
    text: str | None = None
    groups: Mapping[str, str] = field(default_factory=dict)
    due: frozenset[str] = frozenset()

    def moved(self, groups: Mapping[str, str]) -> Kept:
        """The same, where these are the defaults of the groups now."""
        names = groups.keys() | self.groups.keys()
        changed = {name for name in names if groups.get(name) != self.groups.get(name)}
        due = self.due | changed
        return replace(self, groups=groups, due=due if len(due) <= _MOST_GROUPS else _ALL)


@dataclass(frozen=True, slots=True)
class InheritingWish:
    """A pass's wish, with the projects (`ids`) of the groups that are due for other defaults."""

    wish: PassOptions
    due: frozenset[str] = frozenset()
    ids: frozenset[int] = frozenset()


def with_projects(wish: PassOptions, ids: frozenset[int]) -> PassOptions:
    """The wish, in which these projects are read, too; a full sweep reads them anyway."""
    request = wish.request
    if request is None or not ids:
        return wish
    if request.only:
        only = tuple(sorted({*request.only, *ids}))
        return replace(wish, request=replace(request, only=only))
    if request.since is None:
        return wish
    also = tuple(dict.fromkeys((*request.also, *sorted(ids))))
    return replace(wish, request=replace(request, also=also))


async def in_groups(ledger: Ledger, groups: Collection[str], source: str) -> frozenset[int]:
    """The projects of a source that are known to lie in groups, by paths in lower case."""
    if not groups:
        return frozenset()
    found = await ledger.model.in_groups(ledger.source, groups)
    return frozenset(number for number in found if mark_in(number) == mark_of(source))


async def projects_below(ledger: Ledger, groups: frozenset[str], source: str) -> frozenset[int]:
    """The projects of a source with a manifest that lie in groups; "" is all there are."""
    if "" in groups:
        known = ledger.model.project_ids(ledger.source)
        found = {n async for part in known for n in part if mark_in(n) == mark_of(source)}
    else:
        found = set(await in_groups(ledger, groups, source))
    numbers = sorted(number for number in found if number >= 0)
    concerned: set[int] = set()
    for start in range(0, len(numbers), BATCH):
        marks = await ledger.model.marks(ledger.source, numbers[start : start + BATCH])
        concerned |= {number for number, (_, files) in marks.items() if files}
    return frozenset(concerned)


@dataclass(slots=True)
class Inheritance:
    """The defaults of all sources of one ledger. `problems` are what is wrong with them now."""

    _problems: dict[str, tuple[Problem, ...]] = field(default_factory=dict)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the defaults of any source."""
        return tuple(
            replace(each, gitlab=mark_of(source))
            for source, found in self._problems.items()
            for each in found
        )

    async def renew(
        self, stages: Stages, wish: PassOptions, ledger: Ledger
    ) -> tuple[Translator, frozenset[str]]:
        """The translator with the defaults as they are now, and the groups that are due.

        Raises `SourceError` where nothing was ever known of a file that the settings name, and
        `StoreError`, `LeadLost`; `StoreConflict` when another process saved something meanwhile.
        """
        translator = stages.translator
        if not isinstance(translator, Inheriting):
            return translator, frozenset()
        in_use = bool(stages.defaults or translator.groups(wish.source))
        if wish.small and not in_use:
            return translator, frozenset()
        async with ledger.lock:
            await ledger.refresh()
            epoch, before = ledger.epoch, (await _load(ledger)).get(wish.source, Kept())
        if before == Kept() and not in_use:
            return translator, frozenset()
        now = await self._now(stages, translator, before, wish)
        made, faults = await _checked(translator, wish.source, now)
        if faults:
            raise SourceError(_never(now.place, str(faults[0])))
        now = now.moved(made.groups(wish.source))
        if now != before:
            await _keep(stages, ledger, epoch, wish.source, now)
        return made, now.due

    async def _now(
        self, stages: Stages, translator: Inheriting, before: Kept, wish: PassOptions
    ) -> Kept:
        """What is known of the file now: asked for where this pass is to ask."""
        place = stages.defaults
        if place is None:
            self._problems.pop(wish.source, None)
            return Kept(groups=before.groups, due=before.due)
        if before.place != place:
            before = Kept(place, groups=before.groups, due=before.due)
        small = wish.small and wish.request is not None
        if small and before.read and before.number not in wish.request.only:  # type: ignore[union-attr]
            return before
        try:
            now = await _read(stages, before, wish.source)
        except SourceError as error:
            if not before.read:
                raise SourceError(_never(place, str(error))) from None
            self._problems[wish.source] = (_unread(place, str(error)),)
            return before
        _, faults = await _checked(translator, wish.source, now)
        self._problems[wish.source] = _told(now, faults)
        if not faults:
            return now
        if not before.read:
            raise SourceError(_never(place, str(faults[0])))
        return replace(before, number=now.number)

    async def settled(
        self, stages: Stages, ledger: Ledger, source: str, groups: frozenset[str]
    ) -> None:
        """All projects in these groups have the defaults that there are now.

        Whoever tells it holds the ledger's lock.
        """
        kept = await _load(ledger)
        own = kept.get(source, Kept())
        left = replace(own, due=own.due - groups)
        if left != own:
            await _save(stages, ledger, ledger.epoch, {**kept, source: left})

    async def path_in(self, ledger: Ledger, number: int) -> str:
        """The path of the defaults in a project; "" where it keeps none."""
        kept = await _load(ledger)
        found = (each.place.path for each in kept.values() if number and each.number == number)
        return next(found, "")


async def with_kept(stages: Stages, store: Store, source: str) -> Translator:
    """The translator with the defaults that the store has of a catalog's sources now.

    For a process that reads for one that leads. Raises `StoreError`.
    """
    made = stages.translator
    if not isinstance(made, Inheriting):
        return made
    known = await _known(store, source)
    for name in stages.sources:  # what the store has nothing of has no defaults any more
        made, _ = await _checked(made, name, known.get(name, Kept()))
    return made


async def _read(stages: Stages, before: Kept, source: str) -> Kept:
    """The file as it is now. Raises `SourceError`."""
    place, scraper = before.place, stages.scraper
    if not isinstance(scraper, Browsing):
        raise SourceError("this source cannot be asked for one file")
    own, found = await scraper.look(place.project, place.path)
    number = number_of(source, own)
    if found.kind is ReadKind.ABSENT:
        return replace(before, number=number, read=True, text=None)
    if found.text is None:
        raise SourceError(f"it cannot be used: {found.refused or 'it is a folder'}")
    return replace(before, number=number, read=True, text=found.text)


async def _checked(
    translator: _Inheriting, source: str, now: Kept
) -> tuple[_Inheriting, tuple[Problem, ...]]:
    """The translator with these defaults; a large file would hold up all else."""
    return await asyncio.to_thread(translator.with_file, source, now.place, now.text)


def _never(place: DefaultsPlace, why: str) -> str:
    return (
        f"the defaults for groups in {place} could not be read: {why}. Nothing was ever known of "
        "them, so nothing is published: manifests would lack what they inherit. Mend it, or take "
        "`gitlab.defaults` out"
    )


def _unread(place: DefaultsPlace, why: str) -> Problem:
    return Problem(
        f"the defaults for groups could not be read: {why}; those read last stay in force",
        "defaults-unread",
        Severity.WARNING,
        project=place.project,
        file=place.path,
    )


def _told(now: Kept, faults: Sequence[Problem]) -> tuple[Problem, ...]:
    if faults:
        message = "cannot be used as it is now; the defaults that it gave before stay in force"
        rule = "defaults-kept"
    elif now.text is None:
        message = (
            "there is no such file, so no defaults are in force: write it, or take "
            "`gitlab.defaults` out"
        )
        rule = "defaults-missing"
    else:
        return ()
    place = now.place
    summary = Problem(message, rule, Severity.WARNING, project=place.project, file=place.path)
    return (summary, *faults)


async def _load(ledger: Ledger) -> dict[str, Kept]:
    return await _known(ledger.store, ledger.source)


async def _known(store: Store, source: str) -> dict[str, Kept]:
    text = await store.group_defaults.load(source)
    try:
        return {name: _kept(tree) for name, tree in json.loads(text or "{}").items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise StoreError(
            "what the store has of the defaults for groups cannot be understood: restore the store "
            "from a backup"
        ) from None


def _kept(tree: Mapping[str, Any]) -> Kept:
    place = DefaultsPlace(str(tree["project"]), str(tree["path"]))
    number, read, text = int(tree["number"]), bool(tree["read"]), str(tree["text"]) or None
    return Kept(place, number, read, text, dict(tree["groups"]), frozenset(tree["due"]))


async def _keep(stages: Stages, ledger: Ledger, epoch: int, source: str, now: Kept) -> None:
    log.info("Defaults changed", action="defaults_changed", groups=len(now.due), source=source)
    async with ledger.lock:
        kept = await _load(ledger)
        await _save(stages, ledger, epoch, {**kept, source: now})


async def _save(stages: Stages, ledger: Ledger, epoch: int, kept: Mapping[str, Kept]) -> None:
    """Keep it, unless another process leads by now: then it is that one's to keep.

    The edition refuses what was held up between the look at the lease and the write.
    """
    await stages.fence()
    known = {name: each for name, each in kept.items() if name in stages.sources}
    tree = {
        name: {
            "project": each.place.project,
            "path": each.place.path,
            "number": each.number,
            "read": each.read,
            "text": each.text or "",  # an empty file could never be used
            "groups": each.groups,
            "due": sorted(each.due),
        }
        for name, each in known.items()
        if each != Kept()
    }
    text, keep = json.dumps(tree, ensure_ascii=True), ledger.store.group_defaults.keep
    await ledger.write(epoch, lambda edition: keep(ledger.source, edition, text))
