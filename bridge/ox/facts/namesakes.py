"""Projects of one path in several GitLabs, and the addresses by which they are told apart. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import Final
from urllib.parse import urlsplit

from bridge.model.memory import Memory
from bridge.model.numbers import mark_in

_USUAL: Final = (None, 80, 443)


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


def _place(address: str) -> tuple[str, int | None, str] | None:
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
