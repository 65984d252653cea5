"""What a request to the catalog says: parameters and bodies, refused in Backstage's words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import orjson
from aiohttp import web

from bridge.catalog.fields import fields_from
from bridge.catalog.predicates import LONGEST_TEXT
from bridge.catalog.queries import Order
from bridge.errors import BadQuestion
from bridge.model.entities import Json

MOST_PARAMETERS: Final = 500
LONGEST_PARAMETER: Final = 20_000

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,15}\Z")
_KINDS: Final[dict[str, tuple[type, ...]]] = {
    "array": (list,),
    "object": (dict,),
    "string": (str,),
    "number": (int, float),
}


class Parameters:
    """The query string. Raises `BadQuestion` for parameters that are not in `known`, or empty."""

    def __init__(self, request: web.Request, *known: str) -> None:
        self._query = request.query
        if len(self._query) > MOST_PARAMETERS:
            raise BadQuestion(f"More than {MOST_PARAMETERS} query parameters; ask with POST")
        for name, value in self._query.items():
            if name not in known:
                raise BadQuestion(f"Unknown query parameter '{name[:200]}'")
            if not value:
                raise BadQuestion(f"Empty value found for query parameter '{name}'")
            if len(value) > LONGEST_PARAMETER:
                raise BadQuestion(
                    f"The query parameter '{name}' has more than {LONGEST_PARAMETER} characters"
                )

    def text(self, name: str) -> str | None:
        """A parameter that stands once."""
        values = self._query.getall(name, [])
        if len(values) > 1:
            raise BadQuestion(f"request/query/{name} must be string")
        return values[0] if values else None

    def texts(self, name: str) -> list[str]:
        """A parameter that may be repeated."""
        return list(self._query.getall(name, []))

    def count(self, name: str) -> int | None:
        """A whole number from zero on."""
        values = self._query.getall(name, [])
        if not values:
            return None
        if len(values) > 1 or not _INTEGER.match(values[0]):
            raise BadQuestion(f"request/query/{name} must be integer")
        if int(values[0]) < 0:
            raise BadQuestion(f"request/query/{name} must be >= 0")
        return int(values[0])

    def choice(self, name: str, *allowed: str) -> str | None:
        """One of a few words."""
        value = self.text(name)
        if value is not None and value not in allowed:
            raise BadQuestion(
                f"request/query/{name} must be equal to one of the allowed values: "
                f"{', '.join(allowed)}"
            )
        return value

    def fields(self) -> tuple[str, ...]:
        """The parameter `fields`."""
        return fields_from(self.texts("fields"))


async def body_of(request: web.Request, **kinds: str) -> dict[str, Any]:
    """The JSON object of a body; `kinds` gives the type of the members that must have one.

    A name that ends in `_` has to be there. Raises `BadQuestion`.
    """
    if request.can_read_body and request.content_type != "application/json":
        raise BadQuestion(f"unsupported media type {request.content_type[:100]}")
    try:
        body = orjson.loads(await request.read() or b"{}")
    except orjson.JSONDecodeError as error:
        raise BadQuestion(f"The body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise BadQuestion("request/body must be object")
    for key, kind in kinds.items():
        name = key.removesuffix("_")
        if name not in body:
            if key != name:
                raise BadQuestion(f"request/body must have required property '{name}'")
        elif not isinstance(body[name], _KINDS[kind]) or isinstance(body[name], bool):
            raise BadQuestion(f"request/body/{name} must be {kind}")
    return body


def texts_in(body: dict[str, Any], name: str, *, most: int, place: str = "") -> list[str] | None:
    """A member that is a list of texts, None when it is not there."""
    values = body.get(name)
    where = f"{place}{name}"
    if values is None and name not in body:
        return None
    if not isinstance(values, list):
        raise BadQuestion(f"request/body/{where} must be array")
    if len(values) > most:
        raise BadQuestion(f"request/body/{where} must NOT have more than {most} items")
    for at, value in enumerate(values):
        if not isinstance(value, str):
            raise BadQuestion(f"request/body/{where}/{at} must be string")
        if len(value) > LONGEST_TEXT:
            raise BadQuestion(
                f"request/body/{where}/{at} must NOT have more than {LONGEST_TEXT} characters"
            )
    return values


def count_in(body: dict[str, Any], name: str) -> int | None:
    """A member that is a whole number."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int or not 0 <= value < 2**53:
        raise BadQuestion(f"Invalid {name}, must be a whole number >= 0")
    return value


def orders_from(texts: Sequence[str]) -> tuple[Order, ...]:
    """`orderField=metadata.name,desc`, as by-query has it."""
    found = []
    for text in texts:
        name, _, direction = text.partition(",")
        direction = direction.partition(",")[0]
        if "," in text and direction not in ("asc", "desc"):
            raise BadQuestion("Invalid order field order, must be asc or desc")
        found.append(Order(name, direction == "desc"))
    return tuple(found)


def directed(texts: Sequence[str]) -> tuple[Order, ...]:
    """`order=desc:metadata.name`, as the plain list has it."""
    found = []
    for text in texts:
        direction, colon, name = text.partition(":")
        if not colon or not name or "\n" in name or direction not in ("asc", "desc"):
            raise BadQuestion(
                f'Invalid order parameter "{text[:200]}", expected "<asc or desc>:<field name>"'
            )
        found.append(Order(name, direction == "desc"))
    return tuple(found)


def ordered_by(value: Json) -> tuple[Order, ...]:
    """`orderBy: [{field, order}]`, as the body of by-query has it."""
    found = []
    for at, each in enumerate(value or ()):
        place = f"request/body/orderBy/{at}"
        if not isinstance(each, dict):
            raise BadQuestion(f"{place} must be object")
        for name in ("field", "order"):
            if not isinstance(each.get(name), str):
                raise BadQuestion(f"{place} must have required property '{name}'")
        if each["order"] not in ("asc", "desc"):
            raise BadQuestion(
                f"{place}/order must be equal to one of the allowed values: asc, desc"
            )
        found.append(Order(each["field"], each["order"] == "desc"))
    return tuple(found)
