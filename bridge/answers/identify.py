"""What somebody means who says a name, an alias, a path, an id or an address.

The keys are tried in a fixed order, the most exact first. All entities that the first key with a
match gives are matches: nobody guesses between them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeAlias
from urllib.parse import unquote, urlsplit

from bridge.answers.knowledge import Knowledge, annotation, ref_of, title_of
from bridge.language.names import nearest
from bridge.model.entities import Ref

LONGEST: Final = 500  # characters of a question; no name, path or address that we know is longer
MOST: Final = 50  # matches that are listed
_NEAR: Final = 5
_LOOKED_AT: Final = 1000
LINK: Final = "link"
HOST: Final = "host of a link"
SEGMENTS: Final = 20  # of a path; links are no deeper
_SCHEMES: Final = ("https://", "http://")

_ALIASES: Final = "fester.dev/aliases"
_SLUG: Final = "gitlab.com/project-slug"
_PROJECT_ID: Final = "gitlab.com/project-id"
_PAGERDUTY: Final = ("pagerduty.com/service-id", "fester.dev/pagerduty-url")
_OPSGENIE: Final = (
    "opsgenie.com/team",
    "fester.dev/opsgenie-schedule",
    "opsgenie.com/component-selector",
    "fester.dev/jsm-team",
    "fester.dev/jsm-schedule",
)
_OPSGENIE_HOSTS: Final = ("opsgenie.", ".atlassian.net")
_ADDRESSES: Final = (
    "backstage.io/view-url",
    "backstage.io/edit-url",
    "backstage.io/source-location",
)
_LINKS: Final = "metadata.links.url"
_HOST: Final = re.compile(r"(?=.{4,253}$)([a-z0-9-]+\.)+[a-z0-9-]*[a-z][a-z0-9-]*(:\d{1,5})?")
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PAGERDUTY_ID: Final = re.compile(r"p[a-z0-9]{5,20}")


@dataclass(frozen=True, slots=True)
class Match:
    """One entity that may be meant. `key` says in words by what it was found."""

    ref: str
    kind: str
    title: str
    key: str
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Identified:
    """What was found: the first matches, how many there are, and names that are near."""

    matches: tuple[Match, ...] = ()
    total: int = 0
    near: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidates:
    """Those of the index's mask, and which of them are meant (None: all)."""

    mask: int = 0
    meant: Callable[[dict[str, Any]], bool] | None = None


NOBODY: Final = Candidates()
Search: TypeAlias = Callable[[str, Knowledge], Candidates]


def identify(asked: str, known: Knowledge, most: int = MOST) -> Identified:
    """Find what is meant by a text of at most `LONGEST` characters; longer ones find nothing.

    `most` matches are listed, and all are counted.
    """
    text = asked.strip().strip("<>").strip()
    if not text or len(text) > LONGEST:
        return Identified()
    folded = text.lower()
    for key, search in _KEYS:
        found, total = _checked(search(folded, known), known, most)
        if total:
            matches = sorted(
                (_match(each, key) for each in found), key=lambda each: _order(each.ref)
            )
            return Identified(tuple(matches), total)
    return Identified(near=_near(folded, known))


def _checked(
    candidates: Candidates, known: Knowledge, most: int
) -> tuple[list[dict[str, Any]], int]:
    """At most `most` of those that are meant, and how many there are; no more are read than that.

    Where candidates have to be looked at, a thousand are: then counts are of those.
    """
    picked = known.picked(candidates.mask)
    if candidates.meant is None:
        return list(islice(picked, most)), candidates.mask.bit_count()
    found = [each for each in islice(picked, _LOOKED_AT) if candidates.meant(each)]
    return found[:most], len(found)


def _match(entity: dict[str, Any], key: str) -> Match:
    owner = str((entity.get("spec") or {}).get("owner") or "")
    return Match(ref_of(entity), str(entity["kind"]), title_of(entity), key, owner)


def _order(ref: str) -> tuple[bool, str]:
    """Components first: an incident is of something that runs."""
    return not ref.startswith("component:"), ref


def _by_reference(text: str, known: Knowledge) -> Candidates:
    try:
        ref = Ref.parse(text)
    except ValueError:
        return NOBODY
    mask = known.index.equal("metadata.name", (ref.name,))
    return Candidates(mask, lambda entity: ref_of(entity) == str(ref))


def _equal(*keys: str) -> Search:
    return lambda text, known: _having(keys, (text,), known)


def _having(keys: Iterable[str], values: Sequence[str], known: Knowledge) -> Candidates:
    """What has one of these values under one of these keys."""
    mask = 0
    for key in keys:
        mask |= known.index.equal(key, values)
    return Candidates(mask)


def _by_alias(text: str, known: Knowledge) -> Candidates:
    def meant(entity: dict[str, Any]) -> bool:
        names = annotation(entity, _ALIASES).lower().split(",")
        return text in (name.strip() for name in names)

    return Candidates(known.index.containing((f"metadata.annotations.{_ALIASES}",), text), meant)


def _by_project(text: str, known: Knowledge) -> Candidates:
    path = text.strip("/")
    return _equal(f"metadata.annotations.{_SLUG}")(path, known) if "/" in path else NOBODY


def _by_pagerduty(text: str, known: Knowledge) -> Candidates:
    wanted = last_segment(text) if "pagerduty." in text else text
    if not _PAGERDUTY_ID.fullmatch(wanted):
        return NOBODY

    def meant(entity: dict[str, Any]) -> bool:
        named = {last_segment(annotation(entity, key).lower()) for key in _PAGERDUTY}
        linked = {last_segment(url) for url in _urls(entity) if "pagerduty." in url}
        return wanted in named | linked

    keys = [f"metadata.annotations.{key}" for key in _PAGERDUTY]
    return Candidates(known.index.containing((*keys, _LINKS), wanted), meant)


def _by_opsgenie(text: str, known: Knowledge) -> Candidates:
    """A team, a schedule or a selector of components; or an address that holds such an id."""
    ids = ids_in(text) if address_of(text) is not None else [text]
    return _having((f"metadata.annotations.{key}" for key in _OPSGENIE), ids or [text], known)


def ids_in(text: str) -> list[str]:
    """The ids of Opsgenie's or Atlassian's that one of their addresses holds."""
    asked = address_of(text)
    if asked is None or not any(host in asked[0] for host in _OPSGENIE_HOSTS):
        return []
    return _UUID.findall(asked[1])


def last_segment(text: str) -> str:
    """What stands behind the last slash."""
    return text.rstrip("/").rpartition("/")[2]


def _by_project_address(text: str, known: Knowledge) -> Candidates:
    """A project's page, a file in it, a clone address: whatever begins with the project's URL."""
    asked = address_of(text)
    if asked is None:
        return NOBODY
    host, path = asked
    project = unquote(path).partition("/-/")[0].strip("/").removesuffix(".git")

    def meant(entity: dict[str, Any]) -> bool:
        places = (address_of(annotation(entity, key).removeprefix("url:")) for key in _ADDRESSES)
        return any(place is not None and place[0] == host for place in places)

    return Candidates(_by_project(project, known).mask, meant)


def _by_link(text: str, known: Knowledge) -> Candidates:
    """The linked address that is closest above the one asked for.

    A query and a fragment do not tell dashboards apart, neither in the link nor in the question.
    """
    asked = address_of(text)
    if asked is None or not asked[1]:
        return NOBODY
    segments = asked[1].split("/")[:SEGMENTS]
    for depth in range(len(segments), 0, -1):
        mask = _linking(f"{asked[0]}/{'/'.join(segments[:depth])}", known)
        if mask:
            return Candidates(mask)
    return NOBODY


def _by_host(text: str, known: Knowledge) -> Candidates:
    asked = address_of(text)
    host = asked[0] if asked is not None and not asked[1] else text
    if not _HOST.fullmatch(host):
        return NOBODY
    mask = _linking(host, known)
    for scheme in _SCHEMES:
        mask |= known.index.prefixed(_LINKS, f"{scheme}{host}/")
    return Candidates(mask)


def is_linked(address: str, known: Knowledge) -> bool:
    """Whether something links to exactly this host and path."""
    return bool(_linking(address, known))


def _linking(address: str, known: Knowledge) -> int:
    """Those that link to exactly this host and path, whatever query or fragment follows."""
    mask = 0
    for scheme in _SCHEMES:
        url = f"{scheme}{address}"
        mask |= known.index.equal(_LINKS, (url, f"{url}/"))
        for mark in ("?", "#", "/?", "/#"):
            mask |= known.index.prefixed(_LINKS, f"{url}{mark}")
    return mask


def _urls(entity: dict[str, Any]) -> Iterator[str]:
    for link in entity["metadata"].get("links") or ():
        yield str(link.get("url", "")).lower()


def address_of(text: str) -> tuple[str, str] | None:
    """(host with its port, path without a slash at its end) of a URL, in lower case; else None."""
    if "://" not in text:
        git = re.fullmatch(r"git@([^:/]+):(.+)", text)  # how GitLab shows where to clone by SSH
        return (git[1].lower(), git[2].lower()) if git else None
    try:
        parts = urlsplit(text.lower())
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return None
    return (host + port, parts.path.strip("/")) if host else None


def _near(text: str, known: Knowledge) -> tuple[str, ...]:
    """References whose name is like what was asked."""
    key = known.index.keys.get("metadata.name")
    if key is None:
        return ()
    near = near_names(text, [value for value in key.values if value is not None])
    mask = known.index.equal("metadata.name", (each.lower() for each in near))
    return tuple(sorted((ref_of(entity) for entity in known.picked(mask)), key=_order))[:_NEAR]


def near_names(text: str, names: Sequence[str]) -> list[str]:
    """The names that are most like what was asked: first those that hold it."""
    name = re.sub(r"[^a-z0-9]+", "-", text.rpartition(":")[2].rpartition("/")[2]).strip("-")
    if not name:
        return []
    holding = [each for each in names if name in each.lower()][:_NEAR]
    return list(dict.fromkeys((*holding, *nearest(name, names, _NEAR, 0.7))))[:_NEAR]


# The most exact first; the words go into sentences: "found by its …".
_KEYS: Final = (
    ("reference", _by_reference),
    ("name", _equal("metadata.name")),
    ("title", _equal("metadata.title", "metadata.annotations.fester.dev/source-name")),
    ("alias", _by_alias),
    ("GitLab project", _by_project),
    ("GitLab project id", _equal(f"metadata.annotations.{_PROJECT_ID}")),
    ("PagerDuty id", _by_pagerduty),
    ("on-call team, schedule or id", _by_opsgenie),
    ("GitLab address", _by_project_address),
    (LINK, _by_link),
    (HOST, _by_host),
)
