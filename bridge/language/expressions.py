"""Expressions: the leaves of mappings and rubrics, `${{ manifest.service.name | slug }}`.

The grammar is Jinja2's, read by Jinja2's own parser. What runs is not Jinja2's compiled Python
but closures (`closures.py`), and only these nodes have one:

| write | example |
|---|---|
| a path | `manifest.service.name`, `manifest['dd-team']`, `item.urls[0]` |
| a file that was read | `files[doc.path].exists`, `files['mkdocs.yml'].text` |
| a constant | `'text'`, `2`, `true`, `none`, `['a', 'b']` |
| a filter of the closed list (`filters.py`) | `project.name | slug` |
| a comparison | `==`, `!=`, `<`, `<=`, `>`, `>=`, `in`, `not in` |
| logic | `a or b`, `a and b`, `not a`, `a if b else c` |
| a test | `a is defined`, `a is none` (both ask for null; `is not` turns it round) |
| text after text | `'url:' ~ project.web_url` (null when a part is null) |

No calls, no methods, no arithmetic, no loops: whatever a manifest says, an expression ends after
as many steps as it has nodes. A missing key, and any key of null, is null. A value that could not
be seen at all leaves the result unseen unless the rest decides it (`unknown_values.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeGuard

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.parser import Parser

from bridge.language.closures import (
    COMPARISONS,
    Env,
    Key,
    Run,
    concatenated,
    filtered,
    null,
    part_of,
    path_of,
)
from bridge.language.filters import FILTERS, as_text
from bridge.language.names import LISTED, Names, Shape, did_you_mean
from bridge.language.unknown_values import kleene_and, kleene_if, kleene_or
from bridge.model.entities import Json

Reference: TypeAlias = tuple[str, tuple[Key, ...]]

EXPRESSION_LIMIT: Final = 2_000
FILES: Final = "files"  # the name of what was read besides: only its keys may be worked out
# Text in quotes may hold "}}"; outside of quotes it ends the expression.
PART: Final = re.compile(r"""\$\{\{((?:'[^']*'|"[^"]*"|[^'"}]|\}(?!\}))*)\}\}""")

_GRAMMAR = Environment(autoescape=False)  # noqa: S701 - only its parser is used; nothing renders
_TESTS = {"defined": False, "none": True}
_ALLOWED = (
    "see the mapping language: paths, constants, filters, comparisons, and/or/not, if/else, ~"
)

_INSTEAD: Final[Mapping[type[nodes.Node], str]] = {
    nodes.Call: "calls are not part of the language; use a filter: `value | name`",
    nodes.Tuple: "write a list with square brackets: `['a', 'b']`",
    nodes.Dict: "a table may only stand as the argument of `lookup`",
    nodes.Slice: "slices are not part of the language; use an index like `[0]`",
}


@dataclass(frozen=True, slots=True)
class ExpressionFault:
    """What is wrong with an expression; `token` is the word in it to point at."""

    message: str
    token: str = ""


@dataclass(frozen=True, slots=True)
class Expression:
    """One compiled expression; `references` are the paths it reads, `pure` says it is just one.

    `paths` says that it is a path, or the first of several that says something. `folds` says that
    its last filter makes a name or a reference of a text.
    """

    run: Run
    references: tuple[Reference, ...] = ()
    shape: Shape = None
    pure: bool = False
    paths: bool = False
    folds: bool = False


def compile_expression(source: str, scope: Names) -> tuple[Expression, list[ExpressionFault]]:
    """The expression and every fault found in it; with faults it must not be run."""
    compiler = _ExpressionCompiler(scope)
    if len(source) > EXPRESSION_LIMIT:
        return Expression(null), [ExpressionFault(f"longer than {EXPRESSION_LIMIT:,} characters")]
    try:
        parser = Parser(_GRAMMAR, source, state="variable")
        tree = parser.parse_expression()
        if not parser.stream.eos:
            found = str(parser.stream.current.value)
            return Expression(null), [
                ExpressionFault(f"cannot read `{found}` here; {_ALLOWED}", found)
            ]
        run, shape = compiler.visit(tree)
    except TemplateSyntaxError as error:
        return Expression(null), [ExpressionFault(f"cannot be read: {error.message}")]
    except RecursionError:
        return Expression(null), [ExpressionFault("is nested too deeply")]
    paths = _paths(tree)
    pure = paths and not isinstance(tree, nodes.Or)
    references = tuple(dict.fromkeys(compiler.references))
    pure = pure and len(references) == 1
    return Expression(run, references, shape, pure, paths, _folds(tree)), compiler.faults


def _paths(tree: nodes.Node) -> bool:
    if isinstance(tree, nodes.Or):
        return _paths(tree.left) and _paths(tree.right)
    while isinstance(tree, nodes.Getattr | nodes.Getitem):
        tree = tree.node
    return isinstance(tree, nodes.Name)


def _folds(tree: nodes.Node) -> bool:
    if isinstance(tree, nodes.Or):
        return _folds(tree.right)
    return isinstance(tree, nodes.Filter) and tree.name in {"slug", "ref"}


def _is_file(node: nodes.Node) -> TypeGuard[nodes.Getitem]:
    """Whether a node is `files[…]` with something to be worked out in the brackets."""
    return (
        isinstance(node, nodes.Getitem)
        and isinstance(node.node, nodes.Name)
        and node.node.name == FILES
        and not isinstance(node.arg, nodes.Const)
    )


@dataclass(slots=True)
class _ExpressionCompiler:
    scope: Names
    faults: list[ExpressionFault] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)

    def visit(self, node: nodes.Node) -> tuple[Run, Shape]:
        """The closure of a node, and where its value comes from."""
        method = _VISITS.get(type(node))
        if method is None:
            return self._refuse(node)
        return method(self, node)

    def fault(self, message: str, token: str = "") -> tuple[Run, Shape]:
        self.faults.append(ExpressionFault(message, token))
        return null, None

    def _refuse(self, node: nodes.Node) -> tuple[Run, Shape]:
        said = next((words for kind, words in _INSTEAD.items() if isinstance(node, kind)), None)
        token = str(getattr(node, "operator", ""))
        name = token or type(node).__name__.lower()
        return self.fault(said or f"`{name}` is not part of the language; {_ALLOWED}", token)

    def name(self, node: nodes.Name) -> tuple[Run, Shape]:
        if node.name not in self.scope.names:
            hint = did_you_mean(node.name, self.scope.names) or (
                f"; there are {', '.join(self.scope.names)}"
            )
            return self.fault(f"`{node.name}` is not known here{hint}", node.name)
        self.references.append((node.name, ()))
        shape = self.scope.names[node.name]
        self.scope.fault(shape)
        return path_of(node.name, ()), shape

    def part(self, node: nodes.Getattr | nodes.Getitem) -> tuple[Run, Shape]:
        """A key of something: a whole path at once, when it starts at a name."""
        keys: list[Key] = []
        base: nodes.Node = node
        while isinstance(base, nodes.Getattr | nodes.Getitem):
            if _is_file(base):
                return self._file(base, keys)
            key = self._key(base)
            if key is None:
                return null, None
            keys.insert(0, key)
            base = base.node
        run, shape = self.visit(base)
        for key in keys:
            shape = self.scope.step(shape, "*" if isinstance(key, int) else key)
        if fault := self.scope.fault(shape):
            self.fault(fault, str(keys[-1]))
        if isinstance(base, nodes.Name):
            if self.references and self.references[-1] == (base.name, ()):
                self.references[-1] = (base.name, tuple(keys))
            return path_of(base.name, tuple(keys)), shape
        return part_of(run, tuple(keys)), shape

    def _file(self, node: nodes.Getitem, keys: list[Key]) -> tuple[Run, Shape]:
        """A key of a file whose path is worked out."""
        files, _ = self.visit(node.node)
        path, _ = self.visit(node.arg)
        shape = self.scope.names.get(FILES)
        for key in ("*", *map(str, keys)):
            shape = self.scope.step(shape, key)
        if fault := self.scope.fault(shape):
            self.fault(fault, str(keys[-1]) if keys else "")

        def file(env: Env) -> Json:
            name = path(env)
            return files(env).get(as_text(name)) if name is not None else None

        return part_of(file, tuple(keys)), None

    def _key(self, node: nodes.Getattr | nodes.Getitem) -> Key | None:
        if isinstance(node, nodes.Getattr):
            return node.attr
        key = node.arg.value if isinstance(node.arg, nodes.Const) else None
        if isinstance(key, str) or (type(key) is int and 0 <= key < 1_000):
            return key
        self.fault("a key in brackets must be a text or a small number: `['dd-team']`, `[0]`", "[")
        return None

    def const(self, node: nodes.Const) -> tuple[Run, Shape]:
        value = node.value
        if value is not None and not isinstance(value, str | int | float | bool):
            return self._refuse(node)
        return (lambda _env: value), None

    def list(self, node: nodes.List) -> tuple[Run, Shape]:
        if not all(isinstance(item, nodes.Const) for item in node.items):
            return self.fault("a list in an expression may only hold constants", "[")
        values = [item.value for item in node.items if isinstance(item, nodes.Const)]
        return (lambda _env: values), None

    def compare(self, node: nodes.Compare) -> tuple[Run, Shape]:
        if len(node.ops) != 1:
            return self.fault("compare two values at a time: `a < b and b < c`")
        (left, one), (right, two) = self.visit(node.expr), self.visit(node.ops[0].expr)
        test = COMPARISONS[node.ops[0].op]
        for shape, other in ((one, node.ops[0].expr), (two, node.expr)):
            if isinstance(other, nodes.Const) and node.ops[0].op not in {"in", "notin"}:
                fault = self.scope.incomparable(shape, other.value)
                if fault:
                    self.fault(fault, str(other.value))
        return (lambda env: test(left(env), right(env))), None

    def both(self, node: nodes.And) -> tuple[Run, Shape]:
        (left, _), (right, shape) = self.visit(node.left), self.visit(node.right)
        return kleene_and(left, right), shape

    def either(self, node: nodes.Or) -> tuple[Run, Shape]:
        (left, one), (right, two) = self.visit(node.left), self.visit(node.right)
        return kleene_or(left, right), _joined(one, two)

    def opposite(self, node: nodes.Not) -> tuple[Run, Shape]:
        run, _ = self.visit(node.node)
        return (lambda env: not run(env)), None

    def choice(self, node: nodes.CondExpr) -> tuple[Run, Shape]:
        test, _ = self.visit(node.test)
        yes, one = self.visit(node.expr1)
        no, two = self.visit(node.expr2) if node.expr2 is not None else (null, ())
        return kleene_if(test, yes, no), _joined(one, two)

    def concat(self, node: nodes.Concat) -> tuple[Run, Shape]:
        return concatenated([self.visit(part)[0] for part in node.nodes]), None

    def test(self, node: nodes.Test) -> tuple[Run, Shape]:
        if node.name not in _TESTS or node.args or node.kwargs:
            return self.fault(
                f"there is no test `is {node.name}`; there are `is defined` and `is none`",
                node.name,
            )
        run, _ = self.visit(node.node)
        if _TESTS[node.name]:
            return (lambda env: run(env) is None), None
        return (lambda env: run(env) is not None), None

    def filter(self, node: nodes.Filter) -> tuple[Run, Shape]:
        known = FILTERS.get(node.name)
        if known is None:
            hint = did_you_mean(node.name, FILTERS) or f"; there are {', '.join(sorted(FILTERS))}"
            return self.fault(f"there is no filter `{node.name}`{hint}", node.name)
        if node.node is None or node.kwargs or node.dyn_args or node.dyn_kwargs:
            return self.fault(f"`{node.name}` takes plain arguments only", node.name)
        if not known.fewest <= len(node.args) <= known.most:
            counts = " or ".join(str(count) for count in sorted({known.fewest, known.most} - {0}))
            takes = f"{counts} argument{'s' if known.most > 1 else ''}" if counts else "no argument"
            return self.fault(f"`{node.name}` takes {takes}, not {len(node.args)}", node.name)
        run, shape = self.visit(node.node)
        if node.name == "lookup" and not isinstance(node.args[0], nodes.Dict):
            return self.fault("`lookup` needs a table: `lookup({'from': 'to'})`", node.name)
        arguments = [self._argument(argument) for argument in node.args]
        runs = [argument for argument, _ in arguments]
        return filtered(known.run, run, runs, known.takes_null), {
            "same": shape,
            "either": _joined(shape, arguments[0][1]) if arguments else None,
            "list": self.scope.step(shape, LISTED),
            "item": self.scope.step(shape, "*"),
        }.get(known.gives)

    def _argument(self, node: nodes.Node) -> tuple[Run, Shape]:
        if isinstance(node, nodes.Const | nodes.List):
            return self.visit(node)[0], ()  # it has no parts
        if not isinstance(node, nodes.Dict):
            return self.visit(node)
        table: dict[str, Json] = {}
        for pair in node.items:
            if not isinstance(pair.key, nodes.Const) or not isinstance(pair.value, nodes.Const):
                self.fault("a table may only hold constants", "{")
                continue
            table[str(pair.key.value)] = pair.value.value
        return (lambda _env: table), None


def _joined(one: Shape, two: Shape) -> Shape:
    return None if one is None or two is None else one + two


_VISITS: Final[dict[type[nodes.Node], Callable[..., tuple[Run, Shape]]]] = {
    nodes.Name: _ExpressionCompiler.name,
    nodes.Getattr: _ExpressionCompiler.part,
    nodes.Getitem: _ExpressionCompiler.part,
    nodes.Const: _ExpressionCompiler.const,
    nodes.List: _ExpressionCompiler.list,
    nodes.Compare: _ExpressionCompiler.compare,
    nodes.And: _ExpressionCompiler.both,
    nodes.Or: _ExpressionCompiler.either,
    nodes.Not: _ExpressionCompiler.opposite,
    nodes.CondExpr: _ExpressionCompiler.choice,
    nodes.Concat: _ExpressionCompiler.concat,
    nodes.Test: _ExpressionCompiler.test,
    nodes.Filter: _ExpressionCompiler.filter,
}
