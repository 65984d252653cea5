"""One search over everything: entities, what they link to, and problems."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bridge.answers.knowledge import Knowledge, annotation, ref_of, title_of
from bridge.language import links
from bridge.language.links import LinkKind
from bridge.model.problems import Problem

LONGEST: Final = 200  # characters of a question
WORDS: Final = 8
SHOWN: Final = 20
_NAME: Final = ("metadata.name",)
_CALLED: Final = ("metadata.name", "metadata.title", "metadata.annotations.fester.dev/aliases")
_SAID: Final = (
    *_CALLED,
    "metadata.description",
    "metadata.tags",
    "metadata.annotations.gitlab.com/project-slug",
    "metadata.annotations.fester.dev/product",
    "metadata.annotations.fester.dev/owner-channel",
    "spec.owner",
    "spec.system",
    "spec.type",
    "spec.lifecycle",
)
_LINKED: Final = ("metadata.links.title", "metadata.links.type", "metadata.links.url")
# Links that are documents; the rest are tools.
DOCUMENTS: Final = frozenset((LinkKind.RUNBOOK, LinkKind.DOCS))


@dataclass(frozen=True, slots=True)
class Hit:
    """An entity that was found."""

    ref: str
    kind: str
    title: str
    description: str
    owner: str


@dataclass(frozen=True, slots=True)
class DocumentFound:
    """A link that was found, and the entity that has it."""

    ref: str
    kind: LinkKind
    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Hits:
    """The best of what was found, and how many entities there are in all."""

    entities: tuple[Hit, ...] = ()
    total: int = 0
    documents: tuple[DocumentFound, ...] = ()
    problems: tuple[Problem, ...] = ()


def search(
    text: str, known: Knowledge, problems: Sequence[Problem] = (), *, shown: int = SHOWN
) -> Hits:
    """Everything that holds all words of a text: names first, then what is said of them.

    At most `shown` of each sort are given; words beyond the first eight do not count.
    """
    words = text[:LONGEST].lower().split()[:WORDS]
    if not words:
        return Hits()
    tiers = _tiers(words, known)
    found = {ref_of(entity): entity for entity in _best(tiers, known, shown)}
    return Hits(
        tuple(_hit(ref, entity) for ref, entity in found.items()),
        tiers[-1].bit_count(),
        tuple(_documents(words, known, shown)),
        tuple(_problems(words, problems, shown)),
    )


def _tiers(words: Sequence[str], known: Knowledge) -> list[int]:
    """Masks from the closest to the widest; the last one holds all that was found."""
    index, whole = known.index, "-".join(words)
    exact = index.equal("metadata.name", (whole,)) | index.equal("metadata.title", (whole,))
    begins = index.prefixed("metadata.name", words[0])
    named, called, said = (_all(words, keys, known) for keys in (_NAME, _CALLED, _SAID))
    return [exact, begins & called, named, called, exact | called | said]


def _all(words: Iterable[str], keys: Sequence[str], known: Knowledge) -> int:
    mask = known.index.everything
    for word in words:
        mask &= known.index.containing(keys, word)
    return mask


def _best(tiers: Sequence[int], known: Knowledge, shown: int) -> Iterator[dict[str, Any]]:
    """The entities of the closest masks, each once; only those that are shown are read."""
    taken, left = 0, shown
    for mask in tiers:
        for entity in known.picked(mask & ~taken):
            if not left:
                return
            left -= 1
            yield entity
        taken |= mask


def _hit(ref: str, entity: dict[str, Any]) -> Hit:
    owner = str((entity.get("spec") or {}).get("owner") or "")
    description = str(entity["metadata"].get("description") or "")
    return Hit(ref, str(entity["kind"]), title_of(entity), description, owner)


def _documents(words: Sequence[str], known: Knowledge, shown: int) -> Iterator[DocumentFound]:
    """Links whose title, kind or service holds the words; documents only, tools by their name."""
    mask = known.index.everything
    for word in words:
        mask &= known.index.containing((*_LINKED, *_CALLED), word)
    told: set[str] = set()
    for entity in known.picked(mask & known.index.having("metadata.links.url")):
        about = f"{title_of(entity)} {annotation(entity, 'fester.dev/aliases')}".lower()
        for link in entity["metadata"]["links"]:
            kind, title = links.kind_of(link), str(link.get("title") or "")
            text = f"{title} {kind} {link.get('type') or ''} {about}".lower()
            url = str(link.get("url") or "")
            # What is an entity of its own is told once, with the first that links to it.
            if kind in DOCUMENTS and url not in told and all(word in text for word in words):
                yield DocumentFound(ref_of(entity), kind, title, url)
                told.add(url)
                if len(told) == shown:
                    return


def _problems(words: Sequence[str], problems: Sequence[Problem], shown: int) -> Iterator[Problem]:
    left = shown
    for problem in problems:
        text = f"{problem.place} {problem.ref} {problem.message}".lower()
        if all(word in text for word in words):
            yield problem
            left -= 1
            if not left:
                return
