"""What a CODEOWNERS file says, in figures: who is named, and whether everything has an owner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bridge.language.codeowners import of_everything, rules_of

_OWNERS: Final = 200  # different ones that are told


@dataclass(frozen=True, slots=True)
class Codeowners:
    """What one says. `default`: what no other rule is about has an owner. `owners`, sorted, are
    those of `Rule`; `unowned` are rules that name nobody. What takes a path out is no rule."""

    rules: int
    default: bool
    owners: tuple[str, ...]
    unowned: int

    def groups_and_users(self) -> tuple[str, ...]:
        """The paths and user names among the owners, in lower case."""
        names = (each[1:].lower() for each in self.owners if each.startswith("@"))
        return tuple(name for name in names if not name.startswith("@"))


def parsed(text: str) -> Codeowners:
    """The figures of a file."""
    everything = list(rules_of(text))
    rules = [rule for rule in everything if not rule.excludes]
    owners: set[str] = set()
    for rule in rules:
        owners.update(rule.owners[: _OWNERS - len(owners)])
    unowned = sum(not rule.owners for rule in rules)
    default = bool(of_everything(everything))
    return Codeowners(len(rules), default, tuple(sorted(owners)), unowned)
