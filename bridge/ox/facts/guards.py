"""How a project guards its default branch, from branch rules (GraphQL) or from REST. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from bridge.ox.facts.licences import Licence
from bridge.ox.facts.readings import ReadingBuilder

PROTECTED: Final = ("default_branch_protected", "force_push_allowed")
OWNERS: Final = "code_owner_approval_required"
APPROVALS: Final = "approvals_required"
OF_BRANCH: Final = (*PROTECTED, OWNERS, APPROVALS)
_OWNERS: Final = "code owners' approval"
_RULES: Final = "approval rules"

Row = Mapping[str, Any]


def by_branch_rules(
    notes: ReadingBuilder, rules: Sequence[Row], branch: str, licence: Licence
) -> None:
    """All of them from a project's branch rules, which a Maintainer sees whole."""
    every, protected, named = _sorted(rules)
    covering = [rule for rule in named if covers(str(rule.get("name", "")), branch)]
    guards = [rule.get("branchProtection") or {} for rule in covering]
    asked = None
    if all("codeOwnerApprovalRequired" in guard for guard in guards):
        asked = any(guard["codeOwnerApprovalRequired"] is True for guard in guards)
    _protection(notes, [guard.get("allowForcePush") is True for guard in guards])
    _code_owners(notes, asked, licence)
    holding = [*every, *covering, *(protected if covering else ())]
    approvals = [
        each
        for rule in holding
        for each in (rule.get("approvalRules") or {}).get("nodes") or ()
        if each and each.get("type") != "REPORT_APPROVER"  # asks only when a scan finds something
    ]
    if licence.lacks_approvals:
        notes.not_applicable(licence.without(_RULES), APPROVALS)
    elif licence is Licence.UNKNOWN and not approvals:
        notes.unknown(f"{licence.value}: without one there are no rules", APPROVALS)
    else:
        notes.known(APPROVALS, _most(each.get("approvalsRequired") for each in approvals))


def _sorted(rules: Iterable[Row]) -> tuple[list[Row], list[Row], list[Row]]:
    """Rules for all branches, for all protected ones, and those of protected branches by name.

    The first two have names in the reader's language: their ids tell them, and where a GitLab is
    too old for ids, that there is no one protection behind them.
    """
    every: list[Row] = []
    protected: list[Row] = []
    named: list[Row] = []
    for rule in rules:
        gid = str(rule.get("id") or "")
        unbound = not gid and rule.get("branchProtection") is None
        if "AllProtectedBranchesRule" in gid or (unbound and rule.get("isProtected")):
            protected.append(rule)
        elif "AllBranchesRule" in gid or unbound:
            every.append(rule)
        elif rule.get("isProtected"):
            named.append(rule)
    return every, protected, named


def by_protected_branches(
    notes: ReadingBuilder, rows: Sequence[Row], branch: str, licence: Licence
) -> bool:
    """What REST's list of protected branches tells; gives whether the branch is protected."""
    covering = [row for row in rows if covers(str(row.get("name", "")), branch)]
    _protection(notes, [row.get("allow_force_push") is True for row in covering])
    told = all(OWNERS in row for row in rows)
    asked = any(row.get(OWNERS) is True for row in covering) if told else None
    _code_owners(notes, asked, licence)
    return bool(covering)


def by_approval_rules(
    notes: ReadingBuilder, rows: Sequence[Row], branch: str, *, protected: bool
) -> None:
    """What REST's list of approval rules tells."""
    holding = [row for row in rows if _concerns(row, branch, protected=protected)]
    notes.known(APPROVALS, _most(row.get("approvals_required") for row in holding))


def unlicensed(notes: ReadingBuilder, licence: Licence) -> None:
    """What a GitLab without a licence has not, whatever the role."""
    notes.not_applicable(licence.without(_OWNERS), OWNERS)
    notes.not_applicable(licence.without(_RULES), APPROVALS)


def covers(pattern: str, branch: str) -> bool:
    """Whether a protected branch, or a pattern with `*`, covers a branch."""
    return fnmatchcase(branch, re.sub(r"([?\[])", r"[\1]", pattern))


def _protection(notes: ReadingBuilder, forced: Sequence[bool]) -> None:
    """Of several rules that match, one that allows it is enough."""
    notes.known("default_branch_protected", bool(forced))
    notes.known("force_push_allowed", any(forced) or not forced)


def _code_owners(notes: ReadingBuilder, asked: bool | None, licence: Licence) -> None:
    """Of several rules that match, one that asks is enough."""
    if asked is None and licence is not Licence.FREE:
        licence = Licence.CE
    if licence.lacks_approvals:
        notes.not_applicable(licence.without(_OWNERS), OWNERS)
    elif licence is Licence.UNKNOWN and not asked:
        notes.unknown(f"{licence.value}: without one it is always false", OWNERS)
    else:
        notes.known(OWNERS, asked)


def _most(counts: Iterable[Any]) -> int:
    """One approval may count for several rules: the strictest rule is what is needed."""
    return max((int(count or 0) for count in counts), default=0)


def _concerns(rule: Row, branch: str, *, protected: bool) -> bool:
    """Whether an approval rule holds for merge requests to a branch."""
    if rule.get("rule_type") == "report_approver":
        return False  # asks only when a scan finds something
    if rule.get("applies_to_all_protected_branches"):
        return protected
    named = [str(each.get("name", "")) for each in rule.get("protected_branches") or ()]
    return not named or any(covers(name, branch) for name in named)
