"""What a file became, and how much of it was carried over into another format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bridge.language.text import Position
from bridge.model.entities import DEFAULT_NAMESPACE, Body, Json, Ref
from bridge.processors.mapping import ExplainedEntity
from bridge.processors.references import reference_fields, referred


@dataclass(slots=True)
class CarriedEntities:
    """The entities of a file. Whatever is taken from a field has found a place, and is noted."""

    entities: Sequence[ExplainedEntity]
    _used: set[tuple[Ref, str]] = field(default_factory=set)

    def mark(self, entity: ExplainedEntity, path: str) -> None:
        """Note that a field, by its path in the entity, has found a place."""
        self._used.add((entity.ref, path))

    def of(self, kind: str) -> list[ExplainedEntity]:
        """Those of a kind."""
        return [each for each in self.entities if each.ref.kind == kind]

    def known(self, ref: Ref) -> ExplainedEntity | None:
        """The one of a name; None when the file does not describe it."""
        return next((each for each in self.entities if each.ref == ref), None)

    def places(self) -> frozenset[Position]:
        """Where in the file those values stand that found a place."""
        return frozenset(
            at
            for each in self.entities
            for one in each.fields
            if any((each.ref, path) in self._used for path in _above(one.path))
            for at in one.sources
        )

    def use(self, entity: ExplainedEntity, path: str) -> Json:
        """The value of a field, which now has a place; None when there is none."""
        value = _at(entity.body, path.split("."))
        if value is not None:
            self.mark(entity, path)
        return value

    def annotation(self, entity: ExplainedEntity, key: str) -> Json:
        """The value of an annotation, taken as `use` does."""
        value = entity.body["metadata"].get("annotations", {}).get(key)
        if value is not None:
            self.mark(entity, f"metadata.annotations.{key}")
        return value

    def label(self, entity: ExplainedEntity, key: str) -> Json:
        """The value of a label, taken as `use` does."""
        value = entity.body["metadata"].get("labels", {}).get(key)
        if value is not None:
            self.mark(entity, f"metadata.labels.{key}")
        return value

    def target(self, entity: ExplainedEntity, name: str) -> Ref | None:
        """What a field of `spec` refers to in the default namespace, taken as `use` does."""
        for path, ref in self.refs(entity, name):
            if ref.namespace == DEFAULT_NAMESPACE:
                self.mark(entity, path)
                return ref
        return None

    def refs(self, entity: ExplainedEntity, name: str) -> Iterator[tuple[str, Ref]]:
        """What a field of `spec` refers to, each with its path in the entity."""
        each = dict(reference_fields(entity.body))[name]
        given = entity.body["spec"].get(name)
        many = given if isinstance(given, list) else []
        texts = [(f"spec.{name}[{at}]", text) for at, text in enumerate(many)]
        texts += [(f"spec.{name}", given)] if isinstance(given, str) else []
        for path, text in texts:
            ref = referred(text, each, entity.body)
            if ref is not None:
                yield path, ref


def _at(body: Body, keys: Sequence[str]) -> Json:
    value: Json = body
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _above(path: str) -> Iterator[str]:
    """A field's path and those of what it lies in: `metadata.links[0].url`, `metadata.links`."""
    yield path
    for at in range(len(path) - 1, 0, -1):
        if path[at] in ".[":
            yield path[:at]
