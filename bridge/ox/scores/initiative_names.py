"""What the expression of an initiative may name, and which services it is for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from bridge.language.closures import Env, Run
from bridge.language.expressions import PART, compile_expression
from bridge.language.filters import EvaluationError
from bridge.language.names import Shape
from bridge.model.entities import Json, Ref
from bridge.model.scores import Scoreboard

_TEXTS: Final = ("name", "namespace", "level", "team", "system", "domain", "product")
_NUMBERS: Final = ("tier", "score")
_EMPTY: Final[Mapping[str, Json]] = dict.fromkeys((*_TEXTS, *_NUMBERS))


class ServiceNames:
    """A `bridge.language.names.Names` of what the scoreboard knows of a service."""

    @property
    def names(self) -> Mapping[str, Shape]:
        """Each stands for a text or a number."""
        return {name: ((name, ()),) for name in (*_TEXTS, *_NUMBERS)}

    def step(self, shape: Shape, key: str) -> Shape:
        """One key further."""
        return None if shape is None else tuple((root, (*keys, key)) for root, keys in shape)

    def fault(self, shape: Shape) -> str | None:
        """None of them has parts."""
        deep = next((root for root, keys in shape or () if keys), None)
        return f"`{deep}` has no parts" if deep else None

    def incomparable(self, shape: Shape, constant: object) -> str | None:
        """Why a number is never like a text, or the other way round."""
        number = isinstance(constant, int | float) and not isinstance(constant, bool)
        for root, _ in shape or ():
            if root in _NUMBERS and isinstance(constant, str):
                return f"`{root}` is a number: write one without quotes, like `< 3`"
            if root in _TEXTS and number:
                return f"`{root}` is a text: put `{constant}` in quotes"
        return None


def chosen(where: str, board: Scoreboard) -> Iterator[Ref]:
    """The services of which an expression is true; where it cannot be worked out it is not."""
    run = _compiled(where)
    belongs: dict[Ref, dict[str, Json]] = {}
    for rollup in board.rollups:
        if rollup.kind in _TEXTS:
            for ref in rollup.members:
                belongs.setdefault(ref, {})[rollup.kind] = rollup.name
    for ref, score in board.scores.items():
        env: Env = {
            **_EMPTY,
            "name": ref.name,
            "namespace": ref.namespace,
            "level": score.level or None,
            "tier": score.tier,
            "score": score.value if score.sufficient else None,
            **belongs.get(ref, {}),
        }
        try:
            if run(env) is True:
                yield ref
        except EvaluationError:
            continue


@lru_cache(maxsize=256)
def _compiled(where: str) -> Run:
    """The expression; it had no fault when it was loaded."""
    found = PART.fullmatch(where.strip())
    return compile_expression(found[1].strip() if found else where, ServiceNames())[0].run
