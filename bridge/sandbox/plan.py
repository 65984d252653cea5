"""A GraphQL query made ready to run: parsed, validated and flattened once, then executed often.

graphql-core parses and validates; running its general executor over a page of a hundred projects
would cost more than everything else in the sandbox together, so a query is compiled to a plan.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import (
    BooleanValueNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
    Visitor,
    get_named_type,
    parse,
    validate,
    visit,
)
from graphql.execution.values import get_argument_values, get_variable_values

from bridge.sandbox.schema import SCHEMA

Variables = Mapping[str, Any]
CACHE_SIZE = 256

UNDEFINED_FIELD = re.compile(r"Cannot query field '(\w+)' on type '(\w+)'")
UNKNOWN_ARGUMENT = re.compile(r"Unknown argument '(\w+)' on field '(\w+)\.(\w+)'")


class QueryRefused(Exception):
    """The query does not run at all; `errors` is what GitLab answers."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        self.errors = errors
        super().__init__(errors[0]["message"])


@dataclass(frozen=True)
class PlannedField:
    """One field: where its value goes, how its arguments are found, what is selected below."""

    key: str
    type_name: str
    name: str
    definition: GraphQLField | None
    node: FieldNode
    fixed_arguments: Mapping[str, Any] | None
    below: tuple[PlannedField, ...] | None

    @property
    def coordinate(self) -> str:
        """`Type.field`, the way GitLab names fields in its messages."""
        return f"{self.type_name}.{self.name}"

    def arguments(self, variables: Variables) -> Mapping[str, Any]:
        """The field's arguments; those without variables were worked out when planning."""
        if self.fixed_arguments is not None:
            return self.fixed_arguments
        assert self.definition is not None
        return get_argument_values(self.definition, self.node, dict(variables))


@dataclass(frozen=True)
class PreparedQuery:
    """A query with its variables; the document is for introspection, which no plan covers."""

    document: DocumentNode
    fields: tuple[PlannedField, ...]
    variables: Variables
    depth: int
    introspects: bool


class _Parsed:
    """A validated document and its plans, one for each outcome of its @skip and @include."""

    def __init__(self, document: DocumentNode) -> None:
        self.document = document
        self.fragments = {
            part.name.value: part
            for part in document.definitions
            if isinstance(part, FragmentDefinitionNode)
        }
        self.conditions = _condition_variables(document)
        self.plans: dict[tuple[Any, ...], tuple[tuple[PlannedField, ...], int, bool]] = {}

    def operation(self, name: str | None) -> OperationDefinitionNode:
        found = [
            part
            for part in self.document.definitions
            if isinstance(part, OperationDefinitionNode)
            and (name is None or (part.name is not None and part.name.value == name))
        ]
        if len(found) != 1:
            raise QueryRefused([{"message": "An operation name is required"}])
        return found[0]


class QueryPlanner:
    """Turns query texts into plans and remembers them."""

    def __init__(self) -> None:
        self._parsed: OrderedDict[str, _Parsed] = OrderedDict()

    def prepare(self, query: str, variables: Variables, operation: str | None) -> PreparedQuery:
        """The plan of a query; raises `QueryRefused` with GitLab's wording when it cannot run."""
        parsed = self._parse(query)
        node = parsed.operation(operation)
        coerced = get_variable_values(SCHEMA, node.variable_definitions or (), dict(variables))
        if isinstance(coerced, list):
            raise QueryRefused([_refusal(error) for error in coerced])
        outcome = (operation, *(coerced.get(name) for name in parsed.conditions))
        plan = parsed.plans.get(outcome)
        if plan is None:
            compiler = _PlanCompiler(parsed.fragments, coerced)
            assert SCHEMA.query_type is not None
            fields = compiler.fields(SCHEMA.query_type, [node.selection_set])
            plan = (fields, _depth(fields), compiler.introspects)
            parsed.plans[outcome] = plan
        return PreparedQuery(parsed.document, plan[0], coerced, plan[1], plan[2])

    def _parse(self, query: str) -> _Parsed:
        known = self._parsed.get(query)
        if known is None:
            known = _Parsed(_validated(query))
            self._parsed[query] = known
            if len(self._parsed) > CACHE_SIZE:
                self._parsed.popitem(last=False)
        return known


class _PlanCompiler:
    def __init__(
        self, fragments: Mapping[str, FragmentDefinitionNode], variables: Variables
    ) -> None:
        self.fragments = fragments
        self.variables = variables
        self.introspects = False

    def fields(
        self, parent: GraphQLObjectType, sets: Sequence[SelectionSetNode]
    ) -> tuple[PlannedField, ...]:
        collected: dict[str, list[FieldNode]] = {}
        for selection_set in sets:
            self._collect(selection_set.selections, collected)
        return tuple(self._field(parent, key, nodes) for key, nodes in collected.items())

    def _collect(
        self, selections: Sequence[SelectionNode], into: dict[str, list[FieldNode]]
    ) -> None:
        for selection in selections:
            if not self._included(selection):
                continue
            if isinstance(selection, FieldNode):
                key = (selection.alias or selection.name).value
                into.setdefault(key, []).append(selection)
            elif isinstance(selection, InlineFragmentNode):
                self._collect(selection.selection_set.selections, into)
            elif isinstance(selection, FragmentSpreadNode):
                fragment = self.fragments[selection.name.value]
                self._collect(fragment.selection_set.selections, into)

    def _field(self, parent: GraphQLObjectType, key: str, nodes: list[FieldNode]) -> PlannedField:
        node = nodes[0]
        name = node.name.value
        if name.startswith("__"):
            self.introspects = self.introspects or name != "__typename"
            return PlannedField(key, parent.name, name, None, node, {}, None)
        definition = parent.fields[name]
        sets = [n.selection_set for n in nodes if n.selection_set is not None]
        child = get_named_type(definition.type)
        below = None
        if isinstance(child, GraphQLObjectType):
            below = self.fields(child, sets)
        fixed = None if _uses_variables(node) else get_argument_values(definition, node)
        return PlannedField(key, parent.name, name, definition, node, fixed, below)

    def _included(self, selection: SelectionNode) -> bool:
        for directive in selection.directives or ():
            value = directive.arguments[0].value
            if isinstance(value, VariableNode):
                wanted = bool(self.variables.get(value.name.value))
            else:
                assert isinstance(value, BooleanValueNode)
                wanted = value.value
            if wanted == (directive.name.value == "skip"):
                return False
        return True


def _validated(query: str) -> DocumentNode:
    try:
        document = parse(query)
    except GraphQLError as error:
        raise QueryRefused([_refusal(error)]) from error
    errors = validate(SCHEMA, document)
    if errors:
        raise QueryRefused([_refusal(error) for error in errors])
    return document


def _refusal(error: GraphQLError) -> dict[str, Any]:
    """graphql-core's complaint in GitLab's words."""
    answer: dict[str, Any] = {"message": error.message}
    if error.locations:
        answer["locations"] = [{"line": at.line, "column": at.column} for at in error.locations]
    if match := UNDEFINED_FIELD.match(error.message):
        name, parent = match.groups()
        answer["message"] = f"Field '{name}' doesn't exist on type '{parent}'"
        code = {"code": "undefinedField", "typeName": parent, "fieldName": name}
        answer["extensions"] = code
    elif match := UNKNOWN_ARGUMENT.match(error.message):
        argument, _, name = match.groups()
        answer["message"] = f"Field '{name}' doesn't accept argument '{argument}'"
        code = {"code": "argumentNotAccepted", "name": name, "argumentName": argument}
        answer["extensions"] = {**code, "typeName": "Field"}
    return answer


def _depth(fields: Sequence[PlannedField]) -> int:
    return max((1 + _depth(field.below or ()) for field in fields), default=0)


class _VariableFinder(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.found = False

    def enter_variable(self, *_: Any) -> None:
        self.found = True


def _uses_variables(node: FieldNode) -> bool:
    finder = _VariableFinder()
    for argument in node.arguments:
        visit(argument, finder)
    return finder.found


class _ConditionFinder(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def enter_directive(self, node: Any, *_: Any) -> None:
        for argument in node.arguments:
            if isinstance(argument.value, VariableNode):
                self.names.append(argument.value.name.value)


def _condition_variables(document: DocumentNode) -> tuple[str, ...]:
    finder = _ConditionFinder()
    visit(document, finder)
    return tuple(dict.fromkeys(finder.names))
