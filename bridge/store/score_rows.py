"""Between scores and the rows of their tables."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from hashlib import blake2b
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError
from sqlalchemy import Row

from bridge.errors import StoreError
from bridge.model.compression import compressed
from bridge.model.scores import (
    CheckState,
    Rollup,
    RollupDay,
    RollupKind,
    Rubric,
    Score,
    Scoreboard,
    ScoreDay,
)

Kind = TypeVar("Kind")

_LETTERS: Final = {
    CheckState.PASS: "p",
    CheckState.WARN: "a",
    CheckState.FAIL: "f",
    CheckState.UNKNOWN: "u",
    CheckState.STALE: "s",
    CheckState.NOT_APPLICABLE: "n",
    CheckState.WAIVED: "w",
}
_STATES: Final = {letter: state for state, letter in _LETTERS.items()}
_ADVICE: Final = "remove that row; the next pass writes it anew"

_score = TypeAdapter(Score)
_board = TypeAdapter(Scoreboard)
_levels = TypeAdapter(dict[str, int])


def packed(adapter: TypeAdapter[Kind], value: Kind, exclude: Any = None) -> bytes:
    """A noun as packed JSON; text that UTF-8 cannot hold loses what it cannot."""
    try:
        text = adapter.dump_json(value, exclude=exclude)
    except PydanticSerializationError:
        tree = adapter.dump_python(value, mode="json", exclude=exclude)
        text = json.dumps(tree, ensure_ascii=False).encode("utf-8", "replace")
    return compressed(text)


def unpacked(adapter: TypeAdapter[Kind], body: bytes, what: str, prefix: bytes = b"") -> Kind:
    """The noun that was packed; `prefix` is put in front of its keys. Raises `StoreError`."""
    try:
        text = zlib.decompress(body)
        return adapter.validate_json(b"{" + prefix + text[1:] if prefix else text)
    except (zlib.error, ValidationError) as error:
        reason = str(error).partition("\n")[0]
        raise StoreError(f"{what} cannot be understood: {reason}; {_ADVICE}") from error


def score_body(score: Score) -> bytes:
    """A score without its moment, so that one that did not change is the same bytes."""
    return packed(_score, score, {"at"})


@dataclass(frozen=True, slots=True)
class Packed:
    """A score, and what its rows say of it: `kept` and `mark` are for the history."""

    score: Score
    digest: str
    mark: str
    kept: Mapping[str, Any]
    body: bytes = b""

    def stored(self) -> Packed:
        """The same without its body, which then lies in the store."""
        return replace(self, body=b"") if self.body else self


def pack_score(score: Score, rubric: Rubric) -> Packed:
    """A score on its way into the store."""
    kept = day_values(score, rubric)
    body = score_body(score)
    return Packed(score, _digest(body), json.dumps(list(kept.values())), kept, body)


@dataclass(frozen=True, slots=True)
class Read:
    """A score as its row holds it."""

    score: Score
    digest: str


def scores(rows: Iterable[Row[Any]], at: datetime) -> dict[str, Read]:
    """The scores of rows, by entity. Raises `StoreError`."""
    prefix = f'"at":{json.dumps(at.isoformat())},'.encode()
    what = "the score of {} (table fester_scores)"
    return {
        row.entity: Read(unpacked(_score, row.body, what.format(row.entity), prefix), row.digest)
        for row in rows
    }


def _digest(body: bytes) -> str:
    return blake2b(body, digest_size=16).hexdigest()


def board_body(board: Scoreboard) -> bytes:
    """A board without its scores: they have rows of their own."""
    return packed(_board, board, {"scores"})


def board(body: bytes, source: str) -> Scoreboard:
    """The board that was packed. Raises `StoreError`."""
    return unpacked(_board, body, f"the scoreboard of {source} (table fester_boards)")


def day_values(score: Score, rubric: Rubric) -> dict[str, Any]:
    """What history keeps of a score."""
    states = {result.check: _LETTERS[result.state] for result in score.results}
    return {
        "value": None if score.value is None else round(score.value, 4),
        "coverage": round(score.coverage, 4),
        "sufficient": int(score.sufficient),
        "level": score.level,
        "tier": score.tier,
        "target": score.target,
        "rubric": score.rubric,
        "states": "".join(states.get(check.id, "n") for check in rubric.checks),
        "gone": 0,
    }


def score_days(
    rows: Iterable[Row[Any]], checks: Mapping[str, Mapping[str, float]]
) -> list[ScoreDay]:
    """Rows of history; `checks` are the weights of every rubric's checks, by its version."""
    return [_score_day(row, checks.get(row.rubric, {})) for row in rows]


def _score_day(row: Row[Any], weights: Mapping[str, float]) -> ScoreDay:
    states = (_STATES.get(letter, CheckState.UNKNOWN) for letter in row.states)
    return ScoreDay(
        day=date.fromordinal(row.day),
        value=row.value,
        coverage=row.coverage,
        sufficient=bool(row.sufficient),
        level=row.level,
        tier=row.tier,
        target=row.target,
        rubric=row.rubric,
        states=dict(zip(weights, states, strict=False)),
        weights=weights,
        gone=bool(row.gone),
    )


def rollup_values(rollup: Rollup) -> dict[str, Any]:
    """What history keeps of a roll-up."""
    return {
        "value": None if rollup.value is None else round(rollup.value, 4),
        "coverage": round(rollup.coverage, 4),
        "services": rollup.services,
        "unknown": rollup.unknown,
        "below_target": rollup.below_target,
        "levels": json.dumps(dict(sorted(rollup.levels.items()))),
        "gone": 0,
    }


def rollup_day(row: Row[Any], kind: RollupKind, name: str) -> RollupDay:
    """A row of history. Raises `StoreError`."""
    try:
        levels = _levels.validate_json(row.levels)
    except ValidationError as error:
        raise StoreError(f"the levels of {kind} {name} cannot be understood; {_ADVICE}") from error
    found = Rollup(
        kind,
        name,
        row.value,
        row.coverage,
        row.services,
        row.unknown,
        row.below_target,
        levels,
    )
    return RollupDay(date.fromordinal(row.day), found, bool(row.gone))
