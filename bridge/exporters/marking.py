"""The mark beside a published catalog: whose it is. Pure, apart from the way back to the loop.

`.fester-owner` holds `{"format": 1, "source": …, "store": …, "fence": …}`. A publisher reads it
before it writes anything: another's destination is refused, and so is what is older than what
lies there.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from bridge.errors import DestinationTaken, PublishConflict, PublishError
from bridge.model.destinations import Fence, Mark, refusal

OWNER = ".fester-owner"
MARK_BYTES = 20_000  # a source is a URL or a path
_FENCE_SECONDS = 60.0  # for the store to draw a number; its own waits are bounded, too


def encode_mark(mark: Mark) -> bytes:
    """The mark as a file."""
    tree = {"format": 1, "source": mark.source, "store": mark.store, "fence": mark.fence}
    return (json.dumps(tree, indent=1) + "\n").encode()


def decode_mark(body: bytes, place: str) -> Mark:
    """The mark that a file holds. Raises `PublishError` for what is none; `place` says where."""
    try:
        tree = json.loads(body[: MARK_BYTES + 1])
        source, store, fence = tree["source"], tree["store"], tree["fence"]
    except (ValueError, LookupError, TypeError, RecursionError):
        source, store, fence = None, None, None
    if not (isinstance(source, str) and isinstance(store, str) and type(fence) is int):
        raise PublishError(
            f"{place}: {OWNER} says whose this destination is, and cannot be read; run once with "
            "--take-over if it is to be this Fester's"
        )
    return Mark(source, store, fence)


def admit(found: Mark | None, by: Mark, place: str) -> None:
    """Raise unless `by` may write over what `found` marks.

    `DestinationTaken`: it is another source's, or another store's. `PublishConflict`: a newer
    publish of the same store lies there.
    """
    if found is None:
        return
    if why := refusal(found, by, place):
        raise DestinationTaken(why)
    if found.fence > by.fence:
        raise PublishConflict(
            f"{place}: a newer pass of {by.source} was published here meanwhile, so this one "
            "publishes nothing; the next one goes on from there"
        )


def drawing(fence: Fence) -> Callable[[], Mark]:
    """The fence for an exporter's thread; called where the event loop runs."""
    loop = asyncio.get_running_loop()

    async def draw() -> Mark:
        return await fence()

    return lambda: asyncio.run_coroutine_threadsafe(draw(), loop).result(_FENCE_SECONDS)
