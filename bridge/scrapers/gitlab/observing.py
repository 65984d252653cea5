"""What a project's node tells besides its manifests → an `Observation`. Pure.

Nothing here may cost a manifest: what is missing, null or odd becomes an unknown fact.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from sys import intern
from typing import Any, Final

from bridge.model.entities import Json
from bridge.model.scrape import Observation
from bridge.scrapers.gitlab.files import is_file
from bridge.scrapers.gitlab.queries import (
    CI_CONFIG,
    LOOKED_FOR,
    PRESENT,
    ROOT,
    ROOT_FILES,
    SHOWN_RELEASES,
)

NOT_ASKED: Final = "it was not asked for: "
MORE: Final = f"the root has more than {ROOT_FILES} files, and it is none of the first"
_ERROR: Final = "GitLab answered with an error: "
_ODD: Final = "GitLab's answer is not as expected: "
_LEFT_OUT: Final = "GitLab's answer leaves it out"
_TEXT_LIMIT = 300  # characters of a tag or a language
_LANGUAGES = 50

# What GitLab itself takes for a readme and a license, whatever the letter case.
_BY_NAME: Final = {
    "readme": re.compile(
        r"readme(\.(md|mdown|mkdn?|markdown|rst|adoc|ad|asciidoc|org|rdoc|textile|creole|wiki"
        r"|mediawiki|txt))?",
        re.IGNORECASE,
    ),
    "license": re.compile(r"((un)?licen[sc]e|copying)([.-].+)?", re.IGNORECASE),
}

# GraphQL's field → our facts that it tells. An error at one of these is no error of the project.
FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "openIssuesCount": ("open_issues",),
    "openMergeRequestsCount": ("open_merge_requests",),
    "onlyAllowMergeIfPipelineSucceeds": ("merge_needs_pipeline",),
    "pipeline": ("pipeline_status",),
    "languages": ("languages", "main_language"),
    "releases": ("last_release", "last_release_at"),
    PRESENT: tuple(LOOKED_FOR),
    ROOT: tuple(LOOKED_FOR),
}
ALL: Final = tuple(dict.fromkeys(name for names in FIELDS.values() for name in names))


class _Odd(Exception):
    """A field holds something that GitLab's schema does not allow."""


def observe(
    project_id: int,
    node: Mapping[str, Any],
    seen_at: datetime,
    errors: Mapping[str, str],
    lacks: Collection[str] = (),
) -> Observation:
    """The facts of a node; `errors` are GitLab's own messages, by field.

    A null is kept as a value, None: GitLab says that there is none. `lacks` are the fields that
    this GitLab does not know, "Type.field".
    """
    values: dict[str, Json] = {}
    unknown: dict[str, str] = {}
    for field, read in _READERS.items():
        if field in errors:
            reason = f"{_ERROR}{errors[field]}"
        elif f"Project.{field}" in lacks:
            reason = f"this GitLab is too old to tell it: its API has no {field}"
        elif field not in node:
            reason = _LEFT_OUT
        else:
            try:
                values |= read(node[field])
                continue
            except _Odd as odd:
                reason = f"{_ODD}{odd}"
        unknown |= dict.fromkeys(FIELDS[field], reason)
    repository = node.get("repository")
    inside = repository if isinstance(repository, dict) else {}
    seen = _look_for_files(values, unknown, inside, errors)
    _ci_config(values, unknown, node)
    if isinstance(inside.get("empty"), bool):
        values["empty"] = inside["empty"]
    return Observation(project_id, seen_at, values, unknown, catalog_info=_catalog_info(seen))


def _look_for_files(
    values: dict[str, Json],
    unknown: dict[str, str],
    inside: Mapping[str, Any],
    errors: Mapping[str, str],
) -> set[str]:
    """The files that were seen; one that is not among them is missing only if all were seen.

    An empty repository has no root: GitLab answers null for it.
    """
    seen: set[str] = set()
    why_not = ""
    lists = () if inside.get("empty") is True else ((PRESENT, _paths), (ROOT, _root_names))
    for field, read in lists:
        if field in errors:
            why_not = f"{_ERROR}{errors[field]}"
        elif field not in inside:
            why_not = _LEFT_OUT
        else:
            try:
                names, more = read(inside[field])
            except _Odd as odd:
                names, more = (), f"{_ODD}{odd}"
            seen.update(names)
            why_not = why_not or more
    for fact, paths in LOOKED_FOR.items():
        pattern = _BY_NAME.get(fact)
        if not seen.isdisjoint(paths) or (pattern and any(map(pattern.fullmatch, seen))):
            values[fact] = True
        elif why_not:
            unknown[fact] = why_not
        else:
            values[fact] = False
    return seen


def _catalog_info(seen: Collection[str]) -> str:
    return next((name for name in LOOKED_FOR["catalog_info"] if name in seen), "")


def _paths(value: Any) -> tuple[Iterable[str], str]:
    """The paths of the files that were asked for; directories and submodules are none."""
    nodes = value.get("nodes") if isinstance(value, dict) else None
    if not isinstance(nodes, list):
        raise _Odd("no list of files")
    return [_text(node, "path") for node in nodes if is_file(_text(node, "mode"))], ""


def _root_names(tree: Any) -> tuple[Iterable[str], str]:
    """The names of the root's files, and why these are not all of them ("" when they are)."""
    blobs = tree.get("blobs") if isinstance(tree, dict) else None
    nodes = blobs.get("nodes") if isinstance(blobs, dict) else None
    if not isinstance(nodes, list):
        raise _Odd("no list of the root's files")
    page = blobs.get("pageInfo") if isinstance(blobs, dict) else None
    whole = isinstance(page, dict) and page.get("hasNextPage") is False
    return [_text(node, "name") for node in nodes], "" if whole else MORE


def _ci_config(values: dict[str, Json], unknown: dict[str, str], node: Mapping[str, Any]) -> None:
    """A project may name another file than the usual one, in another project or on a server."""
    path = _ci_path(node)
    if path == CI_CONFIG:
        return
    values.pop("ci_config", None)
    unknown.pop("ci_config", None)
    if "@" in path or "://" in path:
        values["ci_config"] = True
    else:
        unknown["ci_config"] = f"the project's CI file is {path}, which was not looked for"


def _ci_path(node: Mapping[str, Any]) -> str:
    path = node.get("ciConfigPathOrDefault")
    return path.strip()[:_TEXT_LIMIT] if isinstance(path, str) and path.strip() else CI_CONFIG


def to_look_for(node: Mapping[str, Any], told: Observation) -> dict[str, tuple[str, ...]]:
    """The paths that are still to be looked for, by the fact that they would tell."""
    found = {fact: paths for fact, paths in LOOKED_FOR.items() if told.unknown.get(fact) == MORE}
    path = _ci_path(node)
    if path != CI_CONFIG and "ci_config" in told.unknown:
        found["ci_config"] = (path,)
    return found


def looked_up(
    told: Observation, wanted: Mapping[str, tuple[str, ...]], there: Collection[str]
) -> Observation:
    """The observation, after `wanted` was looked for and `there` was found.

    A readme or a license that is not among the usual names may have another one.
    """
    values, unknown = dict(told.values), dict(told.unknown)
    for fact, paths in wanted.items():
        found = any(path in there for path in paths)
        if found or fact not in _BY_NAME:
            values[fact] = found
            del unknown[fact]
    name = told.catalog_info or _catalog_info(there)
    return replace(told, values=values, unknown=unknown, catalog_info=name)


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
    out = [each for each in nodes if not _is_upcoming(each)]
    if not out and len(nodes) >= SHOWN_RELEASES:
        raise _Odd(f"the newest {len(nodes)} releases are all still to come")
    if not out:
        return {"last_release": None, "last_release_at": None}
    return {
        "last_release": _text(out[0], "tagName"),
        "last_release_at": _moment(_text(out[0], "releasedAt")),
    }


def _is_upcoming(release: Any) -> bool:
    return isinstance(release, dict) and release.get("upcomingRelease") is True


_READERS: Final[Mapping[str, Callable[[Any], dict[str, Json]]]] = {
    "openIssuesCount": _count("open_issues"),
    "openMergeRequestsCount": _count("open_merge_requests"),
    "onlyAllowMergeIfPipelineSucceeds": _merge_needs_pipeline,
    "pipeline": _pipeline,
    "languages": _languages,
    "releases": _releases,
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
