"""Compiles the trees of a mapping file into templates, and finds its author's mistakes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from bridge.language.closures import null
from bridge.language.expressions import Expression
from bridge.language.filters import kind_of
from bridge.language.source import Source, is_expression
from bridge.model.entities import Json
from bridge.processors.mapping.copies import Copy
from bridge.processors.mapping.lint import refused_literals
from bridge.processors.mapping.scope import MappingNames, Meaning
from bridge.processors.mapping.templates import (
    Constant,
    Element,
    Leaf,
    ListNode,
    MapNode,
    Node,
    Path,
)
from bridge.processors.rules import REFERRING

# The backend would fetch a URL for a map whose only key is one of these.
PLACEHOLDERS: Final = frozenset({"$text", "$json", "$yaml", "$openapi", "$asyncapi", "$graphql"})


@dataclass(frozen=True, slots=True)
class EntityTemplate:
    """One entity of a mapping; `name` is its `metadata.name`, `kind` what the mapping writes.

    `kind` is "" for a copy, whose kind the manifest says.
    """

    element: Element
    name: Node
    kind: str


@dataclass(slots=True)
class MappingCompiler(Source):
    """Compiles one mapping file; every mistake goes to `problems` and compiling goes on."""

    def leaf(self, text: Json, path: Path, scope: MappingNames) -> Leaf:
        """A `${{ … }}` text as a leaf; reports anything else."""
        if is_expression(text):
            return Leaf(self.expression(text, path, scope), self.place(path), _refers(path))
        self.problem(f"expected an expression `${{{{ … }}}}` and found {kind_of(text)}", path)
        return Leaf(Expression(null), self.place(path))

    def said(self, text: Json, path: Path, scope: MappingNames) -> Leaf | Constant:
        """A text that may hold expressions, for messages."""
        if is_expression(text):
            return self.leaf(text, path, scope)
        if not isinstance(text, str):
            self.problem(f"expected a text and found {kind_of(text)}", path)
        return Constant(text, self.place(path))

    def node(self, value: Json, path: Path, scope: MappingNames) -> Node:
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

    def _map(self, value: dict[str, Json], path: Path, scope: MappingNames) -> Node:
        entries = []
        spread = None
        for key, item in value.items():
            if key == "spread" and is_expression(item):
                spread = self.leaf(item, (*path, key), scope)
                continue
            if is_expression(key) or key in PLACEHOLDERS:
                self.problem(f"`{key}` cannot be a key here; write it out", (*path, key), key=True)
            elif key == "forEach" and is_expression(item):
                self.problem("forEach belongs in an item of a list", (*path, key), key=True)
            entries.append((key, self.node(item, (*path, key), scope)))
        return MapNode(tuple(entries), spread)

    def element(self, value: Json, path: Path, scope: MappingNames) -> Element:
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
            fault = scope.no_list(each.expression)
            if fault:
                self.problem(fault, (*path, "forEach"))
            alias = value.get("as", "item")
            scope = self.named(alias, scope.item(each.expression), (*path, "as"), scope)
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

    def named(self, name: Json, meaning: Meaning, path: Path, scope: MappingNames) -> MappingNames:
        """The scope with one more name; reports a name that is none or is taken."""
        if not isinstance(name, str) or not name.isidentifier():
            self.problem("a name is one word of letters, digits and `_`", path)
            return scope
        if name in scope.names:
            self.problem(f"`{name}` already names something else here; take another", path)
        return scope.with_name(name, meaning)

    def entity(self, value: Json, path: Path, scope: MappingNames) -> EntityTemplate | None:
        """One entity's template; None when it lacks what every entity has."""
        if not isinstance(value, dict):
            return None
        if "copy" in value:
            return self._copy(value, path, scope)
        refused_literals(self, value, path)
        element = self.element(value, path, scope)
        if not {"apiVersion", "kind", "metadata"} <= value.keys():
            return None
        return EntityTemplate(element, _name_of(element.body), str(value["kind"]))

    def _copy(
        self, value: dict[str, Json], path: Path, scope: MappingNames
    ) -> EntityTemplate | None:
        """The template of an entity that stands in the manifest."""
        text = value["copy"]
        leaf = self.leaf(text, (*path, "copy"), scope)
        if not (leaf.expression.pure and str(text).endswith("}}")):
            message = "a copy is of one thing in the manifest, such as `${{ manifest }}`"
            self.problem(message, (*path, "copy"))
            return None
        over = {key: item for key, item in value.items() if key != "copy"}
        element = self.element(over, path, scope)
        named = f"{str(text).removesuffix('}}').rstrip()}.metadata.name }}}}"
        name = self.leaf(named, (*path, "copy"), scope)
        return EntityTemplate(replace(element, body=Copy(leaf, element.body)), name, "")


def _refers(path: Path) -> str:
    """The field of an entity's `spec` that a path lies in, if it is one that holds references."""
    match path:
        case ("entities", int(), "spec", str(name), *rest):
            # `when` and `forEach` of a list's item are no references.
            words = {step for step in rest if isinstance(step, str)} - {"value"}
            return name if name in REFERRING and not words else ""
    return ""


def _name_of(body: Node) -> Node:
    node = body
    for key in ("metadata", "name"):
        entries = dict(node.entries) if isinstance(node, MapNode) else {}
        node = entries.get(key, node)
    return node
