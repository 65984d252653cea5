"""Finds references that point nowhere: Backstage accepts them, and shows a broken link.

Which fields refer, and to which kind when the text names none, is Backstage's own rule
(`BuiltinKindsEntityProcessor`), written down in `rules.SPEC_FIELDS`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from bridge.language.names import nearest
from bridge.language.text_faults import clean
from bridge.model.entities import Body, CatalogEntity, Ref
from bridge.model.numbers import mark_in
from bridge.model.problems import Problem, Severity
from bridge.processors.rules import SPEC_FIELDS, SpecField

_NEAREST: Final = 2  # suggestions that a message makes
MOST_TARGETS: Final = 20  # targets of one entity that are reported one by one

_REFERRING: Final = {
    kind: tuple((key, each) for key, each in fields.items() if each.ref is not None)
    for kind, fields in SPEC_FIELDS.items()
}


@dataclass(frozen=True, slots=True)
class Dangling:
    """One reference to nothing. `more` counts the entity's others that are not listed.

    `several` are the entities that go by the name, when there are more than one. `published`: it
    is in the catalog all the same.
    """

    entity: CatalogEntity
    field: str
    target: Ref
    nearest: tuple[str, ...] = ()
    more: int = 0
    several: tuple[str, ...] = ()
    published: bool = False

    def problem(self, *, line: int = 0, column: int = 0, which: int = 0) -> Problem:
        """The warning, placed at the entity's origin number `which`."""
        origin = self.entity.origins[which] if self.entity.origins else None
        near = f"; did you mean {' or '.join(self.nearest)}?" if self.nearest else ""
        more = f" ({self.more} more references of it point nowhere, too)" if self.more else ""
        named = f"{self.entity.ref}: spec.{self.field} names {clean(str(self.target), 255)}"
        # What is depended on and not there is seldom published: see `dependencies`.
        left_out = self.field == "dependsOn" and not self.published
        then = "it is left out" if left_out else "Backstage shows a broken link"
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
            gitlab=mark_in(origin.project_id) if origin else 0,
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


def dangling(
    entity: CatalogEntity,
    missing: Collection[Ref],
    *,
    nearest: Mapping[Ref, Sequence[str]] = MappingProxyType({}),
    several: Mapping[Ref, Sequence[Ref]] = MappingProxyType({}),
) -> list[Dangling]:
    """The references of an entity that point at something `missing`, in the order of its fields.

    `nearest` has what to suggest for a target, `several` the entities that go by its name where
    there are more than one.
    """
    unique = list(dict.fromkeys(pair for pair in targets(entity.body) if pair[1] in missing))
    more = max(0, len(unique) - MOST_TARGETS)
    found: list[Dangling] = []
    for key, target in unique[:MOST_TARGETS]:
        among = tuple(map(str, several.get(target, ())))
        near = () if among else tuple(nearest.get(target, ()))
        found.append(Dangling(entity, key, target, near, more, among))
    return found


def likely(target: Ref, others: Iterable[str]) -> tuple[str, ...]:
    """Those of the references whose names look most like the target's, best first."""
    name = f"{target.namespace}/{target.name}"[:200]
    names = sorted(other.partition(":")[2] for other in others)
    return tuple(f"{target.kind}:{each}" for each in nearest(name, names, _NEAREST, 0.75))
