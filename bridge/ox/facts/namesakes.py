"""Projects of one path in several GitLabs, and the addresses by which they are told apart. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from bridge.model.memory import Memory
from bridge.model.numbers import mark_in

_USUAL: Final = (None, 80, 443)
_Place: TypeAlias = tuple[str, int | None, str]


def namesakes(memory: Memory) -> dict[int, tuple[str, ...]]:
    """By a project's number the pages of those of the same path in other GitLabs, if there are any.

    Only of projects that Fester knows; letter case does not count.
    """
    if not any(mark_in(number) for number in memory.projects):
        return {}
    by_path: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for number, known in memory.projects.items():
        by_path[known.project.path.lower()].append((number, known.project.web_url))
    found: dict[int, tuple[str, ...]] = {}
    for alike in by_path.values():
        for number, _ in alike:
            others = [page for other, page in alike if mark_in(other) != mark_in(number)]
            if others:
                found[number] = tuple(others)
    return found


def same_place(one: str, other: str) -> bool:
    """Whether two addresses are those of one repository, however it is asked for."""
    place = _place(one)
    return place is not None and place == _place(other)


def elsewhere(address: str, page: str, gitlabs: Iterable[str]) -> bool:
    """Whether an address lies in another of these GitLabs than a project's page does.

    Of one that lies in none of them, such as a broker's, nobody can tell.
    """
    bases = [base for base in map(_place, gitlabs) if base is not None]
    found = _base(address, bases)
    return found is not None and found != _base(page, bases)


def _base(address: str, bases: Iterable[_Place]) -> _Place | None:
    place = _place(address)
    if place is None:
        return None
    above = (base for base in bases if base[:2] == place[:2] and _lies_in(place[2], base[2]))
    return max(above, key=lambda base: len(base[2]), default=None)


def _lies_in(path: str, base: str) -> bool:
    return not base or f"{path}/".startswith(f"{base}/")


def _place(address: str) -> _Place | None:
    """Host, unusual port and path; None for what is no address."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host:
        return None
    path = parts.path.strip("/").lower().removesuffix(".git")
    return host, None if port in _USUAL else port, path
