"""The rubric file: what is shipped, and what its author is told."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import ConfigurationError
from bridge.language.text import read
from bridge.ox.scores.rubric_examples import run_rubric_examples
from bridge.ox.scores.rubric_in_force import RubricFile
from bridge.ox.scores.waivers import waiver_notes
from tests.ox.rubrics import SCHEMA, SMALL, shipped, small


def test_the_shipped_rubric_holds_its_own_examples() -> None:
    outcomes = run_rubric_examples(shipped())
    assert len(outcomes) >= 4
    assert [outcome for outcome in outcomes if not outcome.ok] == []


def test_the_shipped_rubric_is_the_agreed_table() -> None:
    rubric = shipped().rubric
    weights: dict[str, float] = defaultdict(float)
    services = [check for check in rubric.checks if check.kinds == ("component",)]
    for check in services:
        weights[check.category] += check.weight
    assert list(weights.values()) == [15, 10, 20, 20, 20, 15]
    assert rubric.targets == {1: 90, 2: 80, 3: 65, 4: 50}
    assert rubric.minimum_coverage == 0.7
    assert {check.id: sorted(check.gate_tiers) for check in rubric.checks if check.gate_tiers} == {
        "owner-known": [1, 2, 3, 4],
        "branch-protected": [1, 2, 3, 4],
        "no-old-criticals": [1, 2, 3],
        "on-call": [1],
        "runbook": [1],
    }
    assert {check.id for check in services if 4 in check.tiers} == {
        *("owner-known", "tier-and-lifecycle", "readme", "ci-configuration", "branch-protected")
    }
    assert {check.id for check in services if 3 not in check.tiers} == {
        *("runbook", "released-lately", "on-call", "slo-linked", "alerts-linked")
    }
    assert all(check.how_to_fix for check in rubric.checks)
    others = {kind: [c.id for c in rubric.checks if kind in c.kinds] for kind in ("api", "group")}
    assert others == {
        "api": ["api-defined", "api-provided", "kept-by-somebody"],
        "group": ["team-has-members"],
    }


def test_the_version_is_the_digest_of_the_text(tmp_path: Path) -> None:
    first, again = small(tmp_path).rubric.version, small(tmp_path).rubric.version
    assert first == again
    assert small(tmp_path, SMALL + "# changed\n").rubric.version != first


def refused(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as error:
        small(folder, text)
    return [str(problem).removeprefix(f"{folder}/") for problem in error.value.problems]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("repo.readme", "repo.redme", "rubric.yaml:11:20: in `repo.redme`: `repo.redme` is not a "
         "fact; did you mean `readme`?"),
        ("repo.readme", "rpo.readme", "rubric.yaml:11:15: in `rpo.readme`: `rpo` is not known "
         "here; did you mean `repo`?"),
        ("${{ repo.readme }}", "${{ repo }}", "rubric.yaml:11:11: `repo` is a source of facts; "
         "name one of them, as in `repo.…`"),
        ("repo.readme", "repo.readme.text", "rubric.yaml:11:27: in `repo.readme.text`: "
         "`repo.readme` is a boolean; it has no parts"),
        ("${{ repo.readme }}", "${{ repo.approvals < '200' }}", "rubric.yaml:11:33: in "
         "`repo.approvals < '200'`: `repo.approvals` is a number: write one without quotes, like "
         "`< 200`"),
        ("${{ repo.readme }}", "${{ repo.licence == 2 }}", "rubric.yaml:11:31: in "
         "`repo.licence == 2`: `repo.licence` is a text: put `2` in quotes"),
        ("${{ repo.readme }}", "${{ repo.readme == 'yes' }}", "rubric.yaml:11:31: in "
         "`repo.readme == 'yes'`: `repo.readme` is true or false: compare it with `true` or "
         "`false`"),
        ("{gold: 90, silver: 60, starting: 0}", "{starting: 0, silver: 60, gold: 90}",
         "rubric.yaml:3:1: `levels` go from the highest to the lowest: write them like "
         "`{gold: 90, silver: 75, bronze: 0}`"),
        ("category: docs", "category: dosc", "rubric.yaml:8:15: `dosc` is not a category; did you "
         "mean `docs`?"),
        ("    fix:", "    fixx:", "rubric.yaml:12:5: unknown key `fixx` in checks.readme: "
         "did you mean `fix`?"),
        ("gate: [1, 2]", "gate: [1, 5]", "rubric.yaml:18:15: checks.protected.gate[1] must be a "
         "tier: 1, 2, 3 or 4, not 5"),
        ("tiers: [1, 2, 3]", "tiers: some", "rubric.yaml:24:12: checks.approvals.tiers must be "
         "`all` or a list of tiers like [1, 2], not \"some\""),
        ("weight: 2", "weight: heavy", "rubric.yaml:9:13: checks.readme.weight must be a number "
         "above 0, not \"heavy\""),
        ("weight: 2", "weight: 0", "rubric.yaml:9:13: checks.readme.weight must be a number above "
         "0, not 0"),
        ("4: 50}", "5: 50}", "rubric.yaml:2:32: unknown key `5` in targets: delete it"),
        ("starting: 0", "starting: 101", "rubric.yaml:3:42: levels.starting must be a number from "
         "0 to 100, not 101"),
        ("4: 50}", "5: 50}", "rubric.yaml:2:1: targets.4 is missing"),
        ("starting: 0", "starting: 10", "rubric.yaml:3:1: `levels` needs one that holds from 0"),
        ("${{ repo.readme }}", "repo.readme", "rubric.yaml:11:11: checks.readme.pass must be an "
         "expression like ${{ gitlab.readme }}, not \"repo.readme\""),
        ("rubric: Small", "rubric:", "rubric.yaml:1:8: rubric must be text, but nothing is there: "
         "text that begins with # needs quotes"),
    ],
)  # fmt: skip
def test_a_mistake_is_placed_and_the_nearest_right_name_is_told(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert said in refused(tmp_path, SMALL.replace(old, new, 1))


def test_waivers_and_examples_are_checked_too(tmp_path: Path) -> None:
    more = """\
waivers:
  - {check: readmee, entity: 'component:*', reason: Later, expires: 2026-12-31}
  - {check: readme, entity: 'component:*', reason: Later, expires: soon}
  - {check: readme, entity: 'component:*', expires: 2026-12-31}
examples:
  - {facts: {repo.readmes: true}, states: {protectd: fail}, level: golden}
"""
    assert refused(tmp_path, SMALL + more) == [
        "rubric.yaml:28:13: `readmee` is not a check; did you mean `readme`?",
        'rubric.yaml:29:68: waivers[1].expires must be a date like 2027-03-31, not "soon"',
        "rubric.yaml:30:5: waivers[2].reason is missing: Why",
        "rubric.yaml:32:14: `repo.readmes` is not a fact; did you mean `readme`?",
        "rubric.yaml:32:44: `protectd` is not a check; did you mean `protected`?",
        "rubric.yaml:32:68: `golden` is not a level; did you mean `gold`?",
    ]


def test_a_day_that_no_calendar_has_is_told(tmp_path: Path) -> None:
    waiver = "{check: readme, entity: 'component:*', reason: Later, expires: 2026-02-31}"
    assert refused(tmp_path, f"{SMALL}waivers:\n  - {waiver}\n") == [
        "rubric.yaml:28:68: `2026-02-31` is no day of the calendar"
    ]


def test_nothing_of_another_shape_raises_and_each_is_told(tmp_path: Path) -> None:
    text = """\
rubric: [x]
checks: [1]
levels: 3
targets: {1: x, 2: 60, 3: 50, 4: 40}
categories: {a: b}
waivers: 3
examples: [1, {facts: 2, tier: 9, score: 101}]
untiered: []
minimum_coverage: 1.5
"""
    assert [said.partition(": ")[2] for said in refused(tmp_path, text)] == [
        "rubric must be text, not a list",
        "checks must be an object, not a list",
        "levels must be an object, not the number 3",
        'targets.1 must be a number from 0 to 100, not "x"',
        "waivers must be a list or nothing, not the number 3",
        "examples[0] must be an object, not the number 1",
        "examples[1].facts must be an object, not the number 2",
        "examples[1].tier must be a tier: 1, 2, 3 or 4, not 9",
        "examples[1].score must be a number from 0 to 100, or insufficient, not 101",
        "untiered must be a tier: 1, 2, 3 or 4, not an empty list",
        'minimum_coverage must be a number from 0 to 1, not "1.5"',
    ]


@pytest.mark.parametrize("odd", ["3", "x", "[]", "[[1]]", "{}", "{x: {y: 1}}", ""])
def test_no_value_of_any_key_is_too_odd(tmp_path: Path, odd: str) -> None:
    more = """\
minimum_coverage: 0.5
untiered: 3
waivers: [{check: readme, entity: 'component:*', reason: Later, expires: 2026-12-31}]
examples: [{tier: 4, facts: {repo.readme: true}, states: {readme: pass}, score: 3.5, level: gold}]
"""
    whole = SMALL + more
    (tree,), _ = read(whole)
    for path in paths(tree):
        changed = json.loads(json.dumps(tree))
        below = changed
        for step in path[:-1]:
            below = below[step]
        (value,), _ = read(odd or "null")
        below[path[-1]] = value
        with suppress(ConfigurationError):
            small(tmp_path, json.dumps(changed))


def paths(tree: Any) -> Iterator[tuple[Any, ...]]:
    steps = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for step, value in steps:
        yield (step,)
        if isinstance(value, dict | list):
            yield from ((step, *more) for more in paths(value))


def test_all_mistakes_come_at_once(tmp_path: Path) -> None:
    text = SMALL.replace("repo.readme", "repo.redme").replace("repo.approvals", "repo.aprovals")
    assert len(refused(tmp_path, text)) == 3


def test_a_file_that_is_no_map_or_no_yaml_is_refused_with_its_place(tmp_path: Path) -> None:
    (said,) = refused(tmp_path, "- a\n")
    assert said.startswith("rubric.yaml:1:1: a rubric file holds one map")
    (said,) = refused(tmp_path, "rubric: [\n")
    assert said.startswith("rubric.yaml:")
    assert refused(tmp_path, "rubric: x\n") != []


def test_an_example_that_does_not_hold_shows_the_difference(tmp_path: Path) -> None:
    text = f"""{SMALL}
examples:
  - {{tier: 4, facts: {{repo.readme: true}}, states: {{readme: fail}}, score: 3.5, level: gold}}
"""
    (outcome,) = run_rubric_examples(small(tmp_path, text))
    assert outcome.difference.splitlines() == [
        "readme: expected fail, is pass",
        "score: expected 3.5, is insufficient (40% of the weight known)",
        "level: expected gold, is none",
    ]


def test_a_changed_rubric_is_picked_up_and_a_broken_one_never_replaces_a_good_one(
    tmp_path: Path,
) -> None:
    first = small(tmp_path)
    path = tmp_path / "rubric.yaml"
    kept = RubricFile(path, [SCHEMA], first)
    assert kept.current() is first
    path.write_text(SMALL.replace("rubric: Small", "rubric: Changed"), "utf-8")
    changed = kept.current()
    assert changed.rubric.title == "Changed"
    path.write_text(SMALL.replace("repo.readme", "repo.redme"), "utf-8")
    assert kept.current() is changed
    assert [problem.line for problem in kept.problems] == [11]
    path.unlink()
    assert kept.current() is changed
    assert "cannot be read" in str(kept.problems[0])
    path.write_text(SMALL, "utf-8")
    assert kept.current().rubric.version == first.rubric.version
    assert kept.problems == ()


def test_a_waiver_names_an_entity_in_full_and_one_that_is_over_is_told(tmp_path: Path) -> None:
    def waiver(entity: str) -> str:
        return (
            f"{SMALL}waivers:\n"
            f"  - {{check: readme, entity: '{entity}', reason: later, expires: 2026-03-01}}\n"
        )

    (said,) = refused(tmp_path, waiver("cart"))
    assert "`cart` names no entity: write a reference like component:default/cart" in said
    rubric = small(tmp_path, waiver("Component:Cart")).rubric
    assert rubric.waivers[0].entity == "component:default/cart"
    assert waiver_notes(rubric, date(2026, 3, 1)) == []
    (note,) = waiver_notes(rubric, date(2026, 3, 2))
    assert "the waiver of `readme` for component:default/cart ended on 2026-03-01" in note.message


def test_who_gave_a_waiver_may_be_named(tmp_path: Path) -> None:
    waiver = "{check: readme, entity: 'component:*', reason: Later, expires: 2026-12-31, by: kim}"
    loaded = small(tmp_path, f"{SMALL}waivers:\n  - {waiver}\n")
    assert [each.person for each in loaded.rubric.waivers] == ["kim"]
    assert refused(tmp_path, f"{SMALL}waivers:\n  - {waiver.replace('kim', '7')}\n")
