"""What changed, in words: the same for every face."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bridge.model.entity_changes import ChangeKind, EntityChange, FieldChange

FIELDS: Final = 5  # that a line names; the others are counted
MANIFESTS: Final = 3  # that a table names


def headline(change: EntityChange) -> str:
    """What happened to what: "The Cart changed: spec.owner"."""
    named = ", ".join(field.path for field in change.fields[:FIELDS])
    left = len(change.fields) - FIELDS + change.left_out
    more = f" and {left} more" if left > 0 else ""
    return f"{change.title} {change.kind.value}{f': {named}{more}' if named else ''}"


def field_lines(change: EntityChange) -> Iterator[str]:
    """A line for each field, and one for those that are left out."""
    for field in change.fields:
        yield f"{field.path}: {from_to(field)}"
    if change.left_out:
        yield f"… and {change.left_out} more fields"


def from_to(field: FieldChange) -> str:
    """What was and what is; of a list, what went and what came."""
    if field.before is None or field.after is None:
        return f"+ {field.after}" if field.before is None else f"- {field.before}"
    return f"{field.before} → {field.after}"


def places(change: EntityChange) -> str:
    """The manifests, "shop/cart qm.yaml, …"; "" where none is known."""
    return ", ".join(f"{each.project} {each.file}" for each in change.manifests)


def page_of(change: EntityChange) -> tuple[str, str]:
    """(path, parameter to quote) of the page that tells most: of what is gone, why it is."""
    gone = change.kind is ChangeKind.REMOVED
    return ("/explain?ref=" if gone else "/entity/"), str(change.ref)
