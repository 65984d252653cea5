"""Facts that cost next to nothing on a page that is asked for anyway.

One that is refused, by role or licence, does not apply: nobody is to be asked again for it, and
what else was seen of the project stays sure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bridge.ox.facts.readings import ReadingBuilder

LONG_OPEN, LONG_OPEN_DAYS = "longAgo", 30
QUIET, QUIET_DAYS = "quietSince", 14

_HIDDEN: Final = "GitLab does not show it to the token"
_PREMIUM: Final = "there are none, or the token may not see them: GitLab Premium, role Developer"
_ULTIMATE: Final = "refused to the token: it needs GitLab Ultimate and the role {role}"


@dataclass(frozen=True, slots=True)
class Rider:
    """A part of the page's query. `facts` are names with the path to each value under `key`.

    Without any field that it `needs` it is left out; `refused` says what null means.
    """

    key: str
    text: str
    needs: tuple[str, ...]
    facts: Mapping[str, tuple[str | int, ...]]
    refused: str = _HIDDEN


def _plain(fact: str, field: str) -> Rider:
    return Rider(field, field, (f"Project.{field}",), {fact: ()})


def _count(fact: str, key: str, field: str, arguments: str, refused: str) -> Rider:
    text = f"{key}: {field}({arguments}, first: 1) {{ count }}"
    return Rider(key, text, (f"Project.{field}",), {fact: ("count",)}, refused)


_NO_REQUESTS: Final = "merge requests are switched off, or hidden from the token"
RIDERS: Final = (
    _plain("discussions_must_be_resolved", "onlyAllowMergeIfAllDiscussionsAreResolved"),
    _plain("source_branch_removed", "removeSourceBranchAfterMerge"),
    _plain("ci_catalog_resource", "isCatalogResource"),
    _plain("container_repositories", "containerRepositoriesCount"),
    _count(
        "long_open_merge_requests",
        "longOpen",
        "mergeRequests",
        f"state: opened, createdBefore: ${LONG_OPEN}",
        _NO_REQUESTS,
    ),
    _count(
        "stale_merge_requests",
        "stale",
        "mergeRequests",
        f"state: opened, updatedBefore: ${QUIET}",
        _NO_REQUESTS,
    ),
    _count(
        "open_incidents",
        "incidents",
        "issues",
        "types: [INCIDENT], state: opened",
        "issues are switched off, or hidden from the token",
    ),
    Rider(
        "statistics",
        "statistics { repositorySize commitCount }",
        ("Project.statistics",),
        {"repository_size": ("repositorySize",), "commits": ("commitCount",)},
        "refused to the token: it needs the role Reporter",
    ),
    Rider(
        "signing",
        "signing: pushRules { rejectUnsignedCommits }",
        ("Project.pushRules",),
        {"unsigned_commits_rejected": ("rejectUnsignedCommits",)},
        _PREMIUM,
    ),
    Rider(
        "secrets",
        "secrets: pushRules { preventSecrets }",
        ("Project.pushRules", "PushRules.preventSecrets"),
        {"secrets_rejected": ("preventSecrets",)},
        _PREMIUM,
    ),
    Rider(
        "vulnerabilities",
        "vulnerabilities: vulnerabilitySeveritiesCount(state: [DETECTED, CONFIRMED]) "
        "{ critical high }",
        ("Project.vulnerabilitySeveritiesCount",),
        {"critical_vulnerabilities": ("critical",), "high_vulnerabilities": ("high",)},
        _ULTIMATE.format(role="Developer"),
    ),
    Rider(
        "dora",
        "dora { frequency: metrics(metric: DEPLOYMENT_FREQUENCY, interval: ALL) { value } "
        "lead: metrics(metric: LEAD_TIME_FOR_CHANGES, interval: ALL) { value } }",
        ("Project.dora",),
        {"deployments_per_day": ("frequency", 0, "value"), "lead_time": ("lead", 0, "value")},
        _ULTIMATE.format(role="Reporter"),
    ),
)
RIDER_FACTS: Final = tuple(name for rider in RIDERS for name in rider.facts)
_INTEGERS: Final = frozenset({"repository_size", "commits"})


def read_riders(
    notes: ReadingBuilder,
    node: Mapping[str, Any],
    failed: Mapping[str, str],
    lacks: frozenset[str],
) -> None:
    """The facts of all riders of one project."""
    for rider in RIDERS:
        if not lacks.isdisjoint(rider.needs):
            notes.not_applicable("this GitLab is too old for it, or Community", *rider.facts)
            continue
        if "timeout" in failed.get(rider.key, "").lower():
            notes.unknown("GitLab did not answer in time", *rider.facts)
            continue
        whole = node.get(rider.key)
        for name, path in rider.facts.items():
            value = _at(whole, path)
            if value is None:
                none = "GitLab has no figure for it yet" if whole else rider.refused
                notes.not_applicable(none, name)
            else:
                notes.known(name, int(value) if name in _INTEGERS else value)


def _at(tree: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        if isinstance(step, int):
            tree = tree[step] if isinstance(tree, list) and len(tree) > step else None
        else:
            tree = tree.get(step) if isinstance(tree, Mapping) else None
    return tree
