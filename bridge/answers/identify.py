"""What somebody means who says a name, an alias, a path, an id or an address.

The keys are tried in a fixed order, the most exact first. All entities that the first key with a
match gives are matches: nobody guesses between them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from bridge.answers.knowledge import Knowledge, annotation, ref_of, title_of
from bridge.model.entities import Ref

LONGEST: Final = 500  # characters of a question; no name, path or address that we know is longer
MOST: Final = 50  # matches that are listed
_NEAR: Final = 5

_ALIASES: Final = "fester.dev/aliases"
_SLUG: Final = "gitlab.com/project-slug"
_PROJECT_ID: Final = "gitlab.com/project-id"
_PAGERDUTY: Final = ("pagerduty.com/service-id", "fester.dev/pagerduty-url")
_ADDRESSES: Final = (
    "backstage.io/view-url",
    "backstage.io/edit-url",
    "backstage.io/source-location",
)
_LINKS: Final = "metadata.links.url"
_HOST: Final = re.compile(r"(?=.{4,253}$)([a-z0-9-]+\.)+[a-z0-9-]*[a-z][a-z0-9-]*(:\d{1,5})?")
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
class Found:
    """What was found: the first `MOST` matches, how many there are, and names that are near."""

    matches: tuple[Match, ...] = ()
    total: int = 0
    near: tuple[str, ...] = ()


def identify(asked: str, known: Knowledge) -> Found:
    """Find what is meant by a text of at most `LONGEST` characters; longer ones find nothing."""
    text = asked.strip().strip("<>").strip()
    if not text or len(text) > LONGEST:
        return Found()
    folded = text.lower()
    for key, search in _KEYS:
        found = {ref_of(entity): entity for entity in search(folded, known)}
        if found:
            matches = tuple(_match(found[ref], key) for ref in sorted(found, key=_order))
            return Found(matches[:MOST], len(matches))
    return Found(near=_near(folded, known))


def _match(entity: dict[str, Any], key: str) -> Match:
    owner = str((entity.get("spec") or {}).get("owner") or "")
    return Match(ref_of(entity), str(entity["kind"]), title_of(entity), key, owner)


def _order(ref: str) -> tuple[bool, str]:
    """Components first: an incident is of something that runs."""
    return not ref.startswith("component:"), ref


def _by_reference(text: str, known: Knowledge) -> Iterator[dict[str, Any]]:
    try:
        entity = known.entity(str(Ref.parse(text)))
    except ValueError:
        return
    if entity is not None:
        yield entity


def _equal(*keys: str) -> Callable[[str, Knowledge], Iterator[dict[str, Any]]]:
    def search(text: str, known: Knowledge) -> Iterator[dict[str, Any]]:
        mask = 0
        for key in keys:
            mask |= known.index.equal(key, (text,))
        return known.picked(mask)

    return search


def _by_alias(text: str, known: Knowledge) -> Iterator[dict[str, Any]]:
    mask = known.index.containing((f"metadata.annotations.{_ALIASES}",), text)
    for entity in known.picked(mask):
        names = annotation(entity, _ALIASES).lower().split(",")
        if text in (name.strip() for name in names):
            yield entity


def _by_project(text: str, known: Knowledge) -> Iterator[dict[str, Any]]:
    path = text.strip("/")
    return _equal(f"metadata.annotations.{_SLUG}")(path, known) if "/" in path else iter(())


def _by_pagerduty(text: str, known: Knowledge) -> Iterator[dict[str, Any]]:
    wanted = text.rstrip("/").rpartition("/")[2] if "pagerduty." in text else text
    if not _PAGERDUTY_ID.fullmatch(wanted):
        return
    keys = [f"metadata.annotations.{key}" for key in _PAGERDUTY]
    for entity in known.picked(known.index.containing((*keys, _LINKS), wanted)):
        links = (entity["metadata"].get("links") or ()) if "links" in entity["metadata"] else ()
        urls = [str(link.get("url", "")) for link in links]
        named = [annotation(entity, key) for key in _PAGERDUTY]
        ends = {each.lower().rstrip("/").rpartition("/")[2] for each in named if each}
        ends |= {u.lower().rstrip("/").rpartition("/")[2] for u in urls if "pagerduty." in u}
        if wanted in ends:
            yield entity


def _by_project_address(text: str, known: Knowledge) -> Iterator[dict[str, Any]]:
    """A project's page, a file in it, a clone address: whatever begins with the project's URL."""
    asked = _address(text)
    if asked is None:
        return
    host, path = asked
    project = unquote(path).partition("/-/")[0].strip("/").removesuffix(".git")
    for entity in _by_project(project, known):
        places = (_address(annotation(entity, key).removeprefix("url:")) for key in _ADDRESSES)
        if any(place is not None and place[0] == host for place in places):
            yield entity


def _by_link(text: str, known: Knowledge) -> Iterator[dict[str, Any]]:
    """The same address, or one below it; a query and a fragment do not tell dashboards apart."""
    asked = _address(text)
    if asked is None or not asked[1]:
        return
    host, path = asked
    for entity in known.picked(known.index.containing((_LINKS,), host)):
        for link in _urls(entity):
            linked = _address(link)
            if linked is None or linked[0] != host or not linked[1]:
                continue
            if path == linked[1] or path.startswith(linked[1] + "/"):
                yield entity
                break


def _by_host(text: str, known: Knowledge) -> Iterator[dict[str, Any]]:
    asked = _address(text)
    host = asked[0] if asked is not None and not asked[1] else text
    if not _HOST.fullmatch(host):
        return
    for entity in known.picked(known.index.containing((_LINKS,), host)):
        if any((_address(link) or ("", ""))[0] == host for link in _urls(entity)):
            yield entity


def _urls(entity: dict[str, Any]) -> Iterator[str]:
    for link in entity["metadata"].get("links") or ():
        yield str(link.get("url", "")).lower()


def _address(text: str) -> tuple[str, str] | None:
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
    name = re.sub(r"[^a-z0-9]+", "-", text.rpartition(":")[2].rpartition("/")[2]).strip("-")
    key = known.index.keys.get("metadata.name")
    if key is None or not name:
        return ()
    names = [value for value in key.values if value is not None]
    holding = [each for each in names if name in each.lower()][:_NEAR]
    near = dict.fromkeys((*holding, *difflib.get_close_matches(name, names, _NEAR, 0.7)))
    mask = known.index.equal("metadata.name", (each.lower() for each in list(near)[:_NEAR]))
    return tuple(sorted((ref_of(entity) for entity in known.picked(mask)), key=_order))[:_NEAR]


# The most exact first. The words go into sentences: "found by its …".
_KEYS: Final = (
    ("reference", _by_reference),
    ("name", _equal("metadata.name")),
    ("title", _equal("metadata.title", "metadata.annotations.fester.dev/source-name")),
    ("alias", _by_alias),
    ("GitLab project", _by_project),
    ("GitLab project id", _equal(f"metadata.annotations.{_PROJECT_ID}")),
    ("PagerDuty id", _by_pagerduty),
    ("GitLab address", _by_project_address),
    ("link", _by_link),
    ("host of a link", _by_host),
)
