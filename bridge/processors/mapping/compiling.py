"""Compiles the trees of a mapping file into templates, and finds its author's mistakes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from bridge.model.entities import Json
from bridge.model.problems import Problem
from bridge.processors.mapping.expressions import (
    PART,
    Expression,
    Fault,
    Run,
    compile_expression,
    concatenated,
    null,
)
from bridge.processors.mapping.filters import kind_of
from bridge.processors.mapping.scope import Scope, Shape, nearest
from bridge.processors.mapping.templates import (
    Constant,
    Element,
    Leaf,
    ListNode,
    MapNode,
    Node,
    Path,
)
from bridge.processors.text import Positions

ENTITY_KEYS: Final = ("apiVersion", "kind", "metadata", "spec")
# The backend would fetch a URL for a map whose only key is one of these.
PLACEHOLDERS: Final = frozenset({"$text", "$json", "$yaml", "$openapi", "$asyncapi", "$graphql"})


@dataclass(frozen=True, slots=True)
class EntityTemplate:
    """One entity of a mapping; `name` is its `metadata.name`, `kind` what the mapping writes."""

    element: Element
    name: Node
    kind: str


def is_expression(value: Json) -> bool:
    """Whether this is text with a `${{ … }}` in it."""
    return isinstance(value, str) and "${{" in value


@dataclass(slots=True)
class Compiler:
    """Compiles one mapping file; every mistake goes to `problems` and compiling goes on.

    `name` is the file as places in messages name it, `file` as problems do.
    """

    file: str
    name: str
    lines: list[str]
    positions: Positions
    problems: list[Problem] = field(default_factory=list)

    def problem(self, message: str, path: Path, *, key: bool = False, offset: int = 0) -> None:
        """Report a mistake at a path of the mapping file."""
        line, column = self._spot(path, key=key, offset=offset)
        self.problems.append(
            Problem(message, "mapping-invalid", file=self.file, line=line, column=column)
        )

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
                hint = nearest(key, keys) or f"; there are {', '.join(keys)}"
                self.problem(f"{what} has no key `{key}`{hint}", (*path, key), key=True)

    def leaf(self, text: Json, path: Path, scope: Scope) -> Leaf:
        """A `${{ … }}` text as a leaf; reports anything else."""
        if is_expression(text):
            return Leaf(self._expression(text, path, scope), self.place(path))
        self.problem(f"expected an expression `${{{{ … }}}}` and found {kind_of(text)}", path)
        return Leaf(Expression(null), self.place(path))

    def said(self, text: Json, path: Path, scope: Scope) -> Leaf | Constant:
        """A text that may hold expressions, for messages."""
        if is_expression(text):
            return self.leaf(text, path, scope)
        if not isinstance(text, str):
            self.problem(f"expected a text and found {kind_of(text)}", path)
        return Constant(text, self.place(path))

    def _expression(self, text: str, path: Path, scope: Scope) -> Expression:
        parts: list[Expression] = []
        runs: list[Run] = []
        end = 0
        for match in PART.finditer(text):
            runs += self._literal(text[end : match.start()], path)
            expression, faults = compile_expression(match[1].strip(), scope)
            for fault in faults:
                self._fault(fault, match, path)
            parts.append(expression)
            runs.append(expression.run)
            end = match.end()
        runs += self._literal(text[end:], path)
        if len(runs) == len(parts) == 1:
            return parts[0]
        references = tuple(reference for part in parts for reference in part.references)
        return Expression(concatenated(runs), tuple(dict.fromkeys(references)))

    def _literal(self, text: str, path: Path) -> list[Run]:
        if "${{" in text:
            self.problem("`${{` without its `}}`", path)
        return [lambda _env: text] if text else []

    def _fault(self, fault: Fault, match: re.Match[str], path: Path) -> None:
        found = match[1].find(fault.token) if fault.token else -1
        offset = match.start(1) + found if found >= 0 else match.start()
        source = " ".join(match[1].split())
        self.problem(f"in `{source}`: {fault.message}", path, offset=offset)

    def node(self, value: Json, path: Path, scope: Scope) -> Node:
        """A template's tree."""
        if is_expression(value):
            return self.leaf(value, path, scope)
        if isinstance(value, dict) and value:
            if is_expression(value.get("when")):
                if is_expression(value.get("forEach")):
                    self.problem(
                        "forEach belongs in an item of a list", (*path, "forEach"), key=True
                    )
                return self.element(value, path, scope)
            return self._map(value, path, scope)
        if isinstance(value, list) and value:
            items = (self.element(item, (*path, at), scope) for at, item in enumerate(value))
            return ListNode(tuple(items))
        return Constant(value, self.place(path))

    def _map(self, value: dict[str, Json], path: Path, scope: Scope) -> Node:
        entries = []
        for key, item in value.items():
            if is_expression(key) or key in PLACEHOLDERS:
                self.problem(f"`{key}` cannot be a key here; write it out", (*path, key), key=True)
            elif key == "forEach" and is_expression(item):
                self.problem("forEach belongs in an item of a list", (*path, key), key=True)
            entries.append((key, self.node(item, (*path, key), scope)))
        return MapNode(tuple(entries))

    def element(self, value: Json, path: Path, scope: Scope) -> Element:
        """An item of a list, with its `forEach`, `as` and `when` if it has them."""
        if not isinstance(value, dict):
            return Element(self.node(value, path, scope))
        words = {word for word in ("forEach", "when") if is_expression(value.get(word))}
        for word in {"forEach", "when"} & value.keys() - words:
            self.problem(f"`{word}` needs an expression `${{{{ … }}}}`", (*path, word))
        if not words:
            return Element(self.node(value, path, scope))
        each, alias = None, "item"
        if "forEach" in words:
            each = self.leaf(value["forEach"], (*path, "forEach"), scope)
            alias = value.get("as", "item")
            scope = self.named(alias, scope.item(each.expression.shape), (*path, "as"), scope)
            words.add("as")
        when = self.leaf(value["when"], (*path, "when"), scope) if "when" in words else None
        rest = {key: item for key, item in value.items() if key not in words}
        if rest.keys() == {"value"}:
            body = self.node(rest["value"], (*path, "value"), scope)
        elif rest:
            body = self._map(rest, path, scope)
        else:
            self.problem("there is nothing to make here; add keys, or `value: …`", path)
            body = Constant(None, "")
        return Element(body, when, each, alias)

    def named(self, name: Json, shape: Shape, path: Path, scope: Scope) -> Scope:
        """The scope with one more name; reports a name that is none or is taken."""
        if not isinstance(name, str) or not name.isidentifier():
            self.problem("a name is one word of letters, digits and `_`", path)
            return scope
        if name in scope.names:
            self.problem(f"`{name}` already names something else here; take another", path)
        return replace(scope, names={**scope.names, name: shape})

    def entity(self, value: Json, path: Path, scope: Scope) -> EntityTemplate | None:
        """One entity's template; None when it lacks what every entity has."""
        if not isinstance(value, dict):
            self.problem(f"expected an entity's map and found {kind_of(value)}", path)
            return None
        self.known_keys(value, path, (*ENTITY_KEYS, "forEach", "as", "when"), "an entity")
        complete = True
        for key in ("apiVersion", "kind", "metadata"):
            if key not in value:
                self.problem(f"an entity needs `{key}`", path)
                complete = False
        metadata = value.get("metadata")
        if complete and (not isinstance(metadata, dict) or "name" not in metadata):
            self.problem("an entity needs `metadata.name`", (*path, "metadata"), key=True)
            complete = False
        element = self.element(value, path, scope)
        if not complete or not isinstance(metadata, dict):
            return None
        return EntityTemplate(element, _name_of(element.body), str(value["kind"]))


def _name_of(body: Node) -> Node:
    node = body
    for key in ("metadata", "name"):
        entries = dict(node.entries) if isinstance(node, MapNode) else {}
        node = entries.get(key, node)
    return node
