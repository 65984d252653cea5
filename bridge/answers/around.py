"""What a question about changes is about: an entity, or a project, and who stands near it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bridge.answers.dependencies import MOST, NEEDED_BY, NEEDS, PART_HOPS, PARTS, walk
from bridge.answers.identify import Identified, identify
from bridge.answers.knowledge import Knowledge, ref_of
from bridge.model.entities import Json, Ref

HOPS: Final = 2  # unless somebody says otherwise
MOST_HOPS: Final = 4
MOST_STARTS: Final = 500  # entities of one project that a question is about
# By these a whole project is meant, with all that its manifests speak of.
_OF_A_PROJECT: Final = ("GitLab project", "GitLab project id", "GitLab address")
_KINDS: Final = ("component", "api", "resource", "system", "domain", "group", "user")
_WAYS: Final = (("dependency", NEEDS), ("dependent", NEEDED_BY))


@dataclass(frozen=True, slots=True)
class Involvement:
    """How an entity stands to what was asked for: itself, part, dependency or dependent."""

    word: str
    hops: int = 0

    def __str__(self) -> str:
        return self.word if self.hops < 2 else f"{self.word}, {self.hops} hops"


ITSELF: Final = Involvement("itself")


@dataclass(frozen=True, slots=True)
class About:
    """What was asked about: `roles` by reference; `cut` when bounds left some out.

    Without roles `found` lists what may be meant. A `project` is asked about where only its
    manifests are known of, and no entity.
    """

    asked: str
    found: Identified
    roles: Mapping[str, Involvement] = field(default_factory=dict)
    project: str = ""
    cut: bool = False

    @property
    def clear(self) -> bool:
        """Whether it is clear what is meant."""
        return bool(self.roles or self.project)

    def as_json(self) -> dict[str, Json]:
        """The question as it was understood."""
        return {
            "asked": self.asked,
            "matches": [each.ref for each in self.found.matches],
            "near": list(self.found.near),
            "roles": {
                ref: {"role": role.word, "hops": role.hops} for ref, role in self.roles.items()
            },
            "cut": self.cut,
        }


def about(asked: str, known: Knowledge, hops: int = HOPS) -> About:
    """What is meant by a name, an alias, a path, an id or an address, and who stands near it.

    What the catalog no longer has is looked for by its name in the history.
    """
    found = identify(asked, known)
    if not found.total:
        refs = tuple(gone(asked))
        return About(asked, found, dict.fromkeys(refs, ITSELF), "" if refs else path_in(asked))
    if found.total > 1 and found.matches[0].key not in _OF_A_PROJECT:
        return About(asked, found)
    whole = found
    if found.total > len(found.matches):
        whole = identify(asked, known, MOST_STARTS)  # asked about are also those not listed
    entities = [each for match in whole.matches if (each := known.entity(match.ref)) is not None]
    roles, cut = around(entities, known, hops)
    return About(asked, found, roles, cut=cut or whole.total > len(whole.matches))


def gone(asked: str) -> Iterator[str]:
    """The references that a name may be that nothing has now; none where it is a path."""
    text = asked.strip()
    if not text.isprintable():
        return  # no reference is so, and a store may refuse it
    try:
        if ":" in text:
            yield str(Ref.parse(text))
        elif "/" not in text:
            yield from [str(Ref.parse(text, kind=kind)) for kind in _KINDS]
    except ValueError:
        return


def path_in(asked: str) -> str:
    """A project's path as it may be asked for; "" for what is none."""
    text = asked.strip().strip("/")
    return text if "/" in text and ":" not in text and text.isprintable() else ""


def around(
    starts: Sequence[Mapping[str, Any]], known: Knowledge, hops: int
) -> tuple[dict[str, Involvement], bool]:
    """Who stands near, by reference; and whether bounds ended the walk.

    Of a system, a domain or a team the parts are what is asked about: their dependencies count.
    """
    roles = {ref_of(each): ITSELF for each in starts}
    parts = walk(starts, known, PARTS, hops=PART_HOPS)
    roles |= {each.ref: Involvement("part", each.hops) for each in parts.reached}
    inner = [entity for ref in roles if (entity := known.entity(ref)) is not None]
    cut = len(parts.reached) >= MOST
    for word, along in _WAYS if hops else ():
        walked = walk(inner, known, along, hops=hops)
        for each in walked.reached:
            roles.setdefault(each.ref, Involvement(word, each.hops))
        cut = cut or len(walked.reached) >= MOST
    return roles, cut
