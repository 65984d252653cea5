"""Finds references that point nowhere: Backstage accepts them, and shows a broken link.

Which fields refer, and to which kind when the text names none, is Backstage's own rule
(`BuiltinKindsEntityProcessor`), written down in `rules.SPEC_FIELDS`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from bridge.caching.memo import MemoPass, PassMemo
from bridge.language.names import nearest
from bridge.language.text_faults import clean
from bridge.model.entities import Body, Catalog, CatalogEntity, Ref
from bridge.model.problems import Problem, Severity
from bridge.processors.rules import SPEC_FIELDS, SpecField

_NEAREST: Final = 2  # suggestions that a message makes
_NEIGHBOURS: Final = 20  # names looked at, on each side, before and after
_MOST_SEARCHES: Final = 1000  # targets for which a nearest is looked up at all
_MOST_TARGETS: Final = 20  # targets of one entity that are reported one by one

_REFERRING: Final = {
    kind: tuple((key, each) for key, each in fields.items() if each.ref is not None)
    for kind, fields in SPEC_FIELDS.items()
}


@dataclass(frozen=True, slots=True)
class Dangling:
    """One reference to nothing. `more` counts the entity's others that are not listed.

    `several` are the entities that go by the name, when there are more than one.
    """

    entity: CatalogEntity
    field: str
    target: Ref
    nearest: tuple[str, ...] = ()
    more: int = 0
    several: tuple[str, ...] = ()

    def problem(self, *, line: int = 0, column: int = 0, which: int = 0) -> Problem:
        """The warning, placed at the entity's origin number `which`."""
        origin = self.entity.origins[which] if self.entity.origins else None
        near = f"; did you mean {' or '.join(self.nearest)}?" if self.nearest else ""
        more = f" ({self.more} more references of it point nowhere, too)" if self.more else ""
        named = f"{self.entity.ref}: spec.{self.field} names {clean(str(self.target), 255)}"
        # What is depended on and not there is not published: see `dependencies`.
        then = "it is left out" if self.field == "dependsOn" else "Backstage shows a broken link"
        if self.several:
            said = f", and {' and '.join(self.several[:3])} go by that name: write the one meant"
        else:
            said = f", which no manifest describes; {then}{near}"
        message = f"{named}{said}{more}"
        return Problem(
            message,
            "dangling-ref",
            Severity.WARNING,
            project=origin.project if origin else "",
            file=origin.file if origin else "",
            line=line,
            column=column,
            ref=str(self.entity.ref),
        )


def targets(body: Body, only: str = "") -> Iterator[tuple[str, Ref]]:
    """The fields of an entity that refer to another one, and what they refer to.

    With `only`, those of one field. A text that is no reference is passed over: the rules for
    entities report it.
    """
    spec = body.get("spec") or {}
    for key, each in reference_fields(body):
        if key in spec and (not only or key == only):
            for text in spec[key] if each.many else (spec[key],):
                ref = referred(text, each, body)
                if ref is not None:
                    yield key, ref


def reference_fields(body: Body) -> Sequence[tuple[str, SpecField]]:
    """The fields of an entity's `spec` that hold references, whether they are there or not."""
    return _REFERRING.get(str(body["kind"]).lower(), ())


def referred(text: str, each: SpecField, body: Body) -> Ref | None:
    """What a text in one of an entity's fields refers to; None when it is no reference."""
    # A reference without a namespace stays in the entity's own.
    namespace = body["metadata"].get("namespace") or "default"
    try:
        return Ref.parse(text.strip(), kind=each.ref or None, namespace=namespace)
    except ValueError:
        return None


class Earlier:
    """What was found in the pass before: where entities point, and what was nearest."""

    def __init__(self) -> None:
        self.targets: PassMemo[Ref, tuple[tuple[str, Ref], ...]] = PassMemo()
        self.nearest: PassMemo[Ref, tuple[str, ...]] = PassMemo()


def dangling(
    catalog: Catalog,
    earlier: Earlier | None = None,
    *,
    several: Mapping[Ref, Sequence[Ref]] = MappingProxyType({}),
    known_elsewhere: Collection[Ref] = (),
) -> list[Dangling]:
    """Every reference in the catalog that points at no entity in it, in the catalog's order.

    `several` are names that more than one entity goes by, `known_elsewhere` entities that are
    not ours and are there.
    The cost of suggestions is bounded, whatever the number of entities and of broken references.
    With `earlier` only what changed is looked at anew.
    """
    earlier = earlier or Earlier()
    refs = {entity.ref: entity.ref for entity in catalog.entities}

    def pairs_of(entity: CatalogEntity) -> tuple[tuple[str, Ref], ...]:
        # Thousands name the same few teams and systems: the reference itself is kept once.
        return tuple((key, refs.get(target, target)) for key, target in targets(entity.body))

    found: list[Dangling] = []
    with earlier.targets.round() as known, earlier.nearest.round() as searched:
        names = _Names(refs, searched)
        for entity in catalog.entities:
            pairs = known.get(entity.ref, [entity], lambda each=entity: pairs_of(each))  # type: ignore[misc]
            lost = [
                pair for pair in pairs if pair[1] not in refs and pair[1] not in known_elsewhere
            ]
            unique = list(dict.fromkeys(lost))
            more = max(0, len(unique) - _MOST_TARGETS)
            for key, target in unique[:_MOST_TARGETS]:
                among = tuple(map(str, several.get(target, ())))
                near = () if among else names.nearest(target)
                found.append(Dangling(entity, key, target, near, more, among))
    return found


@dataclass(slots=True)
class _Names:
    """All references, sorted by kind for a search that looks at a few neighbours only."""

    refs: Collection[Ref]
    searched: MemoPass[Ref, tuple[str, ...]]
    _sorted: dict[str, tuple[list[str], list[str]]] = field(default_factory=dict)
    _known: dict[Ref, tuple[str, ...]] = field(default_factory=dict)

    def nearest(self, target: Ref) -> tuple[str, ...]:
        """The references of the same kind whose names look most like the target's."""
        if target in self._known:
            return self._known[target]
        if len(self._known) >= _MOST_SEARCHES:
            return ()
        forwards, backwards = self._of(target.kind)
        name = f"{target.namespace}/{target.name}"[:200]
        near = set(_around(forwards, name))
        near.update(other[::-1] for other in _around(backwards, name[::-1]))
        neighbours = sorted(near)

        def search() -> tuple[str, ...]:
            close = nearest(name, neighbours, _NEAREST, 0.75)
            return tuple(f"{target.kind}:{other}" for other in close)

        self._known[target] = self.searched.get(target, neighbours, search)
        return self._known[target]

    def _of(self, kind: str) -> tuple[list[str], list[str]]:
        if kind not in self._sorted:
            names = [f"{ref.namespace}/{ref.name}" for ref in self.refs if ref.kind == kind]
            self._sorted[kind] = sorted(names), sorted(name[::-1] for name in names)
        return self._sorted[kind]


def _around(names: list[str], name: str) -> Iterable[str]:
    """The neighbours of a name in a sorted list: those that begin as it does."""
    at = bisect_left(names, name)
    return names[max(0, at - _NEIGHBOURS) : at + _NEIGHBOURS]
