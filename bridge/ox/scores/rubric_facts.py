"""The names that a rubric's expressions may use: the facts that collectors give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bridge.language.names import Shape, did_you_mean
from bridge.model.facts import FactSchema, FactType

_NUMBERS = (FactType.INTEGER, FactType.FLOAT)
_DEEP = (FactType.OBJECT, FactType.SET)


class FactNames:
    """A `bridge.language.names.Names` of "retriever.fact"."""

    def __init__(self, schemas: Sequence[FactSchema]) -> None:
        self._types = {
            schema.id: {fact.name: fact.type for fact in schema.facts} for schema in schemas
        }

    @property
    def names(self) -> Mapping[str, Shape]:
        """The retrievers."""
        return {name: ((name, ()),) for name in self._types}

    def step(self, shape: Shape, key: str) -> Shape:
        """One key further."""
        return None if shape is None else tuple((root, (*keys, key)) for root, keys in shape)

    def fault(self, shape: Shape) -> str | None:
        """What is wrong with the first path that is wrong."""
        for root, keys in shape or ():
            fault = self._fault(root, keys) if keys else None
            if fault:
                return fault
        return None

    def incomparable(self, shape: Shape, constant: object) -> str | None:
        """Why a fact of its type is never like a constant: `latency < '200'`."""
        for root, keys in shape or ():
            kind = self._types[root].get(keys[0]) if len(keys) == 1 else None
            number = isinstance(constant, int | float) and not isinstance(constant, bool)
            if kind in _NUMBERS and isinstance(constant, str):
                return f"`{root}.{keys[0]}` is a number: write one without quotes, like `< 200`"
            if kind is FactType.STRING and number:
                return f"`{root}.{keys[0]}` is a text: put `{constant}` in quotes"
            if kind is FactType.BOOLEAN and (number or isinstance(constant, str)):
                return f"`{root}.{keys[0]}` is true or false: compare it with `true` or `false`"
        return None

    def fact_fault(self, name: str) -> str | None:
        """What is wrong with a "retriever.fact", or None."""
        root, _, key = name.partition(".")
        if root in self._types:
            return self._fault(root, (key,))
        known = [f"{one}.{fact}" for one, facts in self._types.items() for fact in facts]
        hint = did_you_mean(name, known) or f"; there are {', '.join(self._types)}"
        return f"`{name}` is not a fact{hint}"

    def _fault(self, root: str, keys: Sequence[str]) -> str | None:
        facts = self._types[root]
        if keys[0] not in facts:
            hint = did_you_mean(keys[0], facts) or f"; there are {', '.join(facts)}"
            return f"`{root}.{keys[0]}` is not a fact{hint}"
        if len(keys) > 1 and facts[keys[0]] not in _DEEP:
            return f"`{root}.{keys[0]}` is a {facts[keys[0]].value}; it has no parts"
        return None
