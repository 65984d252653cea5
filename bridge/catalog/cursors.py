"""Where a reader stands in a list, as a text to come back with.

The text is the question itself and a position, as in Backstage (its client looks into it for
`query`), with a digest: a cursor of another catalog has other uids, and would not fail but skip.
Nothing secret is in it, and whatever it asks is held to the same bounds as any question.
"""

from __future__ import annotations

import base64
import binascii
from hashlib import blake2b
from typing import Any, Final

import orjson

from bridge.catalog.jsontext import dumped
from bridge.errors import BadQuestion
from bridge.model.entities import Json

LONGEST: Final = 200_000
_DIGEST: Final = "digest"


def encoded(content: dict[str, Json]) -> str:
    """A cursor's text."""
    return base64.b64encode(dumped({**content, _DIGEST: _digest(content)})).decode()


def decoded(text: str) -> dict[str, Any]:
    """What `encoded` was given. Raises `BadQuestion`, also for what somebody else encoded."""
    if len(text) > LONGEST:
        raise BadQuestion(f"Malformed cursor: more than {LONGEST} characters")
    try:
        content = orjson.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise BadQuestion(
            "Malformed cursor: it is not base64 of JSON; "
            "use pageInfo.nextCursor or prevCursor as they are"
        ) from None
    if not isinstance(content, dict) or not _ours(content):
        raise BadQuestion(
            "Malformed cursor: it was changed, or another catalog made it; "
            "begin again without a cursor"
        )
    return content


def _ours(content: dict[str, Any]) -> bool:
    try:
        return bool(content.pop(_DIGEST, None) == _digest(content))
    except TypeError:  # nested deeper than a question of ours can be
        return False


def _digest(content: dict[str, Json]) -> str:
    text = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return blake2b(text, digest_size=9, person=b"fester cursor").hexdigest()
