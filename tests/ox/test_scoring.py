"""Scores: states, formula, gates, waivers, coverage; and the laws that they keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.model.entities import CatalogEntity, Json, Ref
from bridge.model.facts import Fact, Reading, Standing
from bridge.model.scores import CheckState, RollupKind, Score, Waiver, WaiverPlace
from bridge.ox.scores.rubric import LoadedRubric
from bridge.ox.scores.scoreboard import EarlierScores, evaluate
from tests.laws import examples
from tests.ox.rubrics import HOUR, NOW, SMALL, reading, service, shipped, small

ALL_GOOD = {"readme": True, "protected": True, "approvals": 2}
RUBRIC = shipped()


@pytest.fixture
def rubric(tmp_path: Path) -> LoadedRubric:
    return small(tmp_path)


def score_of(rubric: LoadedRubric, entity: CatalogEntity, readings: Mapping[str, Reading]) -> Score:
    return evaluate(rubric, [entity], {entity.ref: readings}, NOW).scores[entity.ref]


def states(score: Score) -> dict[str, str]:
    return {result.check: result.state.value for result in score.results}


def test_everything_good_is_a_hundred(rubric: LoadedRubric) -> None:
    entity = service()
    score = score_of(rubric, entity, reading(entity, ALL_GOOD))
    assert (score.value, score.coverage, score.level, score.on_target) == (100, 1, "gold", True)
    assert score.rubric == rubric.rubric.version
    assert score.fixes() == ()


def test_a_failure_says_what_to_do_and_what_it_brings(rubric: LoadedRubric) -> None:
    entity = service(tier=3)
    score = score_of(rubric, entity, reading(entity, {**ALL_GOOD, "readme": False}))
    assert (score.value, score.level) == (80, "silver")
    (fix,) = score.fixes()
    assert (fix.result.check, fix.points, fix.result.reason) == ("readme", 20, "Write one.")
    (evidence,) = fix.result.evidence
    assert (evidence.fact, evidence.value, evidence.seen_at) == ("repo.readme", False, NOW)
    assert evidence.source == "https://gitlab.example.com/shop/api"


def test_a_failed_gate_holds_the_level_down_and_comes_first(rubric: LoadedRubric) -> None:
    entity = service(tier=2)
    facts = {"readme": True, "protected": False, "approvals": 0}
    score = score_of(rubric, entity, reading(entity, facts))
    assert score.gates_failed == ("protected",)
    assert [fix.result.check for fix in score.fixes()] == ["protected", "approvals"]
    good = score_of(rubric, entity, reading(entity, {**ALL_GOOD, "protected": False}))
    assert (good.value, good.level, good.on_target) == (70, "starting", False)
    no_gate = service(tier=3)
    assert score_of(rubric, no_gate, reading(no_gate, {**ALL_GOOD, "protected": False})).level == (
        "silver"
    )


def test_a_warning_scores_as_a_pass(rubric: LoadedRubric) -> None:
    entity = service()
    score = score_of(rubric, entity, reading(entity, {**ALL_GOOD, "approvals": 1}))
    assert states(score)["approvals"] == "warn"
    assert score.value == 100


def test_what_could_not_be_read_is_unknown_with_its_reason(rubric: LoadedRubric) -> None:
    entity = service()
    unseen = reading(entity, {"readme": None}, standing=Standing.UNKNOWN, reason="403")
    score = score_of(rubric, entity, unseen)
    assert set(states(score).values()) == {"unknown"}
    assert score.results[0].reason == "repo.readme: 403"
    assert score.results[1].reason == ("repo.protected: nobody has looked yet; is `repo` set up?")
    assert (score.value, score.sufficient, score.level, score.on_target) == (None, False, "", None)


def test_what_is_not_applicable_leaves_the_score(rubric: LoadedRubric) -> None:
    entity = service()
    found = reading(entity, ALL_GOOD)["repo"]
    facts = (
        *(fact for fact in found.facts if fact.name != "approvals"),
        Fact("approvals", None, NOW, "GitLab", Standing.NOT_APPLICABLE, "not licensed"),
    )
    score = score_of(rubric, entity, {"repo": replace(found, facts=facts)})
    assert states(score)["approvals"] == "not_applicable"
    assert (score.value, score.coverage) == (100, 1)


def test_a_fact_older_than_twice_its_cadence_is_stale(rubric: LoadedRubric) -> None:
    entity = service()
    just = NOW - timedelta(seconds=2 * HOUR)
    assert score_of(rubric, entity, reading(entity, ALL_GOOD, at=just)).value == 100
    older = reading(entity, ALL_GOOD, at=just - timedelta(seconds=1))
    assert set(states(score_of(rubric, entity, older)).values()) == {"stale"}


def test_a_service_without_a_tier_is_measured_as_the_rubric_says(rubric: LoadedRubric) -> None:
    entity = service(tier=None)
    score = score_of(rubric, entity, reading(entity, ALL_GOOD))
    assert (score.tier, score.target) == (None, 65)
    assert states(score)["approvals"] == "pass"
    lowest = service(tier=4)
    assert states(score_of(rubric, lowest, reading(lowest, ALL_GOOD)))["approvals"] == (
        "not_applicable"
    )


def test_a_value_that_cannot_be_compared_is_unknown_not_a_crash(rubric: LoadedRubric) -> None:
    entity = service()
    score = score_of(rubric, entity, reading(entity, {**ALL_GOOD, "approvals": "many"}))
    assert score.results[2].state is CheckState.UNKNOWN
    assert "cannot compare" in score.results[2].reason


def test_a_waiver_of_the_rubric_holds_until_its_last_day(rubric: LoadedRubric) -> None:
    entity = service()
    for expires, state in ((date(2026, 3, 1), "waived"), (date(2026, 2, 28), "fail")):
        waiver = Waiver(
            "readme", "Being written", expires, WaiverPlace.RUBRIC, "component:default/*"
        )
        waived = replace(rubric, rubric=replace(rubric.rubric, waivers=(waiver,)))
        score = score_of(waived, entity, reading(entity, {**ALL_GOOD, "readme": False}))
        assert states(score)["readme"] == state
    other = service("web", spec={})
    elsewhere = replace(waiver, entity="component:default/w*", expires=date(2027, 1, 1))
    waived = replace(rubric, rubric=replace(rubric.rubric, waivers=(elsewhere,)))
    facts = {**ALL_GOOD, "readme": False}
    assert states(score_of(waived, entity, reading(entity, facts)))["readme"] == "fail"
    assert states(score_of(waived, other, reading(other, facts)))["readme"] == "waived"


def test_a_waiver_that_fits_no_entity_and_one_that_is_over_are_told_on_the_board(
    rubric: LoadedRubric,
) -> None:
    entity = service()
    day = date(2027, 1, 1)
    given = tuple(
        Waiver("readme", "Being written", until, WaiverPlace.RUBRIC, ref)
        for ref, until in (
            (str(entity.ref), day),
            ("component:default/*", day),
            (str(entity.ref)[:-1] + "j", day),
            ("system:*/none", day),
            (str(entity.ref), date(2026, 2, 28)),
        )
    )
    waived = replace(rubric, rubric=replace(rubric.rubric, waivers=given))
    board = evaluate(waived, [entity], {}, NOW)
    over, misspelt, nobody = board.problems
    assert over.rule == "waiver-expired"
    assert {misspelt.rule, nobody.rule} == {"waiver-unknown-entity"}
    assert f"did you mean `{entity.ref}`?" in misspelt.message
    assert "system:*/none, and the catalog has no such entity; mend" in nobody.message


def test_a_manifest_waives_with_reason_and_date_and_is_told_what_is_wrong(
    rubric: LoadedRubric,
) -> None:
    waivers: Json = [
        {"check": "readme", "reason": "In the wiki", "expires": "2026-06-30", "by": " Kim\nM. "},
        {"check": "protected", "reason": "Was", "expires": "2026-02-01"},
        {"check": "aprovals", "reason": "Alone", "expires": "2026-06-30"},
        {"check": "approvals", "reason": " ", "expires": "2026-06-30"},
        {"check": "approvals", "reason": "Alone", "expires": "never"},
        "nonsense",
    ]
    entity = service(spec={"ox": {"waivers": waivers}})
    board = evaluate(
        rubric, [entity], {entity.ref: reading(entity, {"protected": False, "approvals": 2})}, NOW
    )
    score = board.scores[entity.ref]
    assert states(score) == {"readme": "waived", "protected": "fail", "approvals": "pass"}
    assert score.results[0].reason == "waived until 2026-06-30: In the wiki"
    assert score.results[0].waiver is not None
    assert score.results[0].waiver.person == "Kim M."
    assert [problem.rule for problem in board.problems] == [
        *("waiver-invalid", "waiver-invalid", "waiver-invalid", "waiver-invalid", "waiver-expired")
    ]
    assert "did you mean `approvals`?" in board.problems[0].message
    assert board.problems[0].place == "shop/api qm.yaml"


@pytest.mark.parametrize("spec", [None, [], {"ox": []}, {"ox": {"waivers": "x"}}, {"ox": None}])
def test_odd_specs_waive_nothing(rubric: LoadedRubric, spec: Json) -> None:
    entity = service()
    odd = replace(entity, body={**entity.body, "spec": spec})
    assert score_of(rubric, odd, reading(odd, ALL_GOOD)).value == 100


def test_rollups_are_plain_means_that_count_the_unknown(rubric: LoadedRubric) -> None:
    system = CatalogEntity(
        Ref("system", "default", "shop"),
        {"kind": "System", "metadata": {"name": "shop"}, "spec": {"domain": "retail"}},
        (),
    )
    spec = {"owner": "group:default/red", "system": "shop"}
    good = service("a", tier=4, spec=spec, product="Tills")
    poor = service("b", tier=4, spec=spec)
    dark = service("c", tier=1, spec={"owner": "user:default/jane"})
    readings = {
        good.ref: reading(good, ALL_GOOD),
        poor.ref: reading(poor, {"readme": False, "protected": True}),
    }
    board = evaluate(rubric, [dark, poor, good, system], readings, NOW)
    assert set(board.scores) == {good.ref, poor.ref, dark.ref}
    found = {(each.kind, each.name): each for each in board.rollups}
    assert set(found) == {
        ("organization", "all"),
        ("team", "group:default/red"),
        ("team", "user:default/jane"),
        ("system", "system:default/shop"),
        ("domain", "domain:default/retail"),
        ("product", "Tills"),
    }
    whole = found[RollupKind.ORGANIZATION, "all"]
    assert (whole.value, whole.services, whole.unknown, whole.below_target) == (80, 3, 1, 0)
    assert whole.levels == {"gold": 1, "silver": 1}
    jane = found[RollupKind.TEAM, "user:default/jane"]
    assert (jane.value, jane.services, jane.unknown, jane.coverage) == (None, 1, 1, 0)


# The laws.

FACTS = sorted({fact for check in RUBRIC.rubric.checks for fact in check.facts})
# What is better further right; every other fact is better when it is true.
BETTER: dict[str, list[Json]] = {
    "gitlab_rest.force_push_allowed": [True, False],
    "gitlab_rest.approvals_required": [0, 1, 2],
    "gitlab.days_without_release": [400, 91, 90, 1],
    "snyk.critical_older_than_30_days": [3, 1, 0],
}


def scale(fact: str) -> list[Json]:
    return BETTER.get(fact, [False, True])


# A rung of a fact's scale; None: unknown.
situations = st.lists(
    st.sampled_from([None, 0, 1, 2, 3]), min_size=len(FACTS), max_size=len(FACTS)
).map(
    lambda rungs: {
        fact: None if rung is None else min(rung, len(scale(fact)) - 1)
        for fact, rung in zip(FACTS, rungs, strict=True)
    }
)
tiers = st.sampled_from([1, 2, 3, 4, None])


def readings_of(
    entity: CatalogEntity, rungs: Mapping[str, int | None], at: datetime = NOW
) -> dict[str, Reading]:
    facts: dict[str, list[Fact]] = {}
    for name, rung in rungs.items():
        retriever, _, fact = name.partition(".")
        value = None if rung is None else scale(name)[rung]
        standing = Standing.UNKNOWN if rung is None else Standing.KNOWN
        facts.setdefault(retriever, []).append(Fact(fact, value, at, "test", standing, "down"))
    return {
        name: Reading(entity.ref, name, "1.0.0", at, tuple(found)) for name, found in facts.items()
    }


def height(score: Score) -> int:
    """The level as a number; lower than every level while there is none."""
    names = [level.name for level in reversed(RUBRIC.rubric.levels)]
    return names.index(score.level) if score.level else -1


def before_and_after(
    rungs: dict[str, int | None], tier: int | None, fact: str, data: st.DataObject
) -> tuple[Score, Score]:
    """Two scores, of which the second has one fact at least as good."""
    entity = service(tier=tier)
    rung = rungs[fact] or 0
    better = data.draw(st.integers(rung, len(scale(fact)) - 1))
    before = score_of(RUBRIC, entity, readings_of(entity, {**rungs, fact: rung}))
    return before, score_of(RUBRIC, entity, readings_of(entity, {**rungs, fact: better}))


@given(situations, tiers, st.sampled_from(FACTS), st.data())
def test_law_a_fact_that_gets_better_never_lowers_the_score(
    rungs: dict[str, int | None], tier: int | None, fact: str, data: st.DataObject
) -> None:
    """A check that one bad fact had decided may become unknown: then it leaves the score, and
    perhaps too little is known for a level; but no level that is given is a lower one."""
    before, after = before_and_after(rungs, tier, fact, data)
    assert (after.value if after.value is not None else 100) >= (before.value or 0)
    assert not after.sufficient or height(after) >= height(before)
    assert set(after.gates_failed) <= set(before.gates_failed)


@given(situations, tiers, st.sampled_from(FACTS), st.data())
def test_law_where_a_checks_facts_are_seen_together_the_level_never_falls_either(
    rungs: dict[str, int | None], tier: int | None, fact: str, data: st.DataObject
) -> None:
    for check in RUBRIC.rubric.checks:
        if any(rungs[each] is None for each in check.facts) and fact not in check.facts:
            rungs.update(dict.fromkeys(check.facts))
        else:
            rungs.update({each: rungs[each] or 0 for each in check.facts})
    before, after = before_and_after(rungs, tier, fact, data)
    assert (after.value or 0) >= (before.value or 0)
    assert height(after) >= height(before)


@given(situations, tiers)
def test_law_unknown_is_never_a_fail(rungs: dict[str, int | None], tier: int | None) -> None:
    entity = service(tier=tier)
    score = score_of(RUBRIC, entity, readings_of(entity, rungs))
    for result in score.results:
        check = RUBRIC.rubric.check(result.check)
        assert check is not None
        if all(rungs[fact] is None for fact in check.facts):
            assert result.state in (CheckState.UNKNOWN, CheckState.NOT_APPLICABLE)
            assert result.check not in score.gates_failed
    hidden = score_of(RUBRIC, entity, readings_of(entity, dict.fromkeys(rungs)))
    assert hidden.value is None
    assert not hidden.sufficient


@given(situations, tiers)
def test_law_coverage_is_the_known_share_and_bounds_the_score(
    rungs: dict[str, int | None], tier: int | None
) -> None:
    entity = service(tier=tier)
    score = score_of(RUBRIC, entity, readings_of(entity, rungs))
    known = sum(result.weight for result in score.results if result.state.known)
    open_ = sum(r.weight for r in score.results if r.state is CheckState.UNKNOWN)
    assert score.coverage == pytest.approx(known / (known + open_))
    assert score.sufficient == (score.value is not None and score.coverage >= 0.7)
    assert bool(score.level) == score.sufficient
    assert score.value is None or 0 <= score.value <= 100
    gained = sum(fix.points for fix in score.fixes())
    assert score.value is None or score.value + gained == pytest.approx(100)


@given(situations, tiers, st.sampled_from([check.id for check in RUBRIC.rubric.checks]))
def test_law_a_waived_check_leaves_the_score_as_if_it_were_not_there(
    rungs: dict[str, int | None], tier: int | None, check: str
) -> None:
    entity = service(tier=tier)
    waiver = {"check": check, "reason": "Because", "expires": "2026-12-31"}
    spec = {**entity.body["spec"], "ox": {"waivers": [waiver]}}
    waived = replace(entity, body={**entity.body, "spec": spec})
    rest = tuple(each for each in RUBRIC.rubric.checks if each.id != check)
    without = replace(RUBRIC, rubric=replace(RUBRIC.rubric, checks=rest))
    one = score_of(RUBRIC, waived, readings_of(entity, rungs))
    two = score_of(without, entity, readings_of(entity, rungs))
    assert (one.value, one.coverage, one.level) == (two.value, two.coverage, two.level)
    assert check not in one.gates_failed


@given(st.permutations([1, 2, 3, 4]), situations)
def test_law_the_order_of_entities_facts_and_readings_does_not_matter(
    order: list[int], rungs: dict[str, int | None]
) -> None:
    entities = {number: service(f"s{number}", tier=number) for number in range(1, 5)}
    readings = {each.ref: readings_of(each, rungs) for each in entities.values()}
    turned = {
        ref: {
            name: replace(found, facts=found.facts[::-1]) for name, found in reversed(each.items())
        }
        for ref, each in reversed(readings.items())
    }
    one = evaluate(RUBRIC, entities.values(), readings, NOW)
    two = evaluate(RUBRIC, [entities[number] for number in order], turned, NOW)
    assert one == two


# What happens between two evaluations: hours that pass (or the clock is set back), a service whose
# facts are seen anew, and one whose manifest waives a check for some days.
happenings = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 7, 13, 25, 49, -30]),
        st.none() | st.tuples(st.integers(1, 3), st.sampled_from([None, 0, 1])),
        st.none() | st.tuples(st.integers(1, 3), st.integers(0, 3)),
    ),
    min_size=2,
    max_size=5,
)


@example([(0, (1, 1), None), (49, None, None), (-30, None, None)])  # stale, and fresh again
@settings(max_examples=examples(50))
@given(happenings)
def test_law_what_is_taken_over_from_an_earlier_evaluation_is_as_if_made_anew(
    happened: list[tuple[int, Json, Json]],
) -> None:
    entities = {number: service(f"s{number}", tier=number) for number in range(1, 4)}
    readings: dict[Ref, dict[str, Reading]] = {}
    earlier, now = EarlierScores(), NOW
    for hours, seen, waived in happened:
        now += timedelta(hours=hours)
        if seen is not None:
            entity = entities[seen[0]]
            readings[entity.ref] = readings_of(entity, dict.fromkeys(FACTS, seen[1]), now)
        if waived is not None:
            number, days = waived
            expires = (now + timedelta(days=days)).date().isoformat()
            waiver = {"check": "readme", "reason": "Soon", "expires": expires}
            entities[number] = service(
                f"s{number}", tier=number, spec={"ox": {"waivers": [waiver]}}
            )
        label = Waiver(
            "codeowners", "By label", (now + timedelta(days=hours)).date(), WaiverPlace.ISSUE
        )
        for labels in ({entities[1].ref: (label,)}, {}, {}):
            known = (RUBRIC, entities.values(), readings, now, labels)
            assert evaluate(*known, earlier=earlier) == evaluate(*known)


def test_of_many_services_only_those_are_judged_of_whom_something_changed() -> None:
    entities = [service(f"s{number}", tier=1) for number in range(50)]
    good: dict[str, int | None] = dict.fromkeys(FACTS, 1)
    readings = {entity.ref: readings_of(entity, good) for entity in entities}
    earlier = EarlierScores()
    before = evaluate(RUBRIC, entities, readings, NOW, earlier=earlier)
    changed = {**readings, entities[7].ref: readings_of(entities[7], {**good, FACTS[0]: 0})}
    later = NOW + timedelta(minutes=1)
    after = evaluate(
        RUBRIC, [replace(entity) for entity in entities], changed, later, earlier=earlier
    )
    anew = {
        ref.name
        for ref, score in after.scores.items()
        if score.results is not before.scores[ref].results
    }
    assert anew == {"s7"}
    assert {score.at for score in after.scores.values()} == {later}
    fresh = evaluate(shipped(), entities, changed, later, earlier=earlier)
    assert all(fresh.scores[ref].results is not after.scores[ref].results for ref in fresh.scores)


def test_waivers_by_glob_are_looked_through_in_order(rubric: LoadedRubric) -> None:
    many = tuple(
        Waiver(
            "readme",
            f"No. {number}",
            date(2027, 1, 1),
            WaiverPlace.RUBRIC,
            f"component:*/{number}-*",
        )
        for number in range(20)
    )
    last = Waiver(
        "readme", "By glob", date(2027, 1, 1), WaiverPlace.RUBRIC, "component:default/ap?"
    )
    exact = replace(last, entity="component:default/api", reason="By name")
    entity = service()
    for order, reason in (((last, exact), "By glob"), ((exact, last), "By name")):
        waived = replace(rubric, rubric=replace(rubric.rubric, waivers=(*many, *order)))
        (first, *_) = score_of(waived, entity, reading(entity, {"readme": False})).results
        assert first.reason == f"waived until 2027-01-01: {reason}"


def test_who_waives_too_much_is_told_what_does_not_count(rubric: LoadedRubric) -> None:
    waiver = {"check": "readme", "reason": "x", "expires": "2026-06-30"}
    entity = service(spec={"ox": {"waivers": [waiver] * 21}})
    board = evaluate(rubric, [entity], {}, NOW)
    assert [problem.message for problem in board.problems] == [
        "only the first 20 of 21 waivers count"
    ]


def test_a_check_on_facts_of_other_kinds_is_not_for_components(tmp_path: Path) -> None:
    text = SMALL.replace("tiers: all\n    pass", "tiers: all\n    kinds: [API]\n    pass", 1)
    rubric = small(tmp_path, text)
    entity = service()
    score = score_of(rubric, entity, reading(entity, ALL_GOOD))
    assert [each.check for each in score.results] == ["protected", "approvals"]
