"""What goes wrong in the sandbox, how often and where: decided by seeded dice, so runs repeat."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Target = Literal["rest-enumeration", "rest-list", "rest-write", "rest", "graphql", "raw"]


class Fault(StrEnum):
    """One way in which GitLab, or what stands before it, fails."""

    RATE_LIMITED = "rate-limited"
    BAD_GATEWAY = "bad-gateway"
    UNAVAILABLE = "unavailable"
    TOO_HEAVY = "too-heavy"
    SERVER_ERROR = "server-error"
    HANG = "hang"
    RESET = "reset"
    TRUNCATED = "truncated"
    PARTIAL = "partial"
    NO_DATA = "no-data"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    LOST_PAGE = "lost-page"
    CUT_SHORT = "cut-short"
    LOST_ANSWER = "lost-answer"


# Faults that change an answer's content make no sense anywhere else.
ONLY_ON: dict[Fault, tuple[Target, ...]] = {
    Fault.PARTIAL: ("graphql",),
    Fault.NO_DATA: ("graphql",),
    Fault.TOO_HEAVY: ("graphql",),
    Fault.LOST_PAGE: ("rest-enumeration", "rest-list"),
    Fault.CUT_SHORT: ("rest-enumeration", "rest-list"),
    Fault.LOST_ANSWER: ("rest-write",),
}


@dataclass(frozen=True)
class FaultRule:
    """One fault and when it strikes.

    `target` limits it to one kind of request, `project_ids` to requests that name one of these
    projects; of the requests that match, the first `skip` are spared, at most `first_n` after
    them are touched, and each of these is struck with probability `rate`.
    """

    fault: Fault
    target: Target | None = None
    rate: float = 1.0
    first_n: int | None = None
    skip: int = 0
    project_ids: Collection[int] = ()

    def concerns(self, target: Target, project_ids: Collection[int]) -> bool:
        """Whether a request of this kind, naming these projects, is this rule's business."""
        only = ONLY_ON.get(self.fault)
        if self.target not in (None, target) or (only is not None and target not in only):
            return False
        return not self.project_ids or any(number in self.project_ids for number in project_ids)


@dataclass(frozen=True)
class FaultPlan:
    """All rules; the first that strikes wins. An empty plan is a healthy server.

    `retry_after` seconds are announced with 429 and 503 as a number or an HTTP date (`None`: not
    at all); `partial_share` is the share of projects that a partial answer loses.
    """

    rules: tuple[FaultRule, ...] = ()
    seed: int = 0
    retry_after: int | None = 1
    retry_after_as: Literal["seconds", "date"] = "seconds"
    partial_share: float = 0.2
    # gitlab.com's application limits answer 429 although the headers look fine.
    healthy_headers: bool = False

    @classmethod
    def rates(cls, seed: int = 0, target: Target | None = None, **rates: float) -> FaultPlan:
        """A plan of rates: `FaultPlan.rates(seed=7, bad_gateway=0.05, reset=0.01)`."""
        rules = (
            FaultRule(Fault(name.replace("_", "-")), target, rate) for name, rate in rates.items()
        )
        return cls(tuple(rules), seed)


class FaultDice:
    """A plan at work: remembers how often each rule was looked at."""

    def __init__(self, plan: FaultPlan) -> None:
        self.plan = plan
        self.random = random.Random(plan.seed)  # noqa: S311 — repeatable on purpose
        self._seen = [0] * len(plan.rules)

    def throw(self, target: Target, project_ids: Collection[int] = ()) -> FaultRule | None:
        """The rule that strikes this request, if one does."""
        struck = None
        for index, rule in enumerate(self.plan.rules):
            if not rule.concerns(target, project_ids):
                continue
            seen = self._seen[index]
            self._seen[index] += 1
            last = None if rule.first_n is None else rule.skip + rule.first_n
            if seen < rule.skip or (last is not None and seen >= last):
                continue
            if struck is None and (rule.rate >= 1 or self.random.random() < rule.rate):
                struck = rule
        return struck

    def loses(self, rule: FaultRule, project_ids: Collection[int]) -> set[int]:
        """Which of a page's projects a partial answer loses: those named, or a share."""
        named = {number for number in project_ids if number in rule.project_ids}
        if named or not project_ids:
            return named
        lost = {n for n in project_ids if self.random.random() < self.plan.partial_share}
        return lost or {self.random.choice(sorted(project_ids))}
