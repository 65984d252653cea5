"""What a team or a system is, in a sentence of what is known, where nobody wrote one: pure.

Backstage shows "No description" else. The first three projects are named, in the order of their
ids, so that a project more changes little.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from bridge.language.text_faults import clean
from bridge.model.entities import Body
from bridge.model.statements import Statement
from bridge.model.suggested_owner import GROUP_PATH

_CHANNEL: Final = "fester.dev/owner-channel"
_NAMED: Final = 3
_LONGEST: Final = 80


def with_description(body: Body, statements: Sequence[Statement]) -> Body:
    """The entity with a description, if it is a Group or System that has none.

    One that needs none is the very same object.
    """
    metadata = body["metadata"]
    if body["kind"] not in ("Group", "System") or metadata.get("description"):
        return body
    said = _of_team if body["kind"] == "Group" else _of_system
    text = " ".join(said(metadata.get("annotations") or {}, _projects(statements)))
    return {**body, "metadata": {**metadata, "description": text}} if text else body


def _of_team(annotations: Mapping[str, object], projects: str) -> Iterator[str]:
    path, channel = annotations.get(GROUP_PATH), annotations.get(_CHANNEL)
    if projects:
        yield f"The team behind {projects}."
    elif path:
        yield f"The GitLab group {clean(str(path), 255)}."
    if channel:
        yield f"Channel: {clean(str(channel), _LONGEST)}"


def _of_system(_: Mapping[str, object], projects: str) -> Iterator[str]:
    if projects:
        yield f"A system of {projects}."


def _projects(statements: Sequence[Statement]) -> str:
    """The projects that speak of it, in words; "" where only groups of GitLab do."""
    found = {each.manifest.project.id: each.manifest.project.name for each in statements}
    names = [clean(found[number], _LONGEST) for number in sorted(found) if number >= 0]
    if len(names) > _NAMED:
        return f"{', '.join(names[:_NAMED])} and others"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
