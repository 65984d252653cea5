"""`/api/graphql` without the socket: a query goes in, a status and a body come out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError, execute_sync

from bridge.sandbox.complexity import DEPTH_ANONYMOUS, DEPTH_AUTHENTICATED, score
from bridge.sandbox.connections import BadCursor
from bridge.sandbox.guards import with_guards
from bridge.sandbox.plan import PlannedField, PreparedQuery, QueryPlanner, QueryRefused, Variables
from bridge.sandbox.query_run import LOST, ArgumentsRefused, FieldTimeout, Poisoned, QueryRun
from bridge.sandbox.resolvers import RESOLVERS
from bridge.sandbox.schema import SCHEMA
from bridge.sandbox.world import World

QUERY_TEXT_LIMIT = 10_000
ALL_RESOLVERS = with_guards(RESOLVERS)
SHOWN_ERRORS = 5  # GitLab stops validating after so many


@dataclass(frozen=True)
class GraphQLAnswer:
    """What GraphQL answers, and how many projects the page held."""

    status: int
    body: dict[str, Any]
    projects: int = 0


class GraphQLService:
    """GitLab's GraphQL over a world; plans of queries are kept between requests.

    `lacks` names fields ("Project.languages") that this GitLab is too old to know.
    """

    def __init__(
        self, world: World, *, text_tenfold: bool = False, lacks: frozenset[str] = frozenset()
    ) -> None:
        self.world = world
        self.lacks = lacks
        self.text_tenfold = text_tenfold
        self._planner = QueryPlanner()

    def answer(
        self,
        payload: Mapping[str, Any],
        *,
        authenticated: bool,
        base_url: str,
        loses: Callable[[list[int]], set[int]] | None = None,
    ) -> GraphQLAnswer:
        """Answer one request body; `loses` says which projects of a page a fault takes away."""
        problem = _malformed(payload)
        if problem is not None:
            return _refused(422, problem)
        query, variables = payload["query"], payload.get("variables") or {}
        reading = QueryRun(self.world, authenticated, base_url, loses=loses)
        try:
            prepared = self._planner.prepare(query, variables, payload.get("operationName"))
            self._know(prepared.fields)
            self._afford(prepared, reading)
            return _run(prepared, reading)
        except QueryRefused as refusal:
            return GraphQLAnswer(200, {"errors": refusal.errors})
        except GraphQLError as error:
            return GraphQLAnswer(200, {"errors": [{"message": error.message}]})
        except Poisoned:
            return _refused(500, "Internal server error")

    def _know(self, fields: Sequence[PlannedField]) -> None:
        unknown = dict.fromkeys(self._unknown(fields) if self.lacks else ())
        if unknown:
            raise QueryRefused([_undefined(*each) for each in list(unknown)[:SHOWN_ERRORS]])

    def _unknown(self, fields: Sequence[PlannedField]) -> Iterator[tuple[str, str]]:
        """The type and name of every field that this GitLab does not know."""
        for field in fields:
            if field.coordinate in self.lacks:
                yield field.type_name, field.name
            else:
                yield from self._unknown(field.below or ())

    def _afford(self, prepared: PreparedQuery, reading: QueryRun) -> None:
        reading.score = score(prepared, text_tenfold=self.text_tenfold)
        if reading.score > reading.limit:
            raise QueryRefused([_exceeds("complexity", reading.score, reading.limit)])
        deepest = DEPTH_AUTHENTICATED if reading.authenticated else DEPTH_ANONYMOUS
        # GitLab lets introspection go deeper than anything else.
        if prepared.depth > deepest and not prepared.introspects:
            raise QueryRefused([_exceeds("depth", prepared.depth, deepest)])


def _undefined(parent: str, name: str) -> dict[str, Any]:
    code = {"code": "undefinedField", "typeName": parent, "fieldName": name}
    return {"message": f"Field '{name}' doesn't exist on type '{parent}'", "extensions": code}


def _malformed(payload: Mapping[str, Any]) -> str | None:
    query = payload.get("query")
    if not isinstance(query, str) or not query.strip():
        return "Unexpected end of document"
    if len(query) > QUERY_TEXT_LIMIT:
        return "Query too large"
    if not isinstance(payload.get("variables") or {}, Mapping):
        return "Invalid variables"
    return None


def _exceeds(what: str, measured: int, limit: int) -> dict[str, str]:
    return {"message": f"Query has {what} of {measured}, which exceeds max {what} of {limit}"}


def _refused(status: int, message: str) -> GraphQLAnswer:
    return GraphQLAnswer(status, {"errors": [{"message": message}]})


def _run(prepared: PreparedQuery, reading: QueryRun) -> GraphQLAnswer:
    if prepared.introspects:
        seen = execute_sync(SCHEMA, prepared.document, variable_values=dict(prepared.variables))
        return GraphQLAnswer(200, dict(seen.formatted))
    runner = _Runner(prepared.variables, reading)
    data = runner.select(prepared.fields, None, ())
    body: dict[str, Any] = {"data": data}
    if runner.errors:
        body["errors"] = runner.errors
    return GraphQLAnswer(200, body, reading.touched)


Path = tuple[str | int, ...]


class _Runner:
    def __init__(self, variables: Variables, reading: QueryRun) -> None:
        self.variables = variables
        self.reading = reading
        self.errors: list[dict[str, Any]] = []

    def select(self, fields: tuple[PlannedField, ...], source: Any, path: Path) -> dict[str, Any]:
        """Resolve an object's fields in the order asked."""
        answer: dict[str, Any] = {}
        for field in fields:
            if field.name == "__typename":
                answer[field.key] = field.type_name
                continue
            try:
                arguments = field.fixed_arguments
                if arguments is None:
                    arguments = field.arguments(self.variables)
                value = ALL_RESOLVERS[field.type_name][field.name](source, arguments, self.reading)
            except FieldTimeout:
                value = None
                self._fail(field, f"Timeout on {field.coordinate}", (*path, field.key))
            except (ArgumentsRefused, BadCursor) as refusal:
                value = None
                self._fail(field, str(refusal), (*path, field.key))
            if value is not None and field.below is not None:
                value = self._below(field, value, (*path, field.key))
            answer[field.key] = value
        return answer

    def _below(self, field: PlannedField, value: Any, path: Path) -> Any:
        assert field.below is not None
        if value is LOST:
            self._fail(field, f"Timeout on {field.coordinate}", path)
            return None
        if not isinstance(value, list):
            return self.select(field.below, value, path)
        rows: list[Any] = []
        for index, item in enumerate(value):
            if item is LOST:
                self._fail(field, f"Timeout on {field.coordinate}", (*path, index))
                rows.append(None)
            else:
                rows.append(self.select(field.below, item, (*path, index)))
        return rows

    def _fail(self, field: PlannedField, message: str, path: Path) -> None:
        error: dict[str, Any] = {"message": message, "path": list(path)}
        if field.node.loc is not None:
            start = field.node.loc.start_token
            error["locations"] = [{"line": start.line, "column": start.column}]
        self.errors.append(error)
