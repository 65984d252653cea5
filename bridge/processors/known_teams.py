"""Reads files that name teams which another source puts into Backstage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from bridge.errors import ConfigurationError, NotUnderstood
from bridge.language.naming import ref as reference
from bridge.language.naming import slug
from bridge.language.text import Limits, Positions, read
from bridge.language.text_faults import shown
from bridge.model.entities import Json, Ref
from bridge.model.problems import Problem
from bridge.processors.teams import Team, team_of

# An answer of Backstage's catalog for some ten thousand groups and users.
_LIMITS: Final = Limits(bytes=64 * 1024 * 1024, nodes=5_000_000, documents=100_000)
_EXPECTED: Final = (
    "write a team's name, a reference such as group:default/payments, or a Group or User entity"
)


def load_known(path: Path) -> tuple[Team, ...]:
    """The teams that a YAML or JSON file names.

    Each document is a name, a reference, an entity, or a list of these; so is what Backstage's
    `GET /api/catalog/entities?filter=kind=group` answers. Raises ConfigurationError with every
    mistake, each with its place.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        message = (
            f"cannot be read: {error.strerror}; `owners.known_file` names a file of known teams"
        )
        raise ConfigurationError([Problem(message, "owners", file=str(path))]) from error
    try:
        documents, marks = read(text, _LIMITS)
    except NotUnderstood as error:
        raise ConfigurationError([error.problem.at(project="", file=str(path))]) from error
    teams: list[Team] = []
    problems: list[Problem] = []
    for tree, positions in zip(documents, marks, strict=True):
        for where, each in _items(tree):
            team = _team(each)
            if team is not None:
                teams.append(team)
            elif not _other_kind(each):
                problems.append(_mistake(path, positions, where, each))
    if not teams and not problems:
        message = f"names no team; {_EXPECTED}"
        problems.append(Problem(message, "owners", file=str(path)))
    if problems:
        raise ConfigurationError(problems)
    return tuple(teams)


def _items(tree: Json) -> Iterator[tuple[tuple[str | int, ...], Json]]:
    if isinstance(tree, list):
        yield from (((at,), each) for at, each in enumerate(tree))
    elif tree is not None:
        yield (), tree


def _team(item: Json) -> Team | None:
    if isinstance(item, Mapping):
        return team_of(item, elsewhere=True)
    written = reference(item, "group") if isinstance(item, str) else None
    if written is None:
        return None
    named = Ref.parse(written)
    if named.kind not in ("group", "user"):
        return None
    team = Team(named, elsewhere=True)
    folded = slug(item) if ":" not in item else None
    return replace(team, names=(folded,)) if folded and folded != named.name else team


def _other_kind(item: Json) -> bool:
    """Whether it is an entity of a kind that owns nothing: a whole catalog may be given."""
    return (
        isinstance(item, Mapping)
        and isinstance(item.get("kind"), str)
        and item["kind"].lower() not in ("group", "user")
    )


def _mistake(path: Path, marks: Positions, where: tuple[str | int, ...], item: Json) -> Problem:
    place = marks.value(where)
    return Problem(
        f"{shown(item)} is no team; {_EXPECTED}",
        "owners",
        file=str(path),
        line=place.line,
        column=place.column,
    )
