"""Asks Backstage's catalog which groups and users it has, page by page, within bounds.

`GET /api/catalog/entities/by-query`:
https://backstage.io/docs/features/software-catalog/software-catalog-api
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from yarl import URL

from bridge.errors import FesterError
from bridge.neighbours.http_client import MEGABYTE, Answer, HttpClient, NoAnswer, NotJson

PAGE_BYTES: Final = 16 * MEGABYTE
_PAGE: Final = 500
_MOST_PAGES: Final = 400
_FIELDS: Final = "fields=kind,metadata,spec.type,spec.profile.displayName"
_QUERY: Final = f"filter=kind=group&filter=kind=user&{_FIELDS}&limit={_PAGE}"
_REFUSED: Final = (
    "it refuses the token ({status}): FESTER_BACKSTAGE_TOKEN must be one of its "
    "backend.auth.externalAccess, allowed for the plugin catalog"
)


class CatalogUnread(FesterError):
    """Backstage's catalog could not be read whole; the message is a sentence part that says why."""


async def groups_and_users(http: HttpClient) -> list[Mapping[str, Any]]:
    """Every Group and User as entities, of which only names, annotations, types and titles are
    given.

    All of them or none: raises `CatalogUnread`.
    """
    found: list[Mapping[str, Any]] = []
    query = _QUERY
    for _ in range(_MOST_PAGES):
        answer = await _asked(http, query)
        try:
            page = answer.json()
            items, info = page["items"], page["pageInfo"]
            cursor = info.get("nextCursor")
            found += [item for item in items if isinstance(item, Mapping)]
        except (NotJson, KeyError, TypeError, AttributeError):
            raise CatalogUnread("its answer is none of Backstage's catalog") from None
        if not cursor:
            return found
        query = f"cursor={quote(str(cursor), safe='')}&{_FIELDS}&limit={_PAGE}"
    raise CatalogUnread(f"it has more than {_PAGE * _MOST_PAGES:,} groups and users")


async def _asked(http: HttpClient, query: str) -> Answer:
    path = http.base.path.rstrip("/")
    try:
        url = URL(f"{path}/api/catalog/entities/by-query?{query}", encoded=True)
        answer = await http.send("GET", http.base.join(url))
    except NoAnswer as error:
        raise CatalogUnread(f"it cannot be reached: {error}") from None
    if answer.status in (401, 403):
        raise CatalogUnread(_REFUSED.format(status=answer.status))
    if answer.status != 200:
        raise CatalogUnread(f"it answers {answer.status}")
    return answer
