"""Values that could not be seen: an expression over them is unseen unless the others decide it.

A name's value may be `KnownValues`: a map that raises `UnknownValue` for a key that is not known.
Everything that needs the value passes that on; `and`, `or` and `if … else` look at their other
side first. What comes out holds whatever the unseen values are (Kleene's strong logic); it may be
unseen although it could not be otherwise (`a or not a`).
"""

from __future__ import annotations

from collections.abc import Mapping

from bridge.language.closures import Env, Run
from bridge.model.entities import Json


class UnknownValue(Exception):
    """A value could not be seen; `keys` name those that would have been needed."""

    def __init__(self, keys: frozenset[str]) -> None:
        self.keys = keys
        super().__init__(", ".join(sorted(keys)))


class KnownValues(dict[str, Json]):
    """The values of one source of facts that are known; asking for another raises `UnknownValue`.

    `source` is put before the name of a key that was not seen.
    """

    def __init__(self, source: str, known: Mapping[str, Json]) -> None:
        super().__init__(known)
        self.source = source

    def get(self, key: str, default: Json = None) -> Json:
        """The value of a key. Raises `UnknownValue`."""
        try:
            return self[key]
        except KeyError:
            raise UnknownValue(frozenset((f"{self.source}.{key}",))) from None


def kleene_and(left: Run, right: Run) -> Run:
    """`left and right`: false as soon as one that can be seen is false."""

    def run(env: Env) -> Json:
        try:
            found = left(env)
        except UnknownValue as unseen:
            return _decided(unseen, right, env, by=False)
        return found and right(env)

    return run


def kleene_or(left: Run, right: Run) -> Run:
    """`left or right`: true as soon as one that can be seen is true."""

    def run(env: Env) -> Json:
        try:
            found = left(env)
        except UnknownValue as unseen:
            return _decided(unseen, right, env, by=True)
        return found or right(env)

    return run


def _decided(unseen: UnknownValue, right: Run, env: Env, *, by: bool) -> Json:
    """The right side's value where that alone decides; else raises `UnknownValue`."""
    try:
        found = right(env)
    except UnknownValue as also:
        raise UnknownValue(unseen.keys | also.keys) from None
    if bool(found) is by:
        return found
    raise unseen


def kleene_if(test: Run, yes: Run, no: Run) -> Run:
    """`yes if test else no`: with an unseen test, what both sides agree on."""

    def run(env: Env) -> Json:
        try:
            tested = test(env)
        except UnknownValue as unseen:
            return _agreed(unseen, yes, no, env)
        return yes(env) if tested else no(env)

    return run


def _agreed(unseen: UnknownValue, yes: Run, no: Run, env: Env) -> Json:
    keys, found = unseen.keys, []
    for side in (yes, no):
        try:
            found.append(side(env))
        except UnknownValue as also:
            keys |= also.keys
    if len(found) == 2 and type(found[0]) is type(found[1]) and found[0] == found[1]:
        return found[0]
    raise UnknownValue(keys)
