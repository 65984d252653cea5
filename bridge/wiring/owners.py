"""Groups and users that another provider puts into Backstage: references to them are fine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bridge.errors import ConfigurationError
from bridge.model.entities import Ref
from bridge.model.problems import Problem
from bridge.settings import Settings

_MOST_BYTES = 4_000_000


def known_owners(settings: Settings) -> frozenset[Ref]:
    """What `owners.known` and `owners.known_file` name; a name without a kind is a group's.

    Raises `ConfigurationError` with every line that is no reference.
    """
    found: set[Ref] = set()
    problems: list[Problem] = []
    for text, file, line in _texts(settings):
        try:
            ref = Ref.parse(text, kind="group")
        except ValueError:
            message = f"`{text[:80]}` names no group or user: write group:default/payments"
            problems.append(_problem(message, file, line))
        else:
            found.add(ref)
    if problems:
        raise ConfigurationError(problems)
    return frozenset(found)


def _texts(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """Each reference, its file or setting, and its line (0 without one)."""
    for text in settings.owners.known:
        yield text, "owners.known", 0
    if settings.owners.known_file is not None:
        path = settings.owners.known_file
        for number, line in enumerate(_lines(path), 1):
            text = line.partition("#")[0].strip()
            if text:
                yield text, str(path), number


def _problem(message: str, file: str, line: int = 0) -> Problem:
    return Problem(message, "setting-invalid", file=file, line=line, column=1 if line else 0)


def _lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
        if len(raw) > _MOST_BYTES:
            raise ValueError(f"larger than {_MOST_BYTES:,} bytes")
        return raw.decode("utf-8").splitlines()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        message = f"cannot be read: {reason}; `owners.known_file` is a text with a reference a line"
        raise ConfigurationError([_problem(message, str(path))]) from None
