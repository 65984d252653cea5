"""GraphQL's half of how a project is guarded and kept: branch rules, permissions, licences, counts.

Below Maintainer the list of branch rules is empty, without a word; what a licence lacks is null,
with an error that has a path. Rules for all branches have names in the reader's language.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from bridge.sandbox.connections import ConnectionPage, plain_page
from bridge.sandbox.project import ApprovalRule, ProtectedBranch, SandboxProject
from bridge.sandbox.query_run import ArgumentsRefused, FieldTimeout, Resolver, stamp
from bridge.sandbox.sessions import SESSION, Edition, Role

_REFUSED: Final = (
    "The resource that you are attempting to access does not exist or you don't have permission "
    "to perform this action"
)


@dataclass(frozen=True)
class BranchRule:
    """A protected branch with the approvals it asks for, or one of the rules for all branches."""

    gid: str
    name: str
    approvals: Sequence[ApprovalRule]
    branch: ProtectedBranch | None = None
    protects: bool = True
    default: bool = False


def role_of(project: SandboxProject) -> Role:
    """The role of the token's user in a project."""
    role = SESSION.get().role_in(project.path)
    return min(role, Role.GUEST) if project.facts.settings_hidden else role


def _licensed(edition: Edition) -> bool:
    return SESSION.get().edition >= edition


def _branch_rules(project: SandboxProject, arguments: Mapping[str, Any], _: Any) -> ConnectionPage:
    seen = role_of(project) >= Role.MAINTAINER
    return plain_page(_rules(project) if seen else [], dict(arguments))


def _rules(project: SandboxProject) -> list[BranchRule]:
    """As GitLab orders them: rules for all branches first, then by name."""
    rules = project.facts.approval_rules if _licensed(Edition.PREMIUM) else ()
    every = [rule for rule in rules if not rule.branches and not rule.all_protected]
    protected = [rule for rule in rules if rule.all_protected]
    found = []
    if every:
        gid = f"gid://gitlab/Projects::AllBranchesRule/{project.id}"
        found.append(BranchRule(gid, "Alle Branches", every, protects=False))
    if protected:
        gid = f"gid://gitlab/Projects::AllProtectedBranchesRule/{project.id}"
        found.append(BranchRule(gid, "Alle geschützten Branches", protected))
    for index, branch in enumerate(project.facts.protected_branches):
        gid = f"gid://gitlab/Projects::BranchRule/{project.id * 100 + index}"
        named = [rule for rule in rules if branch.name in rule.branches]
        default = branch.name == project.default_branch
        found.append(BranchRule(gid, branch.name, named, branch, default=default))
    return found


def _counted(read: Callable[[SandboxProject, Mapping[str, Any]], int | None]) -> Resolver:
    return lambda project, arguments, _: read(project, arguments)


def _merge_requests(
    project: SandboxProject, arguments: Mapping[str, Any], _: Any
) -> ConnectionPage | None:
    if role_of(project) < Role.REPORTER:
        return None
    found = [
        each
        for each in project.facts.merge_requests
        if _before(each.created_at, arguments.get("createdBefore"))
        and _before(each.updated_at, arguments.get("updatedBefore"))
    ]
    descending = str(arguments.get("sort") or "CREATED_DESC").lower() != "created_asc"
    found.sort(key=lambda each: each.created_at, reverse=descending)
    return plain_page(found, dict(arguments))


def _before(moment: datetime, bound: Any) -> bool:
    return bound is None or moment < datetime.fromisoformat(str(bound))


def _incidents(project: SandboxProject, arguments: Mapping[str, Any]) -> int | None:
    if not project.facts.issues:
        return None
    kinds = arguments.get("types") or ["INCIDENT"]
    return project.facts.incidents if "INCIDENT" in kinds else project.facts.open_issues


def _behind(role: Role, edition: Edition, value: Callable[[SandboxProject], Any]) -> Resolver:
    """A field that is refused below a role or a licence."""

    def resolve(project: SandboxProject, *_: Any) -> Any:
        if role_of(project) < role or not _licensed(edition):
            raise ArgumentsRefused(_REFUSED)
        return value(project)

    return resolve


def _statistics(project: SandboxProject, *_: Any) -> SandboxProject | None:
    return project if role_of(project) >= Role.REPORTER else None


def _push_rules(project: SandboxProject, *_: Any) -> SandboxProject | None:
    return project if _licensed(Edition.PREMIUM) and role_of(project) >= Role.DEVELOPER else None


def _metrics(project: SandboxProject, arguments: Mapping[str, Any], _: Any) -> list[float]:
    value = project.facts.dora.get(arguments["metric"])
    return [] if value is None else [value]


def _value(read: Callable[[Any], Any]) -> Resolver:
    return lambda source, _, __: read(source)


def _code_owners(rule: BranchRule) -> bool:
    asked = rule.branch is not None and rule.branch.code_owner_approval_required
    return asked and _licensed(Edition.PREMIUM)


PROJECT: Final[dict[str, Resolver]] = {
    "branchRules": _branch_rules,
    "containerRepositoriesCount": _value(lambda project: project.id % 3),
    "dora": _behind(Role.REPORTER, Edition.ULTIMATE, lambda project: project),
    "isCatalogResource": _value(lambda project: project.facts.catalog_resource),
    "issues": _counted(_incidents),
    "mergeRequests": _merge_requests,
    "onlyAllowMergeIfAllDiscussionsAreResolved": _value(lambda p: p.facts.discussions_resolved),
    "pushRules": _push_rules,
    "removeSourceBranchAfterMerge": _value(lambda project: True),
    "statistics": _statistics,
    "userPermissions": _value(lambda project: role_of(project) >= Role.MAINTAINER),
    "vulnerabilitySeveritiesCount": _behind(
        Role.DEVELOPER, Edition.ULTIMATE, lambda project: dict(project.facts.vulnerabilities)
    ),
}

RESOLVERS: Final[dict[str, dict[str, Resolver]]] = {
    "ProjectPermissions": {"adminProject": _value(bool)},
    "AvailableFeatures": {
        "hasIssueWeightsFeature": lambda *_: _licensed(Edition.PREMIUM),
    },
    "BranchRuleConnection": {
        "nodes": _value(lambda page: list(page.rows)),
        "pageInfo": _value(lambda page: page),
    },
    "ApprovalProjectRuleConnection": {
        "nodes": _value(lambda page: list(page.rows)),
        "pageInfo": _value(lambda page: page),
    },
    "BranchRule": {
        "approvalRules": lambda rule, arguments, _: plain_page(rule.approvals, dict(arguments)),
        "branchProtection": _value(lambda rule: rule if rule.branch is not None else None),
        "id": _value(lambda rule: rule.gid),
        "isDefault": _value(lambda rule: rule.default),
        "isProtected": _value(lambda rule: rule.protects),
        "name": _value(lambda rule: rule.name),
    },
    "BranchProtection": {
        "allowForcePush": _value(lambda rule: rule.branch.allow_force_push),
        "codeOwnerApprovalRequired": _value(_code_owners),
    },
    "ApprovalProjectRule": {
        "approvalsRequired": _value(lambda rule: rule.approvals),
        "id": _value(lambda rule: f"gid://gitlab/ApprovalProjectRule/{rule.name}"),
        "name": _value(lambda rule: rule.name),
        "type": _value(lambda rule: rule.type),
    },
    "MergeRequestConnection": {
        "count": _value(lambda page: page.total),
        "nodes": _value(lambda page: list(page.rows)),
        "pageInfo": _value(lambda page: page),
    },
    "MergeRequest": {
        "createdAt": _value(lambda each: stamp(each.created_at)),
        "sourceBranch": _value(lambda each: each.source_branch),
    },
    "CountedConnection": {"count": _value(lambda count: count)},
    "ProjectStatistics": {
        "commitCount": _value(lambda project: float(10 + project.id)),
        "repositorySize": _value(lambda p: float(sum(len(f.content) for f in p.files.values()))),
    },
    "PushRules": {
        "preventSecrets": _value(lambda project: project.id % 2 == 0),
        "rejectUnsignedCommits": _value(lambda project: False),
    },
    "VulnerabilitySeveritiesCount": {
        "critical": _value(lambda counts: counts.get("critical", 0)),
        "high": _value(lambda counts: counts.get("high", 0)),
        "low": _value(lambda counts: counts.get("low", 0)),
        "medium": _value(lambda counts: counts.get("medium", 0)),
    },
    "Dora": {"metrics": _metrics},
    "DoraMetric": {"date": _value(lambda _: None), "value": _value(lambda value: value)},
}


def _may_time_out(name: str, resolver: Resolver) -> Resolver:
    def resolve(project: Any, arguments: Mapping[str, Any], reading: Any) -> Any:
        if name in project.facts.slow:
            raise FieldTimeout
        return resolver(project, arguments, reading)

    return resolve


def with_guards(resolvers: Mapping[str, Mapping[str, Resolver]]) -> dict[str, dict[str, Resolver]]:
    """All resolvers, these among them."""
    joined = {name: dict(rows) for name, rows in resolvers.items()} | RESOLVERS
    joined["Project"] |= {name: _may_time_out(name, row) for name, row in PROJECT.items()}
    joined["Namespace"]["availableFeatures"] = _value(lambda group: group)
    joined["Metadata"]["enterprise"] = lambda *_: SESSION.get().edition.enterprise
    return joined
