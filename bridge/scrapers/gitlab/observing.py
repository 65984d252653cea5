"""What a project's node tells besides its manifests → an `Observation`. Pure.

Nothing here may cost a manifest: what is missing, null or odd becomes an unknown fact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from sys import intern
from typing import Any, Final

from bridge.model.entities import Json
from bridge.model.scrape import Observation
from bridge.scrapers.gitlab.queries import LOOKED_FOR, PRESENT

NOT_ASKED: Final = "it was not asked for: "
_TEXT_LIMIT = 300  # characters of a tag or a language
_LANGUAGES = 50

# GraphQL's field → our facts that it tells. An error at one of these is no error of the project.
FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "openIssuesCount": ("open_issues",),
    "openMergeRequestsCount": ("open_merge_requests",),
    "onlyAllowMergeIfPipelineSucceeds": ("merge_needs_pipeline",),
    "pipeline": ("pipeline_status",),
    "languages": ("languages", "main_language"),
    "releases": ("last_release", "last_release_at"),
    PRESENT: tuple(LOOKED_FOR),
}
ALL: Final = tuple(name for names in FIELDS.values() for name in names)


class _Odd(Exception):
    """A field holds something that GitLab's schema does not allow."""


def observe(
    project_id: int, node: Mapping[str, Any], seen_at: datetime, errors: Mapping[str, str]
) -> Observation:
    """The facts of a node; `errors` are GitLab's own messages, by field.

    A null is kept as a value, None: GitLab says that there is none.
    """
    values: dict[str, Json] = {}
    unknown: dict[str, str] = {}
    repository = node.get("repository")
    inside = repository if isinstance(repository, dict) else {}
    for field, names in FIELDS.items():
        holder = inside if field == PRESENT else node
        if field in errors:
            reason = f"GitLab answered with an error: {errors[field]}"
        elif field not in holder:
            reason = "GitLab's answer leaves it out"
        else:
            try:
                values |= _READERS[field](holder[field])
                continue
            except _Odd as odd:
                reason = f"GitLab's answer is not as expected: {odd}"
        unknown |= dict.fromkeys(names, reason)
    if isinstance(inside.get("empty"), bool):
        values["empty"] = inside["empty"]
    return Observation(project_id, seen_at, values, unknown)


def not_observed(project_id: int, seen_at: datetime, why: str) -> Observation:
    """The observation of a project whose page was read without Ox's facts."""
    return Observation(project_id, seen_at, {}, dict.fromkeys(ALL, NOT_ASKED + why))


def _count(name: str) -> Callable[[Any], dict[str, Json]]:
    def read(value: Any) -> dict[str, Json]:
        if value is not None and (type(value) is not int or value < 0):
            raise _Odd("a count that is none")
        return {name: value}

    return read


def _merge_needs_pipeline(value: Any) -> dict[str, Json]:
    if value is not None and not isinstance(value, bool):
        raise _Odd("neither true nor false")
    return {"merge_needs_pipeline": value}


def _pipeline(value: Any) -> dict[str, Json]:
    if value is None:
        return {"pipeline_status": None}
    return {"pipeline_status": _text(value, "status").lower()}


def _languages(value: Any) -> dict[str, Json]:
    if not isinstance(value, list):
        raise _Odd("no list of languages")
    shares = [(_share(each), _text(each, "name")) for each in value[:_LANGUAGES]]
    names = sorted({name for _, name in shares})
    main = max(shares, key=lambda pair: pair[0])[1] if shares else None
    return {"languages": names, "main_language": main}


def _releases(value: Any) -> dict[str, Json]:
    nodes = value.get("nodes") if isinstance(value, dict) else None
    if not isinstance(nodes, list):
        raise _Odd("no list of releases")
    if not nodes:
        return {"last_release": None, "last_release_at": None}
    return {
        "last_release": _text(nodes[0], "tagName"),
        "last_release_at": _moment(_text(nodes[0], "releasedAt")),
    }


def _present(value: Any) -> dict[str, Json]:
    nodes = value.get("nodes") if isinstance(value, dict) else None
    if not isinstance(nodes, list):
        raise _Odd("no list of files")
    there = {_text(node, "path") for node in nodes}
    return {name: not there.isdisjoint(paths) for name, paths in LOOKED_FOR.items()}


_READERS: Final[Mapping[str, Callable[[Any], dict[str, Json]]]] = {
    "openIssuesCount": _count("open_issues"),
    "openMergeRequestsCount": _count("open_merge_requests"),
    "onlyAllowMergeIfPipelineSucceeds": _merge_needs_pipeline,
    "pipeline": _pipeline,
    "languages": _languages,
    "releases": _releases,
    PRESENT: _present,
}


def _text(holder: Any, key: str) -> str:
    value = holder.get(key) if isinstance(holder, dict) else None
    if not isinstance(value, str) or not value:
        raise _Odd(f"{key} is missing")
    return intern(value[:_TEXT_LIMIT])  # thousands of projects share a status or a language


def _share(language: Any) -> float:
    share = language.get("share") if isinstance(language, dict) else None
    if isinstance(share, bool) or not isinstance(share, int | float):
        return 0.0
    return float(share)


def _moment(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _Odd("a date-time that is none") from None
    if moment.tzinfo is None:
        raise _Odd("a date-time without a zone")
    return moment.isoformat()
