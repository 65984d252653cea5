"""Pages with opaque cursors, where rows the reader may not see vanish *after* the limit."""

from __future__ import annotations

import base64
import json
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.sandbox.complexity import page_size
from bridge.sandbox.project import SandboxProject

SortKey = Callable[[SandboxProject], Any]

SORT_KEYS: dict[str, SortKey] = {
    "id": lambda project: project.id,
    "name": lambda project: project.name.lower(),
    "path": lambda project: project.path.lower(),
    "created": lambda project: project.created_at.isoformat(),
    "created_at": lambda project: project.created_at.isoformat(),
    "updated": lambda project: project.updated_at.isoformat(),
    "updated_at": lambda project: project.updated_at.isoformat(),
    "latest_activity": lambda project: project.last_activity_at.isoformat(),
    "last_activity_at": lambda project: project.last_activity_at.isoformat(),
    "activity": lambda project: project.last_activity_at.isoformat(),
}


PAGING = ("after", "before", "first", "last")


@dataclass(frozen=True)
class ConnectionPage:
    """A page of any connection: its rows with their cursors, and whether there are more."""

    rows: Sequence[Any]
    cursors: Sequence[str]
    has_next: bool
    has_previous: bool
    total: int
    start: str | None
    end: str | None


def in_order(candidates: list[SandboxProject], sort: str) -> list[SandboxProject]:
    """Projects in `sort` order (`id_desc`, …); they are given by id."""
    key, descending = _order(sort)
    if key is SORT_KEYS["id"]:
        return candidates[::-1] if descending else candidates
    return sorted(candidates, key=lambda p: (key(p), p.id), reverse=descending)


def project_page(
    ordered: Sequence[SandboxProject],
    arguments: dict[str, Any],
    sort: str,
    may_see: Callable[[SandboxProject], bool],
) -> ConnectionPage:
    """One page of projects that are in `sort` order, redacted after the limit."""
    key, descending = _order(sort)
    low, high = _bounds(ordered, key, arguments, descending)
    size = page_size(arguments)
    if arguments.get("last") is not None:
        low = max(low, high - size)
    else:
        high = min(high, low + size)
    window = ordered[low:high]
    seen = [project for project in window if may_see(project)]
    ends = [_cursor(project, key) for project in [*window[:1], *window[-1:]]]
    return ConnectionPage(
        seen,
        [_cursor(project, key) for project in seen],
        high < len(ordered),
        low > 0,
        len(ordered),
        ends[0] if ends else None,
        ends[-1] if ends else None,
    )


def plain_page(rows: Sequence[Any], arguments: dict[str, Any]) -> ConnectionPage:
    """One page of rows that need no redaction; cursors count rows."""
    low = int(_opened(arguments["after"])["offset"]) + 1 if arguments.get("after") else 0
    high = min(len(rows), low + page_size(arguments))
    cursors = [_encoded({"offset": number}) for number in range(low, high)]
    return ConnectionPage(
        rows[low:high],
        cursors,
        high < len(rows),
        low > 0,
        len(rows),
        cursors[0] if cursors else None,
        cursors[-1] if cursors else None,
    )


class BadCursor(ValueError):
    """A cursor that this server never gave."""


def _order(sort: str) -> tuple[SortKey, bool]:
    """What a `sort` compares, and whether the greatest comes first."""
    name, _, direction = sort.lower().rpartition("_")
    return SORT_KEYS.get(name, SORT_KEYS["id"]), direction != "asc"


def _bounds(
    ordered: Sequence[SandboxProject], key: SortKey, arguments: dict[str, Any], descending: bool
) -> tuple[int, int]:
    low, high = 0, len(ordered)
    if arguments.get("after"):
        low = _position(ordered, key, _place(arguments["after"]), (descending, True))
    if arguments.get("before"):
        high = _position(ordered, key, _place(arguments["before"]), (descending, False))
    return low, max(low, high)


def _position(
    ordered: Sequence[SandboxProject],
    key: SortKey,
    place: tuple[Any, int],
    ways: tuple[bool, bool],
) -> int:
    """Where the cursor's row ends (or begins), or would if it has gone or moved since."""
    descending, beyond = ways

    def passed(project: SandboxProject) -> bool:
        here = (key(project), project.id)
        return (here == place and not beyond) or (here < place if descending else here > place)

    return bisect_left(ordered, True, key=passed)


def _place(cursor: str) -> tuple[Any, int]:
    opened = _opened(cursor)
    number = int(opened["id"])
    return opened.get("key", number), number


def _cursor(project: SandboxProject, key: SortKey) -> str:
    value = key(project)
    opened = {"id": str(project.id)}
    return _encoded(opened if value == project.id else {"key": value, **opened})


def _encoded(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _opened(cursor: str) -> dict[str, Any]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        opened = json.loads(base64.urlsafe_b64decode(padded))
        if not isinstance(opened, dict) or not ({"id", "offset"} & opened.keys()):
            raise BadCursor("Please provide a valid cursor")
    except (ValueError, UnicodeDecodeError) as error:
        raise BadCursor("Please provide a valid cursor") from error
    return opened
