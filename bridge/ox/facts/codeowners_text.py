"""Reads a CODEOWNERS file as GitLab does: who owns what, and whether everything has an owner.

Sections have owners for those of their rules that name none. Pure and linear; of a stranger's file
at most `MOST` characters are read. https://docs.gitlab.com/user/project/codeowners/reference/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MOST: Final = 200_000
_OWNERS: Final = 200  # different ones that are told
_SECTION: Final = re.compile(r"\^?\[([^\]]+)\](?:\[\d{1,4}\])?(?:\s+(.*))?$")
_EVERYTHING: Final = frozenset({"*", "**", "/**", "**/*", "/**/*", "/"})
_BLANK: Final = re.compile(r"(?<!\\)[ \t]+")  # a blank in a path is escaped
_NAME: Final = re.compile(r"@{1,2}[\w][\w./-]{0,254}")
_MAIL: Final = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")


@dataclass(frozen=True, slots=True)
class Codeowners:
    """What one says. `default`: what no other rule is about has an owner. `owners`, sorted, are
    names (`@group/team`, `@kim`), roles (`@@maintainer`) and addresses; `unowned` are rules that
    name nobody."""

    rules: int
    default: bool
    owners: tuple[str, ...]
    unowned: int

    def groups_and_users(self) -> tuple[str, ...]:
        """The paths and user names among the owners, in lower case."""
        names = (each[1:] for each in self.owners if _NAME.fullmatch(each))
        return tuple(name.lower() for name in names if not name.startswith("@"))


def parsed(text: str) -> Codeowners:
    """The rules of a file; lines that are none, as GitLab passes them over."""
    rules = 0
    unowned = 0
    owners: set[str] = set()
    defaults: dict[str, bool] = {}
    for section, pattern, named in _rules(text[:MOST]):
        rules += 1
        unowned += not named
        owners.update(named[: _OWNERS - len(owners)])
        if pattern in _EVERYTHING:
            defaults[section] = bool(named)  # of a section the last rule that fits counts
    return Codeowners(rules, any(defaults.values()), tuple(sorted(owners)), unowned)


def _rules(text: str) -> Iterator[tuple[str, str, list[str]]]:
    """Each rule's section, pattern and owners; one that takes a path out is none."""
    section, inherited = "", list[str]()
    for line in map(str.strip, text.splitlines()):
        if not line or line.startswith(("#", "!")):
            continue
        if found := _SECTION.match(line):
            section, inherited = found[1].strip().lower(), _owners((found[2] or "").split())
            continue
        pattern, *words = _BLANK.split(line)
        yield section, pattern, _owners(words) or inherited


def _owners(words: list[str]) -> list[str]:
    return [word for word in words if _NAME.fullmatch(word) or _MAIL.fullmatch(word)]
