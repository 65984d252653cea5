"""A YAML file that people of the platform team write, and reports on the mistakes in it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Self

from bridge.errors import ConfigurationError, NotUnderstood
from bridge.language import text
from bridge.language.closures import Run, concatenated
from bridge.language.expressions import PART, Expression, ExpressionFault, compile_expression
from bridge.language.names import Names, did_you_mean
from bridge.language.text_positions import Path, Positions
from bridge.model.entities import Json
from bridge.model.problems import Problem


def is_expression(value: Json) -> bool:
    """Whether this is text with a `${{ … }}` in it."""
    return isinstance(value, str) and "${{" in value


@dataclass(slots=True)
class Source:
    """One file on its way to what it says; every mistake goes to `problems`, and reading goes on.

    `name` is the file as places in messages name it, `file` as problems do. `rule` is what its
    problems are called. `notes` are mistakes that do not keep the file from being used.
    """

    file: str
    name: str
    lines: list[str]
    positions: Positions
    rule: str
    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)

    @classmethod
    def opened(
        cls, path: FilePath, rule: str, expected: str, *, empty: bool = False
    ) -> tuple[Self, dict[str, Json], str]:
        """The file, its tree and its text. Raises `ConfigurationError`.

        `expected` completes the message for a file that does not hold one map. With `empty` a
        file that says nothing is an empty map.
        """
        try:
            content = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or error
            message = f"cannot be read: {reason}"
            raise ConfigurationError([Problem(message, rule, file=str(path))]) from None
        opened, tree = cls.of(content, str(path), path.name, rule, expected, empty=empty)
        return opened, tree, content

    @classmethod
    def of(
        cls, content: str, file: str, name: str, rule: str, expected: str, *, empty: bool = False
    ) -> tuple[Self, dict[str, Json]]:
        """The same of a text that was read already. Raises `ConfigurationError`."""
        try:
            documents, positions = text.read(content)
        except NotUnderstood as error:
            raise ConfigurationError([replace(error.problem, file=file)]) from None
        if empty and not any(document is not None for document in documents):
            documents, positions = ({},), (Positions(),)
        if len(documents) == 1 and isinstance(documents[0], dict):
            return cls(file, name, content.splitlines(), positions[0], rule), documents[0]
        raise ConfigurationError([Problem(expected, rule, file=file, line=1, column=1)])

    def problem(self, message: str, path: Path, *, key: bool = False, offset: int = 0) -> None:
        """Report a mistake at a path of the mapping file."""
        line, column = self._spot(path, key=key, offset=offset)
        self.problems.append(Problem(message, self.rule, file=self.file, line=line, column=column))

    def note(self, message: str, path: Path, *, key: bool = False) -> None:
        """Report a mistake with which the file can be used all the same."""
        line, column = self._spot(path, key=key)
        self.notes.append(Problem(message, self.rule, file=self.file, line=line, column=column))

    def place(self, path: Path) -> str:
        """`file:line:col` of a path of the mapping file."""
        line, column = self._spot(path)
        return f"{self.name}:{line}:{column}"

    def _spot(self, path: Path, *, key: bool = False, offset: int = 0) -> tuple[int, int]:
        position = self.positions.key(path) if key else self.positions.value(path)
        rest = self.lines[position.line - 1][position.column - 1 :] if self.lines else ""
        if not offset or rest[:1] in {"|", ">"}:
            return position.line, position.column
        return position.line, position.column + offset + (rest[:1] in {"'", '"'})

    def known_keys(self, value: Json, path: Path, keys: Iterable[str], what: str) -> None:
        """Report the keys of a map that do not belong there."""
        for key in value if isinstance(value, dict) else ():
            if key not in keys:
                hint = did_you_mean(key, keys) or f"; there are {', '.join(keys)}"
                self.problem(f"{what} has no key `{key}`{hint}", (*path, key), key=True)

    def expression(self, written: str, path: Path, scope: Names) -> Expression:
        """A text that holds `${{ … }}`, compiled; reports every fault where it stands."""
        parts: list[Expression] = []
        runs: list[Run] = []
        end = 0
        for match in PART.finditer(written):
            runs += self._literal(written[end : match.start()], path)
            expression, faults = compile_expression(match[1].strip(), scope)
            for fault in faults:
                self._fault(fault, match, path)
            parts.append(expression)
            runs.append(expression.run)
            end = match.end()
        runs += self._literal(written[end:], path)
        if len(runs) == len(parts) == 1:
            return parts[0]
        references = tuple(reference for part in parts for reference in part.references)
        return Expression(concatenated(runs), tuple(dict.fromkeys(references)))

    def _literal(self, literal: str, path: Path) -> list[Run]:
        if "${{" in literal:
            self.problem("`${{` without its `}}`", path)
        return [lambda _env: literal] if literal else []

    def _fault(self, fault: ExpressionFault, match: re.Match[str], path: Path) -> None:
        found = match[1].find(fault.token) if fault.token else -1
        offset = match.start(1) + found if found >= 0 else match.start()
        source = " ".join(match[1].split())
        self.problem(f"in `{source}`: {fault.message}", path, offset=offset)
