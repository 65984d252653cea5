"""What differs between Snyk's projects and what is known of their repositories. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.model.entities import Ref
from bridge.model.numbers import mark_in
from bridge.model.remediation import ActionKind, IssueKey, IssuePlace
from bridge.model.scores import Scoreboard
from bridge.ox.facts.snyk_client import Snyk, SnykListing, SnykProject

Tag = tuple[str, str]  # key and value

VALUE: Final = 50  # characters; https://docs.snyk.io/snyk-api/reference/projects-v1
_UNFIT: Final = re.compile(r"[^A-Za-z0-9_-]+")
_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True)
class SnykChange:
    """A change to one project of Snyk: tags, or its deactivation when there are none.

    What is `added` is on it before what is `removed` is off: it is never without a tag that it had.
    """

    project: SnykProject
    place: IssuePlace
    added: tuple[Tag, ...] = ()
    removed: tuple[Tag, ...] = ()

    @property
    def kind(self) -> ActionKind:
        """What is done."""
        return ActionKind.TAG if self.added or self.removed else ActionKind.DEACTIVATE

    @property
    def key(self) -> IssueKey:
        """Under which it is remembered."""
        named = IssueKey.snyk_tags if self.kind is ActionKind.TAG else IssueKey.deactivation
        return named(self.place.project_id, self.project.id)

    @property
    def steps(self) -> int:
        """How many requests it takes."""
        return len(self.added) + len(self.removed) or 1

    @property
    def reason(self) -> str:
        """Why, as a sentence part."""
        if self.kind is ActionKind.DEACTIVATE:
            return "its repository is archived, and Snyk tests it still"
        said = [f"{key}={value} is missing" for key, value in self.added]
        said += [f"{key}={value} is out of date" for key, value in self.removed]
        return f"tags in Snyk: {', '.join(said)}"

    def requests(self, snyk: Snyk) -> Iterator[Awaitable[None]]:
        """The requests in their order; each is to be awaited before the next is asked for."""
        if self.kind is ActionKind.DEACTIVATE:
            yield snyk.deactivate(self.project)
        for key, value in self.added:
            yield snyk.tag(self.project, key, value)
        for key, value in self.removed:
            yield snyk.untag(self.project, key, value)


def wanted_tags(
    board: Scoreboard, places: Mapping[Ref, IssuePlace], keys: Mapping[str, str]
) -> dict[int, dict[str, str]]:
    """By project of GitLab, the value of each key of ours.

    What is not known, and on what services of one repository differ, has no entry: it stays.
    """
    told: dict[int, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    services = board.services
    for ref, place in places.items():
        if ref not in services or mark_in(place.project_id):
            continue
        for what, key in keys.items():
            told[place.project_id][key].add(_TELLS[what](board, ref, place))
    return {
        number: {
            key: value
            for key, values in by_key.items()
            if len(values) == 1
            for value in values
            if value
        }
        for number, by_key in told.items()
    }


def _tier(board: Scoreboard, ref: Ref, place: IssuePlace) -> str:
    tier = board.scores[ref].tier
    return "" if tier is None else str(tier)


_TELLS: Final[Mapping[str, Callable[[Scoreboard, Ref, IssuePlace], str]]] = {
    "owner": lambda board, ref, place: value_of(place.owner),
    "system": lambda board, ref, place: value_of(place.system),
    "tier": _tier,
}


def value_of(reference: str) -> str:
    """A reference as a tag's value: the name, after its namespace where that is another than
    `default`; letters, digits, - and _ only.
    """
    if not reference:
        return ""
    ref = Ref.parse(reference)
    name = ref.name if ref.namespace == "default" else f"{ref.namespace}-{ref.name}"
    return _UNFIT.sub("-", name)[:VALUE]


def taggings(
    wanted: Mapping[int, Mapping[str, str]],
    places: Mapping[Ref, IssuePlace],
    listing: SnykListing,
) -> Iterator[SnykChange]:
    """Projects whose tags are other ones; only those of the wanted keys are looked at."""
    by_number = {place.project_id: place for place in places.values()}
    for number, tags in sorted(wanted.items()):
        for project in _listed(by_number[number], listing):
            has = project.tags
            if has is None or not project.active:
                continue
            added = tuple(sorted(tag for tag in tags.items() if tag not in has))
            removed = tuple(
                sorted({(key, is_) for key, is_ in has if key in tags and tags[key] != is_})
            )
            if added or removed:
                yield SnykChange(project, by_number[number], added, removed)


def deactivations(archived: Iterable[IssuePlace], listing: SnykListing) -> Iterator[SnykChange]:
    """Projects that Snyk tests although their repository is archived."""
    for place in archived:
        for project in _listed(place, listing):
            if project.active:
                yield SnykChange(project, place)


def unclear(
    places: Iterable[IssuePlace], listing: SnykListing
) -> Iterator[tuple[IssuePlace, SnykProject]]:
    """Projects of Snyk of which nobody can tell whose they are: nothing is done to them."""
    for place in {one.project_id: one for one in places if not mark_in(one.project_id)}.values():
        for project in listing.of(place.project, place.web_url, place.namesakes)[1]:
            yield place, project


def _listed(place: IssuePlace, listing: SnykListing) -> Sequence[SnykProject]:
    """What Snyk has of a repository, by id; what has an id that is none is left alone."""
    found, _ = listing.of(place.project, place.web_url, place.namesakes)
    return sorted((one for one in found if _ID.fullmatch(one.id)), key=lambda one: one.id)
