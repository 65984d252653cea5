"""Any history of changes, failures, passes and restarts: nothing lost, and in the end all true."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from bridge.sandbox.faults import Fault, FaultPlan, FaultRule, Target
from bridge.store import open_store
from tests.laws import examples
from tests.passes.town import GOOD, MEMBERS, NESTED, Town, Weather, nothing, town

pytestmark = pytest.mark.real

NUMBERS = st.integers(1, 20).map(lambda n: n * 7)
GROUPS, NAMES = st.sampled_from(sorted(MEMBERS)), st.sampled_from(["ann", "bob", "cy", "dee"])
SOME = st.sets(NUMBERS, max_size=5)
STAMPED = (
    "commit",
    "break",
    "remove",
    "define",
    "less",
    "more",
    "rename",
    "transfer",
    "archive",
    "unarchive",
    "delete",
)
UNSTAMPED = ("forbid", "allow", "poison", "heal", "hide", "show")
CHANGES = st.sampled_from(STAMPED + UNSTAMPED)
PLACES: tuple[Target | None, ...] = (None, "rest-enumeration", "graphql", "rest")


@st.composite
def weathers(draw: st.DrawFn) -> Weather:
    """Good, or failing in one or two ways at some places and rates."""
    rules = []
    for fault in draw(st.lists(st.sampled_from(sorted(Fault)), max_size=2)):
        place = draw(st.sampled_from(PLACES))
        # A hang is waited for in real time.
        rate = draw(st.sampled_from([0.05] if fault is Fault.HANG else [0.01, 0.1, 0.5, 1.0]))
        rules.append(FaultRule(fault, place, rate))
    if not rules:
        return GOOD
    hangs = any(rule.fault is Fault.HANG for rule in rules)
    plan = FaultPlan(tuple(rules), draw(st.integers(0, 99)))
    return Weather(plan, 0.05 if hangs else GOOD.patience)


class Histories(RuleBasedStateMachine):
    """What can happen; `Town` says what must be true after each pass."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.town: Town = self.run(self.open())

    async def open(self) -> Town:
        folder = Path(self.stack.enter_context(TemporaryDirectory()))
        store = await open_store(f"sqlite:///{folder}/s.db")
        self.stack.push_async_callback(store.close)
        return await self.stack.enter_async_context(
            town(folder / "out", store, projects=20, people=True, further=True)
        )

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def teardown(self) -> None:
        try:
            # Whatever happened: the next good pass makes it true.
            self.town.time.now += 60.0
            self.run(self.town.converge())
        finally:
            self.run(self.stack.aclose())
            self.runner.close()

    @rule(number=NUMBERS, what=CHANGES)
    def a_change(self, number: int, what: str) -> None:
        """Something happens to one project."""
        change(self.town, number, what)

    @rule(group=GROUPS, name=NAMES, joins=st.booleans())
    def somebody_joins_or_leaves(self, group: str, name: str, joins: bool) -> None:
        """The members of a group change; GitLab tells nobody when."""
        self.town.world.members.remove(group, name)
        if joins:
            self.town.world.members.add(group, name)

    @rule(group=GROUPS, shown=st.booleans())
    def members_are_shown_or_hidden(self, group: str, shown: bool) -> None:
        """The token may see who is in a group, or no longer."""
        hidden = self.town.world.members.hidden
        hidden.discard(group) if shown else hidden.add(group)

    @rule(minutes=st.sampled_from([1, 4, 30, 70]))
    def time_goes_by(self, minutes: int) -> None:
        """Enough, or not enough, for GitLab to move its dates."""
        self.town.time.now += minutes * 60.0

    @rule()
    def a_restart(self) -> None:
        """A new process on the same store."""
        self.town.restart()

    @rule(
        weather=weathers(),
        full=st.booleans(),
        beside=SOME,
        then=st.lists(st.tuples(st.integers(2, 9), NUMBERS, CHANGES), max_size=4),
    )
    def a_pass(
        self, weather: Weather, full: bool, beside: set[int], then: list[tuple[int, int, str]]
    ) -> None:
        """A pass in some weather while things change, perhaps with one of hooks beside it."""
        kind = self.town.sweep if full else self.town.due
        self.run(kind(weather, self.happening(then), beside))
        self.town.time.now += 60.0

    @rule(weather=weathers(), hinted=SOME.filter(bool))
    def hooks(self, weather: Weather, hinted: set[int]) -> None:
        """Hooks tell of projects; GitLab repeats and delays them, so of any projects."""
        self.run(self.town.hinted(hinted, weather))

    @rule()
    def a_good_pass(self) -> None:
        """What is due, in good weather and quiet: what GitLab stamps is published as it is."""
        self.run(self.town.due())
        self.run(self.town.is_current())
        self.town.time.now += 60.0

    @precondition(lambda self: self.town.published())
    @rule()
    def a_good_sweep(self) -> None:
        """Everything is as GitLab has it."""
        self.run(self.town.converge())
        self.town.time.now += 60.0

    def happening(self, then: list[tuple[int, int, str]]) -> Callable[[int], None]:
        """Changes before the answers to certain requests."""
        if not then:
            return nothing

        def happen(seen: int) -> None:
            for at, number, what in then:
                if at == seen:
                    change(self.town, number, what)

        return happen


def change(it: Town, number: int, what: str) -> None:  # noqa: PLR0912 — one line for each change
    """One change to a project, if it can happen to it now."""
    project = it.world.get(number)
    if project is None:
        if what == "commit":
            it.add(number + 1000 * (1 + it.revision))
        return
    it.revision += 1
    if what in UNSTAMPED:
        it.unstamped.add(number)
    match what:
        case "commit":
            it.commit(number)
        case "break":
            it.break_it(number)
        case "remove":
            it.remove_file(number)
        case "define":
            it.define(number)
        case "less" | "more":
            it.remove_file(number, NESTED) if what == "less" else it.nest(number)
        case "rename":
            it.world.rename(number, f"p{number}-{it.revision}")
        case "transfer":
            it.world.transfer(number, f"g{it.revision}")
        case "archive" | "unarchive":
            it.world.archive(number, what == "archive")
        case "delete":
            it.world.delete(number)
        case "forbid" | "allow":
            project.repository = "forbidden" if what == "forbid" else "ok"
        case "poison" | "heal":
            project.poisoned = what == "poison"
        case "hide" | "show":
            project.hidden = what == "hide"


def test_no_history_loses_what_stands_or_keeps_what_is_gone() -> None:
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=examples(25),
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
