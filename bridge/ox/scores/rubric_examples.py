"""Runs the examples that a rubric carries: facts in, states, score and level out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from bridge.model.entities import CatalogEntity, Json, Ref
from bridge.model.facts import Fact, Reading
from bridge.model.scores import TIER, Score
from bridge.ox.scores.rubric import LoadedRubric, RubricExample
from bridge.ox.scores.scoreboard import evaluate
from bridge.ox.scores.scoring import scored

_WHEN: Final = datetime(2000, 1, 1, tzinfo=UTC)  # before any waiver ends


@dataclass(frozen=True, slots=True)
class ExampleOutcome:
    """How one example went; `difference` is what is not as said, "" if nothing."""

    title: str
    place: str
    difference: str = ""

    @property
    def ok(self) -> bool:
        """Whether everything is as said."""
        return not self.difference


def run_rubric_examples(loaded: LoadedRubric) -> tuple[ExampleOutcome, ...]:
    """Every example, in order."""
    return tuple(
        ExampleOutcome(each.title, each.place, "\n".join(_differences(each, _score(loaded, each))))
        for each in loaded.examples
    )


def _score(loaded: LoadedRubric, example: RubricExample) -> Score:
    labels = {TIER: f"tier_{example.tier}"} if example.tier else {}
    body: Json = {"kind": example.kind, "metadata": {"name": "example", "labels": labels}}
    ref = Ref.of(body)
    facts: dict[str, list[Fact]] = defaultdict(list)
    for name, value in example.facts.items():
        retriever, _, fact = name.partition(".")
        facts[retriever].append(Fact(fact, value, _WHEN, example.place))
    readings = {
        retriever: Reading(ref, retriever, "", _WHEN, tuple(found))
        for retriever, found in facts.items()
    }
    board = evaluate(loaded, [CatalogEntity(ref, body, ())], {ref: readings}, _WHEN)
    nothing = scored(loaded.rubric, ref, example.tier, (), _WHEN)
    return board.scores.get(ref, nothing)


def _differences(example: RubricExample, score: Score) -> Iterator[str]:
    states = {result.check: result for result in score.results}
    for name, wanted in example.states.items():
        found = states.get(name)
        if found is None:
            yield f"{name}: it is not for the kind {score.entity.kind}"
        elif found.state.value != wanted:
            why = f" ({found.reason})" if found.reason else ""
            yield f"{name}: expected {wanted}, is {found.state.value}{why}"
    value = round(score.value, 1) if score.sufficient and score.value is not None else None
    shown = "insufficient" if value is None else f"{value:g}"
    said = None if example.score is None else str(example.score)
    if isinstance(example.score, float):
        said = f"{round(example.score, 1):g}"
    if said is not None and said != shown:
        yield f"score: expected {said}, is {shown} ({score.coverage:.0%} of the weight known)"
    if example.level is not None and example.level != score.level:
        yield f"level: expected {example.level}, is {score.level or 'none'}"
