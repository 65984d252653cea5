"""Who may own something, as the settings have it: known teams, and names that mean them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bridge.errors import ConfigurationError
from bridge.language.naming import REF_KINDS, slug
from bridge.language.naming import ref as reference
from bridge.model.entities import Ref
from bridge.model.problems import Problem
from bridge.processors.known_teams import load_known
from bridge.processors.teams import OwnerRules, Team
from bridge.settings import Settings
from bridge.wiring.extensions import collected

_MOST_BYTES = 4_000_000
_STRUCTURED = (".yaml", ".yml", ".json")  # entities, or a list; any other file is read by lines


def owner_rules(settings: Settings, elsewhere: Sequence[Team] = ()) -> OwnerRules:
    """How owners are resolved; reads the file of known teams, so it blocks.

    `elsewhere` are teams that are known besides those of the settings. Raises
    `ConfigurationError` with every problem of the file and of the table.
    """
    problems: list[Problem] = []
    known = collected(problems, lambda: _known_teams(settings))
    table: dict[str, Ref] = {}
    for name, owner in settings.owners.table.items():
        key, meant = _key(name), reference(owner, "group")
        if key is None or meant is None or Ref.parse(meant).kind not in ("group", "user"):
            message = (
                f"{name[:80]!r}: {owner[:80]!r} is no row; write a name as manifests have it, and "
                "the group or user that it means: `Payments Team: group:default/payments`"
            )
            problems.append(_problem(message, "owners.table"))
        else:
            table[key] = Ref.parse(meant)
    if problems:
        raise ConfigurationError(problems)
    teams = (*(known or ()), *elsewhere)
    return OwnerRules(teams, table, settings.gitlab.people, settings.owners.invent)


def _key(name: str) -> str | None:
    """A name of the table, spelt as mappings spell it; a whole reference stays one."""
    kind, colon, _ = name.partition(":")
    return reference(name, "group") if colon and kind.strip().lower() in REF_KINDS else slug(name)


def owner_ref(name: str) -> str:
    """An owner as the settings name one, as a reference; what cannot be one stays as it is."""
    try:
        return str(Ref.parse(name, kind="group"))
    except ValueError:
        return name


def known_owners(settings: Settings) -> frozenset[Ref]:
    """What `owners.known` and `owners.known_file` name. Raises as `owner_rules` does."""
    return frozenset(team.ref for team in _known_teams(settings))


def _known_teams(settings: Settings) -> tuple[Team, ...]:
    """The teams that are named; a name without a kind is a group's."""
    found: list[Team] = []
    problems: list[Problem] = []
    path = settings.owners.known_file
    if path is not None and path.suffix.lower() in _STRUCTURED:
        found.extend(collected(problems, lambda: load_known(path)) or ())
    for text, file, line in _texts(settings):
        try:
            ref = Ref.parse(text, kind="group")
        except ValueError:
            message = f"`{text[:80]}` names no group or user: write group:default/payments"
            problems.append(_problem(message, file, line))
        else:
            found.append(Team(ref, elsewhere=True))
    if problems:
        raise ConfigurationError(problems)
    return tuple(found)


def _texts(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """Each reference, its file or setting, and its line (0 without one)."""
    for text in settings.owners.known:
        yield text, "owners.known", 0
    path = settings.owners.known_file
    if path is not None and path.suffix.lower() not in _STRUCTURED:
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
