"""`copy`: an entity that stands in the manifest as it is, with what the mapping writes over it.

    - copy: ${{ manifest }}
      metadata:
        annotations:
          gitlab.com/project-slug: ${{ project.path }}

What is null or an empty text is left out of the copy; empty lists and maps stay. A key that the
mapping writes wins, and maps are laid over each other key by key.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.language.filters import EvaluationError, kind_of
from bridge.model.entities import Json
from bridge.processors.mapping.templates import (
    CHARACTER_LIMIT,
    LEAF_LIMIT,
    Evaluation,
    Leaf,
    Node,
    Path,
    Traced,
)
from bridge.processors.rules import DEPTH_LIMIT, REFERRING


@dataclass(frozen=True, slots=True)
class Copy:
    """A map of the manifest as it is; `over` is laid over it."""

    leaf: Leaf
    over: Node

    def build(self, state: Evaluation) -> Json:
        """The map. Raises EvaluationError when it is none, or too large."""
        try:
            found = self.leaf.expression.run(state.env)
            if not isinstance(found, dict):
                raise EvaluationError(f"copy needs a map and found {kind_of(found)}")
            path = (*state.sources(self.leaf.expression), ())[0]
            copied = _copied(found, path, self.leaf.place, state, 1)
            _refer(found.get("spec"), (*path, "spec"), state)
        except EvaluationError as error:
            raise self.leaf.placed(error, state) from None
        return _laid(copied, self.over.build(state))


def _copied(value: Json, path: Path, place: str, state: Evaluation, depth: int) -> Json:
    """A value without what says nothing; each of its scalars is counted."""
    if depth > DEPTH_LIMIT:
        raise EvaluationError(f"is nested more than {DEPTH_LIMIT} levels deep")
    if isinstance(value, dict):
        parts = (
            (key, _copied(item, (*path, key), place, state, depth + 1))
            for key, item in value.items()
        )
        return {key: item for key, item in parts if item is not None}
    if isinstance(value, list):
        items = (
            _copied(item, (*path, at), place, state, depth + 1) for at, item in enumerate(value)
        )
        return [item for item in items if item is not None]
    if value is None or value == "":
        return None
    _count(value, state)
    return Traced(value, place, (path,)) if state.telling else value


def _count(value: Json, state: Evaluation) -> None:
    """Count a scalar. One text may be long, as an API's definition is; all together may not."""
    state.leaves += 1
    state.characters += len(value) if isinstance(value, str) else 0
    if state.leaves > LEAF_LIMIT:
        raise EvaluationError(f"makes more than {LEAF_LIMIT:,} values of one manifest")
    if state.characters > CHARACTER_LIMIT:
        raise EvaluationError(f"makes more than {CHARACTER_LIMIT:,} characters of one manifest")


def _refer(spec: Json, path: Path, state: Evaluation) -> None:
    """Remember where the references of an entity are written."""
    for name in REFERRING & spec.keys() if isinstance(spec, dict) else ():
        value = spec[name]
        if isinstance(value, str):
            state.referred.append((value, (*path, name)))
        elif isinstance(value, list):
            state.referred += [
                (item, (*path, name, at)) for at, item in enumerate(value) if isinstance(item, str)
            ]


def _laid(under: Json, over: Json) -> Json:
    """`over` on top of `under`; maps are laid over each other key by key."""
    if over is None:
        return under
    if not (isinstance(under, dict) and isinstance(over, dict)):
        return over
    return {**under, **{key: _laid(under.get(key), value) for key, value in over.items()}}
